// What the dispatcher knows about one partition: how far it has read, and the term and tick in force at positions in the near past.
// Private to this library.
//
// Thread safety: the dispatcher's thread writes; everything marked (any thread) may be asked meanwhile.
#pragma once

#include <atomic>
#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/fanout/dispatcher.h"

namespace hub::fanout {

// R7: what a reader keeps on its way through a partition, and the one place that judges by it.
struct Fence {
  uint64_t term = 0;
  absl::Time tick = absl::InfinitePast();

  bool Accepts(uint64_t record_term) const { return record_term >= term; }
  // REQUIRES: Accepts(the record's term).
  void OnMark(uint64_t mark_term) { term = std::max(term, mark_term); }
  void OnTick(absl::Time now) { tick = std::max(tick, now); }  // R16
};

class Intake {
 public:
  // Changes kept; readers further back use the log. At a tick a second this is more than an hour.
  static constexpr size_t kChangesMax = 4096;

  // Forgets everything and goes on at `head`.
  void Restart(const PartitionPosition& head);

  // From `offset` on another term or tick is in force. REQUIRES: rising offsets, before the Publish that covers them.
  void Changed(const PartitionPosition& at);
  // Everything before `head` has been looked at and is in the classes.
  void Publish(const PartitionPosition& head);

  eventlog::Offset head_offset() const { return head_offset_.load(std::memory_order_acquire); }  // (any thread)
  PartitionPosition head() const;                                                                // (any thread)
  // Term, tick and time at an offset up to the head; nullopt when that is too far back. (any thread)
  std::optional<PartitionPosition> At(eventlog::Offset offset) const;

  // (any thread) Somebody holds a token that says this term is in force at a place that we have passed.
  void Learn(uint64_t term);
  uint64_t learned() const { return learned_.load(std::memory_order_relaxed); }

 private:
  mutable base::Mutex mu_;
  PartitionPosition head_ ABSL_GUARDED_BY(mu_);
  std::deque<PartitionPosition> changes_ ABSL_GUARDED_BY(mu_);  // each from its offset on
  std::atomic<eventlog::Offset> head_offset_{
      0};  // release after the classes hold what lies before it; acquire before they are read
  std::atomic<uint64_t> learned_{0};  // relaxed: a hint that only rises
};

}  // namespace hub::fanout
