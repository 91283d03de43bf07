// Appends and reads against librdkafka's own mock cluster, which answers with the errors that a real broker seldom gives when asked. It has
// no admin API and no disk, so it is the producer and the readers that are tested here, not the whole log.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <map>
#include <string>

#include "libs/base/metrics.h"
#include "libs/eventlog/contract_suite_test.h"
#include "libs/eventlog/kafka_producer.h"
#include "libs/eventlog/kafka_reader.h"

namespace hub::eventlog::kafka {
namespace {

constexpr int16_t kProduce = 0, kFetch = 1;  // the protocol's numbers of requests
constexpr char kTopic[] = "plain";

class MockCluster {
 public:
  MockCluster() {
    char error[512];
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof(error));
    REQUIRE(handle_ != nullptr);
    cluster_ = rd_kafka_mock_cluster_new(handle_, 3);
    REQUIRE(cluster_ != nullptr);
    REQUIRE(rd_kafka_mock_topic_create(cluster_, kTopic, 1, 3) == RD_KAFKA_RESP_ERR_NO_ERROR);
    REQUIRE(rd_kafka_mock_partition_set_leader(cluster_, kTopic, 0, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  ~MockCluster() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  Settings client() const {
    const absl::StatusOr<Settings> settings = ClientSettings(rd_kafka_mock_cluster_bootstraps(cluster_), {});
    REQUIRE(settings.ok());
    return *settings;
  }
  // The next `times` requests of this kind are answered so.
  void Fail(int16_t request, rd_kafka_resp_err_t error, size_t times) {
    const std::vector<rd_kafka_resp_err_t> errors(times, error);
    rd_kafka_mock_push_request_errors_array(cluster_, request, times, errors.data());
  }
  void MoveLeader(int32_t broker) {
    REQUIRE(rd_kafka_mock_partition_set_leader(cluster_, kTopic, 0, broker) == RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void SetDown(int32_t broker) {
    REQUIRE(rd_kafka_mock_broker_set_down(cluster_, broker) == RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void SetUp(int32_t broker) { REQUIRE(rd_kafka_mock_broker_set_up(cluster_, broker) == RD_KAFKA_RESP_ERR_NO_ERROR); }

 private:
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

// A producer and readers on it, as kafka_log puts them together.
struct Ends {
  explicit Ends(const MockCluster& cluster, absl::Duration append_timeout = absl::Seconds(20)) {
    auto made = Producer::Make(ProducerSettings(cluster.client(), append_timeout), size_t{1} << 20, &clock, &probe);
    REQUIRE(made.ok());
    producer = std::move(*made);
    auto admin_made = Admin::Make(cluster.client());
    REQUIRE(admin_made.ok());
    admin = std::move(*admin_made);
    readers = std::make_unique<Readers>(ConsumerSettings(cluster.client()), admin.get(), &clock);
  }

  // So many from there on, once they can be read.
  std::vector<StoredRecord> ReadAll(size_t count, Offset from = 0) {
    std::vector<StoredRecord> all;
    const absl::Duration start = clock.Monotonic();
    while (all.size() < count) {
      REQUIRE(!Expired(start));
      absl::StatusOr<ReadResult> read = readers->Read({kTopic, 0}, from, {});
      if (absl::IsUnavailable(read.status())) continue;
      INFO(read.status());
      REQUIRE(read.ok());
      for (StoredRecord& record : read->records) all.push_back(std::move(record));
      from = read->next;
    }
    return all;
  }

  // Reads at the end until the tail does.
  void AwaitFollowed(Offset end) {
    const absl::Duration start = clock.Monotonic();
    while (!readers->Follows({kTopic, 0}, end)) {
      REQUIRE(!Expired(start));
      readers->Wait({{{kTopic, 0}, end}}, absl::Milliseconds(10));
      const absl::StatusOr<ReadResult> read = readers->Read({kTopic, 0}, end, {});
      if (read.ok()) REQUIRE(read->next == end);
    }
  }

  base::RealClock clock;
  base::Metrics metrics;
  LogProbe probe{&metrics};
  std::unique_ptr<Producer> producer;
  std::unique_ptr<Admin> admin;
  std::unique_ptr<Readers> readers;
};

void AppendAll(Producer* producer, Callbacks* callbacks, size_t count) {
  for (size_t i = 0; i < count; ++i) producer->Append(kTopic, 0, {"k", absl::StrCat(i)}, callbacks->For(i));
}

TEST_CASE("What a broker refuses for a moment is sent again, once and in order", "[eventlog][kafka][mock]") {
  const rd_kafka_resp_err_t error = GENERATE(
      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT);
  INFO(rd_kafka_err2name(error));
  MockCluster cluster;
  Ends ends(cluster);
  cluster.Fail(kProduce, error, 3);
  constexpr size_t kCount = 50;
  Callbacks callbacks(kCount);
  AppendAll(ends.producer.get(), &callbacks, kCount);
  REQUIRE(callbacks.WaitForAll());
  const std::vector<StoredRecord> stored = ends.ReadAll(kCount);
  REQUIRE(stored.size() == kCount);
  for (size_t i = 0; i < kCount; ++i) {
    CHECK(callbacks.calls(i) == 1);
    REQUIRE(callbacks.offset(i).ok());
    CHECK(*callbacks.offset(i) == stored[i].offset);
    CHECK(stored[i].value == absl::StrCat(i));
  }
}

TEST_CASE("A producer that is fatally broken is replaced, and what it carried has an unknown fate",
          "[eventlog][kafka][mock]") {
  MockCluster cluster;
  Ends ends(cluster);
  Callbacks first(1);
  ends.producer->Append(kTopic, 0, {"k", "before"}, first.For(0));
  REQUIRE(first.WaitForAll());
  cluster.Fail(kProduce, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 1);
  Callbacks broken(1);
  ends.producer->Append(kTopic, 0, {"k", "carried"}, broken.For(0));
  REQUIRE(broken.WaitForAll());
  CHECK(absl::IsUnavailable(broken.offset(0).status()));
  // The caller sends it again under the same id; the new producer takes it.
  const absl::Duration start = ends.clock.Monotonic();
  absl::StatusOr<Offset> again = absl::UnavailableError("not tried");
  while (!again.ok()) {
    REQUIRE(!Expired(start));
    Callbacks retry(1);
    ends.producer->Append(kTopic, 0, {"k", "carried"}, retry.For(0));
    REQUIRE(retry.WaitForAll());
    again = retry.offset(0);
  }
  CHECK(absl::StrContains(ends.metrics.Exposition(), "fraudhub_eventlog_producers_replaced_total 1"));
  const std::vector<StoredRecord> stored = ends.ReadAll(2);
  CHECK(stored.front().value == "before");
  CHECK(stored.back().value == "carried");
}

TEST_CASE("Of records that are sent together those that find no room are refused, and one answer tells of all",
          "[eventlog][kafka][mock]") {
  MockCluster cluster;
  Ends ends(cluster);
  constexpr size_t kCount = 30, kFit = 20;  // of 50 KB, in 1 MiB
  std::vector<Log::Addressed> records;
  for (size_t i = 0; i < kCount; ++i) records.push_back({0, {"k", std::string(50'000, static_cast<char>('a' + i))}});
  const auto sent_together = [&] {
    base::Mutex mu;
    base::CondVar answered;
    int calls = 0;
    std::vector<absl::StatusOr<Offset>> answers;
    ends.producer->AppendAll(kTopic, records, [&](std::vector<absl::StatusOr<Offset>> all) {
      base::MutexLock lock(&mu);
      ++calls;
      answers = std::move(all);
      answered.NotifyAll();
    });
    base::MutexLock lock(&mu);
    const absl::Duration start = ends.clock.Monotonic();
    while (calls == 0) {
      answered.WaitFor(&mu, absl::Milliseconds(100));
      REQUIRE(!Expired(start));
    }
    CHECK(calls == 1);
    return answers;
  };
  for (size_t round = 0; round < 2; ++round) {  // what was answered has made room
    const std::vector<absl::StatusOr<Offset>> answers = sent_together();
    REQUIRE(answers.size() == kCount);
    for (size_t i = 0; i < kCount; ++i) {
      INFO(i << ": " << answers[i].status());
      if (i < kFit) {
        REQUIRE(answers[i].ok());
        CHECK(*answers[i] == static_cast<Offset>(round * kFit + i));
      } else {
        CHECK(absl::IsResourceExhausted(answers[i].status()));
      }
    }
  }
  CHECK(ends.ReadAll(2 * kFit).size() == 2 * kFit);
  CHECK(absl::StrContains(ends.metrics.Exposition(), "outcome=\"refused\"} 20"));
}

TEST_CASE("While no broker takes a record its fate is unknown after the time it was given", "[eventlog][kafka][mock]") {
  MockCluster cluster;
  Ends ends(cluster, absl::Seconds(1));
  for (const int32_t broker : {1, 2, 3}) cluster.SetDown(broker);
  Callbacks lost(1);
  ends.producer->Append(kTopic, 0, {"k", "lost"}, lost.For(0));
  REQUIRE(lost.WaitForAll());
  CHECK(absl::IsDeadlineExceeded(lost.offset(0).status()));
  for (const int32_t broker : {1, 2, 3}) cluster.SetUp(broker);
  const absl::Duration start = ends.clock.Monotonic();
  absl::StatusOr<Offset> after = absl::UnavailableError("not tried");
  while (!after.ok()) {
    REQUIRE(!Expired(start));
    Callbacks retry(1);
    ends.producer->Append(kTopic, 0, {"k", "after"}, retry.For(0));
    REQUIRE(retry.WaitForAll());
    after = retry.offset(0);
  }
  CHECK(ends.ReadAll(1).back().value == "after");
}

TEST_CASE("A record that no retry cures is refused with its reason", "[eventlog][kafka][mock]") {
  MockCluster cluster;
  Ends ends(cluster);
  const auto refused = [&](rd_kafka_resp_err_t error) {
    cluster.Fail(kProduce, error, 1);
    Callbacks callback(1);
    ends.producer->Append(kTopic, 0, {"k", "v"}, callback.For(0));
    REQUIRE(callback.WaitForAll());
    return callback.offset(0).status().code();
  };
  CHECK(refused(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) == absl::StatusCode::kPermissionDenied);
}

TEST_CASE("A reader goes on over refused fetches and a leader that moved, without a gap or a repeat",
          "[eventlog][kafka][mock]") {
  MockCluster cluster;
  Ends ends(cluster);
  constexpr size_t kCount = 200;
  Callbacks callbacks(kCount);
  AppendAll(ends.producer.get(), &callbacks, kCount);
  REQUIRE(callbacks.WaitForAll());
  cluster.Fail(kFetch, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 2);
  cluster.Fail(kFetch, RD_KAFKA_RESP_ERR__TRANSPORT, 1);
  cluster.MoveLeader(2);
  const std::vector<StoredRecord> stored = ends.ReadAll(kCount);
  REQUIRE(stored.size() == kCount);
  for (size_t i = 0; i < kCount; ++i) {
    CHECK(stored[i].offset == static_cast<Offset>(i));
    CHECK(stored[i].value == absl::StrCat(i));
  }
}

TEST_CASE("Who has come to the end is served by the tail, over refused fetches and a leader that moved",
          "[eventlog][kafka][mock]") {
  MockCluster cluster;
  Ends ends(cluster);
  constexpr size_t kCount = 100;
  Callbacks first(kCount), second(kCount);
  AppendAll(ends.producer.get(), &first, kCount);
  REQUIRE(first.WaitForAll());
  REQUIRE(ends.ReadAll(kCount).size() == kCount);
  ends.AwaitFollowed(kCount);
  cluster.Fail(kFetch, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 2);
  cluster.Fail(kFetch, RD_KAFKA_RESP_ERR__TRANSPORT, 1);
  cluster.MoveLeader(2);
  AppendAll(ends.producer.get(), &second, kCount);
  REQUIRE(second.WaitForAll());
  ends.readers->Wait({{{kTopic, 0}, kCount}}, kPatience);
  CHECK(ends.readers->Follows({kTopic, 0}, kCount + 1));
  for (int reader = 0; reader < 3; ++reader) {
    const std::vector<StoredRecord> stored = ends.ReadAll(kCount, kCount);
    REQUIRE(stored.size() == kCount);
    for (size_t i = 0; i < kCount; ++i) CHECK(stored[i].offset == static_cast<Offset>(kCount + i));
  }
  CHECK(ends.ReadAll(2 * kCount).size() == 2 * kCount);  // who is far behind reads it all the same
}

}  // namespace
}  // namespace hub::eventlog::kafka
