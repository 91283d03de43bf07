// One Subscribe call: what it was opened with, its session, and what to say first and last. Knows no gRPC.
//
// Thread safety: as rpc::EgressSource: one egress thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/access/policy.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/fanout/cursor_store.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/receipt_board.h"
#include "libs/fanout/session.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/server.h"
#include "libs/wire/cursor_token.h"
#include "services/fanout/cursor_opening.h"
#include "services/fanout/farewell_spread.h"
#include "services/fanout/stream_board.h"

namespace hub::fanout_service {

// What all streams share.
struct StreamContext {
  const base::Clock* clock;
  const rpc::Gate* gate;
  fanout::Dispatcher* dispatcher;
  fanout::CursorStore* cursors;
  fanout::ReceiptBoard* receipts;
  fanout::SnapshotSource* snapshots;
  const rpc::EgressLoop* egress;
  const wire::CursorSealer* sealer;
  mutable base::Counter opened;
  mutable base::Counter resumed;
  mutable base::Counter events;
  std::shared_ptr<FarewellSpread> farewells = std::make_shared<FarewellSpread>();
};

class SubscriptionStream final : public rpc::EgressSource {
 public:
  SubscriptionStream(const StreamContext* context, access::Principal caller, std::unique_ptr<StreamBoard::Entry> entry);

  absl::Status OnMessage(absl::string_view bytes) override;
  absl::Status OnHalfClose() override;
  absl::StatusOr<std::vector<rpc::EgressSlice>> Next() override;
  bool HasMore() const override { return !drained_; }
  rpc::EgressStanding Standing() const override;
  int64_t Place() const override;
  absl::Status StillAllowed() override;
  std::vector<rpc::EgressSlice> Farewell(rpc::EgressEnd why) override;
  void OnDone() override;

 private:
  absl::Status Open(const fraudhub::v1::SubscribeOpen& open);
  void OpenCursor(const fraudhub::v1::SubscribeOpen& open, CursorOpening::MakeSession make_session);
  absl::Status Acknowledge(const fraudhub::v1::SubscribeAck& ack);
  // The policy changed: other fields go out from the next event on; other rows begin anew with a snapshot, after some seconds.
  absl::Status FollowPolicy();
  absl::StatusOr<std::vector<rpc::EgressSlice>> NextOfNewView();
  std::vector<rpc::EgressSlice> Slices(fanout::Session::Message message);
  void ListFields(google::protobuf::RepeatedField<int>* out) const;
  double Share() const;
  rpc::EgressSlice Opened() const;
  void Begin(std::unique_ptr<fanout::Session> session);
  void NoteReceipts();
  void Report(bool now);

  const StreamContext* const context_;
  const access::Principal caller_;
  const absl::Duration began_;
  std::unique_ptr<StreamBoard::Entry> entry_;
  std::string client_id_;
  model::Filter wanted_;     // by the client
  model::Filter effective_;  // of it, what the caller may see
  std::vector<model::FieldAudience> fields_;
  uint64_t policy_changes_ = 0;  // how often it had been set when the two were found
  fanout::SessionOptions options_;
  std::string cursor_;  // its name; empty: the client keeps a token
  fraudhub::v1::StreamStart cursor_start_ = fraudhub::v1::STREAM_START_UNSPECIFIED;
  std::optional<CursorOpening> opening_;               // of a named cursor that is not attached yet
  std::unique_ptr<fanout::CursorStore::Lease> lease_;  // of the cursor; null without one
  std::unique_ptr<fanout::Session> session_;           // null until opened
  // Rights changed which rows the caller sees: what goes on in session_'s place once its turn has come. session_ sends nothing more.
  struct NewView {
    std::shared_ptr<fanout::FilterClass> filter_class;
    absl::Duration begins_at;
    absl::Duration said_at = -absl::InfiniteDuration();  // that the stream lives
    bool told = false;
  };
  std::optional<NewView> new_view_;
  bool from_now_ = false;  // it has nothing to do with what lies before its start
  std::vector<fanout::PartitionPosition> start_;
  std::unique_ptr<fanout::ReceiptBoard::Reader> receipts_;  // null until opened
  bool greeted_ = false;
  bool drained_ = false;  // the last message held all there was
  uint64_t events_counted_ = 0;
  absl::Duration reported_at_ = -absl::InfiniteDuration();
};

}  // namespace hub::fanout_service
