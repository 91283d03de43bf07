// Retention by age and size, and compaction by key, for the embedded log: a little at a time, at each interval.
//
// Compaction walks each partition once, in order, and stops at the first record younger than the lag. A table of keys holds the last
// record of each key that the walk has passed; a record that is passed replaces its predecessor there, and the predecessor is
// deleted. So a record costs one read and one lookup in its life, appends cost nothing, and a key's record stays until its successor
// is older than the lag, too (as in Kafka).
// Thread safety: one thread at a time; shares Partitions with the rest of the log.
#pragma once

#include <stop_token>

#include "libs/base/clock.h"
#include "libs/eventlog/local_partitions.h"
#include "libs/eventlog/log_probe.h"
#include "libs/store/database.h"

namespace hub::eventlog::local {

class Cleaner {
 public:
  Cleaner(const base::Clock* clock, store::Database* database, Partitions* partitions, LogProbe* probe)
      : clock_(clock), database_(database), partitions_(partitions), probe_(probe) {}

  // Cleans all partitions. `space_is_short`: also makes the database give back at once what was deleted. Failures are logged and
  // tried again the next time.
  void CleanAll(std::stop_token stop, bool space_is_short);

 private:
  struct Job {
    TopicSpec spec;
    TopicPartition name;
    Partition* partition;
  };
  absl::Status Retain(const Job& job, const std::stop_token& stop, bool space_is_short);
  absl::Status Compact(const Job& job, const std::stop_token& stop);
  // One step of Compact; false when there is nothing more to do now.
  absl::StatusOr<bool> CompactSome(const Job& job);

  const base::Clock* const clock_;
  store::Database* const database_;
  Partitions* const partitions_;
  LogProbe* const probe_;
};

}  // namespace hub::eventlog::local
