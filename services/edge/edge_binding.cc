#include "services/edge/edge_binding.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/rpc/status.h"

namespace hub::edge {
namespace {

namespace v1 = ::fraudhub::v1;
using Reactor = grpc::ServerUnaryReactor;
using Context = grpc::CallbackServerContext;

constexpr absl::Duration kRetryAfter = absl::Seconds(1);

// What it lacks answers UNIMPLEMENTED: that is the hub's to tell.
class Binding final : public v1::LookupService::CallbackService {
 public:
  Binding(client::LocalLookup* lookup, rpc::WorkerPool* workers) : lookup_(lookup), workers_(workers) {}

  Reactor* Lookup(Context* context, const v1::LookupRequest* request, v1::LookupResponse* response) override {
    Reactor* reactor = context->DefaultReactor();
    const absl::Status taken = workers_->Run([=, this] {
      const absl::Status status = lookup_->Lookup(*request, response);
      if (!status.ok()) response->Clear();
      reactor->Finish(rpc::ToGrpc(status));
    });
    if (!taken.ok()) reactor->Finish(rpc::ToGrpc(taken, kRetryAfter));
    return reactor;
  }

 private:
  client::LocalLookup* const lookup_;
  rpc::WorkerPool* const workers_;
};

}  // namespace

std::unique_ptr<grpc::Service> BindLookup(client::LocalLookup* lookup, rpc::WorkerPool* workers) {
  return std::make_unique<Binding>(lookup, workers);
}

}  // namespace hub::edge
