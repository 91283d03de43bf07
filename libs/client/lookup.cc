#include "libs/client/lookup.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/status.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

class RemoteLookup final : public Lookup {
 public:
  explicit RemoteLookup(std::shared_ptr<grpc::Channel> channel) : stub_(v1::LookupService::NewStub(std::move(channel))) {}

  absl::StatusOr<v1::LookupResponse> Get(const v1::LookupRequest& request, absl::Duration timeout) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));  // tidy:clock-ok gRPC takes deadlines of the wall clock
    v1::LookupResponse response;
    HUB_RETURN_IF_ERROR(rpc::FromGrpc(stub_->Lookup(&context, request, &response)));
    if (response.results_size() != request.identifiers_size()) {
      return absl::InternalError("the hub answered about another number of identifiers than were asked about");
    }
    return response;
  }

 private:
  const std::unique_ptr<v1::LookupService::Stub> stub_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Lookup>> Lookup::Create(const ConnectionOptions& options) {
  HUB_ASSIGN_OR_RETURN(auto channel, Connect(options));
  return std::make_unique<RemoteLookup>(std::move(channel));
}

}  // namespace hub::client
