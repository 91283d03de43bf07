#include "services/hub/hub_config.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "fraudhub/config/v1/hub.pb.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/kafka_security.h"
#include "libs/rpc/https_server.h"
#include "libs/rpc/tls.h"
#include "libs/wire/config_checks.h"
#include "libs/wire/wire.h"

namespace hub::hub_service {
namespace {

namespace fs = std::filesystem;
namespace config = ::fraudhub::config::v1;
using Problems = std::vector<std::string>;

// Cores that this process may run on: fewer than the machine has when it is bound to some (taskset, a container's cpuset).
int CoresAllowed() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

// What an unset setting is, and why.
constexpr char kOpsAddress[] = "127.0.0.1:9464";
// Of a core that does nothing else a handshake takes 1.8 ms: this leaves half of one to live streams, has 600 back in 3 s and 5,000 in 20 s.
constexpr int32_t kHandshakesPerSecond = 250;
constexpr int32_t kConnectionsPerSource = 512;  // the gateway of a large stakeholder; one address can't take all
constexpr int32_t kPartitions = 4;  // a registry thread each; enough for a machine, and fixed from then on
constexpr int64_t kSegmentBytes = int64_t{256} << 20;
constexpr int32_t kLingerMillis = 100;  // libs/decisions/0053
constexpr int32_t kLingerCorePercent = 60;  // the rest is for the log, the dispatcher, and peaks
constexpr int32_t kWriteStalledSeconds = 60;
constexpr int32_t kClasses = 1024;
constexpr int32_t kStreams = 5000;          // the number that is tested
constexpr int32_t kSnapshots = 8;
constexpr int64_t kSnapshotBytes = int64_t{48} << 20;
constexpr int32_t kBatchRecords = 512;      // bounds one commit to some milliseconds
constexpr int32_t kStateFlushSeconds = 30;  // DESIGN.md 5 promises a minute
constexpr int32_t kTickMillis = 1000;
constexpr int32_t kLookupAgeSeconds = 60;
constexpr int kEgressThreadsMax = 8;

int64_t MachineBytes() { return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE); }

std::string DefaultName(const ServerKind& kind) {
  char host[256] = "";
  if (gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  return absl::StrCat(kind.name, "@", host);
}

void FillIn(const ServerKind& kind, config::HubConfig* c) {
  const auto text = [](const char* value, std::string* setting) {
    if (setting->empty()) *setting = value;
  };
  const auto number = [](auto get, auto set, auto value) {
    if (get == 0) set(value);
  };
  text("local", c->mutable_log()->mutable_kind());
  number(
      c->log().partitions(), [&](int32_t v) { c->mutable_log()->set_partitions(v); }, kPartitions);
  number(
      c->log().kafka_replication_factor(), [&](int32_t v) { c->mutable_log()->set_kafka_replication_factor(v); }, 1);
  config::ListenConfig* listen = c->mutable_listen();
  text(kind.address, listen->mutable_address());  // loopback: who wants to be reached says so
  text(kOpsAddress, listen->mutable_ops_address());
  number(
      listen->handshakes_per_second(), [&](int32_t v) { listen->set_handshakes_per_second(v); }, kHandshakesPerSecond);
  number(
      listen->connections_per_source_max(), [&](int32_t v) { listen->set_connections_per_source_max(v); },
      kConnectionsPerSource);
  config::FanoutConfig* fanout = c->mutable_fanout();
  number(
      fanout->segment_bytes_max(), [&](int64_t v) { fanout->set_segment_bytes_max(v); }, kSegmentBytes);
  number(
      fanout->linger_ms(), [&](int32_t v) { fanout->set_linger_ms(v); }, kLingerMillis);
  number(
      fanout->linger_core_percent(), [&](int32_t v) { fanout->set_linger_core_percent(v); }, kLingerCorePercent);
  number(
      fanout->write_stalled_seconds(), [&](int32_t v) { fanout->set_write_stalled_seconds(v); }, kWriteStalledSeconds);
  number(
      fanout->memory_bytes_max(), [&](int64_t v) { fanout->set_memory_bytes_max(v); }, MachineBytes() / 4 * 3);
  number(
      fanout->classes_max(), [&](int32_t v) { fanout->set_classes_max(v); }, kClasses);
  number(
      fanout->streams_max(), [&](int32_t v) { fanout->set_streams_max(v); }, kStreams);
  number(
      fanout->snapshots_max(), [&](int32_t v) { fanout->set_snapshots_max(v); }, kSnapshots);
  number(
      fanout->snapshot_bytes_max(), [&](int64_t v) { fanout->set_snapshot_bytes_max(v); }, kSnapshotBytes);
  config::RegistryConfig* registry = c->mutable_registry();
  number(
      registry->batch_records_max(), [&](int32_t v) { registry->set_batch_records_max(v); }, kBatchRecords);
  number(
      registry->state_flush_seconds(), [&](int32_t v) { registry->set_state_flush_seconds(v); }, kStateFlushSeconds);
  number(
      registry->tick_ms(), [&](int32_t v) { registry->set_tick_ms(v); }, kTickMillis);
  number(
      c->lookup_max_age_seconds(), [&](int32_t v) { c->set_lookup_max_age_seconds(v); }, kLookupAgeSeconds);
  text("info", c->mutable_log_level());
  text(DefaultName(kind).c_str(), c->mutable_node_name());
  if (c->key_dir().empty() && !c->data_dir().empty()) c->set_key_dir(c->data_dir() + "/keys");
}

void CheckRange(const char* path, int64_t value, int64_t low, int64_t high, Problems* problems) {
  if (value < low || value > high) problems->push_back(absl::StrCat(path, ": ", value, ", want ", low, " to ", high));
}

void CheckFolder(const char* path, const std::string& folder, Problems* problems) {
  if (const std::string problem = wire::FolderProblem(folder); !problem.empty()) {
    problems->push_back(absl::StrCat(path, ": ", problem));
  }
}

void CheckLog(const ServerKind& kind, const config::LogConfig& log, Problems* problems) {
  CheckRange("log.partitions", log.partitions(), 1, 64, problems);
  if (log.kind() != "local" && log.kind() != "kafka") {
    problems->push_back("log.kind: want \"local\" or \"kafka\"");
  }
  if (log.kind() == "local") {
    if (!kind.IsWhole()) {
      problems->push_back(absl::StrCat("log.kind: ", kind.name, " wants \"kafka\"; one machine alone runs hub-all"));
    }
    if (!log.kafka_bootstrap().empty()) problems->push_back("log.kafka_bootstrap: only with log.kind \"kafka\"");
    return;
  }
  if (!log.kafka_topic_settings().empty()) {
    for (const absl::string_view setting : absl::StrSplit(log.kafka_topic_settings(), ',')) {
      const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(setting, absl::MaxSplits('=', 1));
      if (parts.first.empty() || parts.second.empty())
        problems->push_back("log.kafka_topic_settings: want name=value, several with commas between");
    }
  }
  CheckRange("log.kafka_replication_factor", log.kafka_replication_factor(), 1, 16, problems);
  const std::vector<std::string> brokers = absl::StrSplit(log.kafka_bootstrap(), ',');
  if (!std::all_of(brokers.begin(), brokers.end(), wire::IsHostPort)) {
    problems->push_back("log.kafka_bootstrap: want host:port, several with commas between");
  }
}

void CheckListen(const ServerKind& kind, const config::ListenConfig& listen, Problems* problems) {
  if (!wire::IsHostPort(listen.ops_address()) || !rpc::IsLoopback(listen.ops_address())) {
    problems->push_back("listen.ops_address: want host:port on loopback, such as 127.0.0.1:9464");
  }
  if (!kind.Serves()) return;
  CheckRange("listen.handshakes_per_second", listen.handshakes_per_second(), 1, 100'000, problems);
  CheckRange("listen.connections_per_source_max", listen.connections_per_source_max(), 1, 1'000'000, problems);
  CheckRange("listen.descriptors_reserved", listen.descriptors_reserved(), 0, 1'000'000, problems);
  if (!wire::IsHostPort(listen.address())) problems->push_back("listen.address: want host:port");
  if (kind.query && !listen.board_address().empty()) {
    const std::string problem = rpc::HttpsServer::AddressProblem(listen.board_address());
    if (!problem.empty()) problems->push_back(absl::StrCat("listen.board_address: ", problem));
    if (listen.insecure_for_benches()) {
      problems->push_back(
          "listen.board_address: browsers get in by their certificates alone: not with insecure_for_benches");
    }
  }
  if (listen.insecure_for_benches()) {
    if (!rpc::IsLoopback(listen.address())) {
      problems->push_back(
          "listen.insecure_for_benches: clear text is refused off loopback: set listen.address to 127.0.0.1:PORT, "
          "or use TLS");
    }
  } else if (const absl::Status identity = rpc::ServerIdentity(listen.identity_dir()).status(); !identity.ok()) {
    problems->push_back(absl::StrCat("listen.identity_dir: ", identity.message()));
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("not set, want a file");
  std::error_code error;
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || fs::is_directory(path, error)) return absl::InvalidArgumentError("can't be read");
  return text.str();
}

// The problems of a file that was refused, each with the file in front.
absl::Status InFile(const absl::Status& status, const std::string& path) {
  if (status.ok()) return status;
  std::vector<std::string> lines = absl::StrSplit(status.message(), '\n', absl::SkipEmpty());
  for (std::string& line : lines) line = absl::StrCat(path, path.empty() ? "" : ": ", line);
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

void AddLines(const char* path, const absl::Status& status, Problems* problems) {
  for (absl::string_view line : absl::StrSplit(status.message(), '\n'))
    problems->push_back(absl::StrCat(path, ": ", line));
}

std::string BenchPrincipal(const access::Policy& policy) {
  return absl::StrCat("fraudhub://", policy.spec().trust_domain, "/bench/main");
}

HubConfig Convert(const config::HubConfig& c) {
  HubConfig result;
  result.data_dir = c.data_dir();
  result.key_dir = c.key_dir();
  result.log_kind = c.log().kind() == "kafka" ? LogKind::kKafka : LogKind::kLocal;
  result.partitions = c.log().partitions();
  result.kafka.bootstrap_servers = c.log().kafka_bootstrap();
  result.kafka.replication_factor = c.log().kafka_replication_factor();
  result.kafka.topic_prefix = c.log().kafka_topic_prefix();
  for (const absl::string_view setting : absl::StrSplit(c.log().kafka_topic_settings(), ',', absl::SkipEmpty())) {
    result.kafka.topic_overrides.insert(absl::StrSplit(setting, absl::MaxSplits('=', 1)));
  }
  result.server.address = c.listen().address();
  result.server.identity_dir = c.listen().identity_dir();
  result.server.insecure_for_benches = c.listen().insecure_for_benches();
  result.server.limits.handshakes_per_second = c.listen().handshakes_per_second();
  result.server.limits.per_source_max = c.listen().connections_per_source_max();
  result.server.limits.descriptors_reserved = c.listen().descriptors_reserved();
  result.ops_address = c.listen().ops_address();
  result.board_address = c.listen().board_address();
  result.fanout.dispatcher.partitions = c.log().partitions();
  result.fanout.dispatcher.segment_bytes_max = c.fanout().segment_bytes_max();
  result.fanout.dispatcher.classes_max = c.fanout().classes_max();
  result.fanout.cursors.node = c.node_name();
  result.fanout.receipts.node = c.node_name();
  result.fanout.snapshots.runs_max = c.fanout().snapshots_max();
  result.fanout.snapshots.cache_bytes_max = c.fanout().snapshot_bytes_max();
  result.fanout.egress.threads = std::clamp(CoresAllowed(), 1, kEgressThreadsMax);
  result.fanout.egress.linger_max = absl::Milliseconds(c.fanout().linger_ms());
  result.fanout.egress.linger_min = absl::Milliseconds(c.fanout().linger_min_ms());
  result.fanout.egress.core_share = c.fanout().linger_core_percent() / 100.0;
  if (c.fanout().stream_age_minutes() > 0) {
    result.fanout.egress.stream_age_max = absl::Minutes(c.fanout().stream_age_minutes());
  }
  result.fanout.egress.write_stalled_after = absl::Seconds(c.fanout().write_stalled_seconds());
  result.fanout.egress.memory_bytes_max = c.fanout().memory_bytes_max();
  result.fanout.egress.streams_max = c.fanout().streams_max();
  result.processor.batch_records_max = c.registry().batch_records_max();
  result.processor.state_flush_interval = absl::Seconds(c.registry().state_flush_seconds());
  result.processor.tick_interval = absl::Milliseconds(c.registry().tick_ms());
  result.policy_file = c.policy_file();
  result.rules_file = c.rules_file();
  result.log_level = c.log_level();
  result.node_name = c.node_name();
  result.allow_test_range = c.allow_test_range();
  result.lookup_age_max = absl::Seconds(c.lookup_max_age_seconds());
  result.text = wire::PrintTextConfig(c);
  return result;
}

}  // namespace

absl::StatusOr<HubConfig> LoadConfig(const std::string& path, const std::vector<std::string>& overrides,
                                     const ServerKind& kind) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return InFile(text.status(), absl::StrCat("--config ", path));
  config::HubConfig c;
  Problems problems = wire::ParseTextConfig(*text, overrides, &c);
  for (std::string& problem : problems) {
    if (problem.rfind("--set", 0) != 0) problem = absl::StrCat(path, ": ", problem);
  }
  FillIn(kind, &c);
  CheckFolder("data_dir", c.data_dir(), &problems);
  if (!c.key_dir().empty()) CheckFolder("key_dir", c.key_dir(), &problems);
  CheckLog(kind, c.log(), &problems);
  CheckListen(kind, c.listen(), &problems);
  CheckRange("fanout.segment_bytes_max", c.fanout().segment_bytes_max(), 1 << 20, int64_t{64} << 30, &problems);
  CheckRange("fanout.linger_ms", c.fanout().linger_ms(), 1, 1000, &problems);
  CheckRange("fanout.linger_min_ms", c.fanout().linger_min_ms(), 0, c.fanout().linger_ms(), &problems);
  CheckRange("fanout.linger_core_percent", c.fanout().linger_core_percent(), 5, 100, &problems);
  CheckRange("fanout.stream_age_minutes", c.fanout().stream_age_minutes(), 0, 100'000, &problems);
  CheckRange("fanout.write_stalled_seconds", c.fanout().write_stalled_seconds(), 1, 3600, &problems);
  CheckRange("fanout.memory_bytes_max", c.fanout().memory_bytes_max(), 64 << 20, int64_t{1} << 50, &problems);
  CheckRange("fanout.classes_max", c.fanout().classes_max(), 1, 100'000, &problems);
  CheckRange("fanout.snapshots_max", c.fanout().snapshots_max(), 1, 1000, &problems);
  CheckRange("fanout.snapshot_bytes_max", c.fanout().snapshot_bytes_max(), 1 << 20, int64_t{64} << 30, &problems);
  CheckRange("fanout.streams_max", c.fanout().streams_max(), 1, 100'000, &problems);
  CheckRange("registry.batch_records_max", c.registry().batch_records_max(), 1, 10'000, &problems);
  CheckRange("registry.state_flush_seconds", c.registry().state_flush_seconds(), 1, 60, &problems);
  CheckRange("registry.tick_ms", c.registry().tick_ms(), 10, 10'000, &problems);
  CheckRange("lookup_max_age_seconds", c.lookup_max_age_seconds(), 1, 86'400, &problems);
  if (c.node_name().size() > 200 || c.node_name().find_first_of(" \t\n\",") != std::string::npos) {
    problems.push_back("node_name: want at most 200 characters without spaces, quotes or commas");
  }
  static const char* const kLevels[] = {"debug", "info", "warn", "error"};
  if (std::find(std::begin(kLevels), std::end(kLevels), c.log_level()) == std::end(kLevels)) {
    problems.push_back("log_level: want \"debug\", \"info\", \"warn\" or \"error\"");
  }
  HubConfig result = Convert(c);
  if (!c.log().kafka_security_file().empty()) {
    auto security = eventlog::LoadKafkaSecurity(c.log().kafka_security_file());
    if (security.ok()) {
      result.kafka.security = *std::move(security);
    } else {
      AddLines("log.kafka_security_file", InFile(security.status(), c.log().kafka_security_file()), &problems);
    }
  }
  const absl::StatusOr<PolicyFile> policy = LoadPolicy(c.policy_file());
  if (!policy.ok()) {
    AddLines("policy_file", policy.status(), &problems);
  } else {
    result.policy = *policy;
    if (c.listen().insecure_for_benches()) {
      result.server.insecure_principal_uri = BenchPrincipal(*policy->policy);
      if (!result.policy.policy->Identify(result.server.insecure_principal_uri).ok()) {
        problems.push_back(absl::StrCat("listen.insecure_for_benches: everybody would be ",
                                        result.server.insecure_principal_uri,
                                        ", whom the policy doesn't know: add the stakeholder \"bench\""));
      }
    }
  }
  absl::StatusOr<model::Rules> rules = LoadRules(c.rules_file());
  if (rules.ok()) {
    result.rules = *std::move(rules);
  } else {
    AddLines("rules_file", rules.status(), &problems);
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  return result;
}

absl::StatusOr<PolicyFile> LoadPolicy(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return InFile(text.status(), path);
  absl::StatusOr<model::PolicySpec> spec = wire::ParsePolicy(*text);
  if (!spec.ok()) return InFile(spec.status(), path);
  absl::StatusOr<std::shared_ptr<const access::Policy>> policy = access::Policy::Build(*std::move(spec));
  if (!policy.ok()) return InFile(policy.status(), path);
  return PolicyFile{*std::move(policy), *text};
}

absl::StatusOr<model::Rules> LoadRules(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return InFile(text.status(), path);
  absl::StatusOr<model::Rules> rules = wire::ParseRules(*text);
  if (!rules.ok()) return InFile(rules.status(), path);
  return rules;
}

}  // namespace hub::hub_service
