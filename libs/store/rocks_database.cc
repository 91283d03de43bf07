#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/store/database.h"

namespace hub::store {
namespace {

rocksdb::Slice ToSlice(absl::string_view s) { return rocksdb::Slice(s.data(), s.size()); }
absl::string_view ToView(const rocksdb::Slice& s) { return absl::string_view(s.data(), s.size()); }

absl::Status ToStatus(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kSpaceLimit) {
    return absl::ResourceExhaustedError(absl::StrCat("disk full: ", message));
  }
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsInvalidArgument() || status.IsNotSupported()) return absl::FailedPreconditionError(message);
  return absl::UnavailableError(message);
}

rocksdb::DBOptions DatabaseWideOptions(const DatabaseOptions& options, size_t table_count) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  // One flush and one compaction at a time: two cores are the small machine, and 7.8's retry of failed flushes may misorder updates
  // with more jobs and more write buffers.
  db.max_background_jobs = 2;
  // A rarely written table would otherwise keep every WAL since its last flush alive; past this bound it is flushed.
  db.max_total_wal_size = std::max<size_t>(size_t{64} << 20, 2 * options.write_buffer_bytes * std::min<size_t>(table_count, 4));
  // Default, named because it decides what a power loss does: a torn tail is cut, the commits before it are kept.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // File descriptors and the memory of table readers stay bounded; fanout needs its descriptors for streams.
  db.max_open_files = 512;
  // Smooths write-back of big files, so that one sync does not wait for a whole compaction's dirty pages.
  db.bytes_per_sync = size_t{1} << 20;
  // RocksDB's own text log: bounded, and no periodic dumps.
  db.max_log_file_size = size_t{4} << 20;
  db.keep_log_file_num = 4;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

rocksdb::ColumnFamilyOptions TableOptions(TableShape shape, const DatabaseOptions& options,
                                          const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions table;
  // Two buffers per table bound the memory; a writer that outruns the flush waits (a stall, not an error).
  table.write_buffer_size = options.write_buffer_bytes;
  table.max_write_buffer_number = 2;
  // Keeps at most about a tenth of dead bytes on disk, whatever the size of the table.
  table.level_compaction_dynamic_level_bytes = true;
  // The default, Snappy, loses to both: LZ4 where bytes are rewritten often, zstd where they stay.
  table.compression = rocksdb::kLZ4Compression;
  table.bottommost_compression = rocksdb::kZSTD;

  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = cache;
  // Indexes and filters count against the cache, so that memory doesn't grow with the data.
  blocks.cache_index_and_filter_blocks = true;
  blocks.pin_l0_filter_and_index_blocks_in_cache = true;
  blocks.format_version = 5;
  if (shape == TableShape::kPointLookups) {
    blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, /*use_block_based_builder=*/false));
  } else {
    // Read in order: bigger blocks compress better, and a filter would never be asked.
    blocks.block_size = size_t{16} << 10;
  }
  table.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  return table;
}

class RocksCursor final : public Cursor {
 public:
  RocksCursor(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* table, absl::string_view begin, absl::string_view end)
      : end_(end), bound_(end_) {
    rocksdb::ReadOptions options;
    if (!end_.empty()) options.iterate_upper_bound = &bound_;
    it_.reset(db->NewIterator(options, table));
    it_->Seek(ToSlice(begin));
  }
  bool Valid() const override { return it_->Valid(); }
  void Next() override { it_->Next(); }
  absl::string_view key() const override { return ToView(it_->key()); }
  absl::string_view value() const override { return ToView(it_->value()); }
  absl::Status status() const override { return ToStatus(it_->status(), "scan"); }

 private:
  const std::string end_;
  const rocksdb::Slice bound_;  // the iterator keeps a pointer to it
  std::unique_ptr<rocksdb::Iterator> it_;
};

// An inverted range is an empty one; RocksDB calls it corruption or worse.
class EmptyCursor final : public Cursor {
 public:
  bool Valid() const override { return false; }
  void Next() override { HUB_CHECK(false); }
  absl::string_view key() const override { return {}; }
  absl::string_view value() const override { return {}; }
  absl::Status status() const override { return absl::OkStatus(); }
};

// Kept free for RocksDB's own work; a commit that would go below it is refused before it touches the WAL.
constexpr int64_t kSpareBytes = int64_t{1} << 20;

int64_t FreeBytes(const std::string& path) {
  struct statvfs now = {};
  if (statvfs(path.c_str(), &now) != 0) return std::numeric_limits<int64_t>::max();  // then RocksDB will find out
  return static_cast<int64_t>(now.f_bavail) * static_cast<int64_t>(now.f_frsize);
}

// Learns of errors that stop RocksDB, and keeps it from recovering by itself: its own recovery polls every five seconds, wants more
// free space than needed, and while it is waiting it refuses our Resume.
// Thread safety: RocksDB calls it from its threads.
class ErrorWatch final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status*) override {
    if (reason == rocksdb::BackgroundErrorReason::kWriteCallback || reason == rocksdb::BackgroundErrorReason::kMemTable) {
      wal_failed.store(true, std::memory_order_relaxed);
    }
    stopped.store(true, std::memory_order_relaxed);
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }

  // relaxed: hints to try Resume; RocksDB has its own locks
  std::atomic<bool> stopped{false};
  std::atomic<bool> wal_failed{false};
};

class RocksDatabase final : public Database {
 public:
  RocksDatabase(std::string path, std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> all_handles,
                size_t table_count, std::shared_ptr<ErrorWatch> errors)
      : path_(std::move(path)),
        errors_(std::move(errors)),
        db_(std::move(db)),
        handles_(std::move(all_handles)),
        table_count_(table_count) {
    PutMarker();
  }

  ~RocksDatabase() override {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
    if (const rocksdb::Status closed = db_->Close(); !closed.ok()) {
      HUB_LOG(WARN, "database_close_failed", {{"path", path_}, {"error", closed.ToString()}});
    }
  }

  absl::Status Commit(const Batch& batch, Durability durability) override {
    // Space first: a WAL that failed half-way through a write is the hardest thing to recover from.
    if (const int64_t free_bytes = FreeBytes(path_); free_bytes < kSpareBytes + 2 * static_cast<int64_t>(batch.bytes())) {
      return absl::ResourceExhaustedError(absl::StrCat("disk full: ", path_, ": ", free_bytes, " bytes free"));
    }
    rocksdb::WriteBatch writes(batch.bytes() + 16 * batch.operations().size());
    for (const Batch::Operation& operation : batch.operations()) {
      rocksdb::ColumnFamilyHandle* const table = At(operation.table);
      rocksdb::Status added;
      switch (operation.kind) {
        case Batch::Operation::Kind::kPut: added = writes.Put(table, operation.key, operation.value); break;
        case Batch::Operation::Kind::kDelete: added = writes.Delete(table, operation.key); break;
        case Batch::Operation::Kind::kDeleteRange:
          if (operation.key < operation.value) added = writes.DeleteRange(table, operation.key, operation.value);
          break;
      }
      HUB_CHECK(added.ok());  // fails only on keys past 4 GB
    }
    rocksdb::WriteOptions options;
    options.sync = durability == Durability::kSynced;
    absl::Status written;
    // Twice: the first try may be refused for a flush that failed in the background before space came back.
    for (int i = 0; i < 2; ++i) {
      HUB_RETURN_IF_ERROR(ResumeIfStopped());
      written = ToStatus(db_->Write(options, &writes), path_);
      if (!absl::IsResourceExhausted(written)) break;
    }
    return written;
  }

  absl::StatusOr<std::optional<std::string>> Get(TableId table, absl::string_view key) const override {
    std::string value;
    const rocksdb::Status found = db_->Get(rocksdb::ReadOptions(), At(table), ToSlice(key), &value);
    if (found.IsNotFound()) return std::optional<std::string>();
    if (!found.ok()) return ToStatus(found, path_);
    return std::optional<std::string>(std::move(value));
  }

  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    // 7.8's MultiGet answers wrongly when a key is there twice: ask for each once, in key order, and copy the answers.
    std::vector<size_t> order(keys.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
    std::vector<rocksdb::Slice> distinct;
    std::vector<size_t> answer_of(keys.size());
    for (const size_t i : order) {
      if (distinct.empty() || distinct.back() != rocksdb::Slice(keys[i])) distinct.emplace_back(keys[i]);
      answer_of[i] = distinct.size() - 1;
    }
    std::vector<rocksdb::PinnableSlice> found(distinct.size());
    std::vector<rocksdb::Status> statuses(distinct.size());
    db_->MultiGet(rocksdb::ReadOptions(), At(table), distinct.size(), distinct.data(), found.data(), statuses.data(),
                  /*sorted_input=*/true);
    std::vector<std::optional<std::string>> values(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const rocksdb::Status& status = statuses[answer_of[i]];
      if (status.ok()) {
        values[i] = found[answer_of[i]].ToString();
      } else if (!status.IsNotFound()) {
        return ToStatus(status, path_);
      }
    }
    return values;
  }

  std::unique_ptr<Cursor> Scan(TableId table, absl::string_view begin, absl::string_view end) const override {
    if (!end.empty() && end <= begin) return std::make_unique<EmptyCursor>();
    return std::make_unique<RocksCursor>(db_.get(), At(table), begin, end);
  }

  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(TableId table, absl::string_view begin,
                                                                        absl::string_view end) const override {
    std::optional<std::pair<std::string, std::string>> last;
    if (!end.empty() && end <= begin) return last;
    const rocksdb::Slice lower = ToSlice(begin);
    const rocksdb::Slice upper = ToSlice(end);
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower;
    if (!end.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, At(table)));
    it->SeekToLast();
    if (!it->Valid()) {
      if (!it->status().ok()) return ToStatus(it->status(), path_);
      return last;
    }
    last.emplace(it->key().ToString(), it->value().ToString());
    return last;
  }

  absl::Status Reclaim(TableId table, absl::string_view begin, absl::string_view end) override {
    const rocksdb::Slice first = ToSlice(begin);
    const rocksdb::Slice last = ToSlice(end);
    // Whole files first: they cost nothing to drop, and on a full disk there is no room to rewrite anything before.
    const rocksdb::Status dropped =
        rocksdb::DeleteFilesInRange(db_.get(), At(table), &first, &last, /*include_end=*/false);
    if (!dropped.ok()) return ToStatus(dropped, path_);
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;  // must not hold up the compactions that keep writers going
    return ToStatus(db_->CompactRange(options, At(table), &first, &last), path_);
  }

 private:
  // After an error RocksDB refuses every write until Resume, long after space is back: try at each commit.
  absl::Status ResumeIfStopped() {
    if (!errors_->stopped.load(std::memory_order_relaxed)) return absl::OkStatus();
    base::MutexLock lock(&resume_mu_);
    if (!errors_->stopped.load(std::memory_order_relaxed)) return absl::OkStatus();
    // A try that failed for want of space fails again until there is more of it; each costs a flush.
    const int64_t free_bytes = FreeBytes(path_);
    if (free_bytes <= not_enough_bytes_) {
      return absl::ResourceExhaustedError(absl::StrCat("disk full: ", path_, ": ", free_bytes, " bytes free"));
    }
    // Resume leaves a WAL with a torn write behind by flushing what is in memory, but 7.8 goes on with that WAL when nothing is, and
    // Debian's build then aborts at the next write. The marker makes this all but impossible.
    if (errors_->wal_failed.load(std::memory_order_relaxed) && MemoryIsEmpty()) {
      HUB_LOG_EVERY(60, ERROR, "database_needs_restart", {{"path", path_}});
      return absl::UnavailableError(absl::StrCat(path_, ": the write-ahead log failed; restart to recover"));
    }
    errors_->stopped.store(false, std::memory_order_relaxed);  // before: an error during Resume sets it again
    if (const rocksdb::Status resumed = db_->Resume(); !resumed.ok()) {
      errors_->stopped.store(true, std::memory_order_relaxed);
      const absl::Status status = ToStatus(resumed, absl::StrCat(path_, ": resume"));
      if (absl::IsResourceExhausted(status)) not_enough_bytes_ = free_bytes;
      return status;
    }
    errors_->wal_failed.store(false, std::memory_order_relaxed);
    not_enough_bytes_ = -1;
    PutMarker();
    HUB_LOG(INFO, "database_resumed", {{"path", path_}});
    return absl::OkStatus();
  }

  // A row in a table that nobody uses, so that there is always something in memory for Resume to flush. If it fails, the next commit
  // fails too and says so.
  void PutMarker() { db_->Put(rocksdb::WriteOptions(), "marker", "").PermitUncheckedError(); }

  bool MemoryIsEmpty() const {
    uint64_t entries = 0;
    return db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kNumEntriesActiveMemTable, &entries) && entries == 0;
  }

  rocksdb::ColumnFamilyHandle* At(TableId table) const {
    HUB_CHECK(table >= 0 && static_cast<size_t>(table) < table_count_);
    return handles_[static_cast<size_t>(table)];
  }

  const std::string path_;
  const std::shared_ptr<ErrorWatch> errors_;
  const std::unique_ptr<rocksdb::DB> db_;
  // Those of the caller's tables first, in their order; then the default one (the marker's) and tables that the caller doesn't know.
  const std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  const size_t table_count_;
  base::Mutex resume_mu_;
  int64_t not_enough_bytes_ ABSL_GUARDED_BY(resume_mu_) = -1;  // free space at the last failed Resume
};

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenDatabase(const std::string& path, const std::vector<TableSpec>& tables,
                                                     const DatabaseOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return absl::UnavailableError(absl::StrCat(path, ": ", error.message()));

  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  rocksdb::DBOptions db_options = DatabaseWideOptions(options, tables.size());
  const auto errors = std::make_shared<ErrorWatch>();
  db_options.listeners.push_back(errors);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  std::set<std::string> named;
  for (const TableSpec& table : tables) {
    HUB_CHECK(!table.name.empty() && named.insert(table.name).second);
    families.emplace_back(table.name, TableOptions(table.shape, options, cache));
  }
  // RocksDB opens all families that are there or none. The default one exists always.
  std::vector<std::string> present;
  if (std::filesystem::exists(std::filesystem::path(path) / "CURRENT", error)) {
    if (const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(db_options, path, &present); !listed.ok()) {
      return ToStatus(listed, path);
    }
  }
  present.push_back(rocksdb::kDefaultColumnFamilyName);
  for (const std::string& name : present) {
    if (named.insert(name).second) families.emplace_back(name, TableOptions(TableShape::kPointLookups, options, cache));
  }

  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status status = rocksdb::DB::Open(db_options, path, families, &handles, &opened);
  if (!status.ok()) {
    // RocksDB has no code for this; the words are those of env/io_posix ("While lock file: .../LOCK", "lock hold by current process").
    const std::string words = status.ToString();
    if (status.IsIOError() && (absl::StrContains(words, "lock hold by") || absl::StrContains(words, "While lock file"))) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": open in another process"));
    }
    return ToStatus(status, path);
  }
  return std::unique_ptr<Database>(std::make_unique<RocksDatabase>(path, std::unique_ptr<rocksdb::DB>(opened),
                                                                   std::move(handles), tables.size(), errors));
}

}  // namespace hub::store
