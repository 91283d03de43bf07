#include "libs/client/subscriber.h"

#include <grpcpp/channel.h>

#include <algorithm>
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
#include "libs/rpc/status.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

// An acknowledgement goes out after so many batches, so many bytes (the hub pauses at 4 MiB un-acknowledged) or so long.
constexpr int kAckBatches = 10;
constexpr size_t kAckBytes = 512 << 10;
constexpr absl::Duration kAckInterval = absl::Seconds(1);
constexpr absl::Duration kSteadyAfter = absl::Seconds(1);

using Call = DuplexCall<v1::SubscribeRequest, v1::SubscribeResponse>;

VersionStamp StampOf(const v1::Event& event) {
  return {event.version().term(), event.version().version(), event.version().reports_offset()};
}

class Session {
 public:
  Session(const SubscriberOptions& options, const v1::Filter& filter, const SubscriberHandlers& handlers,
          Channels channels, std::stop_token stop)
      : options_(options), filter_(filter), handlers_(handlers), channels_(std::move(channels)),
        stop_(std::move(stop)), backoff_(options.backoff_base, options.backoff_max, RandomSeed()), seen_(options.versions_max), ahead_(options.ahead_max),
        token_(options.token) {}

  absl::Status Run() {
    const std::stop_callback wake(stop_, [this] { Wake(); });
    while (!stop_.stop_requested()) {
      reconnect_after_ = absl::ZeroDuration();
      refused_here_ = false;
      const absl::Status why = RunStream();
      if (stop_.stop_requested()) break;
      if (!MayPass(why)) return why;
      // Another address is tried at once, unless all were, or the hub asked for a pause; what we refused ourselves, the others hold too.
      const bool all_tried = refused_here_ || channels_.Next();
      const absl::Duration pause = all_tried ? backoff_.Next(reconnect_after_) : reconnect_after_;
      if (handlers_.on_disconnected) handlers_.on_disconnected(why, pause);
      Pause(pause);
    }
    return absl::OkStatus();
  }

 private:
  // Until the stream ends, for whatever reason; never OK unless asked to stop.
  absl::Status RunStream() {
    Call call([this] { Wake(); });
    const auto stub = v1::SubscriptionService::NewStub(channels_.current());
    stub->async()->Subscribe(call.context(), &call);
    call.Start();
    call.Write(Open());
    acks_.clear();
    urgent_acks_.clear();
    passed_.clear();
    ack_batches_ = 0;
    ack_bytes_ = 0;
    last_ack_ = stream_started_ = clock_.Monotonic();
    absl::Duration quiet_since = stream_started_;
    absl::Status ended;
    while (!stop_.stop_requested() && ended.ok() && !call.closed()) {
      v1::SubscribeResponse response;
      while (ended.ok() && !stop_.stop_requested() && call.Take(&response)) {
        ended = OnResponse(response);
        MaybeAck(&call);
        quiet_since = clock_.Monotonic();  // after the handlers: their time is not the hub's silence
      }
      if (!ended.ok() || call.closed()) break;
      MaybeAck(&call);
      const absl::Duration quiet = clock_.Monotonic() - quiet_since;
      if (quiet > options_.silence_max) return absl::UnavailableError("the hub fell silent");
      Wait(std::min(options_.silence_max - quiet, !AcksWait() ? options_.silence_max : kAckInterval) + absl::Milliseconds(1));
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
    const v1::StreamStart start = options_.from_earliest ? v1::STREAM_START_EARLIEST : v1::STREAM_START_NOW;
    if (!options_.cursor.empty()) {
      open->set_cursor(options_.cursor);
      open->set_cursor_start(start);
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
      if (handlers_.on_opened) handlers_.on_opened(response.opened());
      Pass(response.opened().positions());
    }
    for (const v1::UrgentCopy& copy : response.urgent()) {
      if (stop_.stop_requested()) return absl::OkStatus();
      if (!HandleCopy(copy)) {
        refused_here_ = true;
        return absl::AbortedError("an event was not applied");
      }
    }
    for (const v1::Event& event : response.events()) {
      if (stop_.stop_requested()) return absl::OkStatus();  // the rest comes again
      if (!Handle(event)) {
        refused_here_ = true;
        return absl::AbortedError("an event was not applied");
      }
    }
    NoteAcks(response.positions(), &acks_);
    NoteAcks(response.urgent_positions(), &urgent_acks_);
    Pass(response.positions());
    if (!response.positions().empty() || response.urgent_size() > 0) {
      ++ack_batches_;
      ack_bytes_ += response.ByteSizeLong();
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
      token_ = response.drain().token();
      const auto& after = response.drain().reconnect_after();
      reconnect_after_ = absl::Seconds(after.seconds()) + absl::Nanoseconds(after.nanos());
      return absl::UnavailableError("the hub asked to come back later");
    }
    return absl::OkStatus();
  }

  bool Handle(const v1::Event& event) {
    const std::string& id = event.indicator().indicator_id();
    const VersionStamp stamp = StampOf(event);
    if (!seen_.IsNew(id, stamp) || ahead_.Covers(id, stamp)) return true;
    if (handlers_.on_event && !handlers_.on_event(event)) return false;
    if (!seen_.Note(id, stamp)) {
      HUB_LOG_EVERY(60, WARN, "versions_full", {{"indicators", seen_.size()}, {"effect", "repeats of others are delivered again"}});
    }
    return true;
  }

  // Ahead of the order. What the stream has passed, or can't be remembered, is left to the order.
  bool HandleCopy(const v1::UrgentCopy& copy) {
    const std::string& id = copy.event().indicator().indicator_id();
    const VersionStamp stamp = StampOf(copy.event());
    const auto passed = passed_.find(copy.partition());
    if (passed != passed_.end() && copy.position() < passed->second) return true;
    if (!seen_.IsNew(id, stamp) || ahead_.Covers(id, stamp) || !ahead_.CanNote(id)) return true;
    if (!Handle(copy.event())) return false;
    ahead_.Note(id, stamp, copy.partition(), copy.position());
    return true;
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

  bool AcksWait() const { return !acks_.empty() || !urgent_acks_.empty(); }
  bool AckIsDue() const {
    return AcksWait() &&
           (ack_batches_ >= kAckBatches || ack_bytes_ >= kAckBytes || clock_.Monotonic() >= last_ack_ + kAckInterval);
  }

  void MaybeAck(Call* call) {
    if (AckIsDue() && call->CanWrite()) WriteAck(call);
  }

  void WriteAck(Call* call) {
    v1::SubscribeRequest request;
    for (const auto& [partition, position] : acks_) (*request.mutable_ack()->mutable_positions())[partition] = position;
    for (const auto& [partition, position] : urgent_acks_) {
      (*request.mutable_ack()->mutable_urgent_positions())[partition] = position;
    }
    call->Write(std::move(request));
    acks_.clear();
    urgent_acks_.clear();
    ack_batches_ = 0;
    ack_bytes_ = 0;
    last_ack_ = clock_.Monotonic();
  }

  // What was handled is confirmed before we go, if the hub listens; the write gets a moment to leave the machine.
  void LastAck(Call* call) {
    const absl::Duration deadline = clock_.Monotonic() + absl::Milliseconds(200);
    while (AcksWait() && !call->closed() && clock_.Monotonic() < deadline) {
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
  std::map<int32_t, int64_t> passed_;  // this stream's positions
  // Invariant: everything before token_ has been handled.
  std::string token_;
  absl::Duration reconnect_after_;
  absl::Duration stream_started_;
  bool refused_here_ = false;        // a handler of ours ended the stream
  std::map<int32_t, int64_t> acks_, urgent_acks_;  // handled, not acknowledged
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
