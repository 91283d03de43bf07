// Where snapshots come from: the replica's states, matched, redacted and encoded once per class in blocks that all its sessions share.
//
// The snapshot is fuzzy. A run belongs to one class and begins at the positions that the replica had then (`first`); its blocks, one per
// range of keys, are each read at some later moment. Every change after `first` comes again with the tail, and the version rule drops
// what a block had already: nothing holds an old view of the database open, however slow the readers are (libs/decisions/0016).
// Sessions that begin within `share_for` of each other share a run, hence its scan. Blocks are made by Step, on a thread of its own, in
// the order in which they were asked for. The cache is bounded: those in front wait for the others (snapshot_convoy.h), what all have passed is
// the first to go, and a block that fell out is made again for who comes late.
// Thread safety: any thread. The replica and the log are read without a lock held.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/snapshot_block.h"
#include "libs/replica/replica.h"

namespace hub::fanout {

struct SnapshotOptions {
  int64_t cache_bytes_max = int64_t{48} << 20;  // blocks that sessions send from come on top, one for each at most
  int runs_max = 8;  // with sessions in them; more are refused with ResourceExhausted (kOverloaded)
  absl::Duration share_for = absl::Seconds(15);
  uint64_t part_states =
      250;  // aim; bounds how long a scan takes, and what is sent beyond a full window to finish a part
  absl::Duration behind_max = absl::Minutes(10);  // age of what the replica has not read yet, to begin all the same
};

// One class's snapshot as its sessions go through it. Immutable.
class FilterClass;
struct SnapshotReader;
struct SnapshotRun {
  uint64_t id;
  std::shared_ptr<FilterClass> filter_class;
  std::vector<PartitionPosition> first;  // blocks hold at least everything before
  uint32_t parts;
  absl::Duration began;
};

class SnapshotSource {
 public:
  // All pointers outlive the source. `replica` is fed by somebody else.
  SnapshotSource(const SnapshotOptions& options, const replica::Replica* replica, const Dispatcher* dispatcher,
                 const base::Clock* clock, base::Metrics* metrics);
  ~SnapshotSource();

  // For who starts afresh. Unavailable: the replica is not complete or far behind. ResourceExhausted (kOverloaded): too many runs.
  absl::StatusOr<std::shared_ptr<const SnapshotRun>> Begin(const std::shared_ptr<FilterClass>& filter_class);
  // For who has parts of an earlier run, of any node, that began at `first`: a run of as many parts that began no earlier. Unavailable
  // also when the replica is behind `first` (R17).
  absl::StatusOr<std::shared_ptr<const SnapshotRun>> GoOn(const std::shared_ptr<FilterClass>& filter_class,
                                                          const std::vector<PartitionPosition>& first, uint32_t parts);

  // Who goes through a run, from `part` on, holds this meanwhile.
  std::shared_ptr<SnapshotReader> Enter(const SnapshotRun& run, uint32_t part);
  // Null: not there yet, or not to be made before others have come nearer; ask again. REQUIRES: part < run.parts; the reader entered this run.
  std::shared_ptr<const SnapshotBlock> Find(const std::shared_ptr<const SnapshotRun>& run, uint32_t part,
                                            SnapshotReader* reader);

  // Makes the block that was asked for first; false when nobody waits for one. Errors are logged and counted; who still wants the block
  // asks again.
  bool Step();
  // Blocks until somebody waits for a block, at most `timeout`.
  void WaitForWork(absl::Duration timeout);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace hub::fanout
