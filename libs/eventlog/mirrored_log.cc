#include "libs/eventlog/mirrored_log.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/eventlog/local_format.h"

namespace hub::eventlog {
namespace {

// In the order of MirrorTables(). Stored: frozen.
constexpr int kMeta = 0;     // "log_id"; partition (4) -> first, end, bytes (8 each)
constexpr int kRecords = 1;  // as the embedded log's
constexpr char kLogIdKey[] = "log_id";

constexpr ReadLimits kFillLimits{2048, size_t{2} << 20};
constexpr absl::Duration kWaitMax = absl::Milliseconds(200);  // so that the destructor is quick, and Offsets stay fresh
constexpr int kQuietRounds = 5;                               // waits in vain between two questions for the ends
constexpr absl::Duration kPause = absl::Seconds(1);           // after an error
constexpr absl::Duration kGather = absl::Milliseconds(20);    // after a round of few: a commit costs the same with one record or fifty
constexpr size_t kFew = kFillLimits.records_max / 4;          // of one partition
constexpr int kNice = 5;                                      // who reads at the end does not read the copy

std::string MetaKey(int32_t partition) {
  std::string key;
  store::AppendKey32(static_cast<uint32_t>(partition), &key);
  return key;
}

// A stretch of one partition.
struct Stretch {
  Offset first = 0;
  Offset end = 0;
  int64_t bytes = 0;
};

std::string Encode(const Stretch& held) {
  std::string row;
  for (const int64_t number : {held.first, held.end, held.bytes})
    store::AppendKey64(static_cast<uint64_t>(number), &row);
  return row;
}

std::optional<Stretch> DecodeStretch(const std::optional<std::string>& row) {
  if (!row || row->size() != 3 * sizeof(uint64_t)) return std::nullopt;
  const auto at = [&](size_t i) { return static_cast<int64_t>(store::DecodeKey64(*row, i * sizeof(uint64_t))); };
  return Stretch{at(0), at(1), at(2)};
}

class Impl final : public MirroredLog {
 public:
  Impl(Log* behind, std::unique_ptr<store::Database> database, const MirrorOptions& options, const base::Clock* clock,
       base::Metrics* metrics)
      : behind_(behind),
        database_(std::move(database)),
        options_(options),
        clock_(clock),
        partitions_(static_cast<size_t>(options.partitions)),
        local_(metrics->AddCounter("fraudhub_mirror_reads_total", "Reads of the mirrored topic", {{"from", "copy"}})),
        remote_(metrics->AddCounter("fraudhub_mirror_reads_total", "Reads of the mirrored topic", {{"from", "log"}})),
        failures_(metrics->AddCounter("fraudhub_mirror_failures_total", "Times the copy could not be filled")),
        bytes_(metrics->AddGauge("fraudhub_mirror_bytes", "Keys and values in the copy")) {}

  ~Impl() override {
    filler_.Stop();
    // Their callbacks come here first. The log behind answers each within its own time.
    base::MutexLock lock(&mu_);
    while (in_flight_ > 0) answered_.Wait(&mu_);
  }

  absl::Status Start() {
    HUB_ASSIGN_OR_RETURN(const std::optional<std::string> log_id, database_->Get(kMeta, kLogIdKey));
    const bool same = log_id && *log_id == behind_->log_id();
    for (int32_t i = 0; i < options_.partitions; ++i) {
      HUB_ASSIGN_OR_RETURN(const std::optional<std::string> row, database_->Get(kMeta, MetaKey(i)));
      const std::optional<Stretch> held = DecodeStretch(row);
      if (same && held) {
        base::MutexLock lock(&mu_);
        Of(i).held = *held;
        Of(i).begun = true;
      } else {
        HUB_RETURN_IF_ERROR(BeginAt(i, 0));
        base::MutexLock lock(&mu_);
        Of(i).begun = false;
      }
    }
    if (!same) {
      store::Batch batch;
      batch.Put(kMeta, kLogIdKey, behind_->log_id());
      HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kSynced));
    }
    filler_ = base::Thread("mirror", [this](std::stop_token stop) { Fill(stop); });
    return absl::OkStatus();
  }

  absl::Status EnsureTopics(const std::vector<TopicSpec>& topics) override { return behind_->EnsureTopics(topics); }
  std::string log_id() const override { return behind_->log_id(); }
  absl::Status Health() const override { return behind_->Health(); }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { behind_->Wait(any_of, timeout); }

  void Append(const TopicPartition& partition, Record record, AppendCallback done) override {
    if (!IsMirrored(partition)) return behind_->Append(partition, std::move(record), std::move(done));
    {
      base::MutexLock lock(&mu_);
      ++in_flight_;
    }
    behind_->Append(partition, std::move(record),
                    [this, number = partition.partition, done = std::move(done)](absl::StatusOr<Offset> offset) {
                      if (offset.ok()) NoteEnd(number, *offset + 1);
                      done(std::move(offset));
                      base::MutexLock lock(&mu_);
                      if (--in_flight_ == 0) answered_.NotifyAll();
                    });
  }

  void AppendAll(const std::string& topic, std::vector<Addressed> records, AppendAllCallback done) override {
    if (topic == options_.topic) return Log::AppendAll(topic, std::move(records), std::move(done));
    behind_->AppendAll(topic, std::move(records), std::move(done));
  }

  absl::StatusOr<ReadResult> Read(const TopicPartition& at, Offset from, const ReadLimits& limits) override {
    if (!IsMirrored(at)) return behind_->Read(at, from, limits);
    Stretch held;
    {
      base::MutexLock lock(&mu_);
      const Partition& partition = Of(at.partition);
      if (from >= partition.known.first) held = partition.held;
    }
    if (from >= held.first && from < held.end) {
      absl::StatusOr<ReadResult> read = ReadCopy(at.partition, from, held.end, limits);
      if (read.ok()) {
        local_.Increment();
        return read;
      }
      HUB_LOG_EVERY(60, ERROR, "copy_not_readable",
                    {{"partition", at.partition}, {"status", read.status().ToString()}});
    }
    remote_.Increment();
    absl::StatusOr<ReadResult> read = behind_->Read(at, from, limits);
    if (read.ok()) NoteEnd(at.partition, read->next);
    return read;
  }

  absl::StatusOr<OffsetRange> Offsets(const TopicPartition& at) override {
    if (!IsMirrored(at)) return behind_->Offsets(at);
    return OffsetsYounger(at.partition, kOffsetsAge);
  }

  OffsetRange Held(int32_t partition) const override {
    base::MutexLock lock(&mu_);
    const Stretch& held = Of(partition).held;
    return {held.first, held.end};
  }

 private:
  struct Partition {
    bool begun = false;  // `held` says where the copy goes on
    Stretch held;
    OffsetRange known;  // of the log behind
    absl::Duration known_at = -absl::InfiniteDuration();
  };

  Partition& Of(int32_t partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return partitions_[static_cast<size_t>(partition)];
  }
  const Partition& Of(int32_t partition) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return partitions_[static_cast<size_t>(partition)];
  }
  bool IsMirrored(const TopicPartition& at) const {
    return at.topic == options_.topic && at.partition >= 0 && at.partition < options_.partitions;
  }
  std::string RowKey(int32_t partition, Offset offset) const {
    return local::RecordKey(local::MakePartitionKey(0, partition), offset);
  }

  void NoteEnd(int32_t partition, Offset end) {
    base::MutexLock lock(&mu_);
    Of(partition).known.end = std::max(Of(partition).known.end, end);
  }

  absl::StatusOr<OffsetRange> OffsetsYounger(int32_t partition, absl::Duration age) {
    {
      base::MutexLock lock(&mu_);
      const Partition& known = Of(partition);
      if (clock_->Monotonic() - known.known_at < age) return known.known;
    }
    return AskOffsets(partition);
  }
  void ForgetOffsets(int32_t partition) {
    base::MutexLock lock(&mu_);
    Of(partition).known_at = -absl::InfiniteDuration();
  }

  absl::StatusOr<OffsetRange> AskOffsets(int32_t partition) {
    // Before it is asked: an answer is as old as its question.
    const absl::Duration now = clock_->Monotonic();
    HUB_ASSIGN_OR_RETURN(const OffsetRange range, behind_->Offsets({options_.topic, partition}));
    base::MutexLock lock(&mu_);
    Partition& p = Of(partition);
    p.known.first = range.first;
    p.known.end = std::max(p.known.end, range.end);
    p.known_at = now;
    return p.known;
  }

  absl::StatusOr<ReadResult> ReadCopy(int32_t partition, Offset from, Offset end, const ReadLimits& limits) const {
    ReadResult result;
    size_t bytes = 0;
    const auto cursor = database_->Scan(kRecords, RowKey(partition, from), RowKey(partition, end));
    for (; cursor->Valid(); cursor->Next()) {
      HUB_ASSIGN_OR_RETURN(StoredRecord record, local::DecodeRecord(cursor->key(), cursor->value()));
      const auto size = static_cast<size_t>(local::SizeOf(record));
      if (!result.records.empty() && (result.records.size() >= limits.records_max || bytes + size > limits.bytes_max)) {
        result.next = result.records.back().offset + 1;
        return result;
      }
      bytes += size;
      result.records.push_back(std::move(record));
    }
    HUB_RETURN_IF_ERROR(cursor->status());
    // A trim that overtook this read has taken its beginning away.
    if (Held(partition).first > from) return absl::OutOfRangeError("trimmed meanwhile");
    result.next = end;
    return result;
  }

  // Drops what the copy of the partition has.
  absl::Status BeginAt(int32_t partition, Offset first) {
    const Stretch held{first, first, 0};
    {
      base::MutexLock lock(&mu_);
      Of(partition).held = held;  // before the deletion: nobody reads there
      Of(partition).begun = true;
    }
    store::Batch batch;
    batch.DeleteRange(kRecords, RowKey(partition, 0), RowKey(partition + 1, 0));
    batch.Put(kMeta, MetaKey(partition), Encode(held));
    return database_->Commit(batch, store::Durability::kBuffered);
  }

  void Fill(const std::stop_token& stop) {
    base::GiveWay(kNice);
    const base::RealClock real;
    int quiet = 0;
    absl::Duration next_trim = clock_->Monotonic();
    while (!stop.stop_requested()) {
      size_t most = 0;  // of one partition
      absl::Status status;
      std::vector<WaitFor> ends;
      for (int32_t i = 0; i < options_.partitions && !stop.stop_requested(); ++i) {
        const absl::StatusOr<size_t> filled = FillOnce(i);
        status.Update(filled.status());
        most = std::max(most, filled.value_or(0));
        ends.push_back({{options_.topic, i}, Held(i).end});
      }
      if (clock_->Monotonic() >= next_trim) {
        status.Update(Trim());
        next_trim = clock_->Monotonic() + options_.trim_interval;
      }
      if (!status.ok()) {
        failures_.Increment();
        HUB_LOG_EVERY(30, WARN, "copy_not_filled", {{"topic", options_.topic}, {"status", status.ToString()}});
        PauseUnless(stop);
      } else if (most > 0 && most < kFew) {
        behind_->Wait({}, kGather);
      } else if (most == 0) {
        const absl::Duration before = real.Monotonic();
        behind_->Wait(ends, kWaitMax);
        // With nothing to read, retention is the only news.
        if (real.Monotonic() - before >= kWaitMax && ++quiet % kQuietRounds == 0) {
          for (int32_t i = 0; i < options_.partitions; ++i) AskOffsets(i).IgnoreError();  // FillOnce will see
        }
      }
    }
  }

  void PauseUnless(const std::stop_token& stop) const {
    for (absl::Duration left = kPause; left > absl::ZeroDuration() && !stop.stop_requested(); left -= kWaitMax) {
      behind_->Wait({}, kWaitMax);
    }
  }

  // How many records it read; holes that it passed count for one.
  absl::StatusOr<size_t> FillOnce(int32_t partition) {
    HUB_ASSIGN_OR_RETURN(const OffsetRange range, OffsetsYounger(partition, kOffsetsAge / 2));
    Stretch held;
    bool begun = false;
    {
      base::MutexLock lock(&mu_);
      held = Of(partition).held;
      begun = Of(partition).begun;
    }
    if (!begun || held.end < range.first || held.end > range.end) {
      if (begun)
        HUB_LOG(WARN, "copy_starts_afresh", {{"partition", partition}, {"had", held.end}, {"first", range.first}});
      HUB_RETURN_IF_ERROR(BeginAt(partition, range.first));
      held = {range.first, range.first, 0};
    }
    // Not asked of the log whether there is something: that would be two more requests for every event.
    const absl::StatusOr<ReadResult> answer = behind_->Read({options_.topic, partition}, held.end, kFillLimits);
    if (absl::IsOutOfRange(answer.status())) ForgetOffsets(partition);  // retention went on meanwhile
    HUB_RETURN_IF_ERROR(answer.status());
    const ReadResult& read = *answer;
    if (read.next == held.end) return 0;
    NoteEnd(partition, read.next);
    const absl::Time oldest = clock_->TimeNow() - options_.age_max;
    store::Batch batch;
    for (const StoredRecord& record : read.records) {
      if (held.bytes == 0 && record.appended_at < oldest) continue;  // the beginning of a first start: too old to keep
      if (held.bytes == 0) held.first = record.offset;
      held.bytes += local::SizeOf(record) + 1;
      local::PutRecord(kRecords, RowKey(partition, record.offset), record.appended_at, record.key, record.value,
                       &batch);
    }
    held.end = read.next;
    if (held.bytes == 0) held.first = held.end;
    batch.Put(kMeta, MetaKey(partition), Encode(held));
    HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kBuffered));
    base::MutexLock lock(&mu_);
    Of(partition).held = held;
    return std::max<size_t>(read.records.size(), 1);
  }

  absl::Status Trim() {
    int64_t total = 0;
    for (int32_t i = 0; i < options_.partitions; ++i) {
      HUB_RETURN_IF_ERROR(TrimPartition(i, options_.bytes_max / options_.partitions));
      base::MutexLock lock(&mu_);
      total += Of(i).held.bytes;
    }
    bytes_.Set(static_cast<double>(total));
    return absl::OkStatus();
  }

  absl::Status TrimPartition(int32_t partition, int64_t bytes_max) {
    Stretch held;
    {
      base::MutexLock lock(&mu_);
      held = Of(partition).held;
    }
    const Offset had = held.first;
    const absl::Time oldest = clock_->TimeNow() - options_.age_max;
    const auto cursor = database_->Scan(kRecords, RowKey(partition, held.first), RowKey(partition, held.end));
    for (; cursor->Valid(); cursor->Next()) {
      HUB_ASSIGN_OR_RETURN(const StoredRecord record, local::DecodeRecord(cursor->key(), cursor->value()));
      if (record.appended_at >= oldest && held.bytes <= bytes_max) break;
      held.first = record.offset + 1;
      held.bytes -= local::SizeOf(record) + 1;
    }
    HUB_RETURN_IF_ERROR(cursor->status());
    if (held.first == had) return absl::OkStatus();
    {
      base::MutexLock lock(&mu_);
      Of(partition).held = held;  // before the deletion: nobody reads there
    }
    store::Batch batch;
    batch.DeleteRange(kRecords, RowKey(partition, had), RowKey(partition, held.first));
    batch.Put(kMeta, MetaKey(partition), Encode(held));
    return database_->Commit(batch, store::Durability::kBuffered);
  }

  Log* const behind_;
  const std::unique_ptr<store::Database> database_;
  const MirrorOptions options_;
  const base::Clock* const clock_;
  mutable base::Mutex mu_;
  std::vector<Partition> partitions_ ABSL_GUARDED_BY(mu_);
  int64_t in_flight_ ABSL_GUARDED_BY(mu_) = 0;  // appends without an answer
  base::CondVar answered_;
  base::Counter local_, remote_, failures_;
  base::Gauge bytes_;
  base::Thread filler_;
};

}  // namespace

std::vector<store::TableSpec> MirrorTables() {
  return {{"meta", store::TableShape::kPointLookups}, {"records", store::TableShape::kScans}};
}

absl::StatusOr<std::unique_ptr<MirroredLog>> MirroredLog::Open(Log* behind, std::unique_ptr<store::Database> database,
                                                               const MirrorOptions& options, const base::Clock* clock,
                                                               base::Metrics* metrics) {
  auto log = std::make_unique<Impl>(behind, std::move(database), options, clock, metrics);
  HUB_RETURN_IF_ERROR(log->Start());
  return std::unique_ptr<MirroredLog>(std::move(log));
}

}  // namespace hub::eventlog
