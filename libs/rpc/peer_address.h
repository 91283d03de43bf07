// Where a connection comes from. A plain value; an IPv4 address is kept as IPv6 writes it (::ffff:1.2.3.4).
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace hub::rpc {

struct PeerAddress {
  std::array<uint8_t, 16> ip{};
  uint16_t port = 0;

  // Nothing when it is of neither family.
  static std::optional<PeerAddress> FromSocket(const sockaddr_storage& address);
  // As grpc::ServerContext::peer() spells it: "ipv4:1.2.3.4:5" or "ipv6:%5B::1%5D:5"; brackets may be plain. A zone is not compared.
  static std::optional<PeerAddress> FromGrpc(absl::string_view peer);
  // The n-th process that came over a UNIX socket, where nobody has an address. gRPC calls them all the same: FromGrpc finds none of them.
  static PeerAddress Nameless(uint64_t n);

  bool IsNameless() const;
  bool IsLoopback() const;  // the nameless included
  // Who is counted as one: an IPv4 address, or the /64 of an IPv6 one, which is what a subscriber of a network gets.
  std::array<uint8_t, 16> Source() const;

  bool operator==(const PeerAddress& other) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const PeerAddress& address) {
    return H::combine(std::move(h), address.ip, address.port);
  }

 private:
  bool IsV4() const;
};

}  // namespace hub::rpc
