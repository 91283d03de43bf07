#include "services/query/rpc_bindings.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <utility>

#include "fraudhub/v1/lookup.grpc.pb.h"
#include "fraudhub/v1/operations.grpc.pb.h"
#include "libs/rpc/status.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;
using Reactor = grpc::ServerUnaryReactor;
using Context = grpc::CallbackServerContext;

constexpr absl::Duration kRetryAfter = absl::Seconds(1);

// Everything that both services do around a call.
class Caller {
 public:
  Caller(const rpc::Gate* gate, rpc::WorkerPool* workers) : gate_(gate), workers_(workers) {}

  // Runs `work(policy, caller, done)` on a worker once the caller was admitted; `done(status, retry_after)` ends the call.
  template <class Work>
  Reactor* Run(Context* context, const char* rpc, Work work) const {
    Reactor* reactor = context->DefaultReactor();
    absl::StatusOr<access::Principal> caller = gate_->Admit(*context, rpc);
    if (!caller.ok()) {
      reactor->Finish(rpc::ToGrpc(caller.status()));
      return reactor;
    }
    const auto done = [reactor](const absl::Status& status, absl::Duration retry_after) {
      reactor->Finish(rpc::ToGrpc(status, retry_after));
    };
    const absl::Status taken = workers_->Run([work = std::move(work), policy = gate_->policy(),
                                              caller = *std::move(caller), done] { work(*policy, caller, done); });
    if (!taken.ok()) reactor->Finish(rpc::ToGrpc(taken, kRetryAfter));
    return reactor;
  }

 private:
  const rpc::Gate* const gate_;
  rpc::WorkerPool* const workers_;
};

// One call of GetVerdictSet: a message is made when the one before was taken, on a worker of its own kind. Owns itself.
class SetStream final : public grpc::ServerWriteReactor<v1::GetVerdictSetResponse> {
 public:
  SetStream(const rpc::Gate* gate, VerdictSets* sets, Context* context, const v1::GetVerdictSetRequest* request)
      : gate_(gate), sets_(sets), context_(context), request_(request) {
    absl::StatusOr<access::Principal> caller = gate_->Admit(*context, "LookupService.GetVerdictSet");
    if (!caller.ok()) {
      Finish(rpc::ToGrpc(caller.status()));
      return;
    }
    caller_ = *std::move(caller);
    policy_ = gate_->policy();
    absl::Duration retry_after;
    absl::StatusOr<std::unique_ptr<VerdictSets::Turn>> turn = sets_->Enter(
        caller_, [this] { context_->TryCancel(); }, &retry_after);
    if (!turn.ok()) {
      Finish(rpc::ToGrpc(turn.status(), retry_after));
      return;
    }
    turn_ = *std::move(turn);
    Work();
  }

 private:
  void Work() {
    const absl::Status taken = sets_->Run([this] { MakeNext(); });
    if (!taken.ok()) Finish(rpc::ToGrpc(taken, kRetryAfter));
  }

  void MakeNext() {
    if (cancelled_) return Finish(grpc::Status::CANCELLED);
    if (gate_->policy() != policy_) {
      // Not "unavailable", which is gone on with: a set of two policies would be of none.
      return Finish(rpc::ToGrpc(absl::AbortedError("the policy has changed: begin again")));
    }
    if (walk_ == nullptr) {
      auto walk = sets_->Begin(*policy_, caller_, *request_, std::move(turn_));
      if (!walk.ok()) return Finish(rpc::ToGrpc(walk.status()));
      walk_ = *std::move(walk);
    }
    const absl::StatusOr<bool> more = walk_->Next(&response_);
    if (!more.ok()) return Finish(rpc::ToGrpc(more.status(), kRetryAfter));
    if (!*more) return Finish(grpc::Status::OK);
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override { ok ? Work() : Finish(grpc::Status::CANCELLED); }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

  const rpc::Gate* const gate_;
  VerdictSets* const sets_;
  Context* const context_;
  const v1::GetVerdictSetRequest* const request_;
  access::Principal caller_;
  std::shared_ptr<const access::Policy> policy_;  // as of the beginning: nothing is sent under another
  std::unique_ptr<VerdictSets::Turn> turn_;       // until the walk has it
  std::unique_ptr<VerdictSets::Walk> walk_;
  v1::GetVerdictSetResponse response_;  // gRPC's while a write is under way
  std::atomic<bool> cancelled_{false};  // sequentially consistent, it never falls
};

class LookupBinding final : public v1::LookupService::CallbackService {
 public:
  LookupBinding(const rpc::Gate* gate, Caller caller, LookupService* service)
      : gate_(gate), caller_(caller), service_(service) {}

  Reactor* Lookup(Context* context, const v1::LookupRequest* request, v1::LookupResponse* response) override {
    return Run(context, "LookupService.Lookup", &LookupService::Lookup, request, response);
  }
  Reactor* Explain(Context* context, const v1::ExplainRequest* request, v1::ExplainResponse* response) override {
    return Run(context, "LookupService.Explain", &LookupService::Explain, request, response);
  }
  Reactor* ListEvents(Context* context, const v1::ListEventsRequest* request,
                      v1::ListEventsResponse* response) override {
    return Run(context, "LookupService.ListEvents", &LookupService::ListEvents, request, response);
  }
  Reactor* ListLinks(Context* context, const v1::ListLinksRequest* request, v1::ListLinksResponse* response) override {
    return Run(context, "LookupService.ListLinks", &LookupService::ListLinks, request, response);
  }
  grpc::ServerWriteReactor<v1::GetVerdictSetResponse>* GetVerdictSet(Context* context,
                                                                     const v1::GetVerdictSetRequest* request) override {
    return new SetStream(gate_, service_->sets(), context, request);
  }

 private:
  template <class Method, class Request, class Response>
  Reactor* Run(Context* context, const char* rpc, Method method, const Request* request, Response* response) {
    return caller_.Run(
        context, rpc, [=, this](const access::Policy& policy, const access::Principal& caller, const auto& done) {
          absl::Duration retry_after = absl::ZeroDuration();
          const absl::Status status = (service_->*method)(policy, caller, *request, response, &retry_after);
          if (!status.ok()) response->Clear();
          done(status, retry_after);
        });
  }

  const rpc::Gate* const gate_;
  const Caller caller_;
  LookupService* const service_;
};

class OperationsBinding final : public v1::OperationsService::CallbackService {
 public:
  OperationsBinding(Caller caller, OperationsService* service) : caller_(caller), service_(service) {}

  Reactor* Correct(Context* context, const v1::CorrectRequest* request, v1::CorrectResponse* response) override {
    return caller_.Run(context, "OperationsService.Correct",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         service_->Correct(policy, caller, *request, response, done);
                       });
  }
  Reactor* CloseTenure(Context* context, const v1::CloseTenureRequest* request,
                       v1::CloseTenureResponse* response) override {
    return caller_.Run(context, "OperationsService.CloseTenure",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         service_->CloseTenure(policy, caller, *request, response, done);
                       });
  }
  Reactor* ApplyRules(Context* context, const v1::ApplyRulesRequest* request,
                      v1::ApplyRulesResponse* response) override {
    return caller_.Run(context, "OperationsService.ApplyRules",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->ApplyRules(policy, caller, *request, response), absl::ZeroDuration());
                       });
  }
  Reactor* ApplyPolicy(Context* context, const v1::ApplyPolicyRequest* request,
                       v1::ApplyPolicyResponse* response) override {
    return caller_.Run(context, "OperationsService.ApplyPolicy",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->ApplyPolicy(policy, caller, *request, response), absl::ZeroDuration());
                       });
  }
  Reactor* UseCursorKey(Context* context, const v1::UseCursorKeyRequest* request,
                        v1::UseCursorKeyResponse* response) override {
    return caller_.Run(context, "OperationsService.UseCursorKey",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->UseCursorKey(policy, caller, *request, response), absl::ZeroDuration());
                       });
  }
  Reactor* GetControl(Context* context, const v1::GetControlRequest*, v1::GetControlResponse* response) override {
    return caller_.Run(context, "OperationsService.GetControl",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->GetControl(policy, caller, response), absl::ZeroDuration());
                       });
  }
  Reactor* ListQuarantine(Context* context, const v1::ListQuarantineRequest* request,
                          v1::ListQuarantineResponse* response) override {
    return caller_.Run(context, "OperationsService.ListQuarantine",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->ListQuarantine(policy, caller, *request, response), absl::ZeroDuration());
                       });
  }
  Reactor* ListStreams(Context* context, const v1::ListStreamsRequest*, v1::ListStreamsResponse* response) override {
    return caller_.Run(context, "OperationsService.ListStreams",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->ListStreams(policy, caller, response), absl::ZeroDuration());
                       });
  }
  Reactor* GetStateDigest(Context* context, const v1::GetStateDigestRequest*,
                          v1::GetStateDigestResponse* response) override {
    return caller_.Run(context, "OperationsService.GetStateDigest",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->GetStateDigest(policy, caller, response), absl::ZeroDuration());
                       });
  }
  Reactor* ListStandings(Context* context, const v1::ListStandingsRequest*,
                         v1::ListStandingsResponse* response) override {
    return caller_.Run(context, "OperationsService.ListStandings",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->ListStandings(policy, caller, response), absl::ZeroDuration());
                       });
  }
  Reactor* ListReceipts(Context* context, const v1::ListReceiptsRequest* request,
                        v1::ListReceiptsResponse* response) override {
    return caller_.Run(context, "OperationsService.ListReceipts",
                       [=, this](const auto& policy, const auto& caller, const auto& done) {
                         done(service_->ListReceipts(policy, caller, *request, response), absl::ZeroDuration());
                       });
  }

 private:
  const Caller caller_;
  OperationsService* const service_;
};

class Impl final : public RpcBindings {
 public:
  Impl(const rpc::Gate* gate, rpc::WorkerPool* workers, LookupService* lookup, OperationsService* operations)
      : lookup_(gate, Caller(gate, workers), lookup), operations_(Caller(gate, workers), operations) {}
  grpc::Service* lookup() override { return &lookup_; }
  grpc::Service* operations() override { return &operations_; }

 private:
  LookupBinding lookup_;
  OperationsBinding operations_;
};

}  // namespace

std::unique_ptr<RpcBindings> RpcBindings::Create(const rpc::Gate* gate, rpc::WorkerPool* workers, LookupService* lookup,
                                                 OperationsService* operations) {
  return std::make_unique<Impl>(gate, workers, lookup, operations);
}

}  // namespace hub::query
