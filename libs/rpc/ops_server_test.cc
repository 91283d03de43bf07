#include "libs/rpc/ops_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libs/rpc/server.h"
#include "tests/catch.h"

namespace hub::rpc {
namespace {

std::string Fetch(int port, const std::string& request_line) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const std::string request = request_line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  REQUIRE(write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the operator's pages answer on loopback", "[rpc][ops]") {
  base::Metrics metrics;
  metrics.AddCounter("fraudhub_test_total", "A test").Increment();
  std::string unready = "log: disk full\n";
  auto server = OpsServer::Start("127.0.0.1:0", {&metrics, [&] { return unready; }, [] { return "positions: 1 2 3\n"; }});
  REQUIRE(server.ok());
  const int port = (*server)->port();
  REQUIRE(port > 0);
  CHECK(Has(Fetch(port, "GET /metrics"), "fraudhub_test_total 1"));
  CHECK(Has(Fetch(port, "GET /healthz"), "200 OK"));
  const std::string not_ready = Fetch(port, "GET /readyz");
  CHECK(Has(not_ready, "HTTP/1.1 503"));
  CHECK(Has(not_ready, "log: disk full"));
  unready.clear();
  CHECK(Has(Fetch(port, "GET /readyz"), "200 OK"));
  CHECK(Has(Fetch(port, "GET /statusz"), "positions: 1 2 3"));
  CHECK(Has(Fetch(port, "GET /etc/passwd"), "404"));
  CHECK(Has(Fetch(port, "POST /statusz"), "405"));
}

TEST_CASE("the operator's port is refused off loopback", "[rpc][ops]") {
  for (const char* address : {"0.0.0.0:0", "192.0.2.1:9464", "localhost.example:1", "nonsense", "127.0.0.1:70000", "127.0.0.1:"}) {
    INFO(address);
    CHECK(absl::IsInvalidArgument(OpsServer::Start(address, {}).status()));
  }
}

TEST_CASE("loopback is told from what looks like it", "[rpc][ops]") {
  for (const char* yes : {"localhost:1", "127.0.0.1:0", "127.9.9.9", "[::1]:7443", "::1"}) CHECK(IsLoopback(yes));
  for (const char* no : {"", "0.0.0.0:1", "127.evil.example:1", "[::]:1", "localhost.example:1", "10.0.0.1:1"}) CHECK(!IsLoopback(no));
}

}  // namespace hub::rpc
