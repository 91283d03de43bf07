#include "libs/client/lookup.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <utility>

#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/client/each_address.h"
#include "libs/rpc/status.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

class RemoteLookup final : public Lookup {
 public:
  explicit RemoteLookup(Channels channels) : channels_(std::move(channels)) {}

  absl::StatusOr<v1::LookupResponse> Get(const v1::LookupRequest& request, absl::Duration timeout) override {
    v1::LookupResponse response;
    HUB_RETURN_IF_ERROR(TryEachAddress(channels_, &first_, [&](const std::shared_ptr<grpc::Channel>& channel) {
      grpc::ClientContext context;
      const auto now = std::chrono::system_clock::now();  // tidy:clock-ok gRPC takes deadlines of the wall clock
      context.set_deadline(now + absl::ToChronoNanoseconds(timeout));
      return rpc::FromGrpc(v1::LookupService::NewStub(channel)->Lookup(&context, request, &response));
    }));
    if (response.results_size() != request.identifiers_size()) {
      return absl::InternalError("the hub answered about another number of identifiers than were asked about");
    }
    return response;
  }

 private:
  const Channels channels_;
  std::atomic<size_t> first_{0};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Lookup>> Lookup::Create(const ConnectionOptions& options) {
  HUB_ASSIGN_OR_RETURN(Channels channels, Channels::Make(options));
  return std::make_unique<RemoteLookup>(std::move(channels));
}

}  // namespace hub::client
