#include "libs/eventlog/memory_log.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "libs/base/check.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/eventlog/validate.h"

namespace hub::eventlog {
namespace {

struct Partition {
  std::map<Offset, StoredRecord> records;
  OffsetRange range;
  int64_t bytes = 0;
};

struct Topic {
  TopicSpec spec;
  std::vector<Partition> partitions;
};

// Order holds within one of these and one partition.
using Producer = std::pair<int64_t, std::thread::id>;

struct PendingAppend {
  Producer producer;
  TopicPartition partition;
  Record record;
  Log::AppendCallback done;  // null once its client is gone
  AppendFate::Kind fate = AppendFate::Kind::kDurable;
  int64_t due = 0;  // the pump that may let it happen
};

absl::Status ClosingError() { return absl::UnavailableError("the log is closing"); }

}  // namespace

struct MemoryLog::Impl {
  Impl(const base::Clock* the_clock, MemoryLogOptions the_options)
      : clock(the_clock), options(std::move(the_options)) {}

  absl::StatusOr<Partition*> FindLocked(const TopicPartition& at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const auto it = topics.find(at.topic);
    HUB_RETURN_IF_ERROR(CheckPartition(it == topics.end() ? nullptr : &it->second.spec, at));
    return &it->second.partitions[static_cast<size_t>(at.partition)];
  }

  Offset StoreLocked(const PendingAppend& append) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    Partition* partition = *FindLocked(append.partition);
    const Offset offset = partition->range.end++;
    partition->records[offset] = {offset, clock->TimeNow(), append.record.key, append.record.value};
    partition->bytes += static_cast<int64_t>(append.record.key.size() + append.record.value.size());
    return offset;
  }

  absl::StatusOr<Offset> MeetFateLocked(const PendingAppend& append) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    switch (append.fate) {
      case AppendFate::Kind::kDurable:
        return StoreLocked(append);
      case AppendFate::Kind::kLost:
        return absl::UnavailableError("append: not known to be durable");
      case AppendFate::Kind::kUnacknowledged:
        StoreLocked(append);
        return absl::UnavailableError("append: not known to be durable");
      case AppendFate::Kind::kDuplicated:
        StoreLocked(append);
        return StoreLocked(append);
    }
    HUB_CHECK(false);
  }

  void Append(int64_t client, const TopicPartition& at, Record record, AppendCallback done);
  int Pump();
  void RunAutomatic(std::stop_token stop);

  const base::Clock* const clock;
  const MemoryLogOptions options;
  base::Mutex mu;
  base::CondVar changed;  // records became durable, appends arrived, or the log is closing
  std::map<std::string, Topic> topics ABSL_GUARDED_BY(mu);
  std::deque<PendingAppend> pending ABSL_GUARDED_BY(mu);
  std::string log_id ABSL_GUARDED_BY(mu) = absl::BytesToHexString(base::RandomBytes(8));
  absl::Status fault ABSL_GUARDED_BY(mu);
  int64_t pumps ABSL_GUARDED_BY(mu) = 0;
  int64_t clients_made ABSL_GUARDED_BY(mu) = 0;
  int64_t clients_alive ABSL_GUARDED_BY(mu) = 0;
  bool closing ABSL_GUARDED_BY(mu) = false;
  base::Mutex pump_mu;  // callbacks of one pump end before those of the next begin: they come in the order of landing
  base::Thread thread;  // last: it uses all of the above
};

void MemoryLog::Impl::Append(int64_t client, const TopicPartition& at, Record record, AppendCallback done) {
  absl::Status refused;
  {
    base::MutexLock lock(&mu);
    const auto it = topics.find(at.topic);
    refused = closing ? ClosingError()
                      : (it == topics.end() ? CheckPartition(nullptr, at) : CheckRecord(it->second.spec, at, record));
    if (refused.ok()) refused = fault;
    if (refused.ok()) {
      const AppendFate fate = options.fate ? options.fate(at, record) : AppendFate();
      pending.push_back({{client, std::this_thread::get_id()},
                         at,
                         std::move(record),
                         std::move(done),
                         fate.kind,
                         pumps + 1 + fate.delay_pumps});
      changed.NotifyAll();
    }
  }
  if (!refused.ok()) done(refused);
}

int MemoryLog::Impl::Pump() {
  std::vector<std::pair<AppendCallback, absl::StatusOr<Offset>>> answers;
  base::MutexLock one_at_a_time(&pump_mu);
  {
    base::MutexLock lock(&mu);
    ++pumps;
    std::set<std::pair<Producer, TopicPartition>> held_up;  // has an earlier append that waits
    std::deque<PendingAppend> waiting;
    for (PendingAppend& append : pending) {
      const std::pair<Producer, TopicPartition> lane(append.producer, append.partition);
      if (append.due > pumps || held_up.count(lane) != 0) {
        held_up.insert(lane);
        waiting.push_back(std::move(append));
        continue;
      }
      absl::StatusOr<Offset> answer = MeetFateLocked(append);
      if (append.done) answers.emplace_back(std::move(append.done), std::move(answer));
    }
    pending = std::move(waiting);
    changed.NotifyAll();
  }
  for (auto& [done, answer] : answers) done(std::move(answer));
  return static_cast<int>(answers.size());
}

void MemoryLog::Impl::RunAutomatic(std::stop_token stop) {
  std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&mu);
    changed.NotifyAll();
  });
  while (true) {
    {
      base::MutexLock lock(&mu);
      while (pending.empty() && !stop.stop_requested()) changed.Wait(&mu);
      if (pending.empty()) return;  // what came before the stop is still done
    }
    Pump();
  }
}

// Forwards all to the log; only appends are its own.
class MemoryLog::Client final : public Log {
 public:
  Client(MemoryLog* log, int64_t id) : log_(log), id_(id) {}
  ~Client() override {
    std::vector<AppendCallback> unanswered;
    {
      base::MutexLock lock(&log_->impl_->mu);
      for (PendingAppend& append : log_->impl_->pending) {
        if (append.producer.first == id_ && append.done) unanswered.push_back(std::exchange(append.done, nullptr));
      }
    }
    for (AppendCallback& done : unanswered) done(ClosingError());
    {
      // A callback of ours that a pump has taken already ends before we are gone.
      base::MutexLock pump_is_over(&log_->impl_->pump_mu);
    }
    base::MutexLock lock(&log_->impl_->mu);
    --log_->impl_->clients_alive;
  }
  absl::Status EnsureTopics(const std::vector<TopicSpec>& topics) override { return log_->EnsureTopics(topics); }
  std::string log_id() const override { return log_->log_id(); }
  void Append(const TopicPartition& partition, Record record, AppendCallback done) override {
    log_->impl_->Append(id_, partition, std::move(record), std::move(done));
  }
  absl::StatusOr<ReadResult> Read(const TopicPartition& partition, Offset from, const ReadLimits& limits) override {
    return log_->Read(partition, from, limits);
  }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { log_->Wait(any_of, timeout); }
  absl::StatusOr<OffsetRange> Offsets(const TopicPartition& partition) override { return log_->Offsets(partition); }
  absl::Status Health() const override { return log_->Health(); }

 private:
  MemoryLog* const log_;
  const int64_t id_;
};

MemoryLog::MemoryLog(const base::Clock* clock, MemoryLogOptions options)
    : impl_(std::make_unique<Impl>(clock, std::move(options))) {
  if (!impl_->options.manual_pump) {
    impl_->thread =
        base::Thread("memory-log", [impl = impl_.get()](std::stop_token stop) { impl->RunAutomatic(stop); });
  }
}

MemoryLog::~MemoryLog() {
  {
    base::MutexLock lock(&impl_->mu);
    HUB_CHECK(impl_->clients_alive == 0);
    impl_->closing = true;
  }
  impl_->thread.Stop();
  std::deque<PendingAppend> unanswered;
  {
    base::MutexLock lock(&impl_->mu);
    unanswered.swap(impl_->pending);
  }
  for (PendingAppend& append : unanswered) {
    if (append.done) append.done(ClosingError());
  }
}

absl::Status MemoryLog::EnsureTopics(const std::vector<TopicSpec>& topics) {
  for (const TopicSpec& topic : topics) HUB_RETURN_IF_ERROR(CheckTopic(topic));
  base::MutexLock lock(&impl_->mu);
  for (const TopicSpec& topic : topics) {
    const auto it = impl_->topics.find(topic.name);
    if (it != impl_->topics.end()) HUB_RETURN_IF_ERROR(CheckSameTopic(it->second.spec, topic));
  }
  for (const TopicSpec& topic : topics) {
    Topic& made = impl_->topics[topic.name];
    made.spec = topic;
    made.partitions.resize(static_cast<size_t>(topic.partitions));
  }
  return absl::OkStatus();
}

std::string MemoryLog::log_id() const {
  base::MutexLock lock(&impl_->mu);
  return impl_->log_id;
}

void MemoryLog::Append(const TopicPartition& partition, Record record, AppendCallback done) {
  impl_->Append(/*client=*/0, partition, std::move(record), std::move(done));
}

absl::StatusOr<ReadResult> MemoryLog::Read(const TopicPartition& partition, Offset from, const ReadLimits& limits) {
  base::MutexLock lock(&impl_->mu);
  HUB_ASSIGN_OR_RETURN(const Partition* const found, impl_->FindLocked(partition));
  HUB_RETURN_IF_ERROR(CheckOffset(partition, from, found->range));
  ReadResult result;
  size_t bytes = 0;
  for (auto it = found->records.lower_bound(from); it != found->records.end(); ++it) {
    const size_t size = it->second.key.size() + it->second.value.size();
    if (!result.records.empty() && (result.records.size() >= limits.records_max || bytes + size > limits.bytes_max)) {
      result.next = result.records.back().offset + 1;
      return result;
    }
    bytes += size;
    result.records.push_back(it->second);
  }
  result.next = found->range.end;
  return result;
}

void MemoryLog::Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) {
  const absl::Duration deadline = impl_->clock->Monotonic() + timeout;
  base::MutexLock lock(&impl_->mu);
  while (true) {
    for (const WaitFor& wanted : any_of) {
      const absl::StatusOr<Partition*> found = impl_->FindLocked(wanted.partition);
      if (found.ok() && (*found)->range.end > wanted.offset) return;
    }
    const absl::Duration left = deadline - impl_->clock->Monotonic();
    // Under a clock that stands still the timeout is that of the last wait: it ends, too.
    if (left <= absl::ZeroDuration() || !impl_->changed.WaitFor(&impl_->mu, left)) return;
  }
}

absl::StatusOr<OffsetRange> MemoryLog::Offsets(const TopicPartition& partition) {
  base::MutexLock lock(&impl_->mu);
  HUB_ASSIGN_OR_RETURN(const Partition* const found, impl_->FindLocked(partition));
  return found->range;
}

absl::Status MemoryLog::Health() const {
  base::MutexLock lock(&impl_->mu);
  return impl_->fault;
}

std::unique_ptr<Log> MemoryLog::NewClient() {
  base::MutexLock lock(&impl_->mu);
  ++impl_->clients_alive;
  return std::make_unique<Client>(this, ++impl_->clients_made);
}

int MemoryLog::Pump() {
  HUB_CHECK(impl_->options.manual_pump);
  return impl_->Pump();
}

void MemoryLog::Clean() {
  base::MutexLock lock(&impl_->mu);
  const absl::Time now = impl_->clock->TimeNow();
  for (auto& [name, topic] : impl_->topics) {
    for (Partition& partition : topic.partitions) {
      const auto erase = [&](std::map<Offset, StoredRecord>::iterator it) {
        partition.bytes -= static_cast<int64_t>(it->second.key.size() + it->second.value.size());
        return partition.records.erase(it);
      };
      if (topic.spec.cleanup == Cleanup::kDelete) {
        while (!partition.records.empty()) {
          const auto oldest = partition.records.begin();
          const bool aged = oldest->second.appended_at + topic.spec.retention < now;
          const bool over = topic.spec.retention_bytes >= 0 && partition.bytes > topic.spec.retention_bytes;
          if (!aged && !over) break;
          partition.range.first = oldest->first + 1;
          erase(oldest);
        }
        continue;
      }
      // As eager as the contract allows.
      std::set<std::string> newer;
      for (auto it = partition.records.end(); it != partition.records.begin();) {
        --it;
        if (it->second.appended_at + topic.spec.compaction_lag > now) continue;
        if (!newer.insert(it->second.key).second) it = erase(it);
      }
    }
  }
}

void MemoryLog::ChangeLogId(const std::string& log_id) {
  base::MutexLock lock(&impl_->mu);
  impl_->log_id = log_id;
}

void MemoryLog::SetFault(absl::Status fault) {
  base::MutexLock lock(&impl_->mu);
  impl_->fault = std::move(fault);
}

}  // namespace hub::eventlog
