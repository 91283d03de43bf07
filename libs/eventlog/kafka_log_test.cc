// What only the log on Kafka does: settings of topics in the cluster, its identity, and a broker that is away. The contract is tested by
// kafka_contract_test.cc.
#include "libs/eventlog/kafka_log.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/contract_suite_test.h"
#include "libs/eventlog/kafka_admin.h"
#include "libs/eventlog/kafka_broker_test.h"
#include "libs/eventlog/kafka_config.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

const base::RealClock real;
constexpr absl::Duration kAppendTimeout = absl::Seconds(3);
// librdkafka looks for appends that are too old once a second; the rest is for a machine that is shared.
const absl::Duration kAppendBound = kAppendTimeout + absl::Seconds(4);

KafkaLogOptions OptionsFor(const std::string& bootstrap) {
  KafkaLogOptions options;
  options.bootstrap_servers = bootstrap;
  options.topic_prefix = absl::StrCat("test-", absl::BytesToHexString(base::RandomBytes(6)), ".");
  options.append_timeout = kAppendTimeout;
  return options;
}

std::unique_ptr<Log> MustOpen(const KafkaLogOptions& options, base::Metrics* metrics) {
  auto opened = OpenKafkaLog(options, &real, metrics, kPatience);
  INFO(opened.status());
  REQUIRE(opened.ok());
  return std::move(*opened);
}

// The setting of a topic in the cluster.
std::string Setting(const KafkaLogOptions& options, const std::string& topic, const std::string& name) {
  const auto client = kafka::ClientSettings(options.bootstrap_servers, {});
  REQUIRE(client.ok());
  const auto admin = kafka::Admin::Make(*client);
  REQUIRE(admin.ok());
  const auto settings = (*admin)->DescribeTopics({options.topic_prefix + topic}, kPatience);
  INFO(settings.status());
  REQUIRE(settings.ok());
  return settings->at(options.topic_prefix + topic).at(name);
}

void DeleteTopic(const KafkaLogOptions& options, const std::string& topic) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", options.bootstrap_servers.c_str(), error, sizeof(error));
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
  REQUIRE(client != nullptr);
  rd_kafka_DeleteTopic_t* request = rd_kafka_DeleteTopic_new((options.topic_prefix + topic).c_str());
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  rd_kafka_DeleteTopics(client, &request, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 30000);
  const bool deleted = event != nullptr && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (event != nullptr) rd_kafka_event_destroy(event);
  rd_kafka_DeleteTopic_destroy(request);
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(client);
  REQUIRE(deleted);
}

// Polls, because nothing tells: health is looked at every few seconds.
bool Becomes(const std::function<bool()>& condition) {
  base::Mutex mu;
  base::CondVar never;
  const absl::Duration start = real.Monotonic();
  while (!condition()) {
    if (Expired(start)) return false;
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, absl::Milliseconds(20));
  }
  return true;
}

TEST_CASE("Kafka topics are made with the settings that their spec asks for", "[eventlog][kafka]") {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return;
  base::Metrics metrics;
  const KafkaLogOptions options = OptionsFor(bootstrap);
  const auto log = MustOpen(options, &metrics);
  TopicSpec kept;
  kept.name = "kept";
  kept.partitions = 2;
  kept.retention = absl::Hours(24 * 35);
  kept.retention_bytes = 5'000'000'000;
  TopicSpec endless;
  endless.name = "endless";
  TopicSpec compacted;
  compacted.name = "compacted";
  compacted.cleanup = Cleanup::kCompact;
  compacted.compaction_lag = absl::Hours(24 * 7);
  REQUIRE(log->EnsureTopics({kept, endless, compacted}).ok());

  CHECK(Setting(options, "kept", "cleanup.policy") == "delete");
  CHECK(Setting(options, "kept", "retention.ms") == "3024000000");
  CHECK(Setting(options, "kept", "retention.bytes") == "5000000000");
  CHECK(Setting(options, "endless", "retention.ms") == "-1");
  CHECK(Setting(options, "endless", "retention.bytes") == "-1");
  CHECK(Setting(options, "compacted", "cleanup.policy") == "compact");
  CHECK(Setting(options, "compacted", "min.compaction.lag.ms") == "604800000");
  for (const char* topic : {"kept", "endless", "compacted"}) {
    CHECK(Setting(options, topic, "min.insync.replicas") == "1");  // one broker: factor 1
    CHECK(Setting(options, topic, "unclean.leader.election.enable") == "false");
    CHECK(Setting(options, topic, "message.timestamp.type") == "LogAppendTime");
  }

  // What keeps less than asked is refused, what keeps more is left alone.
  kept.retention = absl::Hours(24 * 36);
  const absl::Status refused = log->EnsureTopics({kept});
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(absl::StrContains(refused.message(), "kept.retention.ms"));
  kept.retention = absl::Hours(24);
  CHECK(log->EnsureTopics({kept}).ok());
  CHECK(Setting(options, "kept", "retention.ms") == "3024000000");
}

TEST_CASE("C6 a Kafka topic that was made anew gives the log another identity", "[eventlog][kafka]") {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return;
  base::Metrics metrics;
  const KafkaLogOptions options = OptionsFor(bootstrap);
  auto log = MustOpen(options, &metrics);
  REQUIRE(log->EnsureTopics(Topics(absl::Hours(1))).ok());
  const std::string before = log->log_id();
  for (int i = 0; i < 3; ++i) MustAppend(log.get(), kAt, "", absl::StrCat(i));
  log = nullptr;
  log = MustOpen(options, &metrics);
  REQUIRE(log->EnsureTopics(Topics(absl::Hours(1))).ok());  // notes how far it reaches
  REQUIRE(log->log_id() == before);
  log = nullptr;

  DeleteTopic(options, kAt.topic);
  log = MustOpen(options, &metrics);
  REQUIRE(Becomes([&] { return log->EnsureTopics(Topics(absl::Hours(1))).ok(); }));
  const std::string after = log->log_id();
  CHECK(after != before);
  log = nullptr;
  log = MustOpen(options, &metrics);
  REQUIRE(log->EnsureTopics(Topics(absl::Hours(1))).ok());
  CHECK(log->log_id() == after);
}

TEST_CASE("opening a log where no broker is fails in time and names the address", "[eventlog][kafka]") {
  base::Metrics metrics;
  const absl::Duration start = real.Monotonic();
  const auto opened = OpenKafkaLog(OptionsFor("127.0.0.1:1"), &real, &metrics, absl::Seconds(1));
  CHECK(absl::IsUnavailable(opened.status()));
  CHECK(absl::StrContains(opened.status().message(), "127.0.0.1:1"));
  CHECK(real.Monotonic() - start < absl::Seconds(5));
}

TEST_CASE("more in flight than allowed is refused at once", "[eventlog][kafka]") {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return;
  base::Metrics metrics;
  KafkaLogOptions options = OptionsFor(bootstrap);
  options.pending_bytes_max = 1000;
  const auto log = MustOpen(options, &metrics);
  REQUIRE(log->EnsureTopics(Topics(absl::Hours(1))).ok());
  absl::Status refused;  // answered inside Append
  log->Append(kAt, {"", std::string(1001, 'x')},
              [&](const absl::StatusOr<Offset>& offset) { refused = offset.status(); });
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(MustAppend(log.get(), kAt, "", std::string(1000, 'x')) == 0);
}

// How long each of some reads and waits took, at the tail and after a jump, with what they said.
void CheckReadsWhileAway(Log* log, Offset tail) {
  std::vector<absl::Duration> took;
  for (int i = 0; i < 10; ++i) {
    const absl::Duration start = real.Monotonic();
    const auto result = log->Read(kAt, i % 2 == 0 ? tail : 0, {});
    took.push_back(real.Monotonic() - start);
    INFO(result.status());
    // What was fetched before may still be served; else there is nothing, or no answer. Never OutOfRange: nobody said so.
    CHECK((result.ok() || absl::IsUnavailable(result.status())));
  }
  std::sort(took.begin(), took.end());
  CHECK(took[took.size() / 2] <= absl::Milliseconds(100));
  CHECK(took.back() <= absl::Seconds(1));  // of a thread that had to wait for a core
  const absl::Duration start = real.Monotonic();
  log->Wait({{kAt, tail}}, absl::Milliseconds(200));
  CHECK(real.Monotonic() - start <= absl::Seconds(2));
  const absl::Duration asked = real.Monotonic();
  CHECK(absl::IsUnavailable(log->Offsets(kAt).status()));
  CHECK(real.Monotonic() - asked <= absl::Seconds(4));
}

TEST_CASE("while the broker is away the log says so in time, and when it is back all goes on", "[eventlog][kafka]") {
  if (KafkaTestBroker::Skipped()) return;
  KafkaTestBroker broker("away");
  base::Metrics metrics;
  const KafkaLogOptions options = OptionsFor(broker.bootstrap());
  auto log = MustOpen(options, &metrics);
  REQUIRE(log->EnsureTopics(Topics(absl::Hours(1))).ok());
  const std::string id = log->log_id();
  const Offset before = MustAppend(log.get(), kAt, "", "before");
  REQUIRE(ReadTo(log.get(), kAt, 0, before + 1).size() == 1);
  CHECK(log->Health().ok());

  for (const bool frozen : {false, true}) {
    INFO((frozen ? "frozen" : "stopped"));
    frozen ? broker.Freeze() : broker.Stop();
    constexpr size_t kAppends = 100;
    Callbacks callbacks(kAppends);
    const absl::Duration start = real.Monotonic();
    for (size_t i = 0; i < kAppends; ++i) log->Append(kAt, {"", "meanwhile"}, callbacks.For(i));
    const Offset tail = before + 1;
    CheckReadsWhileAway(log.get(), tail);
    REQUIRE(callbacks.WaitForAll());
    CHECK(real.Monotonic() - start <= kAppendBound + absl::Seconds(3));
    for (size_t i = 0; i < kAppends; ++i) {
      const absl::Status status = callbacks.offset(i).status();
      INFO(status);
      CHECK((absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)));
      CHECK(callbacks.calls(i) == 1);
    }
    CHECK(Becomes([&] { return !log->Health().ok(); }));

    frozen ? broker.Thaw() : broker.Start();
    absl::StatusOr<Offset> after;
    REQUIRE(Becomes([&] {
      after = AppendSync(log.get(), kAt, {"", "after"}, kPatience);
      return after.ok();
    }));
    CHECK(Becomes([&] { return log->Health().ok(); }));
    REQUIRE(Becomes([&] { return log->Offsets(kAt).ok(); }));
    // Nothing acknowledged is lost; of what was answered "unknown" some may be there.
    const auto values = Values(ReadTo(log.get(), kAt, 0, log->Offsets(kAt)->end));
    REQUIRE(!values.empty());
    CHECK(values.front() == "before");
    CHECK(values.back() == "after");
    CHECK(log->log_id() == id);
  }

  // Closing does not wait for a broker that is away, and answers everything.
  broker.Stop();
  Callbacks callbacks(100);
  for (size_t i = 0; i < 100; ++i) log->Append(kAt, {"", "last"}, callbacks.For(i));
  const absl::Duration start = real.Monotonic();
  log = nullptr;
  CHECK(real.Monotonic() - start <= absl::Seconds(12));
  for (size_t i = 0; i < 100; ++i) CHECK(callbacks.calls(i) == 1);
}

TEST_CASE("a Kafka log with nothing to do closes at once", "[eventlog][kafka]") {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return;
  base::Metrics metrics;
  auto log = MustOpen(OptionsFor(bootstrap), &metrics);
  REQUIRE(log->EnsureTopics(Topics(absl::Hours(1))).ok());
  const Offset offset = MustAppend(log.get(), kAt, "", "v");
  REQUIRE(ReadTo(log.get(), kAt, 0, offset + 1).size() == 1);
  const absl::Duration start = real.Monotonic();
  log = nullptr;
  CHECK(real.Monotonic() - start <= absl::Seconds(3));  // 50 ms on a machine of one's own
}

}  // namespace
}  // namespace hub::eventlog
