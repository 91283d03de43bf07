// What hub-edge runs with: edge.textproto, overridden by --set, with defaults filled in, all of it checked at once. A plain value.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/client/connection.h"
#include "libs/rpc/server.h"

namespace hub::edge {

struct EdgeConfig {
  std::string data_dir;
  client::ConnectionOptions hub;
  client::ConnectionOptions query;  // of the hub's LookupService
  rpc::ServerOptions server;
  std::string ops_address;
  absl::Duration age_max;
  bool allow_test_range = false;
  std::string log_level;
  std::string node_name;
  std::string text;  // the whole, with defaults, in the form of the file; holds no secrets
};

// InvalidArgument: every problem, each "path: what is wrong, what is wanted", one a line.
absl::StatusOr<EdgeConfig> LoadConfig(const std::string& path, const std::vector<std::string>& overrides);

}  // namespace hub::edge
