// A broken configuration lists every problem with its path; a good one is filled in with defaults.
#include "services/hub/hub_config.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::hub_service {
namespace {

constexpr char kPolicy[] = R"(
version: 3
trust_domain: "dev.hub.example"
stakeholders { id: "bench" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" }
grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: "ReportService.SubmitReports" may_report: INPUT_KIND_FINANCIAL_FRAUD may_see {} }
)";
constexpr char kRules[] = R"(
version: 7
sources { kind: INPUT_KIND_FINANCIAL_FRAUD role: ROLE_FINANCIAL_INSTITUTION level: LEVEL_MEDIUM gives: REASON_FINANCIAL_INSTITUTION }
)";

class Files {
 public:
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_.path() + "/" + name) << text;
    return dir_.path() + "/" + name;
  }
  // A configuration without TLS, which needs no certificates.
  std::string Good() const {
    return Write("hub.textproto", absl::StrCat("data_dir: \"", dir_.path(), "/data\"\npolicy_file: \"",
                                               Write("policy", kPolicy), "\"\nrules_file: \"", Write("rules", kRules),
                                               "\"\nlisten { address: \"127.0.0.1:0\" insecure_for_benches: true }\n"));
  }
  const std::string& path() const { return dir_.path(); }

 private:
  const store::TempDir dir_;
};

std::vector<std::string> Problems(const absl::StatusOr<HubConfig>& config) {
  REQUIRE(absl::IsInvalidArgument(config.status()));
  return absl::StrSplit(config.status().message(), '\n');
}

bool Names(const std::vector<std::string>& problems, const std::string& path) {
  for (const std::string& problem : problems) {
    if (absl::StartsWith(problem, path)) return true;
  }
  return false;
}

TEST_CASE("A good configuration gets its defaults, its policy and its rules", "[hub][config]") {
  const Files files;
  const absl::StatusOr<HubConfig> config = LoadConfig(files.Good(), {"log.partitions=2", "registry.tick_ms=50"});
  INFO(config.status().ToString());
  REQUIRE(config.ok());
  CHECK(config->partitions == 2);
  CHECK(config->fanout.dispatcher.partitions == 2);
  CHECK(config->processor.tick_interval == absl::Milliseconds(50));
  CHECK(config->log_kind == LogKind::kLocal);
  CHECK(config->key_dir == files.path() + "/data/keys");
  CHECK(config->ops_address == "127.0.0.1:9464");
  CHECK(config->policy.policy->version() == 3);
  CHECK(config->rules.version == 7);
  CHECK(config->server.insecure_principal_uri == "fraudhub://dev.hub.example/bench/main");
  CHECK(absl::StrContains(config->text, "partitions: 2"));
  CHECK(absl::StrContains(config->text, "streams_max: 5000"));
}

TEST_CASE("A broken configuration lists every problem with its path", "[hub][config]") {
  const Files files;
  const std::string path = files.Write("broken.textproto", R"(
    log { kind: "carrier-pigeon" partitions: 65 }
    listen { address: "nowhere" ops_address: "0.0.0.0:9464" identity_dir: "/nonexistent" }
    fanout { linger_ms: 5000 classes_max: -1 }
    registry { tick_ms: 1 }
    policy_file: "/nonexistent/policy"
    log_level: "loud"
    colour: "blue"
  )");
  const std::vector<std::string> problems =
      Problems(LoadConfig(path, {"log.colour=3", "registry.batch_records_max=many"}));
  for (const char* want : {"data_dir: ", "log.kind: ", "log.partitions: 65", "listen.address: ", "listen.ops_address: ",
                           "listen.identity_dir: ", "fanout.linger_ms: 5000", "fanout.classes_max: -1",
                           "registry.tick_ms: 1", "policy_file: /nonexistent/policy: ", "rules_file: ", "log_level: ",
                           "--set log.colour", "--set registry.batch_records_max"}) {
    INFO(want);
    CHECK(Names(problems, want));
  }
  CHECK(Names(problems, path + ": line 8"));
}

TEST_CASE("Clear text is refused off loopback", "[hub][config]") {
  const Files files;
  const std::vector<std::string> problems = Problems(LoadConfig(files.Good(), {"listen.address=0.0.0.0:7443"}));
  CHECK(problems.size() == 1);
  CHECK(Names(problems, "listen.insecure_for_benches: clear text is refused off loopback"));
}

TEST_CASE("Clear text needs a principal that everybody is", "[hub][config]") {
  const Files files;
  const std::string path = files.Good();
  std::string policy = kPolicy;
  policy.replace(policy.find("\"bench\""), 7, "\"other\"");
  files.Write("policy", policy);
  CHECK(Names(Problems(LoadConfig(path, {})),
              "listen.insecure_for_benches: everybody would be fraudhub://dev.hub.example/bench/main"));
}

TEST_CASE("Every problem of policy and rules is listed with the file", "[hub][config]") {
  const Files files;
  const std::string path = files.Good();
  files.Write("policy", "trust_domain: \"dev.hub.example\" stakeholders { id: \"Bad Id\" } stakeholders { id: \"x\" }");
  files.Write("rules", "version: 0");
  const std::vector<std::string> problems = Problems(LoadConfig(path, {}));
  CHECK(problems.size() >= 4);
  CHECK(Names(problems, absl::StrCat("policy_file: ", files.path(), "/policy: ")));
  CHECK(Names(problems, absl::StrCat("rules_file: ", files.path(), "/rules: version")));
}

TEST_CASE("Kafka needs brokers, and a local log needs none", "[hub][config]") {
  const Files files;
  const std::string path = files.Good();
  CHECK(Names(Problems(LoadConfig(path, {"log.kind=kafka"})), "log.kafka_bootstrap: "));
  CHECK(Names(Problems(LoadConfig(path, {"log.kafka_bootstrap=127.0.0.1:9092"})), "log.kafka_bootstrap: only with"));
  const absl::StatusOr<HubConfig> config =
      LoadConfig(path, {"log.kind=kafka", "log.kafka_bootstrap=127.0.0.1:9092,127.0.0.1:9093"});
  REQUIRE(config.ok());
  CHECK(config->log_kind == LogKind::kKafka);
  CHECK(config->kafka.replication_factor == 1);
}

TEST_CASE("A data folder that can't be made is a problem", "[hub][config]") {
  const Files files;
  const std::string path = files.Good();
  const std::string file = files.Write("file", "");
  CHECK(Names(Problems(LoadConfig(path, {absl::StrCat("data_dir=", file, "/data")})), "data_dir: "));
}

TEST_CASE("The board wants an address and certificates, and is nothing to a process that has none", "[hub][config]") {
  const Files files;
  CHECK(LoadConfig(files.Good(), {}).value().board_address.empty());
  const auto problems = Problems(LoadConfig(files.Good(), {"listen.board_address=127.0.0.1:0"}));
  REQUIRE(problems.size() == 1);
  CHECK(absl::StartsWith(problems[0], "listen.board_address: browsers get in by their certificates alone"));
  CHECK(
      Names(Problems(LoadConfig(files.Good(), {"listen.board_address=nonsense"})), "listen.board_address: want an IP"));
  for (const char* address : {"256.1.1.1:7450", "127.0.0.1:7450,127.0.0.1:7451", "::1:7450", "board.example:7450"}) {
    INFO(address);
    CHECK(Names(Problems(LoadConfig(files.Good(), {absl::StrCat("listen.board_address=", address)})),
                "listen.board_address: want an IP address"));
  }
  const auto fanout = LoadConfig(
      files.Good(), {"listen.board_address=nonsense", "log.kind=kafka", "log.kafka_bootstrap=a:1"}, kHubFanout);
  INFO(fanout.status().ToString());
  CHECK(fanout.ok());
}

TEST_CASE("A part of a cluster wants Kafka, and a registry no certificates", "[hub][config]") {
  const Files files;
  CHECK(Names(Problems(LoadConfig(files.Good(), {}, kHubIngest)), "log.kind: hub-ingest wants \"kafka\""));
  const std::vector<std::string> kafka = {"log.kind=kafka", "log.kafka_bootstrap=127.0.0.1:9092",
                                          "listen.insecure_for_benches=false", "node_name=registry-1"};
  const absl::StatusOr<HubConfig> config = LoadConfig(files.Good(), kafka, kHubRegistry);
  INFO(config.status().ToString());
  REQUIRE(config.ok());
  CHECK(config->node_name == "registry-1");
  CHECK(Names(Problems(LoadConfig(files.Good(), kafka, kHubQuery)), "listen.identity_dir: "));
  CHECK(Names(Problems(LoadConfig(files.Good(), {"node_name=a, b"})), "node_name: "));
}

}  // namespace
}  // namespace hub::hub_service
