// A broken configuration lists every problem with its path; a good one is filled in with defaults.
#include "services/edge/edge_config.h"

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::edge {
namespace {

struct File {
  absl::StatusOr<EdgeConfig> Load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    std::ofstream(dir.path() + "/edge.textproto") << text;
    return LoadConfig(dir.path() + "/edge.textproto", overrides);
  }
  std::string Good() const {
    return absl::StrCat("data_dir: \"", dir.path(),
                        "/data\" hub { address: \"127.0.0.1:7443\" insecure_for_benches: true }");
  }
  store::TempDir dir;
};

TEST_CASE("a short configuration gets its defaults", "[edge][config]") {
  File file;
  const auto config = file.Load(file.Good());
  REQUIRE(config.ok());
  CHECK(config->age_max == absl::Seconds(60));
  CHECK(config->server.address == "127.0.0.1:7446");
  CHECK(config->server.clear_for_this_machine);
  CHECK(config->ops_address == "127.0.0.1:9465");
  CHECK(absl::StartsWith(config->node_name, "hub-edge@"));
  CHECK(file.Load(file.Good(), {"lookup_max_age_seconds=5"})->age_max == absl::Seconds(5));
  CHECK(config->query.server == "127.0.0.1:7443");
  CHECK(file.Load(file.Good(), {"hub.query_address=127.0.0.1:7444"})->query.server == "127.0.0.1:7444");
  CHECK(
      absl::StrContains(file.Load(file.Good(), {"hub.query_address=nowhere"}).status().message(), "hub.query_address"));
}

TEST_CASE("every problem of a configuration is told at once", "[edge][config]") {
  File file;
  const auto config = file.Load(
      "hub { address: \"nowhere\" } listen { address: \"0.0.0.0:1\" ops_address: \"0.0.0.0:2\" } "
      "lookup_max_age_seconds: -1 log_level: \"loud\"");
  REQUIRE(absl::IsInvalidArgument(config.status()));
  for (const char* path : {"data_dir: ", "hub.address: ", "listen.address: ", "listen.ops_address: ",
                           "lookup_max_age_seconds: ", "log_level: "}) {
    CAPTURE(path);
    CHECK(absl::StrContains(config.status().message(), path));
  }
}

TEST_CASE("an edge has an identity of its own, and serves without TLS on loopback only", "[edge][config]") {
  File file;
  CHECK(absl::StrContains(file.Load(file.Good(), {"hub.insecure_for_benches=false"}).status().message(),
                          "hub.identity_dir"));
  CHECK(absl::StrContains(file.Load(file.Good(), {"listen.address=192.0.2.1:7446"}).status().message(),
                          "listen.address"));
  CHECK(absl::StrContains(file.Load(file.Good(), {"listen.identity_dir=nowhere"}).status().message(),
                          "listen.identity_dir"));
  CHECK(absl::StrContains(file.Load(file.Good(), {"no_such_key=1"}).status().message(), "no_such_key"));
}

TEST_CASE("what is no configuration is said to be none", "[edge][config]") {
  File file;
  CHECK(absl::StrContains(LoadConfig(file.dir.path(), {}).status().message(), "can't be read"));
  CHECK(absl::StrContains(file.Load(file.Good(), {"node_name=edge\xFF"}).status().message(), "node_name: "));
  CHECK(absl::StrContains(file.Load(file.Good(), {"node_name=a\nb"}).status().message(), "node_name: "));
  for (const char* address : {"dns:///somewhere:7443", "::1:7443", "a b:7443", "[::1:7443", "a:1,:2", "a:1,,b:1"}) {
    INFO(address);
    CHECK(absl::StrContains(file.Load(file.Good(), {absl::StrCat("hub.address=", address)}).status().message(),
                            "hub.address: want host:port"));
  }
  for (const char* address : {"[::1]:7443", "hub-1.example:7443,10.0.0.1:7443"}) {
    INFO(address);
    CHECK(file.Load(file.Good(), {absl::StrCat("hub.address=", address)}).ok());
  }
}

TEST_CASE("an edge may be asked over a socket file, whose path the kernel must take", "[edge][config][unix]") {
  File file;
  const auto config = file.Load(file.Good(), {"listen.address=unix:/run/edge/lookup.sock"});
  REQUIRE(config.ok());
  CHECK(config->server.address == "unix:/run/edge/lookup.sock");
  CHECK(config->server.clear_for_this_machine);
  const auto too_long = file.Load(file.Good(), {absl::StrCat("listen.address=unix:/", std::string(107, 'x'))});
  CHECK(absl::StrContains(too_long.status().message(), "listen.address: the path has 108 bytes, want at most 107"));
  CHECK(absl::StrContains(file.Load(file.Good(), {"listen.address=unix:here"}).status().message(), "listen.address: "));
  const auto both =
      file.Load(file.Good(), {"listen.address=unix:/run/edge/lookup.sock", "listen.identity_dir=somewhere"});
  CHECK(absl::StrContains(both.status().message(), "listen.identity_dir: "));
}

}  // namespace
}  // namespace hub::edge
