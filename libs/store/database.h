// Atomic tables on a local disk: RocksDB for the product, a map with crash semantics for the simulation.
//
// Thread safety: all methods from any thread. Commits are totally ordered. A reader sees whole commits only.
// Errors: ResourceExhausted when the disk is full (recoverable: free space and go on), Unavailable for other I/O errors,
// DataLoss when stored bytes fail their checksum.
//
//   auto db = OpenDatabase("/var/lib/hub/registry", {{"state"}, {"outbox", TableShape::kScans}}, {});
//   Batch batch;  batch.Put(0, key, value);
//   HUB_RETURN_IF_ERROR((*db)->Commit(batch, Durability::kSynced));
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/store/batch.h"
#include "libs/store/tables.h"

namespace hub::store {

enum class Durability {
  kSynced,    // survives power loss once Commit returns
  kBuffered,  // survives the process, not the machine; a later synced commit makes it durable too
};

// Walks keys in order over a consistent view taken when it was made. Not thread-safe; outlived by its database.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual bool Valid() const = 0;
  virtual void Next() = 0;
  virtual absl::string_view key() const = 0;    // valid until Next
  virtual absl::string_view value() const = 0;  // valid until Next
  virtual absl::Status status() const = 0;
};

class Database {
 public:
  virtual ~Database() = default;
  virtual absl::Status Commit(const Batch& batch, Durability durability) = 0;
  // nullopt: no such key.
  virtual absl::StatusOr<std::optional<std::string>> Get(TableId table, absl::string_view key) const = 0;
  // One answer per key, in order; duplicates among `keys` are allowed.
  virtual absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      TableId table, absl::Span<const std::string> keys) const = 0;
  // Keys in [begin, end); an empty `end` means to the last key.
  virtual std::unique_ptr<Cursor> Scan(TableId table, absl::string_view begin, absl::string_view end) const = 0;
  // The last key in [begin, end) with its value, nullopt when the range is empty.
  virtual absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(TableId table, absl::string_view begin,
                                                                                absl::string_view end) const = 0;
  // Gives the disk space of a range that was deleted back now, instead of when background compaction gets to it; costs a rewrite of
  // the files that overlap it. REQUIRES: a kSynced commit has deleted all of [begin, end) and nothing puts keys there again.
  // Has nothing to do unless the implementation keeps files.
  virtual absl::Status Reclaim(TableId /*table*/, absl::string_view /*begin*/, absl::string_view /*end*/) {
    return absl::OkStatus();
  }
};

struct DatabaseOptions {
  // It is always full after a while: blocks of files that a compaction has replaced stay until others push them out.
  size_t block_cache_bytes = size_t{64} << 20;
  size_t write_buffer_bytes = size_t{32} << 20;  // per table, twice
  // Of all tables together: beyond it the table whose buffer is oldest is written out. Many tables that fill slowly would otherwise go on growing for
  // an hour. Twice as much while a disk is slower than who writes.
  size_t write_buffers_bytes = size_t{64} << 20;
};

// Opens or creates. Tables that the folder has and `tables` lacks are kept and opened, not dropped.
// FailedPrecondition when another process has it open.
absl::StatusOr<std::unique_ptr<Database>> OpenDatabase(const std::string& path, const std::vector<TableSpec>& tables,
                                                     const DatabaseOptions& options);

// In memory, for the simulation: what was committed kBuffered since the last synced commit is lost by Crash.
class MemoryDatabase final : public Database {
 public:
  explicit MemoryDatabase(size_t table_count);
  ~MemoryDatabase() override;
  absl::Status Commit(const Batch& batch, Durability durability) override;
  absl::StatusOr<std::optional<std::string>> Get(TableId table, absl::string_view key) const override;
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(TableId table,
                                                                   absl::Span<const std::string> keys) const override;
  std::unique_ptr<Cursor> Scan(TableId table, absl::string_view begin, absl::string_view end) const override;
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(TableId table, absl::string_view begin,
                                                                        absl::string_view end) const override;
  // Back to the last synced commit, as after a power loss.
  void Crash();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hub::store
