#include "libs/client/lookup.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/status.h"
#include "libs/wire/utf8.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

int64_t Unknown(const v1::LookupResponse& response) {
  return std::count_if(response.results().begin(), response.results().end(),
                       [](const v1::LookupResult& result) { return result.verdict() == v1::LOOKUP_VERDICT_UNKNOWN; });
}

// C++ lets any bytes into a text, and nobody can read a message with one that is not UTF-8. Instead of such an identifier a control character is
// asked about, which is INVALID for the same reason; so the others are answered. Null: all are UTF-8.
absl::StatusOr<std::unique_ptr<v1::LookupRequest>> MadeReadable(const v1::LookupRequest& request) {
  if (wire::CheckUtf8(request).ok()) return nullptr;
  auto readable = std::make_unique<v1::LookupRequest>(request);
  for (v1::RawIdentifier& identifier : *readable->mutable_identifiers()) {
    if (!wire::IsUtf8(identifier.value())) identifier.set_value("\x01");
  }
  HUB_RETURN_IF_ERROR(wire::CheckUtf8(*readable));
  return readable;
}

class RemoteLookup final : public Lookup {
 public:
  explicit RemoteLookup(Channels channels) : channels_(std::move(channels)) {}

  absl::StatusOr<v1::LookupResponse> Get(const v1::LookupRequest& asked, absl::Duration timeout) override {
    HUB_ASSIGN_OR_RETURN(const std::unique_ptr<v1::LookupRequest> readable, MadeReadable(asked));
    const v1::LookupRequest& request = readable == nullptr ? asked : *readable;
    const absl::Duration until = clock_.Monotonic() + timeout;
    // Relaxed: an old value costs a try, nothing else.
    const size_t start = first_.load(std::memory_order_relaxed);
    std::optional<v1::LookupResponse> best;
    absl::Status failed;
    size_t next_start = start;
    for (size_t i = 0; i < channels_.size(); ++i) {
      const absl::Duration left = until - clock_.Monotonic();
      if (left <= absl::ZeroDuration()) break;
      const bool last = i + 1 == channels_.size();
      absl::StatusOr<v1::LookupResponse> answer = Ask(channels_.at(start + i), request, last ? left : left / 2);
      if (!answer.ok()) {
        const bool silent = absl::IsDeadlineExceeded(answer.status());
        if (!silent && !absl::IsUnavailable(answer.status())) {
          if (best) break;  // what one knew is not thrown away because another refuses
          return answer.status();
        }
        if (silent && !best && next_start == start + i) next_start = start + i + 1;
        // That somebody was there and silent says more than that another one could not be reached.
        if (failed.ok() || silent) failed = answer.status();
        continue;
      }
      if (best && Unknown(*answer) >= Unknown(*best)) continue;
      best = *std::move(answer);
      next_start = start + i;
      if (Unknown(*best) == 0) break;
    }
    if (next_start != start) first_.store(next_start, std::memory_order_relaxed);
    if (best) return *std::move(best);
    return failed.ok() ? absl::DeadlineExceededError("no time to ask anybody") : failed;
  }

 private:
  static absl::StatusOr<v1::LookupResponse> Ask(const std::shared_ptr<grpc::Channel>& channel,
                                                const v1::LookupRequest& request, absl::Duration timeout) {
    v1::LookupResponse response;
    grpc::ClientContext context;
    const auto now = std::chrono::system_clock::now();  // tidy:clock-ok gRPC takes deadlines of the wall clock
    context.set_deadline(now + absl::ToChronoNanoseconds(timeout));
    HUB_RETURN_IF_ERROR(rpc::FromGrpc(Call(channel, &context, request, &response)));
    if (response.results_size() != request.identifiers_size()) {
      return absl::InternalError("the hub answered about another number of identifiers than were asked about");
    }
    return response;
  }

  // Through the callback API, although this thread waits: that has threads which look after connections between calls. With the blocking one
  // nobody does while calls fail at once, and a hub that comes back waits in vain for the rest of the handshake.
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* context,
                           const v1::LookupRequest& request, v1::LookupResponse* response) {
    const auto stub = v1::LookupService::NewStub(channel);
    grpc::Status status;
    absl::Notification answered;
    stub->async()->Lookup(context, &request, response, [&](grpc::Status told) {
      status = std::move(told);
      answered.Notify();
    });
    answered.WaitForNotification();
    return status;
  }

  const base::RealClock clock_;
  const Channels channels_;
  std::atomic<size_t> first_{0};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Lookup>> Lookup::Create(const ConnectionOptions& options) {
  HUB_ASSIGN_OR_RETURN(Channels channels, Channels::Make(options));
  return std::make_unique<RemoteLookup>(std::move(channels));
}

}  // namespace hub::client
