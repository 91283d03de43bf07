#include "services/fanout/subscription_stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/fanout/cursor_place.h"
#include "libs/model/refusal.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/text_check.h"
#include "libs/wire/wire.h"

namespace hub::fanout_service {
namespace {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;
using model::Refuse;

constexpr char kRpc[] = "SubscriptionService.Subscribe";
constexpr absl::Duration kOpenWithin = absl::Seconds(10);  // from the call to its first message
constexpr absl::Duration kReportInterval = absl::Milliseconds(500);
constexpr size_t kUnackedMin = size_t{16} << 10;
constexpr size_t kUnackedDefault = size_t{4} << 20;
constexpr size_t kUnackedMax = size_t{16} << 20;
constexpr absl::Duration kNewViewsWithin = absl::Seconds(5);  // snapshots after a change of rights are spread over it
constexpr absl::Duration kSilenceMax = absl::Seconds(5);      // between two views

rpc::EgressSlice Owned(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const absl::string_view view = *owner;
  return {std::move(owner), view};
}

absl::StatusOr<model::Filter> ParseFilter(const v1::SubscribeOpen& open) {
  if (open.filter().any_of().empty()) return model::Filter::Everything();
  absl::StatusOr<model::Filter> filter = wire::FromProto(open.filter());
  if (!filter.ok()) return model::WithFieldPrefix(filter.status(), "open");
  return filter;
}

absl::Status CheckStart(const v1::SubscribeOpen& open) {
  if (open.cursor_start() != v1::STREAM_START_UNSPECIFIED && open.from_case() != v1::SubscribeOpen::kCursor) {
    return Refuse(RefusalCode::kOutOfRange, "open.cursor_start", "want it with `cursor` only");
  }
  switch (open.from_case()) {
    case v1::SubscribeOpen::kToken:
      if (open.token().empty())
        return Refuse(RefusalCode::kCursorInvalid, "open.token", "want a token of an earlier stream");
      return absl::OkStatus();
    case v1::SubscribeOpen::kStart:
      if (open.start() != v1::STREAM_START_UNSPECIFIED && v1::StreamStart_IsValid(open.start()))
        return absl::OkStatus();
      return Refuse(RefusalCode::kOutOfRange, "open.start", "want NOW, EARLIEST or SNAPSHOT");
    case v1::SubscribeOpen::kCursor:
      if (!v1::StreamStart_IsValid(open.cursor_start())) {
        return Refuse(RefusalCode::kOutOfRange, "open.cursor_start", "want NOW, EARLIEST or SNAPSHOT");
      }
      return fanout::CheckCursorName(open.cursor());
    case v1::SubscribeOpen::FROM_NOT_SET:
      break;
  }
  return Refuse(RefusalCode::kMissing, "open.start", "want one of token, start, cursor");
}

absl::StatusOr<size_t> UnackedMax(const v1::SubscribeOpen& open) {
  if (open.unacked_bytes_max() == 0) return kUnackedDefault;
  if (open.unacked_bytes_max() < kUnackedMin || open.unacked_bytes_max() > kUnackedMax) {
    return Refuse(RefusalCode::kOutOfRange, "open.unacked_bytes_max", "want 0, or 16 KiB to 16 MiB");
  }
  return open.unacked_bytes_max();
}

fanout::SessionStart StartOf(v1::StreamStart start) {
  switch (start) {
    case v1::STREAM_START_NOW:
      return fanout::SessionStart::kNow;
    case v1::STREAM_START_EARLIEST:
      return fanout::SessionStart::kEarliest;
    default:
      return fanout::SessionStart::kSnapshot;  // also of a new cursor that does not say
  }
}

v1::StreamMode ModeOf(fanout::SessionMode mode) {
  switch (mode) {
    case fanout::SessionMode::kLive:
      return v1::STREAM_MODE_LIVE;
    case fanout::SessionMode::kCatchup:
      return v1::STREAM_MODE_CATCHUP;
    case fanout::SessionMode::kSnapshot:
      return v1::STREAM_MODE_SNAPSHOT;
    case fanout::SessionMode::kParked:
      return v1::STREAM_MODE_PARKED;
  }
  return v1::STREAM_MODE_UNSPECIFIED;
}

}  // namespace

SubscriptionStream::SubscriptionStream(const StreamContext* context, access::Principal caller,
                                       std::unique_ptr<StreamBoard::Entry> entry)
    : context_(context), caller_(std::move(caller)), began_(context->clock->Monotonic()), entry_(std::move(entry)) {}

absl::Status SubscriptionStream::OnMessage(absl::string_view bytes) {
  v1::SubscribeRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Refuse(RefusalCode::kBadFormat, "", "want a SubscribeRequest");
  }
  if (session_ == nullptr && !opening_) {
    if (!request.has_open()) return Refuse(RefusalCode::kMissing, "open", "want `open` in the first message");
    return Open(request.open());
  }
  if (request.has_open()) return Refuse(RefusalCode::kOutOfRange, "open", "want `open` in the first message only");
  if (!request.has_ack()) return Refuse(RefusalCode::kMissing, "ack", "want `ack` in every message after the first");
  if (session_ == nullptr) return absl::InvalidArgumentError("ack.positions: ahead of what was sent");
  return Acknowledge(request.ack());
}

absl::Status SubscriptionStream::OnHalfClose() {
  if (session_ == nullptr && !opening_)
    return Refuse(RefusalCode::kMissing, "open", "want `open` in the first message");
  return absl::OkStatus();  // it can't acknowledge any more, so the window of un-acknowledged bytes will pause it
}

absl::Status SubscriptionStream::Open(const v1::SubscribeOpen& open) {
  HUB_RETURN_IF_ERROR(wire::CheckText(open.client_id(), "open.client_id"));  // analysts' terminals show it
  HUB_RETURN_IF_ERROR(CheckStart(open));
  HUB_ASSIGN_OR_RETURN(const size_t unacked_max, UnackedMax(open));
  HUB_ASSIGN_OR_RETURN(wanted_, ParseFilter(open));
  policy_changes_ = context_->gate->policy_changes();  // first: a change in between is looked at twice
  const std::shared_ptr<const access::Policy> policy = context_->gate->policy();
  effective_ = wanted_.And(policy->Entitlement(caller_));
  if (effective_.matches_nothing()) {
    return Refuse(RefusalCode::kFilterMatchesNothing, "open.filter", "nothing that you may see can match");
  }
  fields_ = policy->Fields(caller_);
  client_id_ = open.client_id();

  HUB_ASSIGN_OR_RETURN(std::shared_ptr<fanout::FilterClass> filter_class,
                       context_->dispatcher->Join(effective_, wire::AudienceSet(fields_)));
  options_.stakeholder = caller_.stakeholder;
  options_.unacked_bytes_max = unacked_max;
  options_.snapshots = context_->snapshots;
  options_.urgent = open.urgent();
  if (open.packed()) options_.form = fanout::EventForm::kRuns;
  // A token is good for what was sent under it: rights that change the rows make it another filter.
  const uint64_t fingerprint = effective_.Fingerprint();
  if (open.from_case() == v1::SubscribeOpen::kToken) {
    HUB_ASSIGN_OR_RETURN(std::unique_ptr<fanout::Session> session,
                         fanout::Session::Resume(context_->dispatcher, context_->clock, context_->sealer, options_,
                                                 std::move(filter_class), fingerprint, open.token()));
    Begin(std::move(session));
    context_->resumed.Increment();
  } else {
    const v1::StreamStart asked = open.from_case() == v1::SubscribeOpen::kCursor ? open.cursor_start() : open.start();
    const auto start = [context = context_, options = options_, filter_class, fingerprint, asked] {
      return fanout::Session::Start(context->dispatcher, context->clock, context->sealer, options, filter_class,
                                    fingerprint, StartOf(asked));
    };
    if (open.from_case() == v1::SubscribeOpen::kCursor) {
      OpenCursor(open, [=, context = context_, options = options_](const std::optional<model::Cursor>& place) {
        return place ? fanout::Session::ResumeAt(context->dispatcher, context->clock, context->sealer, options,
                                                 filter_class, fingerprint, *place)
                     : start();
      });
    } else {
      HUB_ASSIGN_OR_RETURN(std::unique_ptr<fanout::Session> session, start());
      from_now_ = asked == v1::STREAM_START_NOW;
      Begin(std::move(session));
    }
  }
  context_->opened.Increment();
  HUB_LOG(DEBUG, "stream_opened", {{"stakeholder", caller_.stakeholder}, {"client_id", client_id_}});
  return absl::OkStatus();
}

void SubscriptionStream::OpenCursor(const v1::SubscribeOpen& open, CursorOpening::MakeSession make_session) {
  cursor_ = open.cursor();
  cursor_start_ = open.cursor_start();
  opening_.emplace(context_->clock, context_->cursors,
                   fanout::CursorStore::Opening{caller_.stakeholder, cursor_, client_id_},
                   open.cursor_start() == v1::STREAM_START_SNAPSHOT, std::move(make_session));
}

void SubscriptionStream::Begin(std::unique_ptr<fanout::Session> session) {
  session_ = std::move(session);
  start_ = session_->positions();
  std::vector<eventlog::Offset> since(start_.size(), 0);
  for (size_t i = 0; from_now_ && i < start_.size(); ++i) since[i] = start_[i].offset;
  receipts_ = context_->receipts->Add(caller_.stakeholder, effective_, std::move(since));
  NoteReceipts();
}

// What lies before the start of a stream that goes on is safe with its client, as the token or the cursor says.
void SubscriptionStream::NoteReceipts() {
  if (session_->in_snapshot() || !receipts_->curious()) return;
  // Until all of a snapshot is acknowledged, positions say nothing of what is safe.
  if (session_->acked_within_snapshot()) return;
  receipts_->Note([this](int32_t partition) -> fanout::ReceiptBoard::Reader::Reach {
    const auto i = static_cast<size_t>(partition);
    const auto acked = session_->acked().find(partition);
    return {.sent = session_->positions()[i].offset,
            .acked = std::max(start_[i].offset, acked == session_->acked().end() ? 0 : acked->second)};
  });
}

absl::Status SubscriptionStream::Acknowledge(const v1::SubscribeAck& ack) {
  const int partitions = context_->dispatcher->partitions();
  if (ack.positions_size() > partitions || ack.urgent_positions_size() > partitions) {
    return absl::InvalidArgumentError("ack.positions: more than there are partitions");
  }
  const std::map<int32_t, eventlog::Offset> positions(ack.positions().begin(), ack.positions().end());
  const std::map<int32_t, eventlog::Offset> urgent(ack.urgent_positions().begin(), ack.urgent_positions().end());
  absl::Status taken = session_->OnAck(positions, urgent, ack.snapshot_parts());
  if (!taken.ok()) return taken;
  if (lease_ != nullptr) {
    if (const auto place = session_->AckedCursor()) lease_->Acked(*place);
  }
  NoteReceipts();
  Report(/*now=*/false);
  return absl::OkStatus();
}

rpc::EgressSlice SubscriptionStream::Opened() const {
  v1::SubscribeResponse response;
  v1::Opened* opened = response.mutable_opened();
  wire::ToProto(effective_, opened->mutable_effective_filter());
  ListFields(opened->mutable_field_audiences());
  const std::vector<fanout::PartitionPosition> start = session_->positions();
  for (size_t i = 0; i < start.size(); ++i) (*opened->mutable_positions())[static_cast<int32_t>(i)] = start[i].offset;
  const std::vector<fanout::PartitionPosition> heads = context_->dispatcher->Heads();
  for (size_t i = 0; i < heads.size(); ++i)
    (*opened->mutable_end_positions())[static_cast<int32_t>(i)] = heads[i].offset;
  opened->set_token(session_->Token());
  opened->set_snapshot_resumed(session_->snapshot_resumed());
  opened->set_role(static_cast<v1::Role>(caller_.role));
  opened->set_stakeholder(caller_.stakeholder);
  return Owned(response.SerializeAsString());
}

absl::StatusOr<std::vector<rpc::EgressSlice>> SubscriptionStream::Next() {
  std::vector<rpc::EgressSlice> slices;
  if (opening_) {
    HUB_ASSIGN_OR_RETURN(std::unique_ptr<fanout::Session> session, opening_->Poll());
    if (session == nullptr) return slices;
    lease_ = opening_->TakeLease();
    if (!opening_->started()) context_->resumed.Increment();
    from_now_ = opening_->started() && cursor_start_ == v1::STREAM_START_NOW;
    opening_.reset();
    Begin(std::move(session));
  }
  if (session_ == nullptr) {
    if (context_->clock->Monotonic() - began_ > kOpenWithin) {
      return absl::DeadlineExceededError("open: want the first message within 10 seconds");
    }
    return slices;
  }
  if (!greeted_) {
    greeted_ = true;
    Report(/*now=*/true);
    slices.push_back(Opened());
    return slices;
  }
  if (lease_ != nullptr && lease_->lost()) return lease_->Poll().status();
  HUB_RETURN_IF_ERROR(FollowPolicy());
  if (new_view_.has_value()) return NextOfNewView();
  HUB_ASSIGN_OR_RETURN(fanout::Session::Message message, session_->Next());
  return Slices(std::move(message));
}

std::vector<rpc::EgressSlice> SubscriptionStream::Slices(fanout::Session::Message message) {
  drained_ = message.drained;
  NoteReceipts();
  std::vector<rpc::EgressSlice> slices;
  if (message.empty()) return slices;
  slices.reserve(message.slices.size());
  for (fanout::Slice& slice : message.slices) slices.push_back({std::move(slice.owner), slice.bytes});
  context_->events.Increment(message.events);
  Report(/*now=*/false);
  return slices;
}

rpc::EgressStanding SubscriptionStream::Standing() const {
  if (session_ == nullptr) return rpc::EgressStanding::kOpening;
  switch (session_->mode()) {
    case fanout::SessionMode::kLive:
      return rpc::EgressStanding::kCurrent;
    case fanout::SessionMode::kParked:
      return rpc::EgressStanding::kParked;
    case fanout::SessionMode::kCatchup:
    case fanout::SessionMode::kSnapshot:
      break;
  }
  return rpc::EgressStanding::kCatchup;
}

// Of all partitions together. A snapshot's reader is nowhere: it doesn't read the log.
int64_t SubscriptionStream::Place() const {
  if (session_ == nullptr || session_->mode() != fanout::SessionMode::kCatchup) return EgressSource::Place();
  return session_->offsets_passed();
}

absl::Status SubscriptionStream::FollowPolicy() {
  const uint64_t changes = context_->gate->policy_changes();
  if (changes == policy_changes_) return absl::OkStatus();
  HUB_RETURN_IF_ERROR(context_->gate->Readmit(caller_, kRpc));
  const std::shared_ptr<const access::Policy> policy = context_->gate->policy();
  model::Filter effective = wanted_.And(policy->Entitlement(caller_));
  std::vector<model::FieldAudience> fields = policy->Fields(caller_);
  if (effective != effective_ || fields != fields_) {
    if (effective.matches_nothing()) {
      return Refuse(RefusalCode::kFilterMatchesNothing, "open.filter", "nothing that you may see now can match");
    }
    HUB_ASSIGN_OR_RETURN(std::shared_ptr<fanout::FilterClass> filter_class,
                         context_->dispatcher->Join(effective, wire::AudienceSet(fields)));
    if (effective != effective_) {
      const absl::Duration now = context_->clock->Monotonic();
      new_view_ = NewView{std::move(filter_class), now + kNewViewsWithin * Share()};
      options_.follows_another = true;
    } else if (new_view_.has_value()) {
      new_view_->filter_class = std::move(filter_class);
    } else {
      HUB_RETURN_IF_ERROR(session_->SwitchClass(std::move(filter_class)));
    }
    effective_ = std::move(effective);
    fields_ = std::move(fields);
  }
  policy_changes_ = changes;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<rpc::EgressSlice>> SubscriptionStream::NextOfNewView() {
  const absl::Duration now = context_->clock->Monotonic();
  drained_ = true;
  v1::SubscribeResponse response;
  if (!new_view_->told) {
    new_view_->told = true;
    v1::ViewChanged* changed = response.mutable_view_changed();
    wire::ToProto(effective_, changed->mutable_effective_filter());
    ListFields(changed->mutable_field_audiences());
  } else if (now >= new_view_->begins_at) {
    auto session =
        fanout::Session::Start(context_->dispatcher, context_->clock, context_->sealer, options_,
                               new_view_->filter_class, effective_.Fingerprint(), fanout::SessionStart::kSnapshot);
    if (session.ok()) {
      from_now_ = false;
      new_view_.reset();
      Begin(*std::move(session));
      HUB_ASSIGN_OR_RETURN(fanout::Session::Message message, session_->Next());
      return Slices(std::move(message));
    }
    if (!absl::IsUnavailable(session.status()) && !absl::IsResourceExhausted(session.status())) return session.status();
    new_view_->begins_at = now + absl::Seconds(1) + kNewViewsWithin * Share();  // the client need not know
  }
  std::vector<rpc::EgressSlice> slices;
  if (response.has_view_changed() || now - new_view_->said_at > kSilenceMax) {
    new_view_->said_at = now;
    if (!response.has_view_changed()) response.mutable_snapshot();  // says nothing but that we are here
    slices.push_back(Owned(response.SerializeAsString()));
  }
  return slices;
}

absl::Status SubscriptionStream::StillAllowed() {
  HUB_RETURN_IF_ERROR(context_->gate->Readmit(caller_, kRpc));
  if (session_ == nullptr) return absl::OkStatus();
  if (lease_ != nullptr) HUB_RETURN_IF_ERROR(lease_->Poll().status());
  Report(/*now=*/false);
  return FollowPolicy();
}

std::vector<rpc::EgressSlice> SubscriptionStream::Farewell(rpc::EgressEnd why) {
  if (session_ == nullptr) return {};
  v1::SubscribeResponse response;
  // Between two views there is no token: the client comes back for a snapshot.
  if (!new_view_.has_value()) response.mutable_drain()->set_token(session_->Token());
  if (why == rpc::EgressEnd::kAge) {  // others leave at other times: come back at once
    rpc::ToProto(absl::ZeroDuration(), response.mutable_drain()->mutable_reconnect_after());
    return {Owned(response.SerializeAsString())};
  }
  rpc::ToProto(context_->farewells->Next(context_->egress->streams()), response.mutable_drain()->mutable_reconnect_after());
  return {Owned(response.SerializeAsString())};
}

void SubscriptionStream::ListFields(google::protobuf::RepeatedField<int>* out) const {
  out->Add(v1::FIELD_AUDIENCE_ALL);
  for (const model::FieldAudience field : fields_) {
    if (field != model::FieldAudience::kAll) out->Add(static_cast<int>(field));
  }
}

// In [0, 1), by the client's name rather than by chance: the same every time it happens.
double SubscriptionStream::Share() const {
  return static_cast<double>(
             base::Mix64(caller_.uri + client_id_, static_cast<uint64_t>(absl::ToInt64Nanoseconds(began_))) >> 11) *
         0x1p-53;
}

void SubscriptionStream::OnDone() {
  if (session_ != nullptr)
    HUB_LOG(DEBUG, "stream_ended", {{"stakeholder", caller_.stakeholder}, {"client_id", client_id_}});
  receipts_.reset();
  opening_.reset();
  lease_.reset();
  session_.reset();
  entry_.reset();
}

void SubscriptionStream::Report(bool now) {
  const absl::Duration at = context_->clock->Monotonic();
  if (!now && at - reported_at_ < kReportInterval) return;
  reported_at_ = at;
  v1::SubscriptionState state;
  state.set_cursor(cursor_);
  state.set_client_id(client_id_);
  state.set_mode(ModeOf(session_->mode()));
  state.set_connected(true);
  state.set_records_behind(session_->RecordsBehind());
  state.set_events_sent(session_->events_sent());
  for (const auto& [partition, offset] : session_->acked()) (*state.mutable_positions())[partition] = offset;
  if (rpc::IsFinite(session_->acked_at())) rpc::ToProto(session_->acked_at(), state.mutable_acked_at());
  if (const auto place = session_->AckedCursor(); place && session_->RecordsBehind() > 0) {
    rpc::ToProto(std::max(absl::ZeroDuration(), context_->clock->TimeNow() - place->issued_at), state.mutable_lag());
  }
  entry_->Update(std::move(state));
}

}  // namespace hub::fanout_service
