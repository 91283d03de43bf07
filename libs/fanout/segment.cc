#include "libs/fanout/segment.h"

#include <algorithm>
#include <cstring>

#include "libs/base/check.h"

namespace hub::fanout {

Segment::Segment(eventlog::Offset first, size_t capacity)
    : first_(first), end_(first), capacity_(0), capacity_wanted_(capacity) {}

bool Segment::Fits(size_t bytes) const { return entries_.empty() || bytes <= capacity_ - size_; }

void Segment::Append(eventlog::Offset offset, absl::string_view bytes) {
  HUB_CHECK(Fits(bytes.size()) && offset >= end_);
  if (data_ == nullptr) {
    capacity_ = std::max(capacity_wanted_, bytes.size());
    data_.reset(new char[capacity_]);
  }
  std::memcpy(data_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  entries_.push_back({offset, static_cast<uint32_t>(size_)});
  end_ = offset + 1;
}

Slice Segment::Read(const std::shared_ptr<const Segment>& segment, eventlog::Offset from, eventlog::Offset until,
                    size_t bytes_max, eventlog::Offset* next, int* events) {
  const std::vector<Entry>& entries = segment->entries_;
  const auto before = [](const Entry& entry, eventlog::Offset offset) { return entry.offset < offset; };
  const auto first = std::lower_bound(entries.begin(), entries.end(), from, before);
  const auto last = std::lower_bound(first, entries.end(), until, before);
  *next = until;
  *events = 0;
  if (first == last) return {};
  const size_t begin = first == entries.begin() ? 0 : std::prev(first)->end;
  auto stop =
      std::upper_bound(first, last, begin + bytes_max, [](size_t end, const Entry& entry) { return end < entry.end; });
  if (stop == first) ++stop;  // one larger than asked for
  if (stop != last) *next = stop->offset;
  *events = static_cast<int>(stop - first);
  return {segment, absl::string_view(segment->data_.get() + begin, std::prev(stop)->end - begin)};
}

}  // namespace hub::fanout
