#include "libs/client/lookup.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/status.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

class RemoteLookup final : public Lookup {
 public:
  explicit RemoteLookup(Channels channels) : channels_(std::move(channels)) {}

  absl::StatusOr<v1::LookupResponse> Get(const v1::LookupRequest& request, absl::Duration timeout) override {
    while (true) {
      std::shared_ptr<grpc::Channel> channel;
      {
        base::MutexLock lock(&mu_);
        channel = channels_.current();
      }
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));  // tidy:clock-ok gRPC takes deadlines of the wall clock
      v1::LookupResponse response;
      const absl::Status status = rpc::FromGrpc(v1::LookupService::NewStub(channel)->Lookup(&context, request, &response));
      base::MutexLock lock(&mu_);
      if (!status.ok()) {
        if (absl::IsUnavailable(status) && !channels_.Next()) continue;
        return status;
      }
      channels_.NoteSuccess();
      if (response.results_size() != request.identifiers_size()) {
        return absl::InternalError("the hub answered about another number of identifiers than were asked about");
      }
      return response;
    }
  }

 private:
  base::Mutex mu_;
  Channels channels_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Lookup>> Lookup::Create(const ConnectionOptions& options) {
  HUB_ASSIGN_OR_RETURN(Channels channels, Channels::Make(options));
  return std::make_unique<RemoteLookup>(std::move(channels));
}

}  // namespace hub::client
