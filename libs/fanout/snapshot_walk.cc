#include "libs/fanout/snapshot_walk.h"

#include <algorithm>
#include <utility>

#include "libs/base/check.h"

namespace hub::fanout {

SnapshotWalk::SnapshotWalk(SnapshotSource* source, std::shared_ptr<const SnapshotRun> run, uint32_t part,
                           uint32_t parts, std::vector<eventlog::Offset> heads)
    : source_(source), run_(std::move(run)), part_(part), parts_(parts), heads_(std::move(heads)) {
  HUB_CHECK(part <= parts && (part == parts || run_ != nullptr));
  if (part < parts) reader_ = source_->Enter(*run_, part);
}

SnapshotBlock::Piece SnapshotWalk::Next(size_t bytes_max, EventForm form) {
  SnapshotBlock::Piece piece;
  while (!done() && piece.events == 0) {
    if (block_ == nullptr) {
      block_ = source_->Find(run_, part_, reader_.get());
      if (block_ == nullptr) break;
      next_run_ = 0;
      for (size_t p = 0; p < heads_.size(); ++p) heads_[p] = std::max(heads_[p], block_->heads()[p]);
    }
    if (next_run_ < block_->runs()) {
      piece = SnapshotBlock::Read(block_, next_run_, bytes_max, form);
      next_run_ = piece.next;
    }
    if (next_run_ == block_->runs()) {
      block_.reset();
      if (++part_ == parts_) {
        reader_.reset();
        run_.reset();  // others may begin theirs
      }
    }
  }
  return piece;
}

bool SnapshotWalk::PassedBy(const std::vector<PartitionPosition>& positions) const {
  for (size_t p = 0; p < heads_.size(); ++p) {
    if (positions[p].offset < heads_[p]) return false;
  }
  return done();
}

void SnapshotWalk::GoOnWith(std::shared_ptr<const SnapshotRun> run) {
  HUB_CHECK(run->parts == parts_);
  run_ = std::move(run);
  reader_ = source_->Enter(*run_, part_);
  block_.reset();  // what was sent of its part comes again
}

}  // namespace hub::fanout
