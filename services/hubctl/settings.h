// What all commands share: where the hub is, who we are, how to print. From the profile file, then the command line.
//
// The profile is $HUBCTL_PROFILE, or ~/.config/fraudhub/hubctl.textproto when that exists: lines of `key: value`, "#" comments, values
// bare or in double quotes. Keys: server, stream_server, query_server, server_name, identity, insecure, output, timeout, purpose,
// case, color. Unknown keys are errors.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/client/connection.h"

namespace hub::hubctl {

struct Settings {
  // host:port, or several with commas between. A cluster has them for reports, streams and queries; empty: as `server`.
  std::string server = "localhost:7443";
  std::string stream_server;
  std::string query_server;
  std::string server_name;
  std::string identity;
  bool insecure = false;  // clear text: only a hub on loopback that a test or bench started
  std::string output = "table";
  std::string timeout = "10s";
  std::string purpose = "INTERACTIVE";  // why we look; the hub writes it into its audit record
  std::string case_ref;
  std::string color = "auto";
};

// All problems at once, "line 3: unknown key 'x'"; `settings` is changed only when there are none.
std::vector<std::string> ParseProfile(absl::string_view text, Settings* settings);
// The profile the environment names, if any. An error names the file and every problem.
absl::Status LoadProfile(Settings* settings);

// Usage errors for values that are none; `timeout` receives the parsed one.
absl::Status CheckSettings(const Settings& settings, absl::Duration* timeout);
enum class Serves { kReports, kStreams, kQueries };
const std::string& ServerOf(const Settings& settings, Serves what);
// Usage error when it is neither told who we are nor that we need be nobody.
absl::StatusOr<client::ConnectionOptions> ConnectionOf(const Settings& settings, Serves what);

}  // namespace hub::hubctl
