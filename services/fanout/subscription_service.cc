#include "services/fanout/subscription_service.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/rpc/status.h"
#include "services/fanout/subscription_stream.h"

namespace hub::fanout_service {
namespace {

namespace v1 = ::fraudhub::v1;

using Base =
    v1::SubscriptionService::WithRawCallbackMethod_Subscribe<v1::SubscriptionService::WithCallbackMethod_GetCursor<
        v1::SubscriptionService::WithCallbackMethod_ListSubscriptions<v1::SubscriptionService::Service>>>;

class Impl final : public SubscriptionService, public Base {
 public:
  Impl(const StreamContext& context, rpc::EgressLoop* egress, StreamBoard* board)
      : context_(context), egress_(egress), board_(board) {}

  grpc::Service* service() override { return this; }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Subscribe(
      grpc::CallbackServerContext* context) override {
    absl::StatusOr<access::Principal> caller = context_.gate->Admit(*context, "SubscriptionService.Subscribe");
    if (!caller.ok()) return egress_->Serve(context, nullptr, caller.status());
    const uint32_t streams_max = context_.gate->policy()->Grant(caller->role).streams_max;
    absl::StatusOr<std::unique_ptr<StreamBoard::Entry>> entry = board_->Open(caller->stakeholder, streams_max);
    if (!entry.ok()) return egress_->Serve(context, nullptr, entry.status());
    return egress_->Serve(context,
                          std::make_unique<SubscriptionStream>(&context_, *std::move(caller), *std::move(entry)),
                          absl::OkStatus());
  }

  grpc::ServerUnaryReactor* GetCursor(grpc::CallbackServerContext* context, const v1::GetCursorRequest*,
                                      v1::GetCursorResponse*) override {
    const absl::StatusOr<access::Principal> caller = context_.gate->Admit(*context, "SubscriptionService.GetCursor");
    return Answer(context, caller.ok()
                               ? absl::UnimplementedError("SubscriptionService.GetCursor: this release of the hub "
                                                          "keeps no named cursors; keep the token of the last progress")
                               : caller.status());
  }

  grpc::ServerUnaryReactor* ListSubscriptions(grpc::CallbackServerContext* context, const v1::ListSubscriptionsRequest*,
                                              v1::ListSubscriptionsResponse* response) override {
    const absl::StatusOr<access::Principal> caller =
        context_.gate->Admit(*context, "SubscriptionService.ListSubscriptions");
    if (caller.ok()) {
      for (v1::SubscriptionState& state : board_->Of(caller->stakeholder))
        *response->add_subscriptions() = std::move(state);
    }
    return Answer(context, caller.status());
  }

 private:
  static grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(rpc::ToGrpc(status));
    return reactor;
  }

  const StreamContext context_;
  rpc::EgressLoop* const egress_;
  StreamBoard* const board_;
};

}  // namespace

std::unique_ptr<SubscriptionService> SubscriptionService::Create(const base::Clock* clock, const rpc::Gate* gate,
                                                                 fanout::Dispatcher* dispatcher,
                                                                 rpc::EgressLoop* egress,
                                                                 const wire::CursorSealer* sealer, StreamBoard* board,
                                                                 base::Metrics* metrics) {
  const StreamContext context{
      clock,
      gate,
      dispatcher,
      egress,
      sealer,
      metrics->AddCounter("fraudhub_fanout_streams_opened_total", "Streams opened"),
      metrics->AddCounter("fraudhub_fanout_streams_resumed_total", "Of these, with a token"),
      metrics->AddCounter("fraudhub_fanout_deliveries_total", "Events handed to streams"),
  };
  return std::make_unique<Impl>(context, egress, board);
}

}  // namespace hub::fanout_service
