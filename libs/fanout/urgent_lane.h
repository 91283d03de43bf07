// Copies of urgent events as this node has read them from `urgent`, kept for sessions that are behind in the order. Private to this
// library.
//
// R12: a copy counts once its twin was read from `events` and accepted there. Until the dispatcher has come to the twin the copy is held
// back; a copy whose twin was fenced, or stood before what this node has read, is dropped. Dropping is always safe: the event comes in its
// order. Copies are matched when a session asks, not per class: there are few (the registry has a budget), and few sessions are behind.
// Bounds, per partition: kKeptMax copies and kKeptBytesMax bytes of records for readers (the oldest go first), kHeldBackMax held back,
// kTwinsMax twins remembered.
// Thread safety: Open, OnTwin, Look, Release and WaitFor: the dispatcher's thread. Head and Read: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/dispatcher.h"

namespace hub::fanout {

class UrgentLane {
 public:
  static constexpr size_t kKeptMax = 1024;
  static constexpr size_t kKeptBytesMax = size_t{1} << 20;
  static constexpr size_t kHeldBackMax = 256;
  static constexpr size_t kTwinsMax = 4096;
  static constexpr absl::Duration kPatience = absl::Seconds(5);  // a copy is held back no longer

  UrgentLane(int32_t partitions, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics);
  ~UrgentLane();

  // Starts at the end: nothing older has its twin among what this node reads.
  absl::Status Open();
  // An urgent event was accepted. REQUIRES: rising offsets.
  void OnTwin(int32_t partition, eventlog::Offset offset, uint64_t term);
  // Reads what is new. Only soon after a twin, and now and then: where nothing is urgent the topic costs nothing.
  void Look(int32_t partition);
  // Gives readers the copies whose twins stand before `events_next`; true when there were any.
  bool Release(int32_t partition, eventlog::Offset events_next);
  // Adds the places where a copy is expected.
  void WaitFor(std::vector<eventlog::Log::WaitFor>* any_of) const;

  // Everything before it has been given to readers, or dropped.
  eventlog::Offset Head(int32_t partition) const;
  // From `from` on what the class may see of copies whose twins stand at or after `passed` and count there, at most about `bytes_max`.
  UrgentCopies Read(const FilterClass& filter_class, int32_t partition, eventlog::Offset from,
                    const PartitionPosition& passed, size_t bytes_max) const;

 private:
  struct Copy;
  struct Lane;
  bool Expects(const Lane& lane, absl::Duration now) const;
  void TakeIn(Lane* lane, std::vector<eventlog::StoredRecord> records);
  void Keep(Lane* lane, std::unique_ptr<Copy> copy);

  const base::Clock* const clock_;
  eventlog::Log* const log_;
  base::Counter taken_in_, without_twin_, late_, fenced_, undecodable_;
  mutable base::Counter sent_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace hub::fanout
