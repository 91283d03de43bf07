// Encoded events of one filter class and one partition, shared by all sessions of the class: appended to by the dispatcher,
// read by many, freed with the last reference.
//
// Thread safety: one writer (the dispatcher); readers hold slices, which stay valid and unchanged as long as they live.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/eventlog/log.h"

namespace hub::fanout {

// Bytes that live as long as somebody holds them.
struct Slice {
  std::shared_ptr<const void> owner;
  absl::string_view bytes;
};

inline constexpr size_t kSegmentBytes = 64 * 1024;  // a segment is sealed when full; one larger event gets its own

class Segment {
 public:
  // Covers offsets from `first` on.
  explicit Segment(eventlog::Offset first);

  // Room left for `bytes`? Always true for an empty segment.
  bool Fits(size_t bytes) const;
  // REQUIRES: Fits; offset >= end().
  void Append(eventlog::Offset offset, absl::string_view bytes);
  // Everything before `end` has been looked at, whether it matched or not.
  void AdvanceTo(eventlog::Offset end);

  eventlog::Offset first() const { return first_; }
  eventlog::Offset end() const { return end_; }
  size_t bytes() const { return size_; }

  // Events in [from, end()) up to `bytes_max` (at least one), as one contiguous slice. `*next` is where to go on.
  static Slice Read(const std::shared_ptr<const Segment>& segment, eventlog::Offset from, size_t bytes_max,
                    eventlog::Offset* next, int* events);

 private:
  struct Entry {
    eventlog::Offset offset;
    uint32_t end;  // of its bytes
  };
  const eventlog::Offset first_;
  eventlog::Offset end_;
  std::unique_ptr<char[]> data_;
  size_t capacity_;
  size_t size_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace hub::fanout
