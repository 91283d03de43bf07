// The events of one class in the order in which the dispatcher took them in, of all partitions together, and their packed runs. Not for use
// outside this library.
//
// A reader has a place in each partition, and any order between partitions will do. Read in this one, neighbours are many where a partition
// alone has a few: runs are long and pack well, and whoever is at most a few events apart shares nearly all of them. A reader whose places are
// not those of one moment (it opened in the midst of a step, or comes from the log) first gets what it lacks up to such a moment.
//
// Bytes belong to the segments. Bounds: kEventsMax a read; what is kept is counted by memory(). Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/packed_runs.h"
#include "libs/fanout/segment.h"

namespace hub::fanout {

class ArrivalOrder {
 public:
  static constexpr int kEventsMax = 4096;
  static constexpr uint64_t kNowhere = ~uint64_t{0};
  using Places = absl::Span<const eventlog::Offset>;  // by partition

  explicit ArrivalOrder(int32_t partitions) : ends_(static_cast<size_t>(partitions), 0) {}

  // Rising offsets, of each partition. `bytes` stay where they are until Drop or Clear.
  void Append(int32_t partition, eventlog::Offset offset, absl::string_view bytes);
  // Events before these places are no longer read.
  void Drop(Places bases);
  void Clear();

  struct Read {
    std::vector<Slice> slices;  // runs
    size_t bytes = 0;           // of them
    int events = 0;
    std::vector<eventlog::Offset> after;  // where the reader stands then
    uint64_t at = kNowhere;               // the same, in this order: for the next read
    bool drained = false;                 // there is nothing more before `until`
    int runs_packed = 0;                  // for the first time
  };
  // What lies between the two, at most about `bytes_max` of it. `at`: what the read before gave, if `from` is its `after`, else kNowhere.
  // REQUIRES: nothing at or after `from` was dropped.
  Read ReadRuns(Places from, Places until, uint64_t at, size_t bytes_max);

  size_t memory() const { return memory_; }

 private:
  static constexpr size_t kBlockEvents = 256;
  struct Entry {
    const char* data;
    uint32_t size;
    int32_t partition;
    eventlog::Offset offset;
  };
  struct Block {
    std::vector<Entry> entries;
    std::vector<eventlog::Offset> ends;  // by partition, one past its last event in this block or before
    PackedRuns runs;
  };
  // What was read last: who stands at the same place, reads the same.
  struct Last {
    uint64_t begin = kNowhere, end = 0;
    size_t bytes_max = 0;
    bool whole = false;
    std::vector<Slice> slices;
    size_t bytes = 0, copied = 0;  // RunSlices
    uint64_t stop = 0;
  };

  uint64_t total() const {  // the place behind the last event
    if (blocks_.empty()) return first_;
    return first_ + (blocks_.size() - 1) * kBlockEvents + blocks_.back()->entries.size();
  }
  const Entry& EntryAt(uint64_t at) const { return BlockOf(at).entries[(at - first_) % kBlockEvents]; }
  Block& BlockOf(uint64_t at) const { return *blocks_[(at - first_) / kBlockEvents]; }
  // Of a partition's events those before `offset` end at `before`, and the others begin at `first`.
  void Find(size_t partition, eventlog::Offset offset, uint64_t* before, uint64_t* first) const;
  uint64_t PlaceOf(size_t partition, eventlog::Offset event, size_t block) const;
  uint64_t EndOfSeen(uint64_t begin, uint64_t end, Places until) const;
  void PassOthers(Places until, std::vector<eventlog::Offset>* places) const;
  void Forget();  // last_
  void Pass(uint64_t begin, uint64_t end, std::vector<eventlog::Offset>* places) const;
  uint64_t ReadApart(Places from, Places until, uint64_t begin, uint64_t end, size_t bytes_max, Read* read,
                     std::string* out) const;
  const Last& ReadTogether(uint64_t begin, uint64_t end, size_t bytes_max, int* runs_packed);
  void Count(int64_t bytes) { memory_ = static_cast<size_t>(static_cast<int64_t>(memory_) + bytes); }

  std::vector<eventlog::Offset> ends_;  // as of Block, of all that came
  std::deque<std::unique_ptr<Block>> blocks_;
  uint64_t first_ = 0;  // the place of the first block's first event; places are never used again
  Last last_;
  size_t memory_ = 0;
};

}  // namespace hub::fanout
