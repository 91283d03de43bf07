#include "libs/rpc/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/catch.h"

namespace hub::rpc {
namespace {

PeerAddress V4(const char* ip, uint16_t port) {
  sockaddr_storage address = {};
  auto& in = reinterpret_cast<sockaddr_in&>(address);
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  REQUIRE(inet_pton(AF_INET, ip, &in.sin_addr) == 1);
  return *PeerAddress::FromSocket(address);
}

PeerAddress V6(const char* ip, uint16_t port) {
  sockaddr_storage address = {};
  auto& in = reinterpret_cast<sockaddr_in6&>(address);
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  REQUIRE(inet_pton(AF_INET6, ip, &in.sin6_addr) == 1);
  return *PeerAddress::FromSocket(address);
}

}  // namespace

TEST_CASE("What gRPC calls a peer is the address that the acceptor saw", "[rpc][acceptor]") {
  CHECK(PeerAddress::FromGrpc("ipv4:10.1.2.3:4567") == V4("10.1.2.3", 4567));
  CHECK(PeerAddress::FromGrpc("ipv6:%5B2001:db8::7%5D:4567") == V6("2001:db8::7", 4567));
  CHECK(PeerAddress::FromGrpc("ipv6:[2001:db8::7]:4567") == V6("2001:db8::7", 4567));
  CHECK(PeerAddress::FromGrpc("ipv6:%5Bfe80::1%25eth0%5D:4567") == V6("fe80::1", 4567));
  // A socket that takes both families calls an IPv4 peer so; gRPC doesn't.
  CHECK(PeerAddress::FromGrpc("ipv4:10.1.2.3:4567") == V6("::ffff:10.1.2.3", 4567));
  CHECK_FALSE(PeerAddress::FromGrpc("ipv4:10.1.2.3:4567") == V4("10.1.2.3", 4568));
  for (const char* nonsense : {"", "unix:/x", "ipv4:", "ipv4:10.1.2.3", "ipv4:10.1.2.3:65536", "ipv4:10.1.2:1", "ipv4:::1:1", "ipv6:::1:1",
                               "ipv6:%5B10.1.2.3%5D:1", "ipv6:%5B::1%5D"}) {
    INFO(nonsense);
    CHECK_FALSE(PeerAddress::FromGrpc(nonsense));
  }
}

TEST_CASE("A source is an IPv4 address or the /64 of an IPv6 one", "[rpc][acceptor]") {
  CHECK(V4("10.1.2.3", 1).Source() == V4("10.1.2.3", 2).Source());
  CHECK(V4("10.1.2.3", 1).Source() != V4("10.1.2.4", 1).Source());
  CHECK(V6("2001:db8::7", 1).Source() == V6("2001:db8::8:9", 1).Source());
  CHECK(V6("2001:db8:0:1::7", 1).Source() != V6("2001:db8:0:2::7", 1).Source());
  CHECK(V4("127.0.0.1", 1).IsLoopback());
  CHECK(V4("127.3.2.1", 1).IsLoopback());
  CHECK(V6("::1", 1).IsLoopback());
  CHECK(V6("::ffff:127.0.0.1", 1).IsLoopback());
  CHECK_FALSE(V6("::2", 1).IsLoopback());
  CHECK_FALSE(V4("10.127.0.1", 1).IsLoopback());
}

TEST_CASE("Those who come over a UNIX socket are told apart, and are of this machine", "[rpc][acceptor]") {
  CHECK(PeerAddress::Nameless(1) == PeerAddress::Nameless(1));
  CHECK_FALSE(PeerAddress::Nameless(1) == PeerAddress::Nameless(2));
  CHECK(PeerAddress::Nameless(7).IsNameless());
  CHECK(PeerAddress::Nameless(7).IsLoopback());
  CHECK_FALSE(V4("127.0.0.1", 7).IsNameless());
  CHECK_FALSE(V6("::1", 7).IsNameless());
}

}  // namespace hub::rpc
