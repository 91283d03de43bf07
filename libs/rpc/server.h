// The gRPC server's life: listener, credentials, limits, health, reflection, the caller of each RPC, and a drain that neither hangs nor aborts.
//
// Thread safety: Start and Drain from one thread; Caller from any.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/access/policy.h"
#include "libs/base/metrics.h"
#include "libs/rpc/connections.h"

namespace grpc {
class AuthContext;
class CallbackServerContext;
class Service;
class ServerContextBase;
}  // namespace grpc

namespace hub::rpc {

class EgressLoop;

struct ServerOptions {
  std::string address;        // host:port; port 0 = a free one; IPv6 in brackets; or unix:/path, which is as good as loopback
  std::string identity_dir;   // mTLS
  // For benches: no TLS, everybody is `insecure_principal_uri`. Refused unless the address is loopback.
  bool insecure_for_benches = false;
  std::string insecure_principal_uri;
  // No TLS, and nobody's name is asked: for what a machine's own processes ask of a server beside them. Refused unless the address is loopback.
  bool clear_for_this_machine = false;
  size_t message_bytes_max = size_t{4} << 20;
  ConnectionLimits limits;  // of the server's own table; one that is given has its own
  // Borrowed, outlives gate and server; its owner notes who has called (the gate does). Null: the server makes its own, and any call
  // of the callback API is noted.
  Connections* connections = nullptr;
  base::Metrics* metrics = nullptr;
};

// True for localhost, 127.0.0.0/8 and ::1, with or without a port, and for a UNIX socket.
bool IsLoopback(absl::string_view address);

// Resolves who calls and whether it may; every handler starts with it. Immutable but for its counters: share it freely.
class Gate {
 public:
  Gate(const access::PolicyHolder* policy, base::Metrics* metrics, const ServerOptions& options);
  // Identity from the connection's certificate only, never from metadata. Unauthenticated or PermissionDenied otherwise; counted by
  // reason.
  absl::StatusOr<access::Principal> Admit(const grpc::ServerContextBase& context, absl::string_view rpc) const;
  // The same for who came another way than by gRPC; `uri`: of the certificate it showed.
  absl::StatusOr<access::Principal> AdmitUri(const absl::StatusOr<std::string>& uri, absl::string_view rpc) const;
  // The same question about somebody who was admitted before, under the policy in force now: for streams, every few seconds.
  absl::Status Readmit(const access::Principal& caller, absl::string_view rpc) const;
  std::shared_ptr<const access::Policy> policy() const { return policy_->Get(); }
  uint64_t policy_changes() const { return policy_->changes(); }

 private:
  absl::StatusOr<access::Principal> Resolve(const absl::StatusOr<std::string>& uri, absl::string_view rpc) const;

  const access::PolicyHolder* const policy_;
  Connections* const connections_;            // may be null
  const std::string insecure_principal_uri_;  // empty: mTLS
  mutable base::Counter admitted_;
  mutable base::Counter unauthenticated_;
  mutable base::Counter denied_;
};

class Server {
 public:
  // Services are borrowed and outlive the server, as does `egress`, which serves the streams of one of them: it begins with the server and
  // is finished when the server is destroyed. Health (all services SERVING) and reflection are added.
  // InvalidArgument: identity or address; Unavailable: the port is taken.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const std::vector<grpc::Service*>& services,
                                                       EgressLoop* egress = nullptr);
  virtual ~Server() = default;
  virtual int port() const = 0;  // of a UNIX socket 0
  virtual void SetServing(bool serving) = 0;
  // Empty while the listener answers our own hello; a line for /readyz otherwise. Any thread.
  virtual std::string ListenerProblem() const = 0;
  // Health NOT_SERVING and no new connections, then `finish_streams` (which must make every open stream finish), then no new calls, and
  // `grace` for the rest; what is left is cancelled, and a second later its connections are cut: a client that stopped reading holds its
  // calls open otherwise. Returns within `grace` and two seconds or so.
  virtual void Drain(const std::function<void()>& finish_streams, absl::Duration grace) = 0;
};

}  // namespace hub::rpc
