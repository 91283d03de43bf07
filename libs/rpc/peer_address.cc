#include "libs/rpc/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace hub::rpc {
namespace {

constexpr uint8_t kV4Prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr uint8_t kNamelessPrefix[8] = {0x01, 0, 0, 0, 0, 0, 0, 0};  // RFC 6666: no packet ever comes from there
constexpr size_t kNetworkBytes = 8;  // of an IPv6 address: /64

}  // namespace

std::optional<PeerAddress> PeerAddress::FromSocket(const sockaddr_storage& address) {
  PeerAddress result;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    std::memcpy(result.ip.data(), kV4Prefix, sizeof(kV4Prefix));
    std::memcpy(result.ip.data() + sizeof(kV4Prefix), &v4.sin_addr, 4);
    result.port = ntohs(v4.sin_port);
    return result;
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    std::memcpy(result.ip.data(), &v6.sin6_addr, result.ip.size());
    result.port = ntohs(v6.sin6_port);
    return result;
  }
  return std::nullopt;
}

std::optional<PeerAddress> PeerAddress::FromGrpc(absl::string_view peer) {
  const bool v4 = absl::ConsumePrefix(&peer, "ipv4:");
  if (!v4 && !absl::ConsumePrefix(&peer, "ipv6:")) return std::nullopt;
  std::string text = absl::StrReplaceAll(peer, {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) {
    return std::nullopt;
  }
  text.resize(colon);
  sockaddr_storage address = {};
  if (v4) {
    auto& in = reinterpret_cast<sockaddr_in&>(address);
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET, text.c_str(), &in.sin_addr) != 1) return std::nullopt;
    return FromSocket(address);
  }
  absl::string_view host = text;
  if (!absl::ConsumePrefix(&host, "[") || !absl::ConsumeSuffix(&host, "]")) return std::nullopt;
  auto& in6 = reinterpret_cast<sockaddr_in6&>(address);
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET6, std::string(host.substr(0, host.find('%'))).c_str(), &in6.sin6_addr) != 1) return std::nullopt;
  return FromSocket(address);
}

PeerAddress PeerAddress::Nameless(uint64_t n) {
  PeerAddress result;
  std::memcpy(result.ip.data(), kNamelessPrefix, sizeof(kNamelessPrefix));
  std::memcpy(result.ip.data() + sizeof(kNamelessPrefix), &n, sizeof(n));
  return result;
}

bool PeerAddress::IsNameless() const { return std::memcmp(ip.data(), kNamelessPrefix, sizeof(kNamelessPrefix)) == 0; }

bool PeerAddress::IsV4() const { return std::memcmp(ip.data(), kV4Prefix, sizeof(kV4Prefix)) == 0; }

bool PeerAddress::IsLoopback() const {
  if (IsNameless()) return true;
  if (IsV4()) return ip[sizeof(kV4Prefix)] == 127;
  return std::all_of(ip.begin(), ip.end() - 1, [](uint8_t byte) { return byte == 0; }) && ip.back() == 1;
}

std::array<uint8_t, 16> PeerAddress::Source() const {
  std::array<uint8_t, 16> source = ip;
  if (!IsV4()) std::fill(source.begin() + kNetworkBytes, source.end(), uint8_t{0});
  return source;
}

}  // namespace hub::rpc
