#include "services/edge/edge_config.h"

#include <grpcpp/channel.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "fraudhub/config/v1/edge.pb.h"
#include "libs/base/log.h"
#include "libs/rpc/listen_sockets.h"
#include "libs/rpc/tls.h"
#include "libs/wire/config_checks.h"
#include "libs/wire/text_check.h"
#include "libs/wire/wire.h"

namespace hub::edge {
namespace {

namespace config = ::fraudhub::config::v1;
using Problems = std::vector<std::string>;

// What an unset setting is, and why.
constexpr char kAddress[] = "127.0.0.1:7446";  // next to the hub's own ports
constexpr char kOpsAddress[] = "127.0.0.1:9465";
constexpr int32_t kLookupAgeSeconds = 60;  // as the hub's

void FillIn(config::EdgeConfig* c) {
  const auto text = [](const std::string& value, std::string* setting) {
    if (setting->empty()) *setting = value;
  };
  text(kAddress, c->mutable_listen()->mutable_address());
  text(kOpsAddress, c->mutable_listen()->mutable_ops_address());
  text("info", c->mutable_log_level());
  char host[256] = "";
  if (gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  text(absl::StrCat("hub-edge@", host), c->mutable_node_name());
  text(c->hub().address(), c->mutable_hub()->mutable_query_address());
  if (c->lookup_max_age_seconds() == 0) c->set_lookup_max_age_seconds(kLookupAgeSeconds);
}

bool AreHostPorts(const std::string& addresses) {
  const std::vector<std::string> all = absl::StrSplit(addresses, ',');
  return std::all_of(all.begin(), all.end(), [](const std::string& address) { return wire::IsHostPort(address); });
}

void CheckHub(const config::HubAddress& hub, const client::ConnectionOptions& options, Problems* problems) {
  if (hub.query_address() != hub.address() && !AreHostPorts(hub.query_address())) {
    problems->push_back("hub.query_address: want host:port, several with commas between");
  }
  if (!AreHostPorts(hub.address())) {
    problems->push_back("hub.address: want host:port, several with commas between");
    return;
  }
  if (hub.identity_dir().empty() != hub.insecure_for_benches()) {
    problems->push_back("hub.identity_dir: want the folder with this stakeholder's cert.pem, key.pem and ca.pem");
    return;
  }
  client::ConnectionOptions one = options;
  one.server = one.server.substr(0, one.server.find(','));
  if (const absl::Status connect = client::Connect(one).status(); !connect.ok()) {
    problems->push_back(absl::StrCat("hub: ", connect.message()));
  }
}

void CheckListen(const config::EdgeListenConfig& listen, Problems* problems) {
  if (!wire::IsHostPort(listen.ops_address()) || !rpc::IsLoopback(listen.ops_address())) {
    problems->push_back("listen.ops_address: want host:port on loopback, such as 127.0.0.1:9465");
  }
  if (rpc::IsUnixAddress(listen.address())) {
    const std::string problem = rpc::UnixAddressProblem(listen.address());
    if (!problem.empty()) problems->push_back(absl::StrCat("listen.address: ", problem));
    if (!listen.identity_dir().empty()) {
      problems->push_back("listen.identity_dir: want none beside a UNIX socket: whom its file lets in may ask");
    }
  } else if (!wire::IsHostPort(listen.address())) {
    problems->push_back("listen.address: want host:port or unix:/path");
  } else if (listen.identity_dir().empty()) {
    if (!rpc::IsLoopback(listen.address())) {
      problems->push_back(
          "listen.address: want loopback, or listen.identity_dir for TLS: lookups are nobody else's business");
    }
  } else if (const absl::Status identity = rpc::ServerIdentity(listen.identity_dir()).status(); !identity.ok()) {
    problems->push_back(absl::StrCat("listen.identity_dir: ", identity.message()));
  }
}

}  // namespace

absl::StatusOr<EdgeConfig> LoadConfig(const std::string& path, const std::vector<std::string>& overrides) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  std::error_code error;
  if (!file || std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": can't be read"));
  }
  config::EdgeConfig c;
  Problems problems = wire::ParseTextConfig(text.str(), overrides, &c);
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  FillIn(&c);

  EdgeConfig result;
  result.data_dir = c.data_dir();
  result.hub = {c.hub().address(), c.hub().identity_dir(), c.hub().server_name()};
  result.query = result.hub;
  result.query.server = c.hub().query_address();
  result.server.address = c.listen().address();
  result.server.identity_dir = c.listen().identity_dir();
  result.server.clear_for_this_machine = c.listen().identity_dir().empty();
  result.ops_address = c.listen().ops_address();
  result.age_max = absl::Seconds(c.lookup_max_age_seconds());
  result.allow_test_range = c.allow_test_range();
  result.log_level = c.log_level();
  result.node_name = c.node_name();
  result.text = wire::PrintTextConfig(c);

  if (const std::string problem = wire::FolderProblem(c.data_dir()); !problem.empty()) {
    problems.push_back(absl::StrCat("data_dir: ", problem));
  }
  CheckHub(c.hub(), result.hub, &problems);
  CheckListen(c.listen(), &problems);
  if (c.lookup_max_age_seconds() < 1 || c.lookup_max_age_seconds() > 86'400) {
    problems.push_back(absl::StrCat("lookup_max_age_seconds: ", c.lookup_max_age_seconds(), ", want 1 to 86400"));
  }
  if (c.node_name().size() > 64 || !wire::IsPlainText(c.node_name())) {
    problems.push_back("node_name: want at most 64 bytes of UTF-8 without control characters");
  }
  if (!base::SetLogLevel(c.log_level())) problems.push_back("log_level: want debug, info, warn or error");
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  return result;
}

}  // namespace hub::edge
