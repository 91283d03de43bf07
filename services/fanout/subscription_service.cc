#include "services/fanout/subscription_service.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/fanout/cursor_place.h"
#include "libs/rpc/proto_time.h"
#include "libs/rpc/status.h"
#include "services/fanout/subscription_stream.h"

namespace hub::fanout_service {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int kSubscriptionsMax = 1000;  // as the API says

using Base = v1::SubscriptionService::WithRawMethod_Subscribe<v1::SubscriptionService::WithCallbackMethod_GetCursor<
    v1::SubscriptionService::WithCallbackMethod_ListSubscriptions<v1::SubscriptionService::Service>>>;

class Impl final : public SubscriptionService, public Base, public rpc::EgressMethod {
 public:
  Impl(const StreamContext& context, StreamBoard* board) : context_(context), board_(board) {}

  grpc::Service* service() override { return this; }
  rpc::EgressMethod* method() override { return this; }

  void AskForCall(grpc::ServerContext* context, Call* call, grpc::ServerCompletionQueue* queue, void* tag) override {
    RequestSubscribe(context, call, queue, queue, tag);
  }

  absl::StatusOr<std::unique_ptr<rpc::EgressSource>> Accept(const grpc::ServerContextBase& context) override {
    HUB_ASSIGN_OR_RETURN(access::Principal caller, context_.gate->Admit(context, "SubscriptionService.Subscribe"));
    const uint32_t streams_max = context_.gate->policy()->Grant(caller.role).streams_max;
    HUB_ASSIGN_OR_RETURN(std::unique_ptr<StreamBoard::Entry> entry, board_->Open(caller.stakeholder, streams_max));
    return std::make_unique<SubscriptionStream>(&context_, std::move(caller), std::move(entry));
  }

  grpc::ServerUnaryReactor* GetCursor(grpc::CallbackServerContext* context, const v1::GetCursorRequest* request,
                                      v1::GetCursorResponse* response) override {
    const absl::StatusOr<access::Principal> caller = context_.gate->Admit(*context, "SubscriptionService.GetCursor");
    return Answer(context, caller.ok() ? FindCursor(caller->stakeholder, request->cursor(), response->mutable_state())
                                       : caller.status());
  }

  grpc::ServerUnaryReactor* ListSubscriptions(grpc::CallbackServerContext* context, const v1::ListSubscriptionsRequest*,
                                              v1::ListSubscriptionsResponse* response) override {
    const absl::StatusOr<access::Principal> caller =
        context_.gate->Admit(*context, "SubscriptionService.ListSubscriptions");
    return Answer(context, caller.ok() ? List(caller->stakeholder, response) : caller.status());
  }

 private:
  // A stream that is open here knows more than what was written of its cursor.
  absl::Status FindCursor(const std::string& stakeholder, const std::string& name, v1::SubscriptionState* state) {
    HUB_RETURN_IF_ERROR(fanout::CheckCursorName(name));
    for (v1::SubscriptionState& open : board_->Of(stakeholder)) {
      if (open.cursor() != name) continue;
      *state = std::move(open);
      return absl::OkStatus();
    }
    HUB_ASSIGN_OR_RETURN(const std::optional<fanout::NamedCursor> known, context_.cursors->Find(stakeholder, name));
    if (!known) return absl::NotFoundError("cursor: no such cursor of yours");
    Describe(*known, state);
    return absl::OkStatus();
  }

  absl::Status List(const std::string& stakeholder, v1::ListSubscriptionsResponse* response) {
    std::set<std::string> open;
    for (v1::SubscriptionState& state : board_->Of(stakeholder)) {
      if (!state.cursor().empty()) open.insert(state.cursor());
      *response->add_subscriptions() = std::move(state);
    }
    HUB_ASSIGN_OR_RETURN(const std::vector<fanout::NamedCursor> cursors, context_.cursors->Of(stakeholder));
    for (const fanout::NamedCursor& cursor : cursors) {
      if (open.count(cursor.name) > 0) continue;
      if (response->subscriptions_size() >= kSubscriptionsMax) break;
      Describe(cursor, response->add_subscriptions());
    }
    return absl::OkStatus();
  }

  // No stream of it is open here; at another node perhaps.
  void Describe(const fanout::NamedCursor& cursor, v1::SubscriptionState* state) const {
    state->set_cursor(cursor.name);
    state->set_client_id(cursor.client_id);
    if (rpc::IsFinite(cursor.acked_at)) rpc::ToProto(cursor.acked_at, state->mutable_acked_at());
    if (!cursor.place) return;
    int64_t behind = 0;
    for (const model::CursorPosition& at : cursor.place->positions) {
      if (at.partition < 0 || at.partition >= context_.dispatcher->partitions()) continue;
      (*state->mutable_positions())[at.partition] = at.offset;
      behind += std::max<int64_t>(0, context_.dispatcher->HeadOffset(at.partition) - at.offset);
    }
    state->set_records_behind(behind);
    if (behind == 0 || !rpc::IsFinite(cursor.place->issued_at)) return;
    rpc::ToProto(std::max(absl::ZeroDuration(), context_.clock->TimeNow() - cursor.place->issued_at),
                 state->mutable_lag());
  }

  static grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(rpc::ToGrpc(status));
    return reactor;
  }

  const StreamContext context_;
  StreamBoard* const board_;
};

}  // namespace

std::unique_ptr<SubscriptionService> SubscriptionService::Create(
    const base::Clock* clock, const rpc::Gate* gate, fanout::Dispatcher* dispatcher, fanout::CursorStore* cursors,
    fanout::ReceiptBoard* receipts, fanout::SnapshotSource* snapshots, rpc::EgressLoop* egress,
    const wire::CursorSealer* sealer, StreamBoard* board, base::Metrics* metrics) {
  const StreamContext context{
      clock,
      gate,
      dispatcher,
      cursors,
      receipts,
      snapshots,
      egress,
      sealer,
      metrics->AddCounter("fraudhub_fanout_streams_opened_total", "Streams opened"),
      metrics->AddCounter("fraudhub_fanout_streams_resumed_total", "Of these, with a token"),
      metrics->AddCounter("fraudhub_fanout_deliveries_total", "Events handed to streams"),
  };
  return std::make_unique<Impl>(context, board);
}

}  // namespace hub::fanout_service
