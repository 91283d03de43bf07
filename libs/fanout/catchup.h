// The way of readers that memory does not reach back to: records of the log, matched and encoded for one class in blocks that all its
// sessions share. Private to this library.
//
// A block holds matching events, marks and ticks as they stand in the log, unjudged: fencing depends on where a reader comes from, so
// each reader judges by the term it brought along, and blocks serve any of them. Readers below the compaction bound have blocks of their
// own, in which silent states stand as events.
// Thread safety: any thread. No lock is held while the log is read; of several readers who miss the same block one reads, the others wait.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/filter_class.h"
#include "libs/fanout/probe.h"

namespace hub::fanout {

// Whose way through the log.
struct CatchupLane {
  const FilterClass& filter_class;
  int32_t partition;
  bool with_states;
};

// What one class sees of the offsets [start, end). Immutable once made.
class CatchupBlock {
 public:
  CatchupBlock(const CatchupLane& lane, eventlog::Offset start, eventlog::ReadResult read, FanoutProbe* probe,
               const decltype(DispatcherOptions::on_event)& on_event);

  eventlog::Offset start() const { return start_; }
  eventlog::Offset end() const { return end_; }
  size_t memory() const;

  // From `from` on, before `until`; REQUIRES: start() <= from.offset < end().
  static Chunk Read(const std::shared_ptr<const CatchupBlock>& block, const PartitionPosition& from,
                    eventlog::Offset until, size_t bytes_max, FanoutProbe* probe);

 private:
  enum class Kind : uint8_t { kEvent, kMark, kTick };
  struct Entry {
    eventlog::Offset offset;
    uint64_t term;     // the record's
    absl::Time tick;   // kTick
    uint32_t end = 0;  // in bytes_, kEvent
    Kind kind;
  };
  struct Age {
    eventlog::Offset offset;
    absl::Time appended_at;
  };
  void Add(const FilterClass& filter_class, eventlog::Offset offset, model::Event event, FanoutProbe* probe);

  const eventlog::Offset start_;
  const eventlog::Offset end_;
  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<Age> ages_;  // of records about a second apart; rising
};

class CatchupCache {
 public:
  static constexpr eventlog::Offset kBlockRecords = 256;  // bounds how long one read keeps its caller
  static constexpr int64_t kBlockOverhead = 256;          // bytes of a block's places in the map and the list, about

  // `bytes_max` bounds what is kept; slices in flight and the block just made come on top.
  using OnEvent = decltype(DispatcherOptions::on_event);
  CatchupCache(int64_t bytes_max, eventlog::Log* log, FanoutProbe* probe, OnEvent on_event);

  // REQUIRES: from.offset < until. Errors are the log's.
  absl::StatusOr<Chunk> Read(const CatchupLane& lane, const PartitionPosition& from, eventlog::Offset until,
                             size_t bytes_max);

 private:
  using BlockPtr = std::shared_ptr<const CatchupBlock>;
  struct Key {
    uint64_t class_id;
    int32_t partition;
    bool with_states;
    eventlog::Offset start;
    bool SameLane(const Key& other) const {
      return class_id == other.class_id && partition == other.partition && with_states == other.with_states;
    }
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Entry {
    BlockPtr block;  // null while somebody makes it
    std::list<Key>::iterator used;
  };

  absl::StatusOr<BlockPtr> Find(const CatchupLane& lane, eventlog::Offset from);
  absl::StatusOr<BlockPtr> Make(const CatchupLane& lane, eventlog::Offset start, eventlog::Offset from);
  static int64_t Cost(const CatchupBlock& block) { return static_cast<int64_t>(block.memory()) + kBlockOverhead; }
  void KeepLocked(const Key& key, const BlockPtr& block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int64_t bytes_max_;
  eventlog::Log* const log_;
  FanoutProbe* const probe_;
  const OnEvent on_event_;  // told of each event of a block that is made
  base::Mutex mu_;
  base::CondVar made_;
  std::map<Key, Entry> blocks_ ABSL_GUARDED_BY(mu_);
  std::list<Key> used_ ABSL_GUARDED_BY(mu_);  // least recently first; made blocks only
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hub::fanout
