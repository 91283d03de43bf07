// TLS, SASL and access rules against a real broker, and what the topics of a cluster lack.
#include "libs/eventlog/kafka_security.h"

#include <sys/stat.h>

#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/kafka_broker_test.h"
#include "libs/eventlog/kafka_topics.h"
#include "libs/eventlog/topics.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(30);

TEST_CASE("A security file is refused with every problem and no secret", "[kafka]") {
  const absl::Status refused =
      ParseKafkaSecurity("# a comment\n\nsasl.password = geheim\nacks = 0\nno equals\nsasl.password = zwei\n").status();
  CHECK(absl::IsInvalidArgument(refused));
  for (const char* want :
       {"line 4: acks, want security.*", "line 5: want name = value", "line 6: sasl.password is set twice"}) {
    CHECK(absl::StrContains(refused.message(), want));
  }
  CHECK_FALSE(absl::StrContains(refused.message(), "geheim"));
  CHECK(ParseKafkaSecurity("security.protocol=SSL\r\n ssl.ca.location = /a b/ca.pem \n")->at("ssl.ca.location") ==
        "/a b/ca.pem");

  const store::TempDir folder;
  const std::string path = folder.path() + "/users.conf";
  std::ofstream(path) << "sasl.password=geheim\n";
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  CHECK(absl::IsInvalidArgument(LoadKafkaSecurity(path).status()));
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  CHECK(LoadKafkaSecurity(path).ok());
  CHECK(absl::IsInvalidArgument(LoadKafkaSecurity(path + ".none").status()));
}

class SecureCluster {
 public:
  explicit SecureCluster(const std::string& name, const std::string& flags = "") : broker(name, " --secure" + flags) {}
  KafkaLogOptions As(const std::string& user) const {
    KafkaLogOptions options;
    options.bootstrap_servers = broker.bootstrap();
    auto security = LoadKafkaSecurity(absl::StrCat(broker.folder(), "/users/", user, ".conf"));
    REQUIRE(security.ok());
    options.security = *security;
    options.append_timeout = absl::Seconds(5);
    return options;
  }
  // A broker answers that it has the access rules before it goes by them, so what is denied is asked again.
  std::unique_ptr<Log> Open(const std::string& user) {
    const absl::Duration until = clock.Monotonic() + kTimeout;
    while (true) {
      auto log = OpenKafkaLog(As(user), &clock, &metrics, kTimeout);
      const absl::Status usable = log.ok() ? (*log)->EnsureTopics(HubTopics(2)) : log.status();
      if (usable.ok()) return *std::move(log);
      INFO(user << ": " << usable);
      REQUIRE(absl::IsPermissionDenied(usable));
      REQUIRE(clock.Monotonic() < until);
    }
  }

  const KafkaTestBroker broker;
  const base::RealClock clock;
  base::Metrics metrics;
};

absl::Status Append(Log* log, const char* topic) {
  return AppendSync(log, {topic, 0}, {"key", "value"}, absl::Seconds(10)).status();
}

// Of what the rules allow: as often as it takes until the broker goes by them.
absl::Status AppendAllowed(SecureCluster* cluster, Log* log, const char* topic) {
  const absl::Duration until = cluster->clock.Monotonic() + kTimeout;
  absl::Status status;
  do {
    status = Append(log, topic);
  } while (absl::IsPermissionDenied(status) && cluster->clock.Monotonic() < until);
  return status;
}

void CheckAccess(SecureCluster* cluster) {
  const auto left = ApplyTopics(cluster->As("admin"), HubTopics(2), kTimeout);
  INFO(left.status());
  REQUIRE(left.ok());
  CHECK(left->empty());
  const auto count = ApplyAcls(cluster->As("admin"), kTimeout);
  INFO(count.status());
  REQUIRE(count.ok());

  const auto registry = cluster->Open("registry");
  for (const char* topic :
       {kReportsTopic, kEventsTopic, kUrgentTopic, kHistoryTopic, kControlTopic, kQuarantineTopic}) {
    INFO(topic);
    CHECK(AppendAllowed(cluster, registry.get(), topic).ok());
  }
  // What the fan-out keeps, nobody else writes.
  const auto fanout = cluster->Open("fanout");
  const auto query = cluster->Open("query");
  for (const char* topic : {kCursorsTopic, kReceiptsTopic}) {
    INFO(topic);
    CHECK(AppendAllowed(cluster, fanout.get(), topic).ok());
    CHECK(absl::IsPermissionDenied(Append(query.get(), topic)));
    CHECK(absl::IsPermissionDenied(Append(registry.get(), topic)));
  }
  for (const char* user : {"ingest", "fanout", "query"}) {
    const auto log = cluster->Open(user);
    for (const char* topic : {kEventsTopic, kUrgentTopic, kHistoryTopic}) {
      INFO(user << " " << topic);
      CHECK(absl::IsPermissionDenied(Append(log.get(), topic)));
    }
    const bool reads = std::string(user) != "ingest";
    absl::StatusOr<ReadResult> read;
    const absl::Duration until = cluster->clock.Monotonic() + kTimeout;
    // There is a record: nothing of it within a read's time is no answer yet, and a busy broker may go by old rules.
    do {
      read = log->Read({kEventsTopic, 0}, 0, {});
    } while ((absl::IsUnavailable(read.status()) || (reads && absl::IsPermissionDenied(read.status())) ||
              (read.ok() && read->records.empty())) &&
             cluster->clock.Monotonic() < until);
    INFO(user << " " << read.status());
    CHECK((reads ? read.ok() && !read->records.empty() : absl::IsPermissionDenied(read.status())));
    const bool reports = std::string(user) != "fanout";
    CHECK((reports ? AppendAllowed(cluster, log.get(), kReportsTopic).ok()
                   : absl::IsPermissionDenied(Append(log.get(), kReportsTopic))));
  }
}

void CheckWrongPassword(SecureCluster* cluster) {
  KafkaLogOptions options = cluster->As("registry");
  options.security["sasl.password"] = "another";
  const auto refused = OpenKafkaLog(options, &cluster->clock, &cluster->metrics, absl::Seconds(5));
  INFO(refused.status());
  CHECK(absl::IsUnavailable(refused.status()));
  CHECK(absl::StrContains(refused.status().message(), "credentials refused"));
  CHECK_FALSE(absl::StrContains(refused.status().message(), "another"));
}

TEST_CASE("With access rules only the registry writes what it decides, and others read what they need",
          "[kafka][security]") {
  if (KafkaTestBroker::Skipped()) return;
  SecureCluster cluster("secure");
  CheckAccess(&cluster);
  CheckWrongPassword(&cluster);
}

// Not on every commit: another broker has to be fetched. `hub_kafka_log_test [.long]` runs it.
TEST_CASE("The same with SCRAM on a broker 3.9.1", "[.long][kafka][security]") {
  if (KafkaTestBroker::Skipped()) return;
  SecureCluster cluster("secure-3.9.1", " --version 3.9.1");
  CheckAccess(&cluster);
  CheckWrongPassword(&cluster);
}

TEST_CASE("Topics that differ are told all at once, and what may be raised is raised", "[kafka][topics]") {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return;
  KafkaLogOptions options;
  options.bootstrap_servers = bootstrap;
  options.topic_prefix = absl::StrCat("plan-", absl::BytesToHexString(base::RandomBytes(6)), ".");
  std::vector<TopicSpec> topics = HubTopics(2);
  auto findings = PlanTopics(options, topics, kTimeout);
  INFO(findings.status());
  REQUIRE(findings.ok());
  CHECK(findings->size() == topics.size() + 1);  // and the log's own
  for (const TopicFinding& finding : *findings) CHECK(finding.is_missing());

  REQUIRE(ApplyTopics(options, topics, kTimeout)->empty());
  CHECK(PlanTopics(options, topics, kTimeout)->empty());

  topics[0].partitions = 3;
  topics[0].retention = absl::Hours(24 * 50);
  topics[1].compaction_lag = absl::Hours(24 * 9);
  findings = PlanTopics(options, topics, kTimeout);
  REQUIRE(findings.ok());
  REQUIRE(findings->size() == 3);
  findings = ApplyTopics(options, topics, kTimeout);
  REQUIRE(findings.ok());
  REQUIRE(findings->size() == 1);
  CHECK(findings->front().setting == "partitions");
  CHECK(absl::StrContains(ToText(findings->front()), "deploy/TOPICS.md"));
  topics[0].partitions = 2;
  CHECK(PlanTopics(options, topics, kTimeout)->empty());  // what was raised stays, the rest of the settings, too
}

}  // namespace
}  // namespace hub::eventlog
