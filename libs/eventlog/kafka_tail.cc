#include "libs/eventlog/kafka_tail.h"

#include <librdkafka/rdkafkacpp.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "libs/base/log.h"

namespace hub::eventlog::kafka {
namespace {

// How long the thread sleeps in the consumer; a partition that is to be followed waits for it.
constexpr absl::Duration kPoll = absl::Milliseconds(50);
constexpr absl::Duration kLookInterval = absl::Seconds(1);
// Between two tellings: rather a few more of them than readers that wait for a long batch.
constexpr int kBatchMax = 512;
constexpr size_t kBatchBytesMax = size_t{256} << 10;

// Of partitions in the consumer's own type; ends with the scope.
class Places {
 public:
  void Add(const TopicPartition& at, Offset offset) {
    owned_.emplace_back(RdKafka::TopicPartition::create(at.topic, at.partition, offset));
    places_.push_back(owned_.back().get());
  }
  const std::vector<RdKafka::TopicPartition*>& get() const { return places_; }

 private:
  std::vector<std::unique_ptr<RdKafka::TopicPartition>> owned_;
  std::vector<RdKafka::TopicPartition*> places_;
};

// Takes the error that librdkafka hands out; true: there was none.
bool Went(RdKafka::Error* error, const char* what) {
  const std::unique_ptr<RdKafka::Error> owned(error);
  if (owned == nullptr) return true;
  HUB_LOG_EVERY(10, WARN, "kafka_tail", {{"what", what}, {"error", owned->str()}});
  return false;
}

}  // namespace

Tail::Tail(Settings consumer_settings, const base::Clock* clock, News news)
    : settings_(std::move(consumer_settings)),
      clock_(clock),
      news_(std::move(news)),
      thread_("kafka-tail", [this](std::stop_token stop) { Run(stop); }) {}

Tail::~Tail() {
  thread_.Stop();
  if (consumer_ == nullptr) return;
  consumer_->unassign();
  consumer_->close();
}

void Tail::Follow(const TopicPartition& at, Offset end) {
  base::MutexLock lock(&mu_);
  if (followed_.contains(at) || followed_.size() + wanted_.size() >= kPartitionsMax) return;
  if (const auto left = left_alone_until_.find(at); left != left_alone_until_.end()) {
    if (clock_->Monotonic() < left->second) return;
    left_alone_until_.erase(left);
  }
  wanted_[at] = end;
  wake_.NotifyAll();
}

void Tail::NoteEnd(const TopicPartition& at, Offset end) {
  base::MutexLock lock(&mu_);
  const auto found = followed_.find(at);
  if (found != followed_.end()) found->second.NoteEnd(end, clock_->Monotonic());
}

std::optional<ReadResult> Tail::Read(const TopicPartition& at, Offset from, const ReadLimits& limits) {
  base::MutexLock lock(&mu_);
  const auto found = followed_.find(at);
  if (found == followed_.end() || !found->second.Holds(from)) return std::nullopt;
  return found->second.Read(from, limits, clock_->Monotonic());
}

Tail::Place Tail::Find(const TopicPartition& at, Offset offset) {
  base::MutexLock lock(&mu_);
  const auto found = followed_.find(at);
  if (found == followed_.end() || !found->second.Holds(offset)) return Place::kElsewhere;
  found->second.Touch(clock_->Monotonic());
  return offset < found->second.next() ? Place::kBeforeEnd : Place::kAtEnd;
}

void Tail::Run(const std::stop_token& stop) {
  base::TakeShortTurns();
  std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&mu_);
    wake_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    bool nothing = false;
    {
      base::MutexLock lock(&mu_);
      nothing = followed_.empty() && wanted_.empty();
      if (nothing && !stop.stop_requested()) wake_.WaitFor(&mu_, kLookInterval);
    }
    if (nothing) continue;
    if (!HaveConsumer()) {
      base::MutexLock lock(&mu_);
      wanted_.clear();  // their readers come again
      if (!stop.stop_requested()) wake_.WaitFor(&mu_, kLookInterval);
      continue;
    }
    BeginWanted();
    TakeIn();
    EndUnused();
    if (!told_.empty()) news_(std::exchange(told_, {}));
  }
}

bool Tail::HaveConsumer() {
  if (consumer_ != nullptr) return true;
  if (clock_->Monotonic() < retry_at_) return false;  // Follow wakes this thread more often
  retry_at_ = clock_->Monotonic() + kLookInterval;
  std::string error;
  const auto conf = MakeConf(settings_);
  if (conf.ok()) consumer_.reset(RdKafka::KafkaConsumer::create(conf->get(), error));
  if (consumer_ == nullptr) {
    HUB_LOG_EVERY(60, ERROR, "kafka_tail",
                  {{"what", "create"}, {"error", conf.ok() ? error : conf.status().ToString()}});
  }
  return consumer_ != nullptr;
}

void Tail::BeginWanted() {
  std::map<TopicPartition, Offset> wanted;
  {
    base::MutexLock lock(&mu_);
    wanted.swap(wanted_);
    for (const auto& [at, end] : wanted) followed_.emplace(at, Stretch(end, clock_->Monotonic()));
  }
  if (wanted.empty()) return;
  Places places;
  for (const auto& [at, end] : wanted) places.Add(at, end);
  if (Went(consumer_->incremental_assign(places.get()), "assign")) return;
  for (const auto& [at, end] : wanted) End(at);
}

void Tail::TakeIn() {
  size_t bytes = 0;
  for (int taken = 0; taken < kBatchMax && bytes < kBatchBytesMax; ++taken) {
    const std::unique_ptr<RdKafka::Message> message(consumer_->consume(taken == 0 ? ToMillis(kPoll) : 0));
    if (!TakeIn(*message)) break;
    bytes += message->len();
  }
}

bool Tail::TakeIn(const RdKafka::Message& message) {
  if (message.err() == RdKafka::ERR__TIMED_OUT) return false;
  const TopicPartition at{message.topic_name(), message.partition()};
  // An error of a connection belongs to no partition, and mends itself.
  if (at.topic.empty() || at.partition < 0) return false;
  bool ended = false;
  {
    base::MutexLock lock(&mu_);
    const auto found = followed_.find(at);
    if (found == followed_.end()) return true;  // came before its end was known to the consumer
    Stretch& stretch = found->second;
    const absl::Duration now = clock_->Monotonic();
    if (message.err() == RdKafka::ERR_NO_ERROR) {
      stretch.Add(ToRecord(message), now);
      ended = !stretch.Trim(now);
    } else if (message.err() == RdKafka::ERR__PARTITION_EOF) {
      stretch.SkipTo(message.offset());
      return true;
    } else {
      ended = true;
    }
  }
  told_.insert(at);
  if (ended) End(at);
  return true;
}

void Tail::EndUnused() {
  const absl::Duration now = clock_->Monotonic();
  if (now < look_at_) return;
  look_at_ = now + kLookInterval;
  std::vector<TopicPartition> unused;
  {
    base::MutexLock lock(&mu_);
    for (auto& [at, stretch] : followed_) {
      if (!stretch.Trim(now) || stretch.IsStuck(now) || now - stretch.last_used() > kIdle) unused.push_back(at);
    }
  }
  for (const TopicPartition& at : unused) End(at);
}

void Tail::End(const TopicPartition& at) {
  {
    base::MutexLock lock(&mu_);
    followed_.erase(at);
    left_alone_until_[at] = clock_->Monotonic() + kLeftAlone;
  }
  told_.insert(at);
  Places places;
  places.Add(at, RdKafka::Topic::OFFSET_INVALID);
  Went(consumer_->incremental_unassign(places.get()), "unassign");
}

}  // namespace hub::eventlog::kafka
