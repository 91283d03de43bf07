// Opening and closing the files of a RocksDB, and keeping it out of trouble on a full disk.
//
// Private to rocks_database.cc. What 7.8.3 does when the disk is full, seen here with Debian's build (assertions on): after a failed
// write it aborts when it uses the same file again (write-ahead log or text log); its own recovery polls every five seconds; DB::Resume
// may wait for ever. So: (0) its text log goes elsewhere; (1) flushes and compactions may not take the last 2 MB (a guard around their files); (2) a commit is
// refused while RocksDB might need what is left; so the write-ahead log practically never fails; (3) once a flush did fail, the database
// is closed and opened again when there is room, instead of Resume.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/store/database.h"

namespace rocksdb {
class Cache;
class ColumnFamilyHandle;
class DB;
class Env;
class FileSystem;
class Status;
}  // namespace rocksdb

namespace hub::store::rocks {

absl::Status ToStatus(const rocksdb::Status& status, absl::string_view what);

// Free bytes of the file system at `path`; a very great number when it can't be asked.
int64_t FreeBytes(const std::string& path);

// An open database; closes when destroyed. Thread safety: as rocksdb::DB.
struct Files {
  Files();
  ~Files();
  std::string path;
  std::unique_ptr<rocksdb::DB> db;
  // The caller's tables first, in their order; then tables that the folder has besides.
  std::vector<rocksdb::ColumnFamilyHandle*> tables;
  // Set by RocksDB's threads once an error stopped it: every write will be refused. relaxed: a hint, RocksDB has its own locks.
  std::shared_ptr<std::atomic<bool>> stopped;
};

// Opens the same database, again and again. Thread safety: none; one Open at a time.
class Opener {
 public:
  Opener(std::string path, std::vector<TableSpec> tables, const DatabaseOptions& options);
  ~Opener();
  absl::StatusOr<std::unique_ptr<Files>> Open();
  const std::string& path() const { return path_; }
  // What must stay free after a commit: the guard's part and room for one flush.
  int64_t commit_reserve() const;
  size_t table_count() const { return tables_.size(); }
  TableShape shape(TableId table) const { return tables_[static_cast<size_t>(table)].shape; }

 private:
  const std::string path_;
  const std::vector<TableSpec> tables_;
  const DatabaseOptions options_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  const std::shared_ptr<rocksdb::FileSystem> guard_;
  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace hub::store::rocks
