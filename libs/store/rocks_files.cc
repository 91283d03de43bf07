#include "libs/store/rocks_files.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/thread.h"

namespace hub::store::rocks {
namespace {

// Flushes and compactions leave this much to the write-ahead log and the manifest.
constexpr int64_t kLeftToLogs = int64_t{2} << 20;
constexpr int kCompactionNice = 5;
// Keys come from everywhere, so a block of rows is rarely wanted again; indexes and filters always are.
constexpr double kCacheForIndexes = 0.75;
constexpr int kCacheShardBits = 4;
// How often the guard asks for the free space: what a file may take past the limit.
constexpr int64_t kGuardStep = int64_t{256} << 10;

// A table file that fails with NoSpace before the disk is really full.
class GuardedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  GuardedFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string name)
      : FSWritableFileOwnerWrapper(std::move(file)), name_(std::move(name)) {}

  using FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    if (rocksdb::IOStatus status = Take(data.size()); !status.ok()) return status;
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification, rocksdb::IODebugContext* debug) override {
    if (rocksdb::IOStatus status = Take(data.size()); !status.ok()) return status;
    return FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
  }
  // Preallocation takes real space. RocksDB does not need it to work.
  rocksdb::IOStatus Allocate(uint64_t offset, uint64_t size, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
    if (FreeBytes(name_) < kLeftToLogs + static_cast<int64_t>(size)) return rocksdb::IOStatus::OK();
    return FSWritableFileOwnerWrapper::Allocate(offset, size, options, debug);
  }

 private:
  rocksdb::IOStatus Take(size_t size) {
    unchecked_ += static_cast<int64_t>(size);
    if (unchecked_ < kGuardStep && asked_) return rocksdb::IOStatus::OK();
    if (FreeBytes(name_) < kLeftToLogs + unchecked_) return rocksdb::IOStatus::NoSpace(name_, "guarded");
    asked_ = true;
    unchecked_ = 0;
    return rocksdb::IOStatus::OK();
  }

  const std::string name_;
  int64_t unchecked_ = 0;
  bool asked_ = false;
};

class GuardedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  GuardedFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "hub.guarded"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    const rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (status.ok() && absl::EndsWith(name, ".sst")) *file = std::make_unique<GuardedFile>(std::move(*file), name);
    return status;
  }
};

// Learns of errors that stop RocksDB, and keeps it from its own recovery, which would get in the way of closing.
class ErrorWatch final : public rocksdb::EventListener {
 public:
  explicit ErrorWatch(std::shared_ptr<std::atomic<bool>> stopped) : stopped_(std::move(stopped)) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status*) override {
    stopped_->store(true, std::memory_order_relaxed);
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  const std::shared_ptr<std::atomic<bool>> stopped_;
};

// Nobody waits for a compaction, until there are too many files for the next flush: then it gets the core that the writer doesn't use.
class LowerPriority final : public rocksdb::EventListener {
 public:
  void OnCompactionBegin(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override { base::GiveWay(kCompactionNice); }
};

// RocksDB's messages of level WARN and above, in our log. Its own log is a file in the database's folder, and Debian's build aborts when
// that can't be written because the disk is full.
class OwnLog final : public rocksdb::Logger {
 public:
  OwnLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[512];  // longer lines are cut
    vsnprintf(line, sizeof(line), format, arguments);
    HUB_LOG_EVERY(1, WARN, "rocksdb", {{"line", absl::StripAsciiWhitespace(line)}});
  }
};

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
  // No recovery of its own from errors that may pass: see the head of rocks_files.h.
  db.max_bgerror_resume_count = 0;
  // File descriptors and the memory of table readers stay bounded; fanout needs its descriptors for streams.
  db.max_open_files = 512;
  // Memory of what is not written out yet, whatever the number of tables. The buffer that goes is the oldest, so the WAL stays short, too.
  db.db_write_buffer_size = options.write_buffers_bytes;
  // Smooths write-back of big files, so that one sync does not wait for a whole compaction's dirty pages.
  db.bytes_per_sync = size_t{1} << 20;
  // RocksDB's own text goes to our log, and no periodic dumps of statistics.
  db.info_log = std::make_shared<OwnLog>();
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
  // The default, Snappy, loses to both: LZ4 where bytes are rewritten often, zstd where they stay. Rows by random keys never stay: each flush
  // has some for every file of the last level.
  table.compression = rocksdb::kLZ4Compression;
  table.bottommost_compression = shape == TableShape::kScans ? rocksdb::kZSTD : rocksdb::kLZ4Compression;

  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = cache;
  // Indexes and filters count against the cache, so that memory doesn't grow with the data.
  blocks.cache_index_and_filter_blocks = true;
  blocks.cache_index_and_filter_blocks_with_high_priority = true;
  blocks.pin_l0_filter_and_index_blocks_in_cache = true;
  if (shape == TableShape::kPointLookups) {
    blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, /*use_block_based_builder=*/false));
    // In pieces of 4 KB: those of a whole file are a megabyte, and a small cache would read one for a single key.
    blocks.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    blocks.partition_filters = true;
    blocks.pin_top_level_index_and_filter = true;
  } else {
    // Read in order: bigger blocks compress better, and a filter would never be asked.
    blocks.block_size = size_t{16} << 10;
  }
  table.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  return table;
}

// RocksDB has no code for a lock that is held; the words are those of its env/io_posix.cc.
bool IsLockHeld(const rocksdb::Status& status) {
  const std::string words = status.ToString();
  return status.IsIOError() && (absl::StrContains(words, "lock hold by") || absl::StrContains(words, "While lock file"));
}

}  // namespace

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

int64_t FreeBytes(const std::string& path) {
  struct statvfs now = {};
  if (statvfs(path.c_str(), &now) != 0) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(now.f_bavail) * static_cast<int64_t>(now.f_frsize);
}

Files::Files() : stopped(std::make_shared<std::atomic<bool>>(false)) {}

Files::~Files() {
  if (db == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* table : tables) db->DestroyColumnFamilyHandle(table);
  if (const rocksdb::Status closed = db->Close(); !closed.ok()) {
    HUB_LOG(WARN, "database_close_failed", {{"path", path}, {"error", closed.ToString()}});
  }
}

Opener::Opener(std::string path, std::vector<TableSpec> tables, const DatabaseOptions& options)
    : path_(std::move(path)),
      tables_(std::move(tables)),
      options_(options),
      cache_(rocksdb::NewLRUCache(options.block_cache_bytes, kCacheShardBits, /*strict_capacity_limit=*/false,
                                  kCacheForIndexes)),
      guard_(std::make_shared<GuardedFileSystem>()),
      env_(rocksdb::NewCompositeEnv(guard_)) {}

Opener::~Opener() = default;

int64_t Opener::commit_reserve() const { return kLeftToLogs + static_cast<int64_t>(options_.write_buffer_bytes); }

absl::StatusOr<std::unique_ptr<Files>> Opener::Open() {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) return absl::UnavailableError(absl::StrCat(path_, ": ", error.message()));

  auto files = std::make_unique<Files>();
  files->path = path_;
  rocksdb::DBOptions db_options = DatabaseWideOptions(options_, tables_.size());
  db_options.env = env_.get();
  db_options.listeners.push_back(std::make_shared<ErrorWatch>(files->stopped));
  db_options.listeners.push_back(std::make_shared<LowerPriority>());

  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  std::set<std::string> named;
  for (const TableSpec& table : tables_) {
    HUB_CHECK(!table.name.empty() && named.insert(table.name).second);
    families.emplace_back(table.name, TableOptions(table.shape, options_, cache_));
  }
  // RocksDB opens all families that are there or none. The default one exists always.
  std::vector<std::string> present;
  if (std::filesystem::exists(std::filesystem::path(path_) / "CURRENT", error)) {
    if (const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(db_options, path_, &present); !listed.ok()) {
      return ToStatus(listed, path_);
    }
  }
  present.push_back(rocksdb::kDefaultColumnFamilyName);
  for (const std::string& name : present) {
    if (named.insert(name).second) families.emplace_back(name, TableOptions(TableShape::kPointLookups, options_, cache_));
  }

  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(db_options, path_, families, &files->tables, &opened);
  files->db.reset(opened);
  if (IsLockHeld(status)) return absl::FailedPreconditionError(absl::StrCat(path_, ": open in another process"));
  if (!status.ok()) return ToStatus(status, path_);
  return files;
}

}  // namespace hub::store::rocks
