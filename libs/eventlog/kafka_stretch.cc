#include "libs/eventlog/kafka_stretch.h"

#include <algorithm>
#include <utility>

namespace hub::eventlog::kafka {

void Stretch::Heard() {
  begun_ = true;
  if (next_ >= known_end_) silent_since_.reset();
}

void Stretch::NoteEnd(Offset end, absl::Duration now) {
  known_end_ = std::max(known_end_, end);
  if (next_ < known_end_ && !silent_since_.has_value()) silent_since_ = now;
}

void Stretch::Add(StoredRecord record, absl::Duration now) {
  if (record.offset < next_) return;
  next_ = record.offset + 1;
  if (silent_since_.has_value()) silent_since_ = now;  // it comes
  Heard();
  bytes_ += SizeOf(record);
  entries_.push_back({std::move(record), now});
}

void Stretch::SkipTo(Offset next) {
  next_ = std::max(next_, next);
  Heard();
}

bool Stretch::Trim(absl::Duration now) {
  bool all_read = true;
  while (!entries_.empty() && (bytes_ > kBytesMax || now - entries_.front().added_at > kAgeMax)) {
    const StoredRecord& oldest = entries_.front().record;
    all_read = all_read && oldest.offset < served_;
    first_ = oldest.offset + 1;
    bytes_ -= SizeOf(oldest);
    entries_.pop_front();
  }
  return all_read;
}

ReadResult Stretch::Read(Offset from, const ReadLimits& limits, absl::Duration now) {
  last_used_ = now;
  ReadResult result;
  result.next = next_;
  size_t bytes = 0;
  auto entry = std::lower_bound(entries_.begin(), entries_.end(), from,
                                [](const Entry& e, Offset offset) { return e.record.offset < offset; });
  for (; entry != entries_.end(); ++entry) {
    const size_t size = SizeOf(entry->record);
    if (!result.records.empty() && (result.records.size() >= limits.records_max || bytes + size > limits.bytes_max)) {
      result.next = result.records.back().offset + 1;
      break;
    }
    bytes += size;
    result.records.push_back(entry->record);
  }
  served_ = std::max(served_, result.next);
  return result;
}

}  // namespace hub::eventlog::kafka
