#include "libs/eventlog/kafka_reader.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafkacpp.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/validate.h"

namespace hub::eventlog::kafka {
namespace {

// Log::Read promises 100 ms; the rest is for threads that have to wait for a core.
constexpr absl::Duration kReadBudget = absl::Milliseconds(80);
constexpr size_t kReadersMax = 3;
constexpr absl::Duration kIdle = absl::Seconds(10);  // those that have come to the end are read by the tail
// Readers that wait to be closed; with more, whoever reads closes its own: rather slow than without a bound.
constexpr size_t kClosingMax = 64;
// A wake-up that librdkafka failed to give costs this much.
constexpr absl::Duration kWaitAfterFailure = absl::Milliseconds(20);
constexpr absl::Duration kWaitSlice = absl::Milliseconds(250);

}  // namespace

// One consumer, assigned to one partition. Thread safety: one user at a time, but for the arrival callback.
class Reader {
 public:
  static absl::StatusOr<std::unique_ptr<Reader>> Make(const Settings& settings, const TopicPartition& at, Offset from,
                                                      std::function<void()> arrived) {
    HUB_ASSIGN_OR_RETURN(const auto conf, MakeConf(settings));
    std::string error;
    std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), error));
    if (consumer == nullptr) return absl::InvalidArgumentError(absl::StrCat("librdkafka: ", error));
    std::unique_ptr<Reader> reader(new Reader(at, from, std::move(consumer), std::move(arrived)));
    const std::unique_ptr<RdKafka::TopicPartition> place(RdKafka::TopicPartition::create(at.topic, at.partition, from));
    const RdKafka::ErrorCode assigned = reader->consumer_->assign({place.get()});
    if (assigned != RdKafka::ERR_NO_ERROR) return ToStatus(assigned, "assign");
    return reader;
  }

  ~Reader() {
    // Off first: the callback must not run into an object that is going.
    rd_kafka_queue_cb_event_enable(queue_, nullptr, nullptr);
    rd_kafka_queue_destroy(queue_);
    consumer_->close();
  }

  const TopicPartition& at() const { return at_; }
  // Where the next read has to start for this reader to serve it.
  Offset position() const { return position_; }
  // It failed after it had given records: it is of no more use.
  bool spoilt() const { return spoilt_; }
  void set_spoilt() { spoilt_ = true; }
  // Its place is known to be within the partition, so that "nothing there" means "nothing yet".
  bool in_range() const { return in_range_; }
  void set_in_range() { in_range_ = true; }
  absl::Duration last_used = absl::ZeroDuration();  // the pool's

  // Waits for at most `timeout` for a record to be there. An error of the partition is returned once and spoils the reader.
  absl::StatusOr<bool> Fetch(absl::Duration timeout) {
    if (held_.has_value()) return true;
    const base::RealClock real;
    const absl::Duration deadline = real.Monotonic() + timeout;
    bool looked = false;
    while (true) {
      // At the end of the partition nothing is on its way: look, don't wait. The broker says where the end is with what it sends;
      // its own word for it (PARTITION_EOF) comes a whole fetch.wait.max.ms later.
      at_end_ = at_end_ || (looked && passed_ == EndSeen());
      const bool wait = looked && !at_end_;
      const std::unique_ptr<RdKafka::Message> message(
          consumer_->consume(wait ? ToMillis(deadline - real.Monotonic()) : 0));
      switch (message->err()) {
        case RdKafka::ERR_NO_ERROR:
          // Offsets below ours are stale fetches of 2.0.2, which may redeliver.
          if (message->offset() < passed_) continue;
          Hold(*message);
          return true;
        case RdKafka::ERR__PARTITION_EOF:
          // The offset is past holes at the end: compacted records, marks of the broker.
          passed_ = std::max(passed_, message->offset());
          at_end_ = true;
          in_range_ = true;
          return false;
        case RdKafka::ERR__TIMED_OUT:
          if (at_end_ || wait || timeout <= absl::ZeroDuration()) return false;
          looked = true;
          continue;
        case RdKafka::ERR__AUTO_OFFSET_RESET:
          return absl::OutOfRangeError(message->errstr());
        case RdKafka::ERR__TRANSPORT:
        case RdKafka::ERR__ALL_BROKERS_DOWN:
        case RdKafka::ERR__RESOLVE:
          return absl::UnavailableError(message->errstr());
        default:
          return ToStatus(message->err(), absl::StrCat("read ", at_.topic));
      }
    }
  }

  // The record that Fetch found. REQUIRES: Fetch returned true.
  const StoredRecord& held() const { return *held_; }
  StoredRecord TakeHeld() {
    passed_ = position_ = held_->offset + 1;
    StoredRecord record = std::move(*held_);
    held_.reset();
    return record;
  }
  // All that the broker had when it last answered has been taken.
  bool at_end() const { return !held_.has_value() && passed_ == EndSeen(); }
  // Nothing is between position and here, so far as was fetched.
  void SkipHoles() {
    if (!held_.has_value()) position_ = passed_;
  }

 private:
  Reader(const TopicPartition& at, Offset from, std::unique_ptr<RdKafka::KafkaConsumer> consumer,
         std::function<void()> arrived)
      : at_(at),
        position_(from),
        passed_(from),
        arrived_(std::move(arrived)),
        consumer_(std::move(consumer)),
        queue_(rd_kafka_queue_get_consumer(consumer_->c_ptr())) {
    rd_kafka_queue_cb_event_enable(
        queue_, [](rd_kafka_t*, void* self) { static_cast<Reader*>(self)->arrived_(); }, this);
  }

  // The partition's end as of the newest answer to a fetch; -1 before the first.
  Offset EndSeen() const {
    int64_t first = -1, end = -1;
    rd_kafka_get_watermark_offsets(consumer_->c_ptr(), at_.topic.c_str(), at_.partition, &first, &end);
    return end;
  }
  void Hold(const RdKafka::Message& message) {
    held_ = ToRecord(message);
    passed_ = held_->offset;
    at_end_ = false;
    in_range_ = true;
  }

  const TopicPartition at_;
  Offset position_;
  Offset passed_;        // all before it was handed out or is not there
  bool at_end_ = false;  // the broker said so after the last record
  bool spoilt_ = false;
  bool in_range_ = false;
  std::optional<StoredRecord> held_;
  const std::function<void()> arrived_;
  const std::unique_ptr<RdKafka::KafkaConsumer> consumer_;
  rd_kafka_queue_t* const queue_;
};

Readers::Readers(Settings consumer_settings, Admin* admin, const base::Clock* clock)
    : settings_(std::move(consumer_settings)),
      admin_(admin),
      clock_(clock),
      closer_("kafka-closer", [this](std::stop_token stop) { RunCloser(stop); }),
      tail_(settings_, clock, [this](const std::set<TopicPartition>& news) { NoteArrival(news); }) {}

Readers::~Readers() {
  closer_.Stop();
  // Before the members that their callback uses.
  {
    base::MutexLock lock(&closing_mu_);
    closing_.clear();
  }
  base::MutexLock lock(&mu_);
  idle_.clear();
}

void Readers::RunCloser(std::stop_token stop) {
  std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&closing_mu_);
    closing_wake_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    std::vector<std::unique_ptr<Reader>> closing;  // without the lock
    base::MutexLock lock(&closing_mu_);
    if (closing_.empty() && !stop.stop_requested()) closing_wake_.WaitFor(&closing_mu_, kWaitSlice);
    closing.swap(closing_);
  }
}

void Readers::Close(std::unique_ptr<Reader> reader) {
  std::unique_ptr<Reader> too_many;  // without the lock
  base::MutexLock lock(&closing_mu_);
  if (closing_.size() >= kClosingMax) {
    too_many = std::move(reader);
    return;
  }
  closing_.push_back(std::move(reader));
  closing_wake_.NotifyAll();
}

// One call of Wait, as those see it who have news.
struct Readers::Waiter {
  const std::vector<Log::WaitFor>* any_of;
  bool has_news = false;
  base::CondVar wake;
};

void Readers::NoteArrival(const std::set<TopicPartition>& news) {
  base::MutexLock lock(&waiters_mu_);
  for (Waiter* const waiter : waiters_) {
    const auto wanted = [&](const Log::WaitFor& wait) { return news.contains(wait.partition); };
    if (waiter->has_news || std::none_of(waiter->any_of->begin(), waiter->any_of->end(), wanted)) continue;
    waiter->has_news = true;
    waiter->wake.NotifyAll();
  }
}

std::unique_ptr<Reader> Readers::TakeExisting(const TopicPartition& at, Offset from) {
  base::MutexLock lock(&mu_);
  std::vector<std::unique_ptr<Reader>>& candidates = idle_[at];
  for (auto it = candidates.begin(); it != candidates.end(); ++it) {
    if ((*it)->position() != from) continue;
    std::unique_ptr<Reader> found = std::move(*it);
    candidates.erase(it);
    return found;
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<Reader>> Readers::Take(const TopicPartition& at, Offset from) {
  if (auto found = TakeExisting(at, from)) return found;
  return Reader::Make(settings_, at, from, [this, at] { NoteArrival({at}); });
}

void Readers::GiveBack(std::unique_ptr<Reader> reader) {
  if (reader->spoilt()) return Close(std::move(reader));
  reader->last_used = clock_->Monotonic();
  std::unique_ptr<Reader> surplus;
  {
    base::MutexLock lock(&mu_);
    std::vector<std::unique_ptr<Reader>>& others = idle_[reader->at()];
    others.push_back(std::move(reader));
    if (others.size() <= kReadersMax) return;
    const auto oldest = std::min_element(others.begin(), others.end(),
                                         [](const auto& a, const auto& b) { return a->last_used < b->last_used; });
    surplus = std::move(*oldest);
    others.erase(oldest);
  }
  Close(std::move(surplus));
}

absl::Status Readers::OutOfRange(const TopicPartition& at, Offset from, absl::Duration deadline) {
  HUB_ASSIGN_OR_RETURN(const auto ranges, admin_->Offsets({at}, deadline - base::RealClock().Monotonic()));
  HUB_RETURN_IF_ERROR(CheckOffset(at, from, ranges.at(at)));
  // The broker refused what is in range now: a leader that is catching up. The next read starts afresh.
  return absl::UnavailableError(absl::StrCat(at.topic, "/", at.partition, ": offset ", from, " is not readable yet"));
}

absl::StatusOr<ReadResult> Readers::Read(const TopicPartition& at, Offset from, const ReadLimits& limits) {
  const base::RealClock real;
  const absl::Duration deadline = real.Monotonic() + kReadBudget;
  if (from < 0) return OutOfRange(at, from, deadline);
  if (std::optional<ReadResult> read = tail_.Read(at, from, limits)) return *std::move(read);
  std::unique_ptr<Reader> reader = TakeExisting(at, from);
  if (reader == nullptr) {
    // A jump: ask before fetching, so that "below the first" is told at once. "Past the end" is left to the broker's fetch, because a
    // new leader's known end may lag behind what was readable.
    HUB_ASSIGN_OR_RETURN(const auto ranges, admin_->Offsets({at}, kReadBudget));
    if (from < ranges.at(at).first) return CheckOffset(at, from, ranges.at(at));
    HUB_ASSIGN_OR_RETURN(reader, Take(at, from));
    if (from <= ranges.at(at).end) reader->set_in_range();
  }
  absl::StatusOr<ReadResult> result = ReadFrom(reader.get(), limits, deadline);
  if (!result.ok()) {
    Close(std::move(reader));
    if (absl::IsOutOfRange(result.status())) return OutOfRange(at, from, deadline);
    return result;
  }
  // Neither refused nor served yet: the reader has asked, and has the answer for a later call.
  const bool asked_in_vain = result->records.empty() && !reader->in_range();
  if (!asked_in_vain && reader->at_end()) tail_.Follow(at, result->next);
  GiveBack(std::move(reader));
  if (asked_in_vain) {
    return absl::UnavailableError(absl::StrCat(at.topic, "/", at.partition, ": offset ", from, ": no answer in time"));
  }
  return result;
}

absl::StatusOr<ReadResult> Readers::ReadFrom(Reader* reader, const ReadLimits& limits, absl::Duration deadline) {
  const base::RealClock real;
  ReadResult result;
  size_t bytes = 0;
  while (true) {
    // Waits for the first record only; then takes what is there.
    const absl::Duration wait = result.records.empty() ? deadline - real.Monotonic() : absl::ZeroDuration();
    const absl::StatusOr<bool> found = reader->Fetch(wait);
    if (!found.ok()) {
      if (result.records.empty()) return found.status();
      reader->set_spoilt();  // what it gave so far is good
      break;
    }
    if (!*found) break;
    const size_t size = reader->held().key.size() + reader->held().value.size();
    if (!result.records.empty() && (result.records.size() >= limits.records_max || bytes + size > limits.bytes_max))
      break;
    bytes += size;
    result.records.push_back(reader->TakeHeld());
  }
  reader->SkipHoles();
  result.next = reader->position();
  return result;
}

void Readers::Wait(const std::vector<Log::WaitFor>& any_of, absl::Duration timeout) {
  const base::RealClock real;
  const absl::Duration deadline = real.Monotonic() + timeout;
  Waiter waiter{&any_of, false, {}};
  {
    base::MutexLock lock(&waiters_mu_);
    waiters_.insert(&waiter);
  }
  std::vector<std::unique_ptr<Reader>> own(any_of.size());  // for what the tail has not
  while (true) {
    {
      base::MutexLock lock(&waiters_mu_);
      waiter.has_news = false;
    }
    bool there = false, failed = false;
    for (size_t i = 0; i < any_of.size(); ++i) {
      const Tail::Place place = tail_.Find(any_of[i].partition, any_of[i].offset);
      there = there || place == Tail::Place::kBeforeEnd;
      if (place != Tail::Place::kElsewhere) continue;
      if (own[i] == nullptr) {
        absl::StatusOr<std::unique_ptr<Reader>> taken = Take(any_of[i].partition, any_of[i].offset);
        if (!taken.ok()) continue;
        own[i] = *std::move(taken);
      }
      const absl::StatusOr<bool> found = own[i]->Fetch(absl::ZeroDuration());
      // An error is for the next read to find, which starts afresh; waking up early is allowed.
      if (!found.ok()) Close(std::move(own[i]));
      failed = failed || !found.ok();
      there = there || !found.ok() || *found;
    }
    const absl::Duration left = deadline - real.Monotonic();
    base::MutexLock lock(&waiters_mu_);
    // What fails at once would be asked again at once.
    if (failed) waiter.wake.WaitFor(&waiters_mu_, std::min(left, kWaitAfterFailure));
    if (there || left <= absl::ZeroDuration()) {
      waiters_.erase(&waiter);
      break;
    }
    if (!waiter.has_news) waiter.wake.WaitFor(&waiters_mu_, std::min(left, kWaitSlice));
  }
  for (auto& reader : own) {
    if (reader != nullptr) GiveBack(std::move(reader));
  }
}

void Readers::CloseIdle() {
  std::vector<std::unique_ptr<Reader>> idle;
  {
    base::MutexLock lock(&mu_);
    for (auto& [at, readers] : idle_) {
      for (auto& reader : readers) {
        if (clock_->Monotonic() - reader->last_used > kIdle) idle.push_back(std::move(reader));
      }
      readers.erase(std::remove(readers.begin(), readers.end(), nullptr), readers.end());
    }
  }
  for (auto& reader : idle) Close(std::move(reader));
}

}  // namespace hub::eventlog::kafka
