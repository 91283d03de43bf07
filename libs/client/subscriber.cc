#include "libs/client/subscriber.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/client/applied_ahead.h"
#include "libs/client/duplex_call.h"
#include "libs/client/retry_rule.h"
#include "libs/client/seen_versions.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "libs/wire/event_runs.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

// An acknowledgement goes out after so many batches, so many bytes (the hub pauses at 4 MiB un-acknowledged) or so long; sooner when few
// batches are there already, since a hub that is ahead of its client pauses after four.
constexpr int kAckBatches = 10, kFewBatches = 3;
constexpr size_t kAckBytes = 512 << 10;
constexpr absl::Duration kAckInterval = absl::Seconds(1), kAckIntervalOfFew = absl::Milliseconds(200);
constexpr absl::Duration kSteadyAfter = absl::Seconds(1);

using Call = DuplexCall<v1::SubscribeRequest, v1::SubscribeResponse>;

VersionStamp StampOf(const v1::Event& event) {
  return {event.version().term(), event.version().version(), event.version().reports_offset()};
}

class Session {
 public:
  Session(const SubscriberOptions& options, const v1::Filter& filter, const SubscriberHandlers& handlers,
          Channels channels, std::stop_token stop)
      : options_(options),
        filter_(filter),
        handlers_(handlers),
        channels_(std::move(channels)),
        stop_(std::move(stop)),
        backoff_(options.backoff_base, options.backoff_max, RandomSeed()),
        seen_(options.versions_max, /*keep_ids=*/handlers.on_removed != nullptr),
        ahead_(options.ahead_max),
        token_(options.token),
        snapshot_(options.from_snapshot) {}

  absl::Status Run() {
    const std::stop_callback wake(stop_, [this] { Wake(); });
    while (!stop_.stop_requested()) {
      reconnect_after_ = absl::ZeroDuration();
      refused_here_ = false;
      const absl::Status why = RunStream();
      if (stop_.stop_requested()) break;
      if (!MayPass(why) && !MaySnapshot(why)) return why;
      // Another address is tried at once, unless all were, or the hub asked for a pause; what we refused ourselves, the others hold too.
      const bool all_tried = refused_here_ || channels_.Next();
      const absl::Duration pause = all_tried ? backoff_.Next(reconnect_after_) : reconnect_after_;
      if (handlers_.on_disconnected) handlers_.on_disconnected(why, pause);
      Pause(pause);
    }
    return absl::OkStatus();
  }

 private:
  struct Ahead {
    std::string id;
    VersionStamp stamp;
    int32_t partition;
    int64_t position;
  };

  // Until the stream ends, for whatever reason; never OK unless asked to stop.
  absl::Status RunStream() {
    Call call([this] { Wake(); });
    const auto stub = v1::SubscriptionService::NewStub(channels_.current());
    stub->async()->Subscribe(call.context(), &call);
    call.Start();
    call.Write(Open());
    ForgetAcks();
    passed_.clear();
    last_ack_ = stream_started_ = clock_.Monotonic();
    absl::Duration quiet_since = stream_started_;
    absl::Status ended;
    while (!stop_.stop_requested() && ended.ok() && !call.closed()) {
      v1::SubscribeResponse response;
      while (ended.ok() && !stop_.stop_requested() && call.Take(&response)) {
        ended = wire::UnpackRuns(&response);
        if (ended.ok()) ended = OnResponse(response);
        MaybeAck(&call);
        quiet_since = clock_.Monotonic();  // after the handlers: their time is not the hub's silence
      }
      if (!ended.ok() || call.closed()) break;
      MaybeAck(&call);
      const absl::Duration quiet = clock_.Monotonic() - quiet_since;
      if (quiet > options_.silence_max) return absl::UnavailableError("the hub fell silent");
      const absl::Duration until_ack = std::max(AckIsDueIn(), absl::Milliseconds(10));  // the call may be busy writing
      Wait(std::min(options_.silence_max - quiet, until_ack) + absl::Milliseconds(1));
    }
    if (stop_.stop_requested() || !ended.ok()) {
      LastAck(&call);
      return ended;
    }
    const grpc::Status end = call.Finish();
    if (end.ok()) return absl::UnavailableError("the hub ended the stream");
    return rpc::FromGrpc(end, &reconnect_after_);
  }

  v1::SubscribeRequest Open() const {
    v1::SubscribeRequest request;
    v1::SubscribeOpen* open = request.mutable_open();
    *open->mutable_filter() = filter_;
    open->set_client_id(options_.client_id);
    open->set_urgent(options_.urgent);
    open->set_packed(true);
    const v1::StreamStart start = snapshot_                ? v1::STREAM_START_SNAPSHOT
                                  : options_.from_earliest ? v1::STREAM_START_EARLIEST
                                                           : v1::STREAM_START_NOW;
    if (!options_.cursor.empty()) {
      open->set_cursor(options_.cursor);
      // SNAPSHOT would begin it anew although we remember how it began; unset goes on inside.
      if (!seen_.in_snapshot()) open->set_cursor_start(start);
    } else if (!token_.empty()) {
      open->set_token(token_);
    } else {
      open->set_start(start);
    }
    return request;
  }

  // An error ends the stream.
  absl::Status OnResponse(const v1::SubscribeResponse& response) {
    if (response.has_opened()) {
      // The token of the start: a break before the first progress loses nothing either.
      if (token_.empty()) token_ = response.opened().token();
      if (response.opened().snapshot_resumed() && !seen_.in_snapshot()) {
        // We did not see how it began, so its end would tell us nothing.
        TakeSnapshot();
        return absl::UnavailableError("inside a snapshot that began with another client");
      }
      if (handlers_.on_opened) handlers_.on_opened(response.opened());
      Pass(response.opened().positions());
    }
    if (response.has_view_changed()) {
      TakeSnapshot();
      ForgetAcks();
      if (handlers_.on_view_changed) handlers_.on_view_changed(response.view_changed());
    }
    if (response.snapshot().begins()) {
      if (log_changed_) {
        for (const auto& [partition, position] : passed_) ahead_.Passed(partition, std::numeric_limits<int64_t>::max());
        if (handlers_.on_log_changed) handlers_.on_log_changed();
      }
      seen_.BeginSnapshot(/*forget_stamps=*/std::exchange(log_changed_, false));
      if (handlers_.on_snapshot_begins) handlers_.on_snapshot_begins();
      ahead_.ForEach([this](const std::string& id) { Tell(id); });
    }
    copies_.clear();  // of a message that was not stored
    for (const v1::UrgentCopy& copy : response.urgent()) {
      if (stop_.stop_requested()) return absl::OkStatus();
      if (!HandleCopy(copy)) return NotApplied();
    }
    for (const v1::Event& event : response.events()) {
      if (stop_.stop_requested()) return absl::OkStatus();  // the rest comes again
      if (!Handle(event)) return NotApplied();
    }
    if (response.events_size() + response.urgent_size() > 0 && handlers_.on_batch && !handlers_.on_batch()) {
      return NotApplied();
    }
    for (const Ahead& copy : copies_) NoteAhead(copy);
    copies_.clear();
    if (response.has_snapshot()) OnMark(response.snapshot());
    NoteAcks(response.positions(), &acks_);
    NoteAcks(response.urgent_positions(), &urgent_acks_);
    Pass(response.positions());
    if (!response.positions().empty() || response.events_size() > 0 || response.urgent_size() > 0) {
      ++ack_batches_;
      ack_bytes_ += response.ByteSizeLong();  // unpacked: more than the hub counts
    }
    if (response.has_progress()) {
      token_ = response.progress().token();
      // A stream that breaks right after its start is no success, or hubs that all do so would be called without a pause.
      if (clock_.Monotonic() >= stream_started_ + kSteadyAfter) {
        backoff_.Reset();
        channels_.NoteSuccess();
      }
      if (handlers_.on_progress) handlers_.on_progress(response.progress());
    }
    if (response.has_drain()) {
      token_ = response.drain().token();  // none between two views: then a snapshot
      const auto& after = response.drain().reconnect_after();
      reconnect_after_ = absl::Seconds(after.seconds()) + absl::Nanoseconds(after.nanos());
      return absl::UnavailableError("the hub asked to come back later");
    }
    return absl::OkStatus();
  }

  absl::Status NotApplied() {
    refused_here_ = true;
    return absl::AbortedError("an event was not applied");
  }

  bool Handle(const v1::Event& event) {
    if (options_.every_delivery) return !handlers_.on_event || handlers_.on_event(event);
    const std::string& id = event.indicator().indicator_id();
    const VersionStamp stamp = StampOf(event);
    const bool same_or_old = !seen_.IsNew(id, stamp) || ahead_.Covers(id, stamp);
    if (same_or_old && !seen_.Turns(id, stamp, !event.left_view())) {
      Tell(id);
      return true;
    }
    if (handlers_.on_event && !handlers_.on_event(event)) return false;
    if (!seen_.Note(id, stamp, !event.left_view())) {
      HUB_LOG_EVERY(60, WARN, "versions_full", {{"indicators", seen_.size()}, {"effect", "repeats of others are delivered again"}});
    }
    return true;
  }

  void Tell(const std::string& id) {
    seen_.Tell(id);
    if (seen_.in_snapshot() && handlers_.on_unchanged) handlers_.on_unchanged(id);
  }

  // Ahead of the order. What the stream has passed, or can't be remembered, is left to the order.
  bool HandleCopy(const v1::UrgentCopy& copy) {
    const std::string& id = copy.event().indicator().indicator_id();
    const VersionStamp stamp = StampOf(copy.event());
    const auto passed = passed_.find(copy.partition());
    if (passed != passed_.end() && copy.position() < passed->second) return true;
    if (!seen_.IsNew(id, stamp) || ahead_.Covers(id, stamp) || !ahead_.CanNote(id, copies_.size())) return true;
    if (!Handle(copy.event())) return false;
    const Ahead handled{id, stamp, copy.partition(), copy.position()};
    if (handlers_.on_batch) {
      copies_.push_back(handled);  // it is applied when the message is stored
    } else {
      NoteAhead(handled);
    }
    return true;
  }

  void NoteAhead(const Ahead& copy) {
    if (!ahead_.Covers(copy.id, copy.stamp)) ahead_.Note(copy.id, copy.stamp, copy.partition, copy.position);
  }

  void Pass(const google::protobuf::Map<int32_t, int64_t>& positions) {
    for (const auto& [partition, position] : positions) {
      passed_[partition] = position;
      ahead_.Passed(partition, position);
    }
  }

  static void NoteAcks(const google::protobuf::Map<int32_t, int64_t>& positions, std::map<int32_t, int64_t>* acks) {
    for (const auto& [partition, position] : positions) {
      const auto [at, inserted] = acks->try_emplace(partition, position);
      at->second = std::max(at->second, position);
    }
  }

  void OnMark(const v1::SnapshotMark& mark) {
    if (mark.parts() > 0) parts_ = mark.parts_sent();
    if (!mark.token().empty()) token_ = mark.token();
    if (!mark.ends() || !seen_.in_snapshot()) return;
    seen_.Sweep(handlers_.on_removed);
    snapshot_ = options_.from_snapshot;
    if (handlers_.on_snapshot_ends) handlers_.on_snapshot_ends();
  }

  // What is held is still held; the next stream begins with a snapshot.
  void TakeSnapshot() {
    token_.clear();
    snapshot_ = true;
  }

  // No token helps, but a snapshot does.
  bool MaySnapshot(const absl::Status& why) {
    const auto refusal = model::RefusalOf(why);
    if (!options_.snapshot_when_lost || !refusal || (token_.empty() && options_.cursor.empty())) return false;
    switch (refusal->code) {
      case model::RefusalCode::kLogChanged:
        log_changed_ = true;
        break;
      case model::RefusalCode::kCursorInvalid:
      case model::RefusalCode::kCursorTooOld:
      case model::RefusalCode::kFilterChanged:
        break;
      default:
        return false;
    }
    HUB_LOG(WARN, "token_refused", {{"why", model::Name(refusal->code)}, {"effect", "a snapshot is taken"}});
    TakeSnapshot();
    return true;
  }

  void ForgetAcks() {
    acks_.clear();
    urgent_acks_.clear();
    parts_ = parts_acked_ = 0;
    ack_batches_ = 0;
    ack_bytes_ = 0;
  }

  bool NothingToAck() const { return acks_.empty() && urgent_acks_.empty() && parts_ == parts_acked_; }

  absl::Duration AckIsDueIn() const {
    if (NothingToAck()) return absl::InfiniteDuration();
    if (ack_batches_ >= kAckBatches || ack_bytes_ >= kAckBytes) return absl::ZeroDuration();
    const absl::Duration interval = ack_batches_ >= kFewBatches ? kAckIntervalOfFew : kAckInterval;
    return std::max(absl::ZeroDuration(), last_ack_ + interval - clock_.Monotonic());
  }

  void MaybeAck(Call* call) {
    if (AckIsDueIn() == absl::ZeroDuration() && call->CanWrite()) WriteAck(call);
  }

  void WriteAck(Call* call) {
    v1::SubscribeRequest request;
    for (const auto& [partition, position] : acks_) (*request.mutable_ack()->mutable_positions())[partition] = position;
    for (const auto& [partition, position] : urgent_acks_) {
      (*request.mutable_ack()->mutable_urgent_positions())[partition] = position;
    }
    request.mutable_ack()->set_snapshot_parts(parts_);
    call->Write(std::move(request));
    const uint32_t parts = parts_;
    ForgetAcks();
    parts_ = parts_acked_ = parts;
    last_ack_ = clock_.Monotonic();
  }

  // What was handled is confirmed before we go, if the hub listens; the write gets a moment to leave the machine.
  void LastAck(Call* call) {
    const absl::Duration deadline = clock_.Monotonic() + absl::Milliseconds(200);
    while (!NothingToAck() && !call->closed() && clock_.Monotonic() < deadline) {
      if (call->CanWrite()) {
        WriteAck(call);
      } else {
        Wait(absl::Milliseconds(20));
      }
    }
    while (!call->CanWrite() && !call->closed() && clock_.Monotonic() < deadline) Wait(absl::Milliseconds(20));
  }

  void Pause(absl::Duration pause) {
    const absl::Duration until = clock_.Monotonic() + pause;
    while (!stop_.stop_requested() && clock_.Monotonic() < until) Wait(until - clock_.Monotonic());
  }

  void Wake() {
    base::MutexLock lock(&mu_);
    woken_ = true;
    changed_.NotifyOne();
  }
  void Wait(absl::Duration at_most) {
    base::MutexLock lock(&mu_);
    if (!woken_) changed_.WaitFor(&mu_, at_most);
    woken_ = false;
  }

  const SubscriberOptions& options_;
  const v1::Filter& filter_;
  const SubscriberHandlers& handlers_;
  Channels channels_;
  const std::stop_token stop_;
  const base::RealClock clock_;
  Backoff backoff_;
  SeenVersions seen_;
  AppliedAhead ahead_;
  std::vector<Ahead> copies_;  // handled, of a message that on_batch has not stored yet
  std::map<int32_t, int64_t> passed_;  // this stream's positions
  // Invariant: everything before token_ has been handled.
  std::string token_;
  bool snapshot_;             // without a token: begin with a snapshot
  bool log_changed_ = false;  // since then no snapshot has begun
  absl::Duration reconnect_after_;
  absl::Duration stream_started_;
  bool refused_here_ = false;        // a handler of ours ended the stream
  std::map<int32_t, int64_t> acks_, urgent_acks_;  // handled, not acknowledged
  uint32_t parts_ = 0, parts_acked_ = 0;           // of a snapshot on this stream
  int ack_batches_ = 0;
  size_t ack_bytes_ = 0;
  absl::Duration last_ack_;

  base::Mutex mu_;
  base::CondVar changed_;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

absl::Status Subscriber::Run(const SubscriberOptions& options, const v1::Filter& filter, const SubscriberHandlers& handlers,
                             std::stop_token stop) {
  HUB_ASSIGN_OR_RETURN(Channels channels, Channels::Make(options.connection));
  return Session(options, filter, handlers, std::move(channels), std::move(stop)).Run();
}

}  // namespace hub::client
