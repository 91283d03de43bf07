// The listener of a server, ours instead of gRPC's: gRPC 1.51's own never accepts again once the process ran out of descriptors.
//
// One thread accepts, keeps each connection until its first bytes are there and a handshake's turn has come, and then hands it over. It always
// accepts, also without room: who can't be served is reset at once, rather than holding up those behind it. A listening socket that breaks is
// opened again. Limits and their reasons: connections.h, ServerOptions.
//
// Thread safety: from one thread, but for what says otherwise; `hand_over` is called on the acceptor's.
//
//   auto acceptor = Acceptor::Open("[::]:7443", &connections);   // the port is taken from here on; or "unix:/path"
//   (*acceptor)->Start([&](int fd) { grpc_takes(fd); });
//   ... (*acceptor)->StopAccepting();                            // from here on `hand_over` isn't called
#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/metrics.h"
#include "libs/rpc/connections.h"

namespace hub::rpc {

class Acceptor {
 public:
  // Listens. Errors: as Listen (listen_sockets.h). `connections` outlives the acceptor and is its alone.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Open(const std::string& address, Connections* connections,
                                                        base::Metrics* metrics);
  virtual ~Acceptor() = default;  // ends what is still open
  virtual int port() const = 0;   // of a UNIX socket 0
  // `hand_over` owns the descriptor it gets, a non-blocking socket, and must shut it down before closing it.
  virtual void Start(std::function<void(int fd)> hand_over) = 0;
  // Where to connect to in order to reach it from this machine: an address per listening socket.
  virtual std::vector<sockaddr_storage> ReachableAt() const = 0;
  // The connection that comes from here is our own canary's: never refused, and first in the queue. Any thread.
  virtual void ExpectCanary(const PeerAddress& from) = 0;
  // Closes the listener and ends those that were not handed over. The others stay, and are watched.
  virtual void StopAccepting() = 0;
};

}  // namespace hub::rpc
