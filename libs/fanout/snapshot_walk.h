// A session's way through a snapshot: which part comes next, and how far the tail must get before the snapshot is whole. Private to this
// library. Not thread-safe: the session's owner.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "libs/fanout/segment.h"
#include "libs/fanout/snapshot_source.h"

namespace hub::fanout {

class SnapshotWalk {
 public:
  // Goes on at `part` of `parts`. `run` may be null when no part is left. `heads`: what the log holds now; what earlier streams showed
  // of the snapshot may be as young.
  SnapshotWalk(SnapshotSource* source, std::shared_ptr<const SnapshotRun> run, uint32_t part, uint32_t parts,
               std::vector<eventlog::Offset> heads);

  // The next states, at most about `bytes_max` and at least one run of them. None: the next part is not there yet, or done().
  SnapshotBlock::Piece Next(size_t bytes_max, EventForm form);

  uint32_t parts_sent() const { return part_; }  // wholly
  uint32_t parts() const { return parts_; }
  bool done() const { return part_ == parts_; }
  // Some of a part was sent, and not all of it.
  bool inside_part() const { return block_ != nullptr && next_run_ > 0; }
  // done(): everything that parts may have seen has come with the tail as well.
  bool PassedBy(const std::vector<PartitionPosition>& positions) const;
  // From the next part on under another class, whose run began no earlier. REQUIRES: run->parts == parts().
  void GoOnWith(std::shared_ptr<const SnapshotRun> run);

 private:
  SnapshotSource* const source_;
  std::shared_ptr<const SnapshotRun> run_;
  std::shared_ptr<SnapshotReader> reader_;  // of run_
  uint32_t part_;
  const uint32_t parts_;
  std::vector<eventlog::Offset> heads_;
  std::shared_ptr<const SnapshotBlock> block_;  // of part_, once it is there
  size_t next_run_ = 0;                         // of it
};

}  // namespace hub::fanout
