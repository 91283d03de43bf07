// One effective filter and one set of audiences: who shares it shares every byte. Private to this library.
//
// Judge and the identity: any thread, immutable. Append, Activate, Restart and DropOldest: the dispatcher's thread. Read: any thread.
// Invariant 1: for every partition, memory holds each matching event in [base, what the dispatcher has taken in).
// Invariant 2: a Segment of a stripe is touched under `mu_` only, also by who packs runs of it (about a millisecond at most); slices of it need
// no lock.
// Invariant 3: order_ holds every event of the segments.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "libs/base/mutex.h"
#include "libs/fanout/arrival_order.h"
#include "libs/fanout/segment.h"
#include "libs/model/event.h"
#include "libs/model/filter.h"
#include "libs/wire/wire.h"

namespace hub::fanout {

// A few bits about attributes, so that most classes are passed over without a look at their filter: facets, types, levels, reasons.
class AttributeMask {
 public:
  AttributeMask() = default;
  // What one row is.
  static AttributeMask Of(const model::Attributes& attributes);
  // What rows may be to have a chance with the filter.
  static AttributeMask Of(const model::Filter& filter);
  // False: certainly no match.
  bool MayMatch(AttributeMask row) const {
    const uint64_t both = bits_ & row.bits_;
    return (both & kFacets) != 0 && (both & kTypes) != 0 && (both & kLevels) != 0 && (both & kReasons) != 0;
  }

 private:
  static constexpr int kFacetsAt = 0, kTypesAt = 8, kLevelsAt = 32, kReasonsAt = 40;
  static constexpr uint64_t kFacets = 0xffULL, kTypes = 0xffffffULL << kTypesAt, kLevels = 0xffULL << kLevelsAt,
                            kReasons = 0xffffffULL << kReasonsAt;
  uint64_t bits_ = 0;
};

// An event on its way to the classes: what the pre-check needs, and its encoded forms, each made when first asked for.
class PendingEvent {
 public:
  PendingEvent(eventlog::Offset offset, model::Event event);
  eventlog::Offset offset() const { return offset_; }
  const model::Event& event() const { return event_; }
  AttributeMask mask() const { return mask_; }
  AttributeMask previous_mask() const { return previous_mask_; }
  // The framed element of SubscribeResponse.events. Classes of equal audiences share it.
  absl::string_view Encoded(const wire::AudienceSet& audiences, bool left_view);
  int encodings() const { return static_cast<int>(encoded_.size()); }

 private:
  struct Form {
    uint32_t audience_bits;
    bool left_view;
    std::unique_ptr<const std::string> bytes;  // stays where it is while the list grows
  };
  eventlog::Offset offset_;
  model::Event event_;
  AttributeMask mask_, previous_mask_;
  std::vector<Form> encoded_;
};

// What a class does with an event.
enum class Verdict { kNothing, kEvent, kLeftView };

class FilterClass {
 public:
  static constexpr size_t kFirstSegmentBytes = 4 * 1024;

  // `memory`: bytes held by all classes together; outlived by nobody.
  FilterClass(uint64_t id, model::Filter filter, const wire::AudienceSet& audiences, int32_t partitions,
              std::shared_ptr<std::atomic<int64_t>> memory);
  ~FilterClass();

  uint64_t id() const { return id_; }
  const wire::AudienceSet& audiences() const { return audiences_; }
  const model::Filter& filter() const { return filter_; }
  // The event if the new state matches; LEFT_VIEW if only the previous did.
  Verdict Judge(const PendingEvent& event) const;
  bool Sees(const model::Attributes& row) const;

  bool active() const { return active_; }  // the dispatcher's thread only
  // Memory begins at these offsets; until then everything is CATCHUP.
  void Activate(const std::vector<eventlog::Offset>& bases);
  struct Match {
    eventlog::Offset offset;
    absl::string_view bytes;
  };
  // New segments set aside `segment_bytes` at most. `*birth` numbers segments in the order they were made, over all classes.
  void Append(int32_t partition, absl::Span<const Match> matches, size_t segment_bytes, uint64_t* birth);
  // Forgets everything: memory begins anew, at `base` in this partition.
  void Restart(int32_t partition, eventlog::Offset base);

  struct SegmentRef {
    uint64_t birth;
    int32_t partition;
    FilterClass* owner;
    size_t memory;
  };
  // Each partition's segments, oldest first.
  void ListSegments(std::vector<SegmentRef>* out);
  // Seals the oldest segment of the partition, if it is open, and drops it; its readers go to the log.
  void DropOldest(int32_t partition);

  // Drops segments that took their last event before the segment of this birth was made; how many. Those that were begun before take no more.
  int64_t DropBefore(uint64_t birth);

  struct MemoryRead {
    Slice slice;
    eventlog::Offset next = 0;
    int events = 0;
  };
  // nullopt: memory does not reach back to `from`. REQUIRES: from < until.
  std::optional<MemoryRead> Read(int32_t partition, eventlog::Offset from, eventlog::Offset until,
                                 size_t bytes_max) const;
  // All partitions in runs, see ArrivalOrder::ReadRuns. nullopt: memory does not reach back to `from` in one of them.
  std::optional<ArrivalOrder::Read> ReadRuns(ArrivalOrder::Places from, ArrivalOrder::Places until, uint64_t at,
                                             size_t bytes_max) const;

 private:
  struct Held {
    uint64_t birth;
    uint64_t next_birth;  // at its last event
    std::shared_ptr<Segment> segment;
  };
  struct Stripe {
    eventlog::Offset base;
    std::deque<Held> segments;
    size_t capacity_next;  // of a segment; doubles with each, so that a quiet class stays small
  };
  // The first that holds anything from there on.
  static std::deque<Held>::const_iterator SegmentAt(const std::deque<Held>& segments, eventlog::Offset from);
  // Forgets in order_ what the stripes no longer hold.
  void TrimOrder() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropOldestLocked(Stripe* stripe) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountMemory(int64_t bytes) const { memory_->fetch_add(bytes, std::memory_order_relaxed); }

  const uint64_t id_;
  const model::Filter filter_;
  const AttributeMask mask_;
  const wire::AudienceSet audiences_;
  const std::shared_ptr<std::atomic<int64_t>> memory_;  // relaxed: a sum, nothing is ordered by it
  bool active_ = false;
  mutable base::Mutex mu_;
  std::vector<Stripe> stripes_ ABSL_GUARDED_BY(mu_);
  uint64_t closed_before_ ABSL_GUARDED_BY(mu_) = 0;  // segments of births before this one take no more
  mutable ArrivalOrder order_ ABSL_GUARDED_BY(mu_);  // counts as memory
};

}  // namespace hub::fanout
