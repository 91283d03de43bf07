// Kafka for the contract suite: the broker of kafka_broker_test.h, and topics of its own for each test.
#include <librdkafka/rdkafka.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/contract_log.h"
#include "libs/eventlog/kafka_broker_test.h"
#include "libs/eventlog/kafka_log.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

// Logs on a real broker under a prefix of their own, and what an operator would do to their topics.
class TestTopics {
 public:
  explicit TestTopics(const std::string& bootstrap) {
    options.bootstrap_servers = bootstrap;
    options.topic_prefix = absl::StrCat("test-", absl::BytesToHexString(base::RandomBytes(6)), ".");
    // Small segments, so that there is something to compact.
    options.topic_overrides = {{"segment.ms", "1000"}, {"min.cleanable.dirty.ratio", "0.01"}};
    char error[512];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    REQUIRE(rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), error, sizeof(error)) == RD_KAFKA_CONF_OK);
    admin_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
    REQUIRE(admin_ != nullptr);
  }
  ~TestTopics() { rd_kafka_destroy(admin_); }
  TestTopics(const TestTopics&) = delete;
  TestTopics& operator=(const TestTopics&) = delete;

  std::unique_ptr<Log> Open() {
    auto opened = OpenKafkaLog(options, &clock_, &metrics_, absl::Seconds(30));
    INFO(opened.status());
    REQUIRE(opened.ok());
    return std::move(*opened);
  }

  void DeleteRecords(const TopicPartition& at, Offset first) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, NameOf(at.topic).c_str(), at.partition)->offset = first;
    rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_t* queue = rd_kafka_queue_new(admin_);
    rd_kafka_DeleteRecords(admin_, &request, 1, nullptr, queue);
    rd_kafka_DeleteRecords_destroy(request);
    CheckEvent(queue);
  }

  KafkaLogOptions options;

 private:
  std::string NameOf(const std::string& topic) const { return options.topic_prefix + topic; }
  void CheckEvent(rd_kafka_queue_t* queue) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 30000);
    REQUIRE(event != nullptr);
    CHECK(rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
  }

  base::RealClock clock_;
  base::Metrics metrics_;
  rd_kafka_t* admin_ = nullptr;
};

class ContractKafkaLog final : public ContractLog {
 public:
  explicit ContractKafkaLog(const std::string& bootstrap) : topics_(bootstrap) { Restart(); }
  ~ContractKafkaLog() override { Close(); }
  void Restart() override {
    log_.reset();
    log_ = topics_.Open();
  }
  // Real time must pass, and the young records of a test must stay young until it has looked.
  absl::Duration lag() const override { return absl::Seconds(4); }
  void Age() override { Pause(lag() + absl::Milliseconds(500)); }
  bool CleansUntil(const std::function<bool()>& done) override {
    const base::RealClock real;
    const absl::Duration start = real.Monotonic();
    while (!done()) {
      if (real.Monotonic() - start > absl::Seconds(30)) return false;
      Pause(absl::Milliseconds(50));
    }
    return true;
  }
  // By DeleteRecords: the broker's own retention looks every five minutes.
  void Expire(const TopicPartition& at, Offset first) override { topics_.DeleteRecords(at, first); }

 private:
  static void Pause(absl::Duration time) {
    base::Mutex mu;
    base::CondVar never;
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, time);
  }
  TestTopics topics_;
};

}  // namespace

std::vector<std::string> ContractLogKinds() { return {"kafka"}; }

std::unique_ptr<ContractLog> MakeContractLog(const std::string&) {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return nullptr;
  return std::make_unique<ContractKafkaLog>(bootstrap);
}

}  // namespace hub::eventlog
