#include "libs/eventlog/local_cleaner.h"

#include <map>
#include <utility>

#include "libs/base/log.h"
#include "libs/base/status_macros.h"

namespace hub::eventlog::local {
namespace {

// One step of compaction: bounds the memory and the size of its commit.
constexpr size_t kStepRecords = 1024;
constexpr int64_t kStepBytes = int64_t{4} << 20;
// Rewriting the files around a deleted range is worth it from here on; below, background compaction gets there in time.
constexpr int64_t kReclaimBytes = int64_t{64} << 20;

}  // namespace

void Cleaner::CleanAll(std::stop_token stop, bool space_is_short) {
  std::vector<Job> jobs;
  {
    base::MutexLock lock(&partitions_->mu);
    for (auto& [name, topic] : partitions_->topics) {
      for (size_t i = 0; i < topic.partitions.size(); ++i) {
        jobs.push_back({topic.spec, {name, static_cast<int32_t>(i)}, &topic.partitions[i]});
      }
    }
  }
  for (const Job& job : jobs) {
    if (stop.stop_requested()) return;
    const absl::Status cleaned = job.spec.cleanup == Cleanup::kCompact ? Compact(job, stop) : Retain(job, stop, space_is_short);
    if (!cleaned.ok()) {
      HUB_LOG_EVERY(60, WARN, "local_log_cleaning_failed",
                    {{"log", absl::StrCat(job.name.topic, "/", job.name.partition)}, {"error", cleaned.ToString()}});
    }
  }
}

absl::Status Cleaner::Retain(const Job& job, const std::stop_token& stop, bool space_is_short) {
  Partition* const partition = job.partition;
  OffsetRange range;
  int64_t bytes = 0;
  {
    base::MutexLock lock(&partitions_->mu);
    range = partition->range;
    bytes = partition->bytes_appended - partition->bytes_dropped;
  }
  const absl::Time now = clock_->TimeNow();
  Offset keep_from = range.first;
  int64_t dropped = 0;
  int64_t records = 0;
  const auto cursor = database_->Scan(kRecords, RecordKey(partition->key, range.first), RecordKey(partition->key, range.end));
  for (; cursor->Valid() && !stop.stop_requested(); cursor->Next()) {
    HUB_ASSIGN_OR_RETURN(const StoredRecord record, DecodeRecord(cursor->key(), cursor->value()));
    const bool aged = record.appended_at + job.spec.retention < now;
    const bool over = job.spec.retention_bytes >= 0 && bytes - dropped > job.spec.retention_bytes;
    if (!aged && !over) break;
    keep_from = record.offset + 1;
    dropped += SizeOf(record);
    ++records;
  }
  HUB_RETURN_IF_ERROR(cursor->status());

  if (records > 0) {
    {
      base::MutexLock lock(&partitions_->mu);
      partition->range.first = keep_from;  // before the deletion: invariant 2
    }
    store::Batch batch;
    batch.DeleteRange(kRecords, RecordKey(partition->key, range.first), RecordKey(partition->key, keep_from));
    batch.Put(kStarts, partition->key, Encode(StartRow{keep_from, partition->bytes_dropped + dropped, partition->clean_from}));
    // Synced, because Reclaim may drop the files: the start must not come back without its records.
    if (absl::Status status = database_->Commit(batch, store::Durability::kSynced); !status.ok()) {
      base::MutexLock lock(&partitions_->mu);
      partition->range.first = range.first;
      return status;
    }
    partition->bytes_dropped += dropped;
    partition->bytes_to_reclaim += dropped;
    probe_->cleaned_by_age.Increment(static_cast<double>(records));
  }
  if (partition->bytes_to_reclaim >= kReclaimBytes || (space_is_short && partition->bytes_to_reclaim > 0)) {
    HUB_RETURN_IF_ERROR(database_->Reclaim(kRecords, RecordKey(partition->key, 0), RecordKey(partition->key, keep_from)));
    partition->bytes_to_reclaim = 0;
  }
  return absl::OkStatus();
}

absl::Status Cleaner::Compact(const Job& job, const std::stop_token& stop) {
  bool more = true;
  while (more && !stop.stop_requested()) {
    HUB_ASSIGN_OR_RETURN(more, CompactSome(job));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Cleaner::CompactSome(const Job& job) {
  Partition* const partition = job.partition;
  Offset end = 0;
  {
    base::MutexLock lock(&partitions_->mu);
    end = partition->range.end;
  }
  const absl::Time now = clock_->TimeNow();
  std::vector<std::pair<std::string, Offset>> passed;  // key in kKeys, offset
  int64_t bytes = 0;
  const auto cursor = database_->Scan(kRecords, RecordKey(partition->key, partition->clean_from), RecordKey(partition->key, end));
  for (; cursor->Valid() && passed.size() < kStepRecords && bytes < kStepBytes; cursor->Next()) {
    HUB_ASSIGN_OR_RETURN(const StoredRecord record, DecodeRecord(cursor->key(), cursor->value()));
    if (record.appended_at + job.spec.compaction_lag > now) break;
    passed.emplace_back(partition->key + record.key, record.offset);
    bytes += SizeOf(record);
  }
  HUB_RETURN_IF_ERROR(cursor->status());
  if (passed.empty()) return false;

  std::vector<std::string> keys;
  keys.reserve(passed.size());
  for (const auto& [key, offset] : passed) keys.push_back(key);
  HUB_ASSIGN_OR_RETURN(const auto known, database_->MultiGet(kKeys, keys));
  std::map<std::string, Offset> last;
  store::Batch batch;
  int64_t superseded = 0;
  for (size_t i = 0; i < passed.size(); ++i) {
    const auto& [key, offset] = passed[i];
    const auto [entry, first_in_step] = last.emplace(key, offset);
    if (!first_in_step) {
      batch.Delete(kRecords, RecordKey(partition->key, std::exchange(entry->second, offset)));
      ++superseded;
    } else if (known[i].has_value()) {
      batch.Delete(kRecords, RecordKey(partition->key, static_cast<Offset>(store::DecodeKey64(*known[i]))));
      ++superseded;
    }
  }
  for (const auto& [key, offset] : last) {
    std::string value;
    store::AppendKey64(static_cast<uint64_t>(offset), &value);
    batch.Put(kKeys, key, value);
  }
  const Offset clean_from = passed.back().second + 1;
  batch.Put(kStarts, partition->key, Encode(StartRow{0, partition->bytes_dropped, clean_from}));
  // Buffered: a power loss takes the whole step back, and it is then done again.
  HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kBuffered));
  partition->clean_from = clean_from;
  probe_->cleaned_by_key.Increment(static_cast<double>(superseded));
  return true;
}

}  // namespace hub::eventlog::local
