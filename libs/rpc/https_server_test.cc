// The server for browsers, asked by curl with certificates of every sort.
#include "libs/rpc/https_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/rpc/tls_kit_test.h"
#include "tests/catch.h"

namespace hub::rpc {
namespace {

struct Curled {
  int exit_code = -1;
  std::string text;  // headers and body
  bool Has(const std::string& part) const { return absl::StrContains(text, part); }
};

class World {
 public:
  World() {
    REQUIRE(Pki().made());
    auto started =
        HttpsServer::Start("127.0.0.1:0", Pki() / "server", &clock, &metrics, [this](const HttpRequest& request) {
          base::MutexLock lock(&mu);
          requests.push_back(request);
          return answer;
        });
    INFO(started.status().ToString());
    REQUIRE(started.ok());
    server = *std::move(started);
  }

  // `identity`: "" for none.
  Curled Curl(const std::string& identity, const std::string& path, const std::string& options = "") const {
    const std::string folder = Pki() / identity;
    const std::string certificate =
        identity.empty() ? "" : absl::StrCat(" --cert ", folder, "/cert.pem --key ", folder, "/key.pem");
    const std::string command = absl::StrCat("curl -sS -i --max-time 20 --cacert ", Pki() / "ca.pem", certificate, " ",
                                             options, " 'https://localhost:", server->port(), path, "' 2>&1");
    Curled curled;
    FILE* const pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) curled.text.append(buffer, n);
    curled.exit_code = WEXITSTATUS(pclose(pipe));
    return curled;
  }
  HttpRequest Last() {
    base::MutexLock lock(&mu);
    REQUIRE_FALSE(requests.empty());
    return requests.back();
  }
  size_t asked() {
    base::MutexLock lock(&mu);
    return requests.size();
  }

  base::ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  base::Metrics metrics;
  base::Mutex mu;
  std::vector<HttpRequest> requests ABSL_GUARDED_BY(mu);
  HttpAnswer answer{200, "<p>page</p>"};
  std::unique_ptr<HttpsServer> server;
};

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

}  // namespace

TEST_CASE("a browser is who its certificate says, and gets pages with strict headers", "[rpc][https]") {
  World world;
  const Curled page = world.Curl("good", "/a/b?x=1%2b1&y=a+b&z");
  CHECK(page.exit_code == 0);
  for (const char* part :
       {"HTTP/1.1 200", "Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'",
        "frame-ancestors 'none'", "Cache-Control: no-store", "X-Content-Type-Options: nosniff",
        "Referrer-Policy: same-origin", "X-Frame-Options: DENY", "Connection: close",
        "Content-Type: text/html; charset=utf-8", "<p>page</p>"}) {
    INFO(part);
    CHECK(page.Has(part));
  }
  const HttpRequest request = world.Last();
  CHECK(request.caller.value() == "fraudhub://dev.hub.example/bank-01/main");
  CHECK(request.path == "/a/b");
  CHECK_FALSE(request.post);
  CHECK_FALSE(request.from_elsewhere);
  CHECK(request.fields == std::map<std::string, std::string>{{"x", "1+1"}, {"y", "a b"}, {"z", ""}});
}

TEST_CASE("who has no certificate of our CA is not heard", "[rpc][https]") {
  World world;
  for (const char* identity : {"", "wrong_ca", "server_usage"}) {
    INFO(identity);
    CHECK(world.Curl(identity, "/").exit_code != 0);
  }
  CHECK(world.Curl("good", "/", "--tls-max 1.2").exit_code != 0);
  CHECK(world.asked() == 0);
  // A certificate that names nobody, or two, gets as far as the handler, as nobody.
  for (const char* identity : {"no_uri", "no_san", "two_uris"}) {
    INFO(identity);
    CHECK(world.Curl(identity, "/").exit_code == 0);
    CHECK(absl::IsUnauthenticated(world.Last().caller.status()));
  }
}

TEST_CASE("a form comes through, what is too large or no request does not", "[rpc][https]") {
  World world;
  CHECK(world.Curl("good", "/lookup", "-d type=MOBILE -d value=%2B915551234567").Has("200 OK"));
  CHECK(world.Last().post);
  CHECK(world.Last().fields.at("value") == "+915551234567");
  const size_t asked = world.asked();
  CHECK(world.Curl("good", "/lookup", "-d value=" + std::string(5000, 'x')).Has("HTTP/1.1 400"));
  CHECK(world.Curl("good", "/", "-H 'X: " + std::string(9000, 'x') + "'").Has("HTTP/1.1 400"));
  CHECK(world.Curl("good", "/lookup", "-d value=%zz").Has("HTTP/1.1 400"));
  CHECK(world.Curl("good", "/", "-X PUT").Has("HTTP/1.1 405"));
  CHECK(world.Curl("good", "/", "-X PUT").Has("Allow: GET, POST"));
  CHECK(world.Curl("good", "/", "-X 'NO METHOD'").Has("HTTP/1.1 400"));
  CHECK(world.asked() == asked);
  world.answer.body = std::string((size_t{1} << 20) + 1, 'x');
  CHECK(world.Curl("good", "/").Has("HTTP/1.1 500"));
}

TEST_CASE("a request that another site's page caused is told from our own", "[rpc][https]") {
  World world;
  const auto from_elsewhere = [&](const std::string& header) {
    CHECK(world.Curl("good", "/", "-H '" + header + "'").exit_code == 0);
    return world.Last().from_elsewhere;
  };
  CHECK_FALSE(from_elsewhere("Sec-Fetch-Site: none"));
  CHECK_FALSE(from_elsewhere("Sec-Fetch-Site: same-origin"));
  CHECK_FALSE(from_elsewhere(absl::StrCat("Origin: https://localhost:", world.server->port())));
  for (const char* header :
       {"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: null", "Origin: https://evil.example"}) {
    INFO(header);
    CHECK(from_elsewhere(header));
  }
}

TEST_CASE("beyond 64 connections the next one is closed at once, and one that ends makes room", "[rpc][https]") {
  World world;
  std::vector<pollfd> silent;
  for (int i = 0; i < 65; ++i) silent.push_back({Connect(world.server->port()), POLLIN, 0});
  REQUIRE(poll(silent.data(), silent.size(), 5000) == 1);
  const auto closed = std::find_if(silent.begin(), silent.end(), [](const pollfd& one) { return one.revents != 0; });
  char byte;
  CHECK(read(closed->fd, &byte, 1) <= 0);
  for (const pollfd& one : silent) close(one.fd);
  int tries = 0;  // the server hears of the ends one after the other
  while (world.Curl("good", "/").exit_code != 0 && ++tries < 100) {
  }
  CHECK(tries < 100);
}

TEST_CASE("who holds all connections without a handshake gives way to who comes with a certificate", "[rpc][https]") {
  World world;
  std::vector<pollfd> silent;
  for (int i = 0; i < 64; ++i) silent.push_back({Connect(world.server->port()), POLLIN, 0});
  CHECK(world.Curl("good", "/").exit_code != 0);
  world.clock.Advance(absl::Seconds(1));
  for (int i = 0; i < 3; ++i) CHECK(world.Curl("good", "/").Has("200 OK"));
  const int closed = poll(silent.data(), silent.size(), 0);
  CHECK(closed >= 1);
  CHECK(closed <= 3);
  for (const pollfd& one : silent) close(one.fd);
}

TEST_CASE("a new certificate in the folder is shown to the next browser", "[rpc][https]") {
  REQUIRE(Pki().made());
  namespace fs = std::filesystem;
  const fs::path link = Pki() / "rotating";
  fs::remove(link);
  fs::create_directory_symlink(Pki() / "server", link);
  World world;
  auto server = HttpsServer::Start("127.0.0.1:0", link.string(), &world.clock, &world.metrics, [](const HttpRequest&) {
    return HttpAnswer{200, "rotating"};
  });
  REQUIRE(server.ok());
  world.server = *std::move(server);
  CHECK(world.Curl("good", "/").Has("rotating"));
  fs::remove(link);
  fs::create_directory_symlink(Pki() / "good", link);  // of our CA, but no server's: curl refuses it
  CHECK(world.Curl("good", "/").Has("rotating"));
  world.clock.Advance(absl::Seconds(6));
  CHECK(world.Curl("good", "/").exit_code != 0);
  fs::remove(link);  // what can't be read changes nothing
  world.clock.Advance(absl::Seconds(6));
  CHECK(world.Curl("good", "/", "-k").Has("rotating"));
}

TEST_CASE("the server for browsers says what is wrong with its address or identity", "[rpc][https]") {
  World world;
  const auto start = [&](const std::string& address, const std::string& folder) {
    return HttpsServer::Start(address, folder, &world.clock, &world.metrics,
                              [](const HttpRequest&) { return HttpAnswer{}; })
        .status();
  };
  for (const char* address : {"", "nonsense", "host.example:1", "127.0.0.1:", "127.0.0.1:70000"}) {
    INFO(address);
    CHECK(absl::IsInvalidArgument(start(address, Pki() / "server")));
  }
  CHECK(absl::IsInvalidArgument(start("127.0.0.1:0", "/nowhere")));
  CHECK(absl::IsUnavailable(start(absl::StrCat("127.0.0.1:", world.server->port()), Pki() / "server")));
}

}  // namespace hub::rpc
