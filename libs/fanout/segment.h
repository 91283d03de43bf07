// Encoded events of one filter class and one partition, shared by all sessions of the class: appended to by the dispatcher,
// read by many, freed with the last reference.
//
// Thread safety: the dispatcher appends; Append and Read exclude each other by the lock of their class (filter_class.h). Slices stay valid and
// unchanged as long as they live, without a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/eventlog/log.h"

namespace hub::fanout {

// Bytes that live as long as somebody holds them.
struct Slice {
  std::shared_ptr<const void> owner;
  absl::string_view bytes;
};

// What slices of events are: elements of SubscribeResponse.events, or of SubscribeResponse.runs.
enum class EventForm { kPlain, kRuns };

inline constexpr size_t kSegmentBytes = 64 * 1024;  // a segment is sealed when full; one larger event gets its own

class Segment {
 public:
  // Holds events from offset `first` on. `capacity`: bytes set aside with the first event (or the event's size, if that is more); a class
  // that sees little starts small.
  explicit Segment(eventlog::Offset first, size_t capacity = kSegmentBytes);

  // Room left for `bytes`? Always true for an empty segment.
  bool Fits(size_t bytes) const;
  // REQUIRES: Fits; offset >= end(). Returns where the bytes lie as long as the segment does.
  absl::string_view Append(eventlog::Offset offset, absl::string_view bytes);

  eventlog::Offset first() const { return first_; }
  eventlog::Offset end() const { return end_; }  // one past the last event
  size_t bytes() const { return size_; }
  size_t memory() const { return capacity_ + entries_.size() * sizeof(Entry); }

  // Events in [from, until) up to `bytes_max` (at least one), as one contiguous slice. `*next` is the first event that it holds in
  // the range and did not take; `until` when there is none.
  static Slice Read(const std::shared_ptr<const Segment>& segment, eventlog::Offset from, eventlog::Offset until,
                    size_t bytes_max, eventlog::Offset* next, int* events);

 private:
  struct Entry {
    eventlog::Offset offset;
    uint32_t end;  // of its bytes
  };
  // Entries of the events in [from, until).
  std::pair<size_t, size_t> Range(eventlog::Offset from, eventlog::Offset until) const;
  absl::string_view BytesOf(size_t first, size_t last) const;

  const eventlog::Offset first_;
  eventlog::Offset end_;
  std::unique_ptr<char[]> data_;  // never moved: slices point into it
  size_t capacity_;               // of data_, 0 before the first event
  const size_t capacity_wanted_;
  size_t size_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace hub::fanout
