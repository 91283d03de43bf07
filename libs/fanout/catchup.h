// The way of readers that memory does not reach back to: records of the log, matched and encoded for one class in blocks that all its
// sessions share, made of stretches of the log (log_block.h) that all classes share. Private to this library.
//
// A block holds matching events, marks and ticks as they stand in the log, unjudged: fencing depends on where a reader comes from, so
// each reader judges by the term it brought along, and blocks serve any of them. Readers below the compaction bound have blocks of their
// own, in which silent states stand as events.
// Thread safety: any thread. No lock is held while the log is read; of several readers who miss the same block one reads, the others wait.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/block_cache.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/filter_class.h"
#include "libs/fanout/log_block.h"
#include "libs/fanout/packed_runs.h"
#include "libs/fanout/probe.h"
#include "libs/fanout/segment.h"

namespace hub::fanout {

// Whose way through the log.
struct CatchupLane {
  const FilterClass& filter_class;
  int32_t partition;
  bool with_states;
};

// What one class sees of a stretch of the log. Immutable once made.
class CatchupBlock {
 public:
  CatchupBlock(const CatchupLane& lane, const LogBlock& log);

  eventlog::Offset start() const { return start_; }
  eventlog::Offset end() const { return end_; }
  size_t memory() const;

  // From `from` on, before `until`; REQUIRES: start() <= from.offset < end(). Runs are packed by the first reader who wants them.
  static Chunk Read(const std::shared_ptr<const CatchupBlock>& block, const PartitionPosition& from,
                    eventlog::Offset until, size_t bytes_max, EventForm form, FanoutProbe* probe);

 private:
  struct Entry {
    eventlog::Offset offset;
    uint64_t term;    // the record's
    absl::Time tick;  // kTick
    size_t event;     // kEvent and kState: which of the block's; else the next of them
    LogBlock::Kind kind;
  };
  // A reader's way over the block, with the events [first, last) in it and no fenced one between them.
  struct Passed {
    PartitionPosition after;
    size_t first = 0, last = 0;
    int fenced = 0;
  };

  Passed Pass(const PartitionPosition& from, eventlog::Offset until, size_t events_max) const;
  absl::string_view BytesOf(size_t first, size_t last) const;
  size_t CountThatFit(size_t first, size_t last, size_t bytes_max) const;
  std::vector<Slice> ReadRuns(size_t first, size_t last, size_t bytes_max, size_t* events, FanoutProbe* probe) const;

  const eventlog::Offset start_;
  const eventlog::Offset end_;
  std::string bytes_;
  std::vector<size_t> ends_;  // in bytes_, by event
  std::vector<Entry> entries_;
  std::vector<LogBlock::Age> ages_;
  mutable base::Mutex mu_;
  mutable PackedRuns runs_ ABSL_GUARDED_BY(mu_);
  mutable std::atomic<size_t> runs_memory_ = 0;  // relaxed: for a sum, nothing is ordered by it
};

class CatchupCache {
 public:
  // Half of `bytes_max` is for blocks of classes, half for the log's; slices in flight and blocks just made come on top. `on_event` is
  // told of each event of the log's blocks.
  CatchupCache(int64_t bytes_max, eventlog::Log* log, FanoutProbe* probe, LogBlock::OnEvent on_event);

  // REQUIRES: from.offset < until. Errors are the log's.
  absl::StatusOr<Chunk> Read(const CatchupLane& lane, const PartitionPosition& from, eventlog::Offset until,
                             size_t bytes_max, EventForm form);

 private:
  struct ClassLane {
    uint64_t class_id;
    int32_t partition;
    bool with_states;
    friend auto operator<=>(const ClassLane&, const ClassLane&) = default;
  };
  using ClassBlocks = BlockCache<ClassLane, CatchupBlock>;
  using LogBlocks = BlockCache<int32_t, LogBlock>;

  absl::StatusOr<LogBlocks::BlockPtr> ReadLog(int32_t partition, eventlog::Offset start, eventlog::Offset from);

  eventlog::Log* const log_;
  FanoutProbe* const probe_;
  const LogBlock::OnEvent on_event_;
  ClassBlocks class_blocks_;
  LogBlocks log_blocks_;
};

}  // namespace hub::fanout
