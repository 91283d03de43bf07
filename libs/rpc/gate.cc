#include <grpcpp/server_context.h>

#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/rpc/server.h"
#include "libs/rpc/tls.h"

namespace hub::rpc {
namespace {

base::Counter CounterFor(base::Metrics* metrics, const char* result) {
  return metrics->AddCounter("fraudhub_rpc_calls_total", "Calls by how they passed the gate", {{"result", result}});
}

}  // namespace

Gate::Gate(const access::PolicyHolder* policy, base::Metrics* metrics, const ServerOptions& options)
    : policy_(policy),
      connections_(options.connections),
      insecure_principal_uri_(options.insecure_for_benches ? options.insecure_principal_uri : ""),
      admitted_(CounterFor(metrics, "admitted")),
      unauthenticated_(CounterFor(metrics, "unauthenticated")),
      denied_(CounterFor(metrics, "denied")) {}

absl::StatusOr<access::Principal> Gate::Resolve(const absl::StatusOr<std::string>& uri, absl::string_view rpc) const {
  HUB_RETURN_IF_ERROR(uri.status());
  const std::shared_ptr<const access::Policy> policy = policy_->Get();
  HUB_ASSIGN_OR_RETURN(access::Principal caller, policy->Identify(*uri));
  HUB_RETURN_IF_ERROR(policy->AuthorizeRpc(caller, rpc));
  return caller;
}

absl::StatusOr<access::Principal> Gate::AdmitUri(const absl::StatusOr<std::string>& uri, absl::string_view rpc) const {
  absl::StatusOr<access::Principal> caller = Resolve(uri, rpc);
  base::Counter& counter = caller.ok() ? admitted_ : absl::IsUnauthenticated(caller.status()) ? unauthenticated_ : denied_;
  counter.Increment();
  return caller;
}

absl::StatusOr<access::Principal> Gate::Admit(const grpc::ServerContextBase& context, absl::string_view rpc) const {
  absl::StatusOr<std::string> uri = insecure_principal_uri_;
  if (uri->empty()) uri = PeerUri(*context.auth_context());
  absl::StatusOr<access::Principal> caller = AdmitUri(uri, rpc);
  if (caller.ok() && connections_ != nullptr) connections_->NoteCall(context.peer());
  return caller;
}

absl::Status Gate::Readmit(const access::Principal& caller, absl::string_view rpc) const {
  const std::shared_ptr<const access::Policy> policy = policy_->Get();
  HUB_ASSIGN_OR_RETURN(const access::Principal now, policy->Identify(caller.uri));
  if (now.role != caller.role || now.stakeholder != caller.stakeholder) {
    return model::Refuse(model::RefusalCode::kUnauthenticated, "", "this identity now stands for somebody else: connect again");
  }
  return policy->AuthorizeRpc(now, rpc);
}

}  // namespace hub::rpc
