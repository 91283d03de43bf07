#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/store/database.h"
#include "libs/store/rocks_files.h"

namespace hub::store {
namespace {

using rocks::Files;
using rocks::ToStatus;

rocksdb::Slice ToSlice(absl::string_view s) { return rocksdb::Slice(s.data(), s.size()); }
absl::string_view ToView(const rocksdb::Slice& s) { return absl::string_view(s.data(), s.size()); }

// How long a commit waits for readers to let go of a database that must be opened anew; a thread may wait for itself here.
constexpr absl::Duration kReadersWait = absl::Milliseconds(200);

// The open files, and who is using them: they may be closed only when nobody is.
// Thread safety: all methods from any thread.
class FilesInUse {
 public:
  explicit FilesInUse(std::unique_ptr<Files> files) : files_(std::move(files)) {}

  // One user. Keeps the files open until it is destroyed; from any thread.
  class Lease {
   public:
    Lease(FilesInUse* owner, Files* files) : owner_(owner), files_(files) {}
    Lease(Lease&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), files_(other.files_) {}
    ~Lease() {
      if (owner_ != nullptr) owner_->Release();
    }
    Files* operator->() const { return files_; }
    bool ok() const { return files_ != nullptr; }

   private:
    FilesInUse* owner_;
    Files* files_;  // null: closed, and could not be opened again so far
  };

  Lease Use() {
    base::MutexLock lock(&mu_);
    while (replacing_) changed_.Wait(&mu_);
    ++users_;
    return Lease(this, files_.get());
  }

  // Closes the files if an error stopped them, and opens them again. ResourceExhausted: somebody still uses them.
  absl::Status ReplaceIfStopped(rocks::Opener* opener) {
    {
      base::MutexLock lock(&mu_);
      while (replacing_) changed_.Wait(&mu_);
      if (files_ != nullptr && !files_->stopped->load(std::memory_order_relaxed)) return absl::OkStatus();
      replacing_ = true;
      while (users_ > 0) {
        if (changed_.WaitFor(&mu_, kReadersWait) || users_ == 0) continue;
        replacing_ = false;
        changed_.NotifyAll();
        return absl::ResourceExhaustedError(absl::StrCat(opener->path(), ": waiting for readers, to recover from a full disk"));
      }
    }
    // Nobody gets in while replacing_ is set, so no lock is held over the disk's work.
    files_unlocked().reset();
    absl::StatusOr<std::unique_ptr<Files>> opened = opener->Open();
    base::MutexLock lock(&mu_);
    if (opened.ok()) files_ = std::move(*opened);
    replacing_ = false;
    changed_.NotifyAll();
    return opened.status();
  }

 private:
  void Release() {
    base::MutexLock lock(&mu_);
    if (--users_ == 0 && replacing_) changed_.NotifyAll();
  }
  std::unique_ptr<Files>& files_unlocked() ABSL_NO_THREAD_SAFETY_ANALYSIS { return files_; }

  base::Mutex mu_;
  base::CondVar changed_;
  std::unique_ptr<Files> files_ ABSL_GUARDED_BY(mu_);
  int users_ ABSL_GUARDED_BY(mu_) = 0;
  bool replacing_ ABSL_GUARDED_BY(mu_) = false;
};

class RocksCursor final : public Cursor {
 public:
  RocksCursor(FilesInUse::Lease files, TableId table, TableShape shape, absl::string_view begin, absl::string_view end)
      : files_(std::move(files)), end_(end), bound_(end_) {
    rocksdb::ReadOptions options;
    if (!end_.empty()) options.iterate_upper_bound = &bound_;
    // Who reads a whole table, or one of points in order, reads it once: it would push everything else out of the cache.
    options.fill_cache = shape == TableShape::kScans && (!begin.empty() || !end_.empty());
    it_.reset(files_->db->NewIterator(options, files_->tables[static_cast<size_t>(table)]));
    it_->Seek(ToSlice(begin));
  }
  bool Valid() const override { return it_->Valid(); }
  void Next() override { it_->Next(); }
  absl::string_view key() const override { return ToView(it_->key()); }
  absl::string_view value() const override { return ToView(it_->value()); }
  absl::Status status() const override { return ToStatus(it_->status(), files_->path); }

 private:
  const FilesInUse::Lease files_;
  const std::string end_;
  const rocksdb::Slice bound_;  // the iterator keeps a pointer to it
  std::unique_ptr<rocksdb::Iterator> it_;
};

class EmptyCursor final : public Cursor {
 public:
  explicit EmptyCursor(absl::Status status) : status_(std::move(status)) {}
  bool Valid() const override { return false; }
  void Next() override { HUB_CHECK(false); }
  absl::string_view key() const override { return {}; }
  absl::string_view value() const override { return {}; }
  absl::Status status() const override { return status_; }

 private:
  const absl::Status status_;
};

class RocksDatabase final : public Database {
 public:
  RocksDatabase(std::unique_ptr<rocks::Opener> opener, std::unique_ptr<Files> files)
      : opener_(std::move(opener)), files_(std::move(files)) {}

  absl::Status Commit(const Batch& batch, Durability durability) override {
    const int64_t wanted = opener_->commit_reserve() + static_cast<int64_t>(batch.bytes());
    if (const int64_t free_bytes = rocks::FreeBytes(opener_->path()); free_bytes < wanted) {
      return absl::ResourceExhaustedError(
          absl::StrCat("disk full: ", opener_->path(), ": ", free_bytes, " bytes free, want ", wanted));
    }
    absl::Status written = Write(batch, durability);
    // Once more: it may have been refused for a flush that failed earlier, in the background.
    if (!written.ok() && !absl::IsDataLoss(written) && Recover().ok()) written = Write(batch, durability);
    return written;
  }

  absl::StatusOr<std::optional<std::string>> Get(TableId table, absl::string_view key) const override {
    const FilesInUse::Lease files = files_.Use();
    if (!files.ok()) return Closed();
    std::string value;
    const rocksdb::Status found = files->db->Get(rocksdb::ReadOptions(), At(files, table), ToSlice(key), &value);
    if (found.IsNotFound()) return std::optional<std::string>();
    if (!found.ok()) return ToStatus(found, opener_->path());
    return std::optional<std::string>(std::move(value));
  }

  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    const FilesInUse::Lease files = files_.Use();
    if (!files.ok()) return Closed();
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
    files->db->MultiGet(rocksdb::ReadOptions(), At(files, table), distinct.size(), distinct.data(), found.data(),
                        statuses.data(), /*sorted_input=*/true);
    std::vector<std::optional<std::string>> values(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const rocksdb::Status& status = statuses[answer_of[i]];
      if (status.ok()) {
        values[i] = found[answer_of[i]].ToString();
      } else if (!status.IsNotFound()) {
        return ToStatus(status, opener_->path());
      }
    }
    return values;
  }

  std::unique_ptr<Cursor> Scan(TableId table, absl::string_view begin, absl::string_view end) const override {
    // An inverted range is an empty one; RocksDB makes no promise for it.
    if (!end.empty() && end <= begin) return std::make_unique<EmptyCursor>(absl::OkStatus());
    FilesInUse::Lease files = files_.Use();
    if (!files.ok()) return std::make_unique<EmptyCursor>(Closed());
    At(files, table);  // checks the table
    const TableShape shape = opener_->shape(table);
    return std::make_unique<RocksCursor>(std::move(files), table, shape, begin, end);
  }

  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(TableId table, absl::string_view begin,
                                                                        absl::string_view end) const override {
    std::optional<std::pair<std::string, std::string>> last;
    if (!end.empty() && end <= begin) return last;
    const FilesInUse::Lease files = files_.Use();
    if (!files.ok()) return Closed();
    const rocksdb::Slice lower = ToSlice(begin);
    const rocksdb::Slice upper = ToSlice(end);
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower;
    if (!end.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(files->db->NewIterator(options, At(files, table)));
    it->SeekToLast();
    if (!it->Valid()) {
      if (!it->status().ok()) return ToStatus(it->status(), opener_->path());
      return last;
    }
    last.emplace(it->key().ToString(), it->value().ToString());
    return last;
  }

  absl::Status Reclaim(TableId table, absl::string_view begin, absl::string_view end) override {
    const FilesInUse::Lease files = files_.Use();
    if (!files.ok()) return Closed();
    const rocksdb::Slice first = ToSlice(begin);
    const rocksdb::Slice last = ToSlice(end);
    // Whole files first: they cost nothing to drop, and on a full disk there is no room to rewrite anything before.
    const rocksdb::Status dropped =
        rocksdb::DeleteFilesInRange(files->db.get(), At(files, table), &first, &last, /*include_end=*/false);
    if (!dropped.ok()) return ToStatus(dropped, opener_->path());
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;  // must not hold up the compactions that keep writers going
    return ToStatus(files->db->CompactRange(options, At(files, table), &first, &last), opener_->path());
  }

 private:
  rocksdb::ColumnFamilyHandle* At(const FilesInUse::Lease& files, TableId table) const {
    HUB_CHECK(table >= 0 && static_cast<size_t>(table) < opener_->table_count());
    return files->tables[static_cast<size_t>(table)];
  }

  absl::Status Closed() const {
    return absl::UnavailableError(absl::StrCat(opener_->path(), ": closed by an error, and not yet open again"));
  }

  absl::Status Write(const Batch& batch, Durability durability) {
    const FilesInUse::Lease files = files_.Use();
    if (!files.ok()) return Closed();
    if (files->stopped->load(std::memory_order_relaxed)) {
      return absl::ResourceExhaustedError(absl::StrCat(opener_->path(), ": stopped by an error in the background"));
    }
    rocksdb::WriteBatch writes(batch.bytes() + 16 * batch.operations().size());
    for (const Batch::Operation& operation : batch.operations()) {
      rocksdb::ColumnFamilyHandle* const table = At(files, operation.table);
      rocksdb::Status added;
      switch (operation.kind) {
        case Batch::Operation::Kind::kPut: added = writes.Put(table, ToSlice(operation.key), ToSlice(operation.value)); break;
        case Batch::Operation::Kind::kDelete: added = writes.Delete(table, ToSlice(operation.key)); break;
        case Batch::Operation::Kind::kDeleteRange:
          if (operation.key < operation.value) {
            added = writes.DeleteRange(table, ToSlice(operation.key), ToSlice(operation.value));
          }
          break;
      }
      HUB_CHECK(added.ok());  // fails only on keys past 4 GB
    }
    rocksdb::WriteOptions options;
    options.sync = durability == Durability::kSynced;
    return ToStatus(files->db->Write(options, &writes), opener_->path());
  }

  // Opens the database anew after an error, when there is room for what is in memory to be written.
  absl::Status Recover() {
    {
      const FilesInUse::Lease files = files_.Use();
      uint64_t in_memory = 0;
      if (files.ok()) files->db->GetAggregatedIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &in_memory);
      const int64_t wanted = opener_->commit_reserve() + static_cast<int64_t>(in_memory);
      if (rocks::FreeBytes(opener_->path()) < wanted) {
        return absl::ResourceExhaustedError(absl::StrCat("disk full: ", opener_->path(), ": want ", wanted, " bytes to recover"));
      }
    }
    HUB_RETURN_IF_ERROR(files_.ReplaceIfStopped(opener_.get()));
    HUB_LOG(INFO, "database_recovered", {{"path", opener_->path()}});
    return absl::OkStatus();
  }

  const std::unique_ptr<rocks::Opener> opener_;
  mutable FilesInUse files_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenDatabase(const std::string& path, const std::vector<TableSpec>& tables,
                                                     const DatabaseOptions& options) {
  auto opener = std::make_unique<rocks::Opener>(path, tables, options);
  HUB_ASSIGN_OR_RETURN(auto files, opener->Open());
  return std::unique_ptr<Database>(std::make_unique<RocksDatabase>(std::move(opener), std::move(files)));
}

}  // namespace hub::store
