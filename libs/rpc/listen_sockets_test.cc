#include "libs/rpc/listen_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "tests/catch.h"

namespace hub::rpc {
namespace {

// Red only where the machine's own is another.
TEST_CASE("an accepted connection paces nothing, whatever the machine's congestion control is", "[rpc][listen]") {
  const auto sockets = Listen("127.0.0.1:0", 1);
  REQUIRE(sockets.ok());
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(sockets->port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  pollfd listening{sockets->descriptors.front(), POLLIN, 0};
  REQUIRE(poll(&listening, 1, 5000) == 1);
  const int accepted = accept(sockets->descriptors.front(), nullptr, nullptr);
  REQUIRE(accepted >= 0);
  char name[16] = {};
  socklen_t size = sizeof(name);
  REQUIRE(getsockopt(accepted, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0);
  CHECK(std::string(name) == "cubic");
  for (const int fd : {accepted, client, sockets->descriptors.front()}) close(fd);
}

}  // namespace
}  // namespace hub::rpc
