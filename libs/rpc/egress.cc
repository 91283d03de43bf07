#include "libs/rpc/egress.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/model/refusal.h"
#include "libs/rpc/egress_bytes.h"
#include "libs/rpc/status.h"

namespace hub::rpc {
namespace {

constexpr absl::Duration kHeartbeat = absl::Milliseconds(100);       // longest time between two looks at a stream's timers
constexpr absl::Duration kDrainBeat = absl::Milliseconds(5);         // likewise while draining
constexpr absl::Duration kPassPauseMin = absl::Microseconds(500);    // shortest pause between passes
constexpr absl::Duration kFinishGrace = absl::Seconds(2);            // for a pending write of a stream that ends by our will
constexpr size_t kBacklogBytes = 16 * 1024;                          // a message this large means that there is more

struct Probe {
  explicit Probe(base::Metrics* metrics)
      : streams(metrics->AddGauge("fraudhub_egress_streams", "Open streams")),
        messages(metrics->AddCounter("fraudhub_egress_messages_total", "Messages written")),
        bytes(metrics->AddCounter("fraudhub_egress_bytes_total", "Bytes written")),
        refused(metrics->AddCounter("fraudhub_egress_refused_total", "Streams refused at open")),
        stalled(metrics->AddCounter("fraudhub_egress_stalled_total", "Streams cancelled because a write was pending too long")),
        revoked(metrics->AddCounter("fraudhub_egress_revoked_total", "Streams ended because the caller's right had changed")),
        ended(metrics->AddCounter("fraudhub_egress_ended_total", "Streams that ended")),
        write_seconds(metrics->AddHistogram("fraudhub_egress_write_seconds", "From a write to gRPC's word that it took it",
                                            base::LatencyBounds())),
        pass_seconds(metrics->AddHistogram("fraudhub_egress_pass_seconds", "One pass over a thread's streams",
                                           base::LatencyBounds())) {}
  base::Gauge streams;
  base::Counter messages, bytes, refused, stalled, revoked, ended;
  base::Histogram write_seconds, pass_seconds;
};

class Reactor;

// What gRPC's threads tell the pacing thread about a stream.
struct Inbox {
  bool opened = false;  // initial metadata is out
  bool read_done = false, read_ok = false;
  bool write_done = false, write_ok = false;
  bool cancelled = false;
  bool done = false;
};

// One open stream. The reactor and the pacing thread share it; each field belongs to the one or the other, but for the inbox.
struct Stream {
  base::Mutex mu;
  Inbox inbox ABSL_GUARDED_BY(mu);

  grpc::ByteBuffer read_buffer;   // gRPC's from StartRead to read_done
  grpc::ByteBuffer write_buffer;  // gRPC's from StartWrite to write_done

  // The pacing thread's.
  // Invariant: `reactor` and `context` are good until the pacing thread calls Finish, which is the last it does with them.
  std::unique_ptr<EgressSource> source;
  Reactor* reactor = nullptr;
  grpc::CallbackServerContext* context = nullptr;
  bool opened = false;
  bool write_pending = false;
  bool backlog = false;  // the last message was a large one
  bool gone = false;
  uint64_t news_seen = 0;
  absl::Duration write_since, recheck_at, look_at;
  absl::Duration drain_at = absl::InfiniteDuration();
  std::optional<absl::Status> ending;  // ends with this as soon as no write is pending
  absl::Duration ending_since;
};

// The streams of one pacing thread. Reactors hold it too: they may outlive the loop for a moment.
class Shard {
 public:
  Shard(const EgressOptions& options, const Probe* probe, std::atomic<int>* open, std::shared_ptr<base::Mutex> gone_mu,
        std::shared_ptr<base::CondVar> gone)
      : options_(options), probe_(*probe), open_(open), gone_mu_(std::move(gone_mu)), gone_(std::move(gone)) {}

  void Add(std::shared_ptr<Stream> stream) {
    base::MutexLock lock(&mu_);
    added_.push_back(std::move(stream));
    changed_.NotifyOne();
  }
  // Something is in the stream's inbox.
  void MarkReady(std::shared_ptr<Stream> stream) {
    base::MutexLock lock(&mu_);
    ready_.push_back(std::move(stream));
    changed_.NotifyOne();
  }
  void Wake() {
    base::MutexLock lock(&mu_);
    ++news_;
    changed_.NotifyOne();
  }
  void StartDrain(absl::Duration window) {
    base::MutexLock lock(&mu_);
    drain_window_ = window;
    changed_.NotifyOne();
  }
  void Stop() {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.NotifyOne();
  }

  void Run();
  // After Run has returned: what is left is given up.
  void Abandon();

 private:
  void WaitForWork(std::vector<std::shared_ptr<Stream>>* ready, bool* sweep, bool* pass);
  void Sweep(bool pass);
  void Serve(Stream* stream, bool touched);
  void TakeInbox(Stream* stream);
  void CheckTimers(Stream* stream);
  void Write(Stream* stream, const std::vector<EgressSlice>& slices);
  void End(Stream* stream, absl::Status why);
  void FinishNow(Stream* stream);
  void SayFarewell(Stream* stream);
  void Forget(Stream* stream);

  const EgressOptions options_;
  const base::RealClock clock_;
  mutable Probe probe_;
  std::atomic<int>* const open_;
  const std::shared_ptr<base::Mutex> gone_mu_;
  const std::shared_ptr<base::CondVar> gone_;

  base::Mutex mu_;
  base::CondVar changed_;
  std::vector<std::shared_ptr<Stream>> added_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<Stream>> ready_ ABSL_GUARDED_BY(mu_);
  uint64_t news_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<absl::Duration> drain_window_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  // The pacing thread's.
  std::vector<std::shared_ptr<Stream>> streams_;
  absl::Duration now_;
  uint64_t news_now_ = 0;      // as of this round
  uint64_t news_passed_ = 0;   // as of the last pass
  absl::Duration pass_at_;     // earliest start of the next pass
  absl::Duration sweep_at_;    // of the next look at timers
  absl::Duration drain_until_ = absl::InfiniteDuration();
  bool draining_ = false;
};

// Completions only leave word with the stream's shard. They never run inside Start...: gRPC puts them on its executor.
class Reactor final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Reactor(std::shared_ptr<Shard> shard, std::shared_ptr<Stream> stream) : shard_(std::move(shard)), stream_(std::move(stream)) {}

  void OnSendInitialMetadataDone(bool) override {
    Tell([](Inbox& inbox) { inbox.opened = true; });
  }
  void OnReadDone(bool ok) override {
    Tell([ok](Inbox& inbox) { inbox.read_done = true, inbox.read_ok = ok; });
  }
  void OnWriteDone(bool ok) override {
    Tell([ok](Inbox& inbox) { inbox.write_done = true, inbox.write_ok = ok; });
  }
  void OnCancel() override {
    Tell([](Inbox& inbox) { inbox.cancelled = true; });
  }
  void OnDone() override {
    Tell([](Inbox& inbox) { inbox.done = true; });
    delete this;
  }

 private:
  template <class Change>
  void Tell(Change change) {
    {
      base::MutexLock lock(&stream_->mu);
      change(stream_->inbox);
    }
    shard_->MarkReady(stream_);
  }
  const std::shared_ptr<Shard> shard_;
  const std::shared_ptr<Stream> stream_;
};

class Refusal final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

void Shard::Run() {
  std::vector<std::shared_ptr<Stream>> ready;
  bool sweep = false, pass = false;
  while (true) {
    ready.clear();
    WaitForWork(&ready, &sweep, &pass);
    {
      base::MutexLock lock(&mu_);
      if (stopping_) return;
    }
    for (const std::shared_ptr<Stream>& stream : ready) Serve(stream.get(), /*touched=*/true);
    if (sweep || pass) Sweep(pass);
  }
}

void Shard::WaitForWork(std::vector<std::shared_ptr<Stream>>* ready, bool* sweep, bool* pass) {
  base::MutexLock lock(&mu_);
  while (true) {
    now_ = clock_.Monotonic();
    for (std::shared_ptr<Stream>& stream : added_) {
      stream->recheck_at = now_ + options_.recheck_interval;
      if (draining_) stream->drain_at = now_;  // it slipped in
      streams_.push_back(std::move(stream));
    }
    added_.clear();
    if (drain_window_ && !draining_) {
      draining_ = true;
      drain_until_ = now_ + *drain_window_;
      const auto count = static_cast<double>(std::max<size_t>(streams_.size(), 1));
      for (size_t i = 0; i < streams_.size(); ++i) {
        streams_[i]->drain_at = now_ + *drain_window_ * (static_cast<double>(i) / count) * 0.8;
      }
      sweep_at_ = now_;
    }
    news_now_ = news_;
    *pass = news_now_ != news_passed_ && now_ >= pass_at_;
    *sweep = now_ >= sweep_at_;
    if (stopping_ || *pass || *sweep || !ready_.empty()) break;
    changed_.WaitFor(&mu_, std::min(sweep_at_, news_now_ != news_passed_ ? pass_at_ : sweep_at_) - now_);
  }
  ready->swap(ready_);
}

void Shard::Sweep(bool pass) {
  if (pass) news_passed_ = news_now_;
  for (const std::shared_ptr<Stream>& stream : streams_) Serve(stream.get(), /*touched=*/false);
  streams_.erase(std::remove_if(streams_.begin(), streams_.end(), [](const auto& stream) { return stream->gone; }),
                 streams_.end());
  const absl::Duration end = clock_.Monotonic();
  const absl::Duration took = end - now_;
  if (pass) {
    probe_.pass_seconds.Observe(absl::ToDoubleSeconds(took));
    pass_at_ = now_ + std::min(std::max(took * 3, kPassPauseMin), std::max(options_.linger_max, kPassPauseMin));
  }
  sweep_at_ = end + (draining_ ? kDrainBeat : kHeartbeat);
}

void Shard::Serve(Stream* stream, bool touched) {
  if (stream->gone) return;
  if (touched) TakeInbox(stream);
  if (stream->gone || stream->reactor == nullptr) return;  // finished: only OnDone is still to come
  CheckTimers(stream);
  if (stream->reactor == nullptr) return;
  if (stream->ending) {
    if (!stream->write_pending) {
      FinishNow(stream);
    } else if (now_ - stream->ending_since > kFinishGrace) {
      stream->context->TryCancel();
      stream->ending_since = now_;  // once per grace
    }
    return;
  }
  if (stream->write_pending || !stream->opened) return;
  // A stream is asked when it has been touched, when there is news, and at each heartbeat.
  if (!touched && stream->news_seen == news_now_ && now_ < stream->look_at) return;
  // Small messages wait for the pass that is due, so that news gathers; a backlog doesn't.
  if (touched && !stream->backlog && news_passed_ != news_now_ && now_ < pass_at_) return;
  stream->news_seen = news_now_;
  stream->look_at = now_ + kHeartbeat;
  absl::StatusOr<std::vector<EgressSlice>> next = stream->source->Next();
  if (!next.ok()) {
    End(stream, next.status());
    FinishNow(stream);
  } else if (!next->empty()) {
    Write(stream, *next);
  }
}

void Shard::TakeInbox(Stream* stream) {
  Inbox inbox;
  {
    base::MutexLock lock(&stream->mu);
    inbox = std::exchange(stream->inbox, Inbox());
  }
  if (inbox.opened) stream->opened = true;
  if (inbox.write_done) {
    stream->write_pending = false;
    probe_.write_seconds.Observe(absl::ToDoubleSeconds(now_ - stream->write_since));
    stream->write_buffer.Clear();
    if (!inbox.write_ok) End(stream, absl::CancelledError("the client is gone"));
  }
  if (inbox.cancelled) End(stream, absl::CancelledError("the client is gone"));
  if (inbox.read_done && stream->reactor != nullptr && !stream->ending) {
    const absl::Status heard = inbox.read_ok ? stream->source->OnMessage(Flatten(stream->read_buffer))
                                             : stream->source->OnHalfClose();
    if (!heard.ok()) {
      End(stream, heard);
    } else if (inbox.read_ok) {
      stream->read_buffer.Clear();
      stream->reactor->StartRead(&stream->read_buffer);
    }
  }
  if (inbox.done) Forget(stream);
}

void Shard::CheckTimers(Stream* stream) {
  if (!stream->ending && now_ >= stream->recheck_at) {
    stream->recheck_at = now_ + options_.recheck_interval;
    if (absl::Status allowed = stream->source->StillAllowed(); !allowed.ok()) {
      probe_.revoked.Increment();
      End(stream, std::move(allowed));
      if (stream->write_pending) stream->context->TryCancel();
    }
  }
  if (!stream->ending && stream->write_pending && now_ - stream->write_since > options_.write_stalled_after) {
    probe_.stalled.Increment();
    End(stream, absl::UnavailableError("the client stopped reading"));
    stream->context->TryCancel();
  }
  if (!stream->ending && now_ >= stream->drain_at) {
    if (!stream->write_pending) {
      SayFarewell(stream);
    } else if (now_ >= drain_until_) {
      End(stream, absl::UnavailableError("the hub is shutting down"));
      stream->context->TryCancel();
    }
  }
}

void Shard::Write(Stream* stream, const std::vector<EgressSlice>& slices) {
  size_t bytes = 0;
  stream->write_buffer = ToByteBuffer(slices, &bytes);
  stream->backlog = bytes >= kBacklogBytes;
  stream->write_pending = true;
  stream->write_since = now_;
  probe_.messages.Increment();
  probe_.bytes.Increment(static_cast<double>(bytes));
  stream->reactor->StartWrite(&stream->write_buffer);
}

void Shard::End(Stream* stream, absl::Status why) {
  if (stream->ending) return;
  stream->ending = std::move(why);
  stream->ending_since = now_;
}

void Shard::FinishNow(Stream* stream) {
  const bool say_when = absl::IsUnavailable(*stream->ending) || absl::IsResourceExhausted(*stream->ending);
  Reactor* reactor = std::exchange(stream->reactor, nullptr);
  reactor->Finish(ToGrpc(*stream->ending, say_when ? options_.retry_after : absl::ZeroDuration()));
}

void Shard::SayFarewell(Stream* stream) {
  const absl::Status why = absl::UnavailableError("the hub is shutting down");
  const std::vector<EgressSlice> last = stream->opened ? stream->source->Farewell() : std::vector<EgressSlice>();
  End(stream, why);
  if (last.empty()) return FinishNow(stream);
  size_t bytes = 0;
  stream->write_buffer = ToByteBuffer(last, &bytes);
  Reactor* reactor = std::exchange(stream->reactor, nullptr);
  reactor->StartWriteAndFinish(&stream->write_buffer, grpc::WriteOptions(), ToGrpc(why, options_.retry_after));
}

void Shard::Forget(Stream* stream) {
  stream->gone = true;
  stream->source->OnDone();
  stream->source.reset();
  probe_.ended.Increment();
  probe_.streams.Add(-1);
  base::MutexLock lock(gone_mu_.get());
  open_->fetch_sub(1, std::memory_order_relaxed);
  gone_->NotifyAll();
}

void Shard::Abandon() {
  base::MutexLock lock(&mu_);
  ready_.clear();
  for (std::vector<std::shared_ptr<Stream>>* streams : {&streams_, &added_}) {
    for (const std::shared_ptr<Stream>& stream : *streams) {
      if (!stream->gone) Forget(stream.get());
    }
    streams->clear();
  }
}

class CallbackEgressLoop final : public EgressLoop {
 public:
  CallbackEgressLoop(const EgressOptions& options, base::Metrics* metrics) : options_(options), probe_(metrics) {
    for (int i = 0; i < std::max(options.threads, 1); ++i) {
      shards_.push_back(std::make_shared<Shard>(options, &probe_, &open_, gone_mu_, gone_));
      threads_.emplace_back(absl::StrCat("egress-", i), [shard = shards_.back()](std::stop_token) { shard->Run(); });
    }
  }

  ~CallbackEgressLoop() override {
    if (streams() > 0) Drain(absl::ZeroDuration());
    for (const std::shared_ptr<Shard>& shard : shards_) shard->Stop();
    for (base::Thread& thread : threads_) thread.Stop();
    for (const std::shared_ptr<Shard>& shard : shards_) shard->Abandon();
  }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Serve(grpc::CallbackServerContext* context,
                                                                     std::unique_ptr<EgressSource> source,
                                                                     const absl::Status& refusal) override {
    absl::Status why = source == nullptr ? refusal : draining_.load(std::memory_order_relaxed)
                                               ? absl::UnavailableError("the hub is shutting down")
                                               : absl::OkStatus();
    if (why.ok() && streams() >= options_.streams_max) {
      why = model::Refuse(model::RefusalCode::kOverloaded, "", "too many streams are open; try another node, or later");
    }
    if (!why.ok()) {
      probe_.refused.Increment();
      const bool say_when = absl::IsUnavailable(why) || absl::IsResourceExhausted(why);
      if (source != nullptr) source->OnDone();
      return new Refusal(ToGrpc(why, say_when ? options_.retry_after : absl::ZeroDuration()));
    }
    open_.fetch_add(1, std::memory_order_relaxed);
    probe_.streams.Add(1);
    const std::shared_ptr<Shard>& shard =
        shards_[next_shard_.fetch_add(1, std::memory_order_relaxed) % static_cast<unsigned>(shards_.size())];
    auto stream = std::make_shared<Stream>();
    auto* reactor = new Reactor(shard, stream);
    stream->source = std::move(source);
    stream->reactor = reactor;
    stream->context = context;
    // Nothing has reached the shard yet: gRPC keeps these back until this handler has returned the reactor.
    reactor->StartSendInitialMetadata();
    reactor->StartRead(&stream->read_buffer);
    shard->Add(std::move(stream));
    return reactor;
  }

  void Wake() override {
    for (const std::shared_ptr<Shard>& shard : shards_) shard->Wake();
  }

  void Drain(absl::Duration window) override {
    draining_.store(true, std::memory_order_relaxed);
    for (const std::shared_ptr<Shard>& shard : shards_) shard->StartDrain(window);
    const base::RealClock clock;
    const absl::Duration until = clock.Monotonic() + window + absl::Seconds(1);
    base::MutexLock lock(gone_mu_.get());
    while (streams() > 0 && clock.Monotonic() < until) gone_->WaitFor(gone_mu_.get(), until - clock.Monotonic());
  }

  int streams() const override { return open_.load(std::memory_order_relaxed); }

 private:
  const EgressOptions options_;
  Probe probe_;
  std::atomic<int> open_{0};  // relaxed: a bound and a gauge
  std::atomic<unsigned> next_shard_{0};  // relaxed: any order of turns will do
  std::atomic<bool> draining_{false};    // relaxed: a stream opened in the same moment is drained or refused
  const std::shared_ptr<base::Mutex> gone_mu_ = std::make_shared<base::Mutex>();
  const std::shared_ptr<base::CondVar> gone_ = std::make_shared<base::CondVar>();
  std::vector<std::shared_ptr<Shard>> shards_;
  std::vector<base::Thread> threads_;
};

}  // namespace

std::unique_ptr<EgressLoop> EgressLoop::Start(const EgressOptions& options, base::Metrics* metrics) {
  return std::make_unique<CallbackEgressLoop>(options, metrics);
}

}  // namespace hub::rpc
