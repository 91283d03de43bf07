// What a server runs with: hub.textproto, overridden by --set, with defaults filled in and the policy and rules that it names, all of
// it checked at once.
//
// Paths are relative to the working directory. Plain functions and values.
//
//   absl::StatusOr<HubConfig> config = LoadConfig("hub.textproto", {"log.partitions=8"});
//   if (!config.ok()) std::cerr << config.status().message();   // every problem, one a line
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/access/policy.h"
#include "libs/eventlog/kafka_log.h"
#include "libs/model/rules.h"
#include "libs/registry/processor.h"
#include "libs/rpc/server.h"
#include "services/fanout/fanout_app.h"
#include "services/hub/server_kind.h"

namespace hub::hub_service {

enum class LogKind { kLocal, kKafka };

struct PolicyFile {
  std::shared_ptr<const access::Policy> policy;
  std::string text;  // the file as it is
};

struct HubConfig {
  std::string data_dir;
  std::string key_dir;  // routing.key, log.key, cursor.key
  LogKind log_kind = LogKind::kLocal;
  int32_t partitions = 1;
  eventlog::KafkaLogOptions kafka;
  rpc::ServerOptions server;
  std::string ops_address;
  std::string board_address;  // empty: no board for browsers
  fanout_service::FanoutOptions fanout;
  registry::ProcessorOptions processor;
  std::string policy_file;
  std::string rules_file;
  std::string log_level;
  std::string node_name;
  bool allow_test_range = false;
  absl::Duration lookup_age_max = absl::Seconds(60);

  PolicyFile policy;   // of policy_file
  model::Rules rules;  // of rules_file
  std::string text;    // the whole, with defaults, in the form of the file; holds no secrets
};

// InvalidArgument: every problem, each "path: what is wrong, what is wanted", one a line.
absl::StatusOr<HubConfig> LoadConfig(const std::string& path, const std::vector<std::string>& overrides,
                                     const ServerKind& kind = kHubAll);

// The two files alone, for a reload. Errors as above.
absl::StatusOr<PolicyFile> LoadPolicy(const std::string& path);
absl::StatusOr<model::Rules> LoadRules(const std::string& path);

}  // namespace hub::hub_service
