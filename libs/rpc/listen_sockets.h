// Sockets that listen on an address. Plain functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hub::rpc {

// The file that a UNIX socket listens on, told apart from another that came in its place.
struct SocketFile {
  std::string path;  // empty: none
  uint64_t device = 0;
  uint64_t inode = 0;
};

struct ListenSockets {
  std::vector<int> descriptors;  // the caller's to close; non-blocking, closed on exec
  int port = 0;                  // the same for all of them; of a UNIX socket 0
  SocketFile file;               // the caller's to remove, before it closes the descriptor
};

// `address`: host:port, IPv6 in brackets, port 0 = a free one. A name may stand for several addresses ("localhost": 127.0.0.1 and ::1), of which one
// at least must work. [::] takes IPv4 as well. No SO_REUSEPORT: a second hub on the port is an error, not half of the traffic.
// Or unix:/absolute/path: a socket file of mode 0660, for the owner and its group. One that a process left behind is replaced.
// InvalidArgument: not an address. Unavailable: the port is taken, the address another machine's, or somebody listens on the file.
absl::StatusOr<ListenSockets> Listen(const std::string& address, int backlog);

// "unix:..."
bool IsUnixAddress(absl::string_view address);
// What is wrong with such an address, empty: nothing.
std::string UnixAddressProblem(absl::string_view address);
// False as well when another file has come in its place; true when it can't be told.
bool IsThere(const SocketFile& file);
// Nothing happens when another file has come in its place. While the socket still listens, none can.
void RemoveSocketFile(const SocketFile& file);

}  // namespace hub::rpc
