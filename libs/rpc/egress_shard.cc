#include "libs/rpc/egress_shard.h"

#include <grpcpp/completion_queue.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/model/refusal.h"
#include "libs/rpc/egress_call.h"
#include "libs/rpc/egress_inbox.h"
#include "libs/rpc/egress_lanes.h"
#include "libs/rpc/egress_pace.h"
#include "libs/rpc/egress_stream.h"

namespace hub::rpc {
namespace {

constexpr absl::Duration kSweepInterval = absl::Milliseconds(100);  // between two looks at the times of all streams
constexpr absl::Duration kLookInterval = absl::Milliseconds(500);   // between two at one stream's, at most
constexpr absl::Duration kDrainSweepInterval = absl::Milliseconds(5);
constexpr absl::Duration kAskAgain =
    absl::Milliseconds(2);  // a source that reads the log and had nothing to write this time
constexpr absl::Duration kTurnsMax = absl::Milliseconds(1);  // of turns between two looks at the queue
constexpr int kEventsMax = 64;                               // of the queue between two looks at the turns
constexpr absl::Duration kFinishGrace = absl::Seconds(10);   // for the end of a stream to get through to its client
constexpr absl::Duration kCutAfter = absl::Seconds(2);       // from cancelling a stuck stream to cutting its connection
constexpr absl::Duration kCutAfterDrain = absl::Milliseconds(300);  // the same, past the window of a drain
constexpr uint64_t kWritesPerSample = 8;                            // one in so many goes into the histogram

class Shard final : public EgressShard {
 public:
  Shard(EgressHouse* house, int index, std::unique_ptr<grpc::ServerCompletionQueue> queue)
      : house_(*house),
        options_(house->options),
        probe_(house->probe),
        linger_gauge_(house->metrics->AddGauge("fraudhub_egress_linger_seconds",
                                               "From one pass over a thread's streams to the next",
                                               {{"thread", absl::StrCat(index)}})),
        cost_gauge_(house->metrics->AddGauge("fraudhub_egress_write_cost_seconds",
                                             "Time of a thread per message to a stream that is current, all included",
                                             {{"thread", absl::StrCat(index)}})),
        queue_(std::move(queue)),
        pace_(options_),
        lanes_(options_.catchup_share) {}

  void Run() override;

  void AskForCall() override {
    load_.fetch_add(1, std::memory_order_relaxed);
    auto* stream = new EgressStream;  // freed by Arrive, or in FreeIfOver
    stream->call->Ask(house_.method, queue_.get());
  }
  int load() const override { return load_.load(std::memory_order_relaxed); }

  void Wake(EgressNews news) override { inbox_.Put(news); }
  void StartDrain(absl::Duration window) override {
    inbox_.Order([window](EgressInbox::Orders* orders) { orders->drain_window = window; });
  }
  void Shed(int count) override {
    inbox_.Order([count](EgressInbox::Orders* orders) { orders->shed = count; });
  }
  void Close() override {
    inbox_.Order([](EgressInbox::Orders* orders) { orders->closing = true; });
  }

 private:
  // The loop.
  bool TakeEvents();
  absl::Duration WaitMax();
  void TakeOrders();
  void QueueReaders();
  void StartPass();
  void TakeTurns();
  void TakeDelayed();
  void Sweep();
  void ShedSome(int count);
  // What gRPC says about a call.
  void Handle(const EgressQueue::Event& event);
  void Arrive(EgressStream* stream, bool ok);
  void OnRead(EgressStream* stream, bool ok);
  void Hear(EgressStream* stream, absl::Status heard);
  // One stream.
  Lane LaneOf(const EgressStream& stream) const {
    const EgressStanding standing = stream.source->Standing();
    return standing == EgressStanding::kCatchup || standing == EgressStanding::kOpening ? Lane::kCatchup : Lane::kLive;
  }
  bool MayWrite(const EgressStream& stream) const { return stream.call->CanWrite() && !stream.ending; }
  void Queue(EgressStream* stream) {
    if (stream->turn.queued || !MayWrite(*stream)) return;  // before what is in no cache
    const Lane lane = LaneOf(*stream);
    lanes_.Push(stream, lane, lane == Lane::kCatchup ? stream->source->Place() : lanes_.kNowhere);
  }
  void TakeTurn(EgressStream* stream);
  void StartRead(EgressStream* stream);
  void Write(EgressStream* stream, const std::vector<EgressSlice>& slices);
  void CheckTimers(EgressStream* stream);
  void Cancel(EgressStream* stream);
  void FreeIfOver(EgressStream* stream);

  EgressHouse& house_;
  const EgressOptions& options_;
  EgressProbe& probe_;
  base::Gauge linger_gauge_, cost_gauge_;
  const base::RealClock clock_;
  EgressQueue queue_;
  std::atomic<int> load_{0};  // relaxed: a choice between shards
  EgressInbox inbox_{[this] { queue_.Kick(); }};

  // The thread's.
  EgressPace pace_;
  Lanes<EgressStream> lanes_;
  std::vector<EgressStream*> streams_;
  std::vector<absl::Duration> look_at_;  // beside streams_, so that a sweep does not go through all of their memory
  // Of cancelled streams: what a peer that reads nothing has made gRPC hold goes with its connection only.
  std::deque<std::pair<absl::Duration, std::string>> cuts_;
  std::deque<EgressStream*> delayed_reads_, asking_again_;  // in the order of their times, or nearly
  absl::Duration now_, pass_at_, pass_began_, sweep_at_;
  absl::Duration drain_until_ = absl::InfiniteDuration();
  bool draining_ = false, passing_ = false, hurry_ = false;
  uint64_t news_now_ = 0, news_passed_ = 0, serials_ = 0;
  // Since the last sweep, for the probe: counters shared by threads are dear.
  int64_t writes_ = 0, bytes_ = 0, reads_ = 0;
  uint64_t writes_ever_ = 0;
};

void Shard::Run() {
  now_ = clock_.Monotonic();
  sweep_at_ = now_;
  pace_.OnSweep(ThreadCpu());
  while (TakeEvents()) {
    now_ = clock_.Monotonic();
    TakeOrders();
    TakeDelayed();
    if (now_ >= sweep_at_) Sweep();
    if (inbox_.TakeForReaders()) QueueReaders();
    news_now_ = inbox_.news();
    if (news_now_ != news_passed_) {
      if (inbox_.urgent() || (now_ >= pass_at_ && lanes_.PassIsOver())) StartPass();
    }
    TakeTurns();
  }
}

// Waits for the next event or timer; then what else there is, within bounds. False: the queue has ended.
bool Shard::TakeEvents() {
  EgressQueue::Event event;
  absl::Duration wait = WaitMax();
  for (int i = 0; i < kEventsMax; ++i) {
    const EgressQueue::Got got = queue_.Next(std::exchange(wait, absl::ZeroDuration()), &event);
    if (i == 0) {
      inbox_.EndWait();
      now_ = clock_.Monotonic();
    }
    if (got == EgressQueue::Got::kEnd) return false;
    if (got == EgressQueue::Got::kTimeout) break;
    Handle(event);
  }
  return true;
}

absl::Duration Shard::WaitMax() {
  if (!lanes_.Empty()) return absl::ZeroDuration();
  const bool lingering = news_now_ != news_passed_;
  if (!inbox_.BeginWait(lingering, news_passed_)) return absl::ZeroDuration();
  absl::Duration until = sweep_at_;
  if (lingering) until = std::min(until, pass_at_);
  if (!delayed_reads_.empty()) until = std::min(until, delayed_reads_.front()->read_at);
  if (!asking_again_.empty()) until = std::min(until, asking_again_.front()->ask_at);
  return until - clock_.Monotonic();
}

void Shard::TakeOrders() {
  const EgressInbox::Orders orders = inbox_.TakeOrders();
  if (orders.drain_window && !draining_) {
    draining_ = true;
    drain_until_ = now_ + *orders.drain_window;
    const auto count = static_cast<double>(std::max<size_t>(streams_.size(), 1));
    for (size_t i = 0; i < streams_.size(); ++i) {
      streams_[i]->leave_at = now_ + *orders.drain_window * (static_cast<double>(i) / count) * 0.8;
      streams_[i]->leave_why = EgressEnd::kDrain;
    }
    sweep_at_ = now_;
  }
  if (orders.shed > 0) ShedSome(orders.shed);
  if (orders.closing && load() == 0) queue_.Shutdown();
}

void Shard::QueueReaders() {
  for (EgressStream* stream : streams_) {
    if (stream->ending || LaneOf(*stream) != Lane::kCatchup) continue;
    stream->ask_when_written = stream->call->writing();
    Queue(stream);
  }
}

void Shard::StartPass() {
  hurry_ = inbox_.TakeUrgent();
  news_passed_ = news_now_;
  const bool shared = !lanes_.Empty(Lane::kCatchup);
  const absl::Duration linger = pace_.Linger(static_cast<int64_t>(streams_.size()), shared);
  for (EgressStream* stream : streams_) Queue(stream);
  lanes_.StartPass();
  passing_ = true;
  pass_began_ = now_;
  pass_at_ = now_ + linger;
  linger_gauge_.Set(absl::ToDoubleSeconds(linger));
}

void Shard::TakeTurns() {
  const absl::Duration until = now_ + kTurnsMax;
  while (now_ < until) {
    EgressStream* const stream = lanes_.Pop(hurry_);
    if (stream == nullptr) break;
    const absl::Duration began = now_;
    const Lane lane = stream->turn.lane;
    TakeTurn(stream);
    now_ = clock_.Monotonic();
    lanes_.Charge(stream, lane, now_ - began);
    pace_.OnTurn(lane, now_ - began);
    FreeIfOver(stream);
  }
  if (!lanes_.PassIsOver()) return;
  hurry_ = false;
  if (!std::exchange(passing_, false)) return;
  probe_.pass_seconds.Observe(absl::ToDoubleSeconds(now_ - pass_began_));
}

void Shard::TakeDelayed() {
  while (!delayed_reads_.empty() && delayed_reads_.front()->read_at <= now_) {
    EgressStream* const stream = delayed_reads_.front();
    delayed_reads_.pop_front();
    stream->read_delayed = false;
    StartRead(stream);
    FreeIfOver(stream);
  }
  while (!asking_again_.empty() && asking_again_.front()->ask_at <= now_) {
    EgressStream* const stream = asking_again_.front();
    asking_again_.pop_front();
    stream->asking_again = false;
    Queue(stream);
    FreeIfOver(stream);
  }
}

void Shard::Sweep() {
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (now_ < look_at_[i] && !draining_) continue;
    EgressStream* const stream = streams_[i];
    CheckTimers(stream);
    if (now_ >= stream->ask_at) Queue(stream);
    const absl::Duration ask_at = now_ >= stream->ask_at ? now_ + kSweepInterval : stream->ask_at;
    look_at_[i] = std::min({ask_at, stream->leave_at, now_ + kLookInterval});
  }
  for (; !cuts_.empty() && now_ >= cuts_.front().first; cuts_.pop_front()) {
    if (house_.cut && house_.cut(cuts_.front().second)) probe_.cut.Increment();
  }
  probe_.messages.Increment(static_cast<double>(writes_));
  probe_.bytes.Increment(static_cast<double>(bytes_));
  probe_.reads.Increment(static_cast<double>(reads_));
  pace_.OnSweep(ThreadCpu());
  cost_gauge_.Set(absl::ToDoubleSeconds(pace_.write_cost()));
  writes_ = bytes_ = reads_ = 0;
  sweep_at_ = now_ + (draining_ ? kDrainSweepInterval : kSweepInterval);
}

void Shard::ShedSome(int count) {
  for (EgressStream* stream : StreamsToShed(streams_, count)) {
    probe_.shed.Increment();
    stream->leave_why = EgressEnd::kShed;
    if (stream->call->CanFinish()) {
      stream->SayFarewell(now_, options_.retry_after);
    } else {  // what it holds is what is wanted
      stream->End(now_, WhyEgressEnded(EgressEnd::kShed));
      Cancel(stream);
    }
  }
}

void Shard::Handle(const EgressQueue::Event& event) {
  auto* const stream = static_cast<EgressStream*>(event.owner);
  switch (event.event) {
    case CallEvent::kKicked:
      return;
    case CallEvent::kArrived:
      return Arrive(stream, event.ok);
    case CallEvent::kOpened:
      stream->FinishIfIdle(options_.retry_after);
      if (stream->has_first_message) Queue(stream);
      break;
    case CallEvent::kRead:
      OnRead(stream, event.ok);
      break;
    case CallEvent::kWritten:
      if (writes_ever_++ % kWritesPerSample == 0)
        probe_.write_seconds.Observe(absl::ToDoubleSeconds(now_ - stream->write_since));
      if (!event.ok) stream->End(now_, absl::CancelledError("the client is gone"));
      stream->FinishIfIdle(options_.retry_after);
      // A stream that has more goes on at once; one that missed a pass, or what it waited for, doesn't wait for the next.
      if (const bool anew = std::exchange(stream->ask_when_written, false);
          anew || stream->news_seen < news_passed_ || stream->source->HasMore()) {
        Queue(stream);
      }
      break;
    case CallEvent::kFinished: break;
    case CallEvent::kOver:
      stream->End(now_, absl::CancelledError("the client is gone"));
      break;
  }
  FreeIfOver(stream);
}

void Shard::Arrive(EgressStream* stream, bool ok) {
  if (!ok) {  // the server is shut down
    delete stream;
    load_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  house_.ask_for_call();
  stream->index = streams_.size();
  stream->serial = ++serials_;
  streams_.push_back(stream);
  look_at_.push_back(now_);
  absl::Status refusal;
  if (house_.draining.load(std::memory_order_relaxed)) {
    refusal = WhyEgressEnded(EgressEnd::kDrain);
  } else if (house_.short_of_memory.load(std::memory_order_relaxed)) {
    refusal = WhyEgressEnded(EgressEnd::kShed);
  } else if (house_.open.load(std::memory_order_relaxed) >= options_.streams_max) {
    refusal =
        model::Refuse(model::RefusalCode::kOverloaded, "", "too many streams are open; try another node, or later");
  } else if (absl::StatusOr<std::unique_ptr<EgressSource>> source = house_.method->Accept(stream->call->context());
             source.ok()) {
    stream->source = *std::move(source);
  } else {
    refusal = source.status();
  }
  if (stream->source == nullptr) {
    probe_.refused.Increment();
    stream->End(now_, std::move(refusal));
    return stream->FinishIfIdle(options_.retry_after);
  }
  house_.open.fetch_add(1, std::memory_order_relaxed);
  probe_.streams.Add(1);
  stream->recheck_at = now_ + options_.recheck_interval;
  stream->ask_at = now_ + pace_.AskInterval(Lane::kCatchup);
  stream->leave_at = draining_ ? now_ : absl::InfiniteDuration();  // it slipped in
  if (draining_) stream->leave_why = EgressEnd::kDrain;
  if (options_.stream_age_max != absl::InfiniteDuration() && !draining_) {
    const double share = static_cast<double>(base::Mix64(stream->call->peer(), stream->serial) >> 11) * 0x1p-53;
    stream->leave_at = now_ + options_.stream_age_max * (0.8 + 0.2 * share);
  }
  stream->call->Open();
  StartRead(stream);
}

void Shard::StartRead(EgressStream* stream) {
  if (!stream->ending && stream->call->CanRead()) stream->call->Read();
}

void Shard::OnRead(EgressStream* stream, bool ok) {
  if (stream->ending) return;
  if (!ok) return Hear(stream, stream->source->OnHalfClose());
  ++reads_;
  if (!stream->heard) {  // opening may read the log: it takes a turn
    stream->heard = true;
    stream->first_message = stream->call->TakeMessage();
    stream->has_first_message = true;
    return Queue(stream);
  }
  const bool parked = stream->source->Standing() == EgressStanding::kParked;
  Hear(stream, stream->source->OnMessage(stream->call->TakeMessage()));
  if (stream->ending) return;
  if (parked) Queue(stream);
  const int64_t earned = std::min<int64_t>((now_ - stream->read_at) / options_.read_interval, kEgressReadsInBurst);
  stream->reads_left = std::min(stream->reads_left + static_cast<int>(earned), kEgressReadsInBurst) - 1;
  stream->read_at = now_;
  if (stream->reads_left > 0) return StartRead(stream);
  stream->reads_left = 0;
  stream->read_at = now_ + options_.read_interval;
  stream->read_delayed = true;
  delayed_reads_.push_back(stream);
}

void Shard::Hear(EgressStream* stream, absl::Status heard) {
  if (heard.ok()) return;
  stream->End(now_, std::move(heard));
  stream->FinishIfIdle(options_.retry_after);
}

void Shard::TakeTurn(EgressStream* stream) {
  if (std::exchange(stream->has_first_message, false) && !stream->ending) {
    Hear(stream, stream->source->OnMessage(std::exchange(stream->first_message, std::string())));
    if (!stream->ending) StartRead(stream);
  }
  if (!MayWrite(*stream)) return;
  stream->news_seen = news_passed_;
  stream->ask_at = now_ + pace_.AskInterval(LaneOf(*stream));
  absl::StatusOr<std::vector<EgressSlice>> next = stream->source->Next();
  if (!next.ok()) {
    stream->End(now_, next.status());
    return stream->FinishIfIdle(options_.retry_after);
  }
  const Lane lane = LaneOf(*stream);
  if (!next->empty()) {
    Write(stream, *next);
    if (lane == Lane::kLive) pace_.OnLiveWrite();
  } else if (!stream->asking_again && stream->source->Standing() == EgressStanding::kCatchup && stream->source->HasMore()) {
    stream->ask_at = now_ + kAskAgain;
    stream->asking_again = true;
    asking_again_.push_back(stream);
  }
}

void Shard::Write(EgressStream* stream, const std::vector<EgressSlice>& slices) {
  stream->write_since = now_;
  ++writes_;
  bytes_ += static_cast<int64_t>(stream->call->Write(slices));
}

void Shard::CheckTimers(EgressStream* stream) {
  if (stream->ending) {
    const bool late = now_ - stream->ending_since > kFinishGrace || now_ >= drain_until_;
    if (late) Cancel(stream);
  } else if (now_ >= stream->recheck_at) {
    stream->recheck_at = now_ + options_.recheck_interval;
    if (absl::Status allowed = stream->source->StillAllowed(); !allowed.ok()) {
      probe_.revoked.Increment();
      stream->End(now_, std::move(allowed));
      if (stream->call->writing()) Cancel(stream);
      stream->FinishIfIdle(options_.retry_after);
    }
  }
  if (!stream->ending && stream->call->writing() && now_ - stream->write_since > options_.write_stalled_after) {
    probe_.stalled.Increment();
    stream->End(now_, absl::UnavailableError("the client stopped reading"));
    Cancel(stream);
  }
  if (!stream->ending && now_ >= stream->leave_at) {
    if (stream->call->CanFinish()) {
      if (stream->leave_why == EgressEnd::kAge) probe_.aged.Increment();
      stream->SayFarewell(now_, options_.retry_after);
    } else if (now_ >= drain_until_) {
      stream->End(now_, WhyEgressEnded(EgressEnd::kDrain));
      Cancel(stream);
    }
  }
}

void Shard::Cancel(EgressStream* stream) {
  if (std::exchange(stream->cancelled, true)) return;
  cuts_.emplace_back(now_ + (draining_ ? kCutAfterDrain : kCutAfter), stream->call->peer());
  stream->call->Cancel();
}

void Shard::FreeIfOver(EgressStream* stream) {
  if (!stream->call->CanGo() || stream->turn.queued || stream->read_delayed || stream->asking_again) return;
  streams_[stream->index] = streams_.back();
  streams_[stream->index]->index = stream->index;
  streams_.pop_back();
  look_at_[stream->index] = look_at_.back();
  look_at_.pop_back();
  const bool was_open = stream->source != nullptr;
  if (was_open) stream->source->OnDone();
  delete stream;
  load_.fetch_sub(1, std::memory_order_relaxed);
  if (!was_open) return;
  probe_.ended.Increment();
  probe_.streams.Add(-1);
  base::MutexLock lock(&house_.gone_mu);
  house_.open.fetch_sub(1, std::memory_order_relaxed);
  house_.gone.NotifyAll();
}

}  // namespace

std::unique_ptr<EgressShard> EgressShard::Create(EgressHouse* house, int index,
                                                 std::unique_ptr<grpc::ServerCompletionQueue> queue) {
  return std::make_unique<Shard>(house, index, std::move(queue));
}

}  // namespace hub::rpc
