// The newest records of one partition in memory, without gaps: what Tail keeps for those who follow it. Private to kafka_log.
//
// It begins with the first thing that is heard of the partition: before, it holds nothing, so that nobody relies on a consumer that may
// never get there.
// Bounds: kBytesMax and kAgeMax; the oldest go first, whether read or not.
// Thread safety: none; the caller's lock.
#pragma once

#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog::kafka {

class Stretch {
 public:
  static constexpr size_t kBytesMax = size_t{2} << 20;  // keys and values
  static constexpr absl::Duration kAgeMax = absl::Seconds(10);
  // As long nothing may come where something must be: at the beginning, and before an end that others know of.
  static constexpr absl::Duration kSilenceMax = absl::Seconds(5);

  // `now` is monotonic, here and below. `end`: records from there on will be added.
  Stretch(Offset end, absl::Duration now)
      : first_(end), next_(end), served_(end), last_used_(now), silent_since_(now) {}

  bool Holds(Offset offset) const { return begun_ && offset >= first_ && offset <= next_; }
  Offset next() const { return next_; }  // one past the last record and the holes after it
  void Touch(absl::Duration now) { last_used_ = now; }
  absl::Duration last_used() const { return last_used_; }

  // A record from before next() is one that the broker sent twice: it is dropped.
  void Add(StoredRecord record, absl::Duration now);
  // Nothing lies between next() and `next`.
  void SkipTo(Offset next);
  // Somebody else has heard that the partition goes on until there.
  void NoteEnd(Offset end, absl::Duration now);
  // It has not begun, or not come to a known end, for too long.
  bool IsStuck(absl::Duration now) const { return silent_since_.has_value() && now - *silent_since_ > kSilenceMax; }
  // Keeps the bounds. False: a record went that nobody has read, so the readers are slower than the fetching.
  bool Trim(absl::Duration now);

  // As Log::Read. REQUIRES: Holds(from).
  ReadResult Read(Offset from, const ReadLimits& limits, absl::Duration now);

 private:
  struct Entry {
    StoredRecord record;
    absl::Duration added_at;
  };
  void Heard();
  static size_t SizeOf(const StoredRecord& record) { return record.key.size() + record.value.size(); }

  Offset first_;
  Offset next_;
  Offset served_;  // somebody has read as far as here
  absl::Duration last_used_;
  bool begun_ = false;
  Offset known_end_ = 0;
  std::optional<absl::Duration> silent_since_;  // while something is due
  size_t bytes_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace hub::eventlog::kafka
