// The UNIX sockets of Listen (listen_sockets.h). Private to this library.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/rpc/listen_sockets.h"

namespace hub::rpc {

// REQUIRES: IsUnixAddress(address).
absl::StatusOr<ListenSockets> ListenUnix(const std::string& address, int backlog);

}  // namespace hub::rpc
