// The embedded log of one machine, on RocksDB: synced group commit, retention by age and size, compaction by key.
//
// One writer thread commits what has gathered since the last sync (group commit) and then runs the callbacks, so the cost of a sync
// is shared by all appends that wait for it. A cleaner runs every `clean_interval`.
// Bounds: at most `pending_bytes_max` wait to be written; beyond that Append answers ResourceExhausted at once. A full disk
// answers ResourceExhausted too, Health says so, and appending works again as soon as there is space.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/store/database.h"

namespace hub::eventlog {

struct LocalLogOptions {
  size_t pending_bytes_max = size_t{64} << 20;
  size_t group_bytes_max = size_t{4} << 20;              // a group larger than this is split
  absl::Duration clean_interval = absl::Minutes(1);
  // Below this much free space on the file system, Append refuses: reading and compaction need room to go on.
  int64_t free_bytes_min = int64_t{16} << 20;
  // Set it for the first start after the folder was restored from a backup: draws another log_id (C6), which no code could notice.
  bool new_incarnation = false;
};

// Opens or creates the log in folder `path`. FailedPrecondition: another process has it open.
absl::StatusOr<std::unique_ptr<Log>> OpenLocalLog(const std::string& path, const base::Clock* clock,
                                                  base::Metrics* metrics, const LocalLogOptions& options);

// The same on a database of the caller's, opened with LocalLogTables(): for the simulation (store::MemoryDatabase) and fault tests.
// Free space is not checked. The database outlives the log and is its alone.
std::vector<store::TableSpec> LocalLogTables();
absl::StatusOr<std::unique_ptr<Log>> OpenLocalLogOn(store::Database* database, const base::Clock* clock, base::Metrics* metrics,
                                                    const LocalLogOptions& options);

}  // namespace hub::eventlog
