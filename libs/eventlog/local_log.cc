#include "libs/eventlog/local_log.h"

#include <atomic>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/check.h"
#include "libs/base/hash.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/eventlog/local_cleaner.h"
#include "libs/eventlog/local_format.h"
#include "libs/eventlog/local_partitions.h"
#include "libs/eventlog/local_pending.h"
#include "libs/eventlog/local_space.h"
#include "libs/eventlog/log_probe.h"
#include "libs/eventlog/validate.h"
#include "libs/store/database.h"

namespace hub::eventlog {
namespace {

using local::Partition;
using local::Partitions;
using local::PendingCall;
using local::PendingRecord;
using local::Space;

constexpr char kFormatKey[] = "format";
constexpr char kLogIdKey[] = "log_id";
constexpr char kTopicPrefix[] = "topic/";

class LocalLog : public Log {
 public:
  LocalLog(const std::string& path, const base::Clock* clock, base::Metrics* metrics, const LocalLogOptions& options,
           store::Database* database)
      : clock_(clock),
        options_(options),
        probe_(metrics),
        space_(path, options.free_bytes_min),
        database_(database),
        cleaner_(clock, database_, &partitions_, &probe_) {}
  ~LocalLog() override;

  // Reads or makes the log's identity, then starts the threads.
  absl::Status Start();

  absl::Status EnsureTopics(const std::vector<TopicSpec>& topics) override;
  std::string log_id() const override { return log_id_; }
  void Append(const TopicPartition& at, Record record, AppendCallback done) override;
  void AppendAll(const std::string& topic, std::vector<Addressed> records, AppendAllCallback done) override;
  absl::StatusOr<ReadResult> Read(const TopicPartition& at, Offset from, const ReadLimits& limits) override;
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override;
  absl::StatusOr<OffsetRange> Offsets(const TopicPartition& at) override;
  absl::Status Health() const override;

 private:
  using Group = std::vector<PendingCall>;

  // Finds the partitions of a call's records; refused ones get their answers.
  void AdmitLocked(const std::string& topic, PendingCall* call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(queue_mu_);
  void Enqueue(const std::string& topic, PendingCall call);
  absl::Status AdmitBytesLocked(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(queue_mu_);
  void RunWriter(std::stop_token stop);
  void RunCleaner(std::stop_token stop);
  bool TakeGroup(const std::stop_token& stop, Group* group);
  // Commits the group and runs its callbacks.
  void Write(Group group);
  absl::Status CommitGroup(Group* group);
  absl::StatusOr<local::Topic> LoadTopic(const TopicSpec& spec, uint32_t id) const;

  const base::Clock* const clock_;
  const LocalLogOptions options_;
  LogProbe probe_;
  const Space space_;
  store::Database* const database_;
  std::string log_id_;  // set by Start
  Partitions partitions_;
  local::Cleaner cleaner_;

  base::Mutex topics_mu_;  // one EnsureTopics at a time
  std::map<std::string, local::TopicRow> known_topics_ ABSL_GUARDED_BY(topics_mu_);

  // Order of locks: queue_mu_, then partitions_.mu.
  base::Mutex queue_mu_;
  base::CondVar queue_changed_;
  std::deque<PendingCall> queue_ ABSL_GUARDED_BY(queue_mu_);
  size_t pending_bytes_ ABSL_GUARDED_BY(queue_mu_) = 0;  // queued, or being committed
  bool closing_ ABSL_GUARDED_BY(queue_mu_) = false;

  // relaxed: a hint that Append must ask the file system first
  std::atomic<bool> space_is_short_{false};
  mutable base::Mutex health_mu_;
  absl::Status last_commit_ ABSL_GUARDED_BY(health_mu_);

  base::Mutex cleaner_mu_;
  base::CondVar cleaner_wake_;

  base::Thread cleaner_thread_;
  base::Thread writer_thread_;
};

absl::Status LocalLog::Start() {
  const auto get = [this](const char* key) { return database_->Get(local::kMeta, key); };
  HUB_ASSIGN_OR_RETURN(const auto format, get(kFormatKey));
  HUB_ASSIGN_OR_RETURN(const auto log_id, get(kLogIdKey));
  if (format.has_value() && *format != local::kFormat) {
    return absl::FailedPreconditionError(absl::StrCat("local log: format: ", *format, ", want ", local::kFormat));
  }
  if (format.has_value() && log_id.has_value() && !options_.new_incarnation) {
    log_id_ = *log_id;
  } else {
    log_id_ = absl::BytesToHexString(base::RandomBytes(8));
    store::Batch batch;
    batch.Put(local::kMeta, kFormatKey, local::kFormat);
    batch.Put(local::kMeta, kLogIdKey, log_id_);
    HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kSynced));
  }
  {
    base::MutexLock lock(&topics_mu_);
    const auto cursor = database_->Scan(local::kMeta, kTopicPrefix, store::PrefixEnd(kTopicPrefix));
    for (; cursor->Valid(); cursor->Next()) {
      HUB_ASSIGN_OR_RETURN(known_topics_[std::string(absl::StripPrefix(cursor->key(), kTopicPrefix))],
                           local::DecodeTopicRow(cursor->value()));
    }
    HUB_RETURN_IF_ERROR(cursor->status());
  }
  writer_thread_ = base::Thread("log-writer", [this](std::stop_token stop) { RunWriter(stop); });
  cleaner_thread_ = base::Thread("log-cleaner", [this](std::stop_token stop) { RunCleaner(stop); });
  return absl::OkStatus();
}

LocalLog::~LocalLog() {
  {
    base::MutexLock lock(&queue_mu_);
    closing_ = true;
  }
  // The writer commits what was accepted before it returns, so every callback runs here at the latest.
  writer_thread_.Stop();
  cleaner_thread_.Stop();
}

absl::StatusOr<local::Topic> LocalLog::LoadTopic(const TopicSpec& spec, uint32_t id) const {
  local::Topic topic;
  topic.spec = spec;
  topic.partitions.resize(static_cast<size_t>(spec.partitions));
  for (int32_t i = 0; i < spec.partitions; ++i) {
    Partition& partition = topic.partitions[static_cast<size_t>(i)];
    partition.key = local::MakePartitionKey(id, i);
    HUB_ASSIGN_OR_RETURN(const auto end_bytes, database_->Get(local::kEnds, partition.key));
    HUB_ASSIGN_OR_RETURN(const auto start_bytes, database_->Get(local::kStarts, partition.key));
    local::EndRow end;
    local::StartRow start;
    if (end_bytes.has_value()) {
      HUB_ASSIGN_OR_RETURN(end, local::DecodeEndRow(*end_bytes));
    }
    if (start_bytes.has_value()) {
      HUB_ASSIGN_OR_RETURN(start, local::DecodeStartRow(*start_bytes));
    }
    partition.range = {start.first, end.end};
    partition.bytes_appended = end.bytes_appended;
    partition.next = end.end;
    partition.bytes_dropped = start.bytes_dropped;
    partition.clean_from = start.clean_from;
  }
  return topic;
}

absl::Status LocalLog::EnsureTopics(const std::vector<TopicSpec>& topics) {
  for (const TopicSpec& topic : topics) HUB_RETURN_IF_ERROR(CheckTopic(topic));
  base::MutexLock one_at_a_time(&topics_mu_);
  store::Batch batch;
  std::map<std::string, local::TopicRow> rows = known_topics_;
  for (const TopicSpec& topic : topics) {
    const auto known = rows.find(topic.name);
    if (known == rows.end()) {
      const local::TopicRow row{static_cast<uint32_t>(rows.size()), topic.partitions, topic.cleanup};
      rows[topic.name] = row;
      batch.Put(local::kMeta, absl::StrCat(kTopicPrefix, topic.name), local::Encode(row));
      continue;
    }
    TopicSpec present;
    present.partitions = known->second.partitions;
    present.cleanup = known->second.cleanup;
    HUB_RETURN_IF_ERROR(CheckSameTopic(present, topic));
  }
  if (!batch.empty()) HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kSynced));
  known_topics_ = rows;
  for (const TopicSpec& topic : topics) {
    {
      base::MutexLock lock(&partitions_.mu);
      if (const auto it = partitions_.topics.find(topic.name); it != partitions_.topics.end()) {
        it->second.spec = topic;
        continue;
      }
    }
    HUB_ASSIGN_OR_RETURN(local::Topic loaded, LoadTopic(topic, rows[topic.name].id));
    base::MutexLock lock(&partitions_.mu);
    partitions_.topics.emplace(topic.name, std::move(loaded));
  }
  return absl::OkStatus();
}

absl::Status LocalLog::AdmitBytesLocked(size_t bytes) {
  if (closing_) return absl::UnavailableError("the log is closing");
  if (pending_bytes_ + bytes > options_.pending_bytes_max) {
    return absl::ResourceExhaustedError(absl::StrCat("pending_bytes: ", pending_bytes_, ", want at most ",
                                                     options_.pending_bytes_max, "; try again soon"));
  }
  if (space_is_short_.load(std::memory_order_relaxed)) {
    HUB_RETURN_IF_ERROR(space_.Check());
    space_is_short_.store(false, std::memory_order_relaxed);
  }
  return absl::OkStatus();
}

void LocalLog::AdmitLocked(const std::string& topic, PendingCall* call) {
  {
    base::MutexLock lock(&partitions_.mu);
    const auto it = partitions_.topics.find(topic);
    for (size_t i = 0; i < call->records.size(); ++i) {
      PendingRecord& pending = call->records[i];
      const TopicPartition at{topic, pending.number};
      const absl::Status fit = it == partitions_.topics.end() ? CheckPartition(nullptr, at)
                                                              : CheckRecord(it->second.spec, at, pending.record);
      if (!fit.ok()) {
        call->Refuse(i, fit);
        continue;
      }
      pending.partition = &it->second.partitions[static_cast<size_t>(at.partition)];
      call->bytes += static_cast<size_t>(local::SizeOf(pending.record));
      ++call->count;
    }
  }
  const absl::Status admitted = AdmitBytesLocked(call->bytes);
  if (!admitted.ok()) call->RefuseAll(admitted);
}

void LocalLog::Append(const TopicPartition& at, Record record, AppendCallback done) {
  PendingCall call;
  call.records.push_back({at.partition, std::move(record)});
  call.done_one = std::move(done);
  Enqueue(at.topic, std::move(call));
}

void LocalLog::AppendAll(const std::string& topic, std::vector<Addressed> records, AppendAllCallback done) {
  PendingCall call;
  call.records.reserve(records.size());
  for (Addressed& addressed : records) call.records.push_back({addressed.partition, std::move(addressed.record)});
  call.done = std::move(done);
  Enqueue(topic, std::move(call));
}

void LocalLog::Enqueue(const std::string& topic, PendingCall call) {
  size_t refused = 0;
  {
    base::MutexLock lock(&queue_mu_);
    AdmitLocked(topic, &call);
    refused = call.records.size() - call.count;
    if (call.count > 0) {
      pending_bytes_ += call.bytes;
      queue_.push_back(std::move(call));
      if (queue_.size() == 1) queue_changed_.NotifyOne();
      if (refused > 0) probe_.refused.Increment(static_cast<double>(refused));
      return;
    }
  }
  if (refused > 0) probe_.refused.Increment(static_cast<double>(refused));
  call.Answer();
}

bool LocalLog::TakeGroup(const std::stop_token& stop, Group* group) {
  base::MutexLock lock(&queue_mu_);
  while (queue_.empty()) {
    if (stop.stop_requested()) return false;
    queue_changed_.Wait(&queue_mu_);
  }
  probe_.pending_bytes.Set(static_cast<double>(pending_bytes_));
  size_t bytes = 0;
  while (!queue_.empty()) {
    const size_t size = queue_.front().bytes;
    if (!group->empty() && bytes + size > options_.group_bytes_max) break;
    bytes += size;
    group->push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return true;
}

void LocalLog::RunWriter(std::stop_token stop) {
  base::TakeShortTurns();
  std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&queue_mu_);
    queue_changed_.NotifyAll();
  });
  Group group;
  while (TakeGroup(stop, &group)) {
    Write(std::move(group));
    group.clear();
  }
}

absl::Status LocalLog::CommitGroup(Group* group) {
  const absl::Time now = clock_->TimeNow();
  store::Batch batch;
  std::map<Partition*, int64_t> added;
  for (PendingRecord* const record : local::ByPartition(group)) {
    PendingRecord& pending = *record;
    pending.offset = pending.partition->next++;
    local::PutRecord(local::kRecords, local::RecordKey(pending.partition->key, pending.offset), now, pending.record.key,
                     pending.record.value, &batch);
    added[pending.partition] += local::SizeOf(pending.record);
  }
  for (auto& [partition, bytes] : added) {
    {
      base::MutexLock lock(&partitions_.mu);
      bytes += partition->bytes_appended;
    }
    batch.Put(local::kEnds, partition->key, local::Encode(local::EndRow{partition->next, bytes}));
  }
  const absl::Duration start = clock_->Monotonic();
  HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kSynced));
  probe_.commit_seconds.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - start));
  base::MutexLock lock(&partitions_.mu);
  for (const auto& [partition, bytes] : added) {
    partition->range.end = partition->next;
    partition->bytes_appended = bytes;
  }
  partitions_.advanced.NotifyAll();
  return absl::OkStatus();
}

void LocalLog::Write(Group group) {
  absl::Status outcome = space_.Check();
  if (!outcome.ok()) {
    // Refused before anything was written: ResourceExhausted is the truth.
    space_is_short_.store(true, std::memory_order_relaxed);
    HUB_LOG_EVERY(60, ERROR, "local_log_disk_full", {{"error", outcome.ToString()}});
  } else {
    outcome = CommitGroup(&group);
    {
      base::MutexLock lock(&health_mu_);
      last_commit_ = outcome;
    }
    if (!outcome.ok()) {
      if (absl::IsResourceExhausted(outcome)) space_is_short_.store(true, std::memory_order_relaxed);
      HUB_LOG_EVERY(60, ERROR, "local_log_commit_failed", {{"error", outcome.ToString()}});
      // A write that failed half-way may come back after a crash: unknown, whatever the reason.
      outcome = absl::UnavailableError(absl::StrCat("append: not known to be durable: ", outcome.message()));
    }
  }
  size_t count = 0;
  {
    base::MutexLock lock(&queue_mu_);
    for (const PendingCall& call : group) {
      pending_bytes_ -= call.bytes;
      count += call.count;
    }
    probe_.pending_bytes.Set(static_cast<double>(pending_bytes_));
  }
  base::Counter& counter = outcome.ok()                         ? probe_.durable
                           : absl::IsResourceExhausted(outcome) ? probe_.refused
                                                                : probe_.unknown;
  counter.Increment(static_cast<double>(count));
  for (PendingCall& call : group) call.Finish(outcome);
}

absl::StatusOr<ReadResult> LocalLog::Read(const TopicPartition& at, Offset from, const ReadLimits& limits) {
  const Partition* partition = nullptr;
  OffsetRange range;
  {
    base::MutexLock lock(&partitions_.mu);
    partition = partitions_.FindLocked(at);
    if (partition == nullptr) return CheckPartition(nullptr, at);
    range = partition->range;
  }
  HUB_RETURN_IF_ERROR(CheckOffset(at, from, range));
  // Bounded by the durable end: a group that is being committed is in the database already, but not yet known to be synced.
  const auto cursor = database_->Scan(local::kRecords, local::RecordKey(partition->key, from),
                                      local::RecordKey(partition->key, range.end));
  {
    // Retention may have deleted records between the check and the scan; `first` rose before that (invariant 2).
    base::MutexLock lock(&partitions_.mu);
    HUB_RETURN_IF_ERROR(CheckOffset(at, from, {partition->range.first, range.end}));
  }
  ReadResult result;
  size_t bytes = 0;
  for (; cursor->Valid(); cursor->Next()) {
    const size_t size = cursor->value().size();
    if (!result.records.empty() && (result.records.size() >= limits.records_max || bytes + size > limits.bytes_max)) {
      result.next = result.records.back().offset + 1;
      return result;
    }
    bytes += size;
    HUB_ASSIGN_OR_RETURN(StoredRecord record, local::DecodeRecord(cursor->key(), cursor->value()));
    result.records.push_back(std::move(record));
  }
  HUB_RETURN_IF_ERROR(cursor->status());
  result.next = range.end;
  return result;
}

void LocalLog::Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) {
  const absl::Duration deadline = clock_->Monotonic() + timeout;
  base::MutexLock lock(&partitions_.mu);
  while (true) {
    for (const WaitFor& wanted : any_of) {
      const Partition* const partition = partitions_.FindLocked(wanted.partition);
      if (partition != nullptr && partition->range.end > wanted.offset) return;
    }
    const absl::Duration left = deadline - clock_->Monotonic();
    // Under a clock that stands still the timeout is that of the last wait: it ends, too.
    if (left <= absl::ZeroDuration() || !partitions_.advanced.WaitFor(&partitions_.mu, left)) return;
  }
}

absl::StatusOr<OffsetRange> LocalLog::Offsets(const TopicPartition& at) {
  base::MutexLock lock(&partitions_.mu);
  const Partition* const partition = partitions_.FindLocked(at);
  if (partition == nullptr) return CheckPartition(nullptr, at);
  return partition->range;
}

absl::Status LocalLog::Health() const {
  HUB_RETURN_IF_ERROR(space_.Check());
  base::MutexLock lock(&health_mu_);
  return last_commit_;
}

void LocalLog::RunCleaner(std::stop_token stop) {
  std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&cleaner_mu_);
    cleaner_wake_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    {
      base::MutexLock lock(&cleaner_mu_);
      if (!stop.stop_requested()) cleaner_wake_.WaitFor(&cleaner_mu_, options_.clean_interval);
    }
    cleaner_.CleanAll(stop, !space_.Check().ok());
  }
}

// Owns its database, too; as a base, so that it is closed after the log's threads have ended.
struct OwnDatabase {
  std::unique_ptr<store::Database> owned;
};
class LocalLogOnDisk final : private OwnDatabase, public LocalLog {
 public:
  LocalLogOnDisk(const std::string& path, const base::Clock* clock, base::Metrics* metrics,
                 const LocalLogOptions& options, std::unique_ptr<store::Database> database)
      : OwnDatabase{std::move(database)}, LocalLog(path, clock, metrics, options, owned.get()) {}
};

}  // namespace

std::vector<store::TableSpec> LocalLogTables() { return local::Tables(); }

absl::StatusOr<std::unique_ptr<Log>> OpenLocalLog(const std::string& path, const base::Clock* clock,
                                                  base::Metrics* metrics, const LocalLogOptions& options) {
  HUB_CHECK(clock != nullptr && metrics != nullptr && options.group_bytes_max > 0);
  store::DatabaseOptions database_options;
  // Records are written once and read near the end: a small cache does, and small buffers keep a flush well within free_bytes_min.
  database_options.block_cache_bytes = size_t{32} << 20;
  database_options.write_buffer_bytes = size_t{8} << 20;
  HUB_ASSIGN_OR_RETURN(auto database, store::OpenDatabase(path, local::Tables(), database_options));
  auto log = std::make_unique<LocalLogOnDisk>(path, clock, metrics, options, std::move(database));
  HUB_RETURN_IF_ERROR(log->Start());
  return std::unique_ptr<Log>(std::move(log));
}

absl::StatusOr<std::unique_ptr<Log>> OpenLocalLogOn(store::Database* database, const base::Clock* clock,
                                                    base::Metrics* metrics, const LocalLogOptions& options) {
  HUB_CHECK(database != nullptr && clock != nullptr && metrics != nullptr && options.group_bytes_max > 0);
  auto log = std::make_unique<LocalLog>("", clock, metrics, options, database);
  HUB_RETURN_IF_ERROR(log->Start());
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace hub::eventlog
