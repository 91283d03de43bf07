// Asks the server's own listener, again and again, whether it is alive: connects, says hello as a client does, and wants an answer.
//
// It goes the way of every connection: the acceptor's thread, the hand-over, gRPC's threads, the TLS identity. It says nothing about streams.
// Thread safety: Problem from any thread. One thread of its own.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/rpc/peer_address.h"

namespace hub::rpc {

struct CanaryOptions {
  std::vector<sockaddr_storage> addresses;  // all of them are asked each time
  bool tls = true;                          // else HTTP/2 in clear text
  absl::Duration interval = absl::Seconds(5);
  absl::Duration interval_of_doubt = absl::Seconds(1);  // after a failure
  absl::Duration patience = absl::Seconds(3);           // for one answer
};

// The first flight of a TLS client that speaks HTTP/2.
std::string TlsHello();

class Canary {
 public:
  // `expect` is told where each attempt comes from before it connects; of one to a UNIX socket nothing, since it comes from nowhere.
  Canary(CanaryOptions options, base::Metrics* metrics, std::function<void(const PeerAddress&)> expect);
  ~Canary() { Stop(); }
  void Stop();
  // Empty while it lives; for /readyz otherwise. One failure alone says nothing: the machine may be busy.
  std::string Problem() const;

 private:
  void Run(const std::stop_token& stop);
  std::string Ask(const sockaddr_storage& address) const;  // what went wrong

  const CanaryOptions options_;
  const std::function<void(const PeerAddress&)> expect_;
  base::Gauge alive_;
  base::Counter answered_, failed_;
  mutable base::Mutex mu_;
  base::CondVar stopped_;
  int failures_ ABSL_GUARDED_BY(mu_) = 0;  // in a row
  std::string last_ ABSL_GUARDED_BY(mu_);
  base::Thread thread_;
};

}  // namespace hub::rpc
