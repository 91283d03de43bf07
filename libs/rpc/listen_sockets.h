// Sockets that listen on an address. Plain functions.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace hub::rpc {

struct ListenSockets {
  std::vector<int> descriptors;  // the caller's to close; non-blocking, closed on exec
  int port = 0;                  // the same for all of them
};

// `address`: host:port, IPv6 in brackets, port 0 = a free one. A name may stand for several addresses ("localhost": 127.0.0.1 and ::1), of which one
// at least must work. [::] takes IPv4 as well. No SO_REUSEPORT: a second hub on the port is an error, not half of the traffic.
// InvalidArgument: not an address. Unavailable: the port is taken, or the address another machine's.
absl::StatusOr<ListenSockets> Listen(const std::string& address, int backlog);

}  // namespace hub::rpc
