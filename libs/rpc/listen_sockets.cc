#include "libs/rpc/listen_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/rpc/unix_socket.h"

namespace hub::rpc {
namespace {

constexpr int kFreePortTries = 20;  // a port that is free on the first address may be taken on the next

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

absl::StatusOr<HostPort> Parse(absl::string_view address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  absl::string_view host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (colon == absl::string_view::npos || host.empty() || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port > 65535 || (!bracketed && host.find(':') != host.npos)) {
    return absl::InvalidArgumentError(absl::StrCat(address, ": want host:port, an IPv6 address in brackets"));
  }
  return HostPort{std::string(host), static_cast<uint16_t>(port)};
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

uint16_t PortOf(int fd) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                           : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

// Debian's default, whatever the machine's is: BBR paces each of many small writes with a timer (decision 0075). Accepted sockets have it of
// the listening one; set later, BBR's pacing stays. Where the kernel has none it stays the machine's.
constexpr char kCongestionControl[] = "cubic";

// -1 with errno set when it doesn't work.
int OpenOne(const addrinfo& wanted, uint16_t port, int backlog) {
  sockaddr_storage address = {};
  std::memcpy(&address, wanted.ai_addr, wanted.ai_addrlen);
  (wanted.ai_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                : reinterpret_cast<sockaddr_in&>(address).sin_port) = htons(port);
  const int fd = socket(wanted.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1, off = 0;
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kCongestionControl, sizeof(kCongestionControl) - 1);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));  // connections of the process before may linger
  if (wanted.ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), wanted.ai_addrlen) == 0 && ::listen(fd, backlog) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

// No IPv6 on this machine.
bool IsMissingFamily(int error) { return error == EAFNOSUPPORT || error == EADDRNOTAVAIL; }

}  // namespace

absl::StatusOr<ListenSockets> Listen(const std::string& address, int backlog) {
  if (IsUnixAddress(address)) return ListenUnix(address, backlog);
  const absl::StatusOr<HostPort> wanted = Parse(address);
  if (!wanted.ok()) return wanted.status();
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(wanted->host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::UnavailableError(absl::StrCat(address, ": ", gai_strerror(error)));
  }
  const Addresses addresses(found, &freeaddrinfo);
  int error = 0;
  for (int attempt = 0; attempt < kFreePortTries; ++attempt) {
    ListenSockets sockets;
    sockets.port = wanted->port;
    bool again = false;
    for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
      const int fd = OpenOne(*one, static_cast<uint16_t>(sockets.port), backlog);
      if (fd >= 0) {
        sockets.descriptors.push_back(fd);
        sockets.port = PortOf(fd);
        continue;
      }
      if (error == 0 || !IsMissingFamily(errno)) error = errno;
      again = again || !IsMissingFamily(errno);
    }
    if (!again && !sockets.descriptors.empty()) return sockets;
    for (const int fd : sockets.descriptors) close(fd);
    if (wanted->port != 0) break;
  }
  return absl::UnavailableError(absl::StrCat(address, ": can't listen (", std::strerror(error),
                                             "); is the port taken, or the address another machine's?"));
}

}  // namespace hub::rpc
