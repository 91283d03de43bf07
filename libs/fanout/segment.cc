#include "libs/fanout/segment.h"

#include <algorithm>
#include <cstring>

#include "libs/base/check.h"

namespace hub::fanout {

Segment::Segment(eventlog::Offset first, size_t capacity)
    : first_(first), end_(first), capacity_(0), capacity_wanted_(capacity) {}

bool Segment::Fits(size_t bytes) const { return entries_.empty() || bytes <= capacity_ - size_; }

absl::string_view Segment::Append(eventlog::Offset offset, absl::string_view bytes) {
  HUB_CHECK(Fits(bytes.size()) && offset >= end_);
  if (data_ == nullptr) {
    capacity_ = std::max(capacity_wanted_, bytes.size());
    data_.reset(new char[capacity_]);
  }
  std::memcpy(data_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  entries_.push_back({offset, static_cast<uint32_t>(size_)});
  end_ = offset + 1;
  return {data_.get() + size_ - bytes.size(), bytes.size()};
}

std::pair<size_t, size_t> Segment::Range(eventlog::Offset from, eventlog::Offset until) const {
  const auto before = [](const Entry& entry, eventlog::Offset offset) { return entry.offset < offset; };
  const auto first = std::lower_bound(entries_.begin(), entries_.end(), from, before);
  const auto last = std::lower_bound(first, entries_.end(), until, before);
  return {static_cast<size_t>(first - entries_.begin()), static_cast<size_t>(last - entries_.begin())};
}

absl::string_view Segment::BytesOf(size_t first, size_t last) const {
  const size_t begin = first == 0 ? 0 : entries_[first - 1].end;
  return {data_.get() + begin, entries_[last - 1].end - begin};
}

Slice Segment::Read(const std::shared_ptr<const Segment>& segment, eventlog::Offset from, eventlog::Offset until,
                    size_t bytes_max, eventlog::Offset* next, int* events) {
  const std::vector<Entry>& entries = segment->entries_;
  const auto [first, last] = segment->Range(from, until);
  *next = until;
  *events = 0;
  if (first == last) return {};
  const size_t begin = first == 0 ? 0 : entries[first - 1].end;
  const auto at = [&entries](size_t place) { return entries.begin() + static_cast<ptrdiff_t>(place); };
  const auto over = std::upper_bound(at(first), at(last), begin + bytes_max,
                                     [](size_t end, const Entry& entry) { return end < entry.end; });
  const size_t stop = std::max(static_cast<size_t>(over - entries.begin()), first + 1);  // one larger than asked for
  if (stop != last) *next = entries[stop].offset;
  *events = static_cast<int>(stop - first);
  return {segment, segment->BytesOf(first, stop)};
}

}  // namespace hub::fanout
