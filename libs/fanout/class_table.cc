#include "libs/fanout/class_table.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hub::fanout {
namespace {

constexpr absl::Duration kAgeLook = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::shared_ptr<FilterClass>> ClassTable::Join(const model::Filter& effective,
                                                              const wire::AudienceSet& audiences) {
  const std::string key = absl::StrCat(audiences.bits(), "|", effective.CanonicalBytes());
  base::MutexLock lock(&mu_);
  if (const auto it = classes_.find(key); it != classes_.end()) {
    if (std::shared_ptr<FilterClass> shared = it->second.handle.lock()) return shared;
    return HandleLocked(&it->second);  // the last one has just left: all that memory holds is still there
  }
  const auto bound = static_cast<size_t>(options_.classes_max) + static_cast<size_t>(options_.overflow_classes_max);
  if (classes_.size() >= bound) {
    const auto held = std::count_if(classes_.begin(), classes_.end(),
                                    [](const auto& entry) { return !entry.second.handle.expired(); });
    if (static_cast<size_t>(held) >= bound) {
      probe_->classes_refused.Increment();
      return absl::ResourceExhaustedError(absl::StrCat("filter: ", bound, " different filters are in use; try later"));
    }
  }
  Entry& entry = classes_[key];
  entry.filter_class = std::make_shared<FilterClass>(++class_ids_, effective, audiences, options_.partitions, memory_);
  return HandleLocked(&entry);
}

std::shared_ptr<FilterClass> ClassTable::HandleLocked(Entry* entry) {
  changes_->fetch_add(1, std::memory_order_acq_rel);
  std::shared_ptr<FilterClass> handle(entry->filter_class.get(),
                                      [held = entry->filter_class, changes = changes_](FilterClass*) {
                                        changes->fetch_add(1, std::memory_order_acq_rel);
                                      });
  entry->handle = handle;
  return handle;
}

void ClassTable::Refresh(const std::vector<eventlog::Offset>& bases) {
  const uint64_t changes = changes_->load(std::memory_order_acquire);
  if (changes == changes_seen_) return;
  changes_seen_ = changes;
  std::vector<std::shared_ptr<FilterClass>> left, joined;  // destroyed, and activated, without the lock
  size_t overflow = 0;
  {
    base::MutexLock lock(&mu_);
    for (auto it = classes_.begin(); it != classes_.end();) {
      Entry& entry = it->second;
      if (!entry.handle.expired()) {
        ++it;
        continue;
      }
      if (entry.number.has_value()) {
        index_.Remove(*entry.number);
        live_[*entry.number] = nullptr;
      }
      left.push_back(std::move(entry.filter_class));
      it = classes_.erase(it);
    }
    uint32_t number = 0;
    for (auto& [key, entry] : classes_) {
      if (entry.number.has_value()) continue;
      if (index_.size() >= static_cast<size_t>(options_.classes_max)) {
        ++overflow;
        continue;
      }
      while (number < live_.size() && live_[number] != nullptr) ++number;
      if (number == live_.size()) live_.emplace_back();
      live_[number] = entry.filter_class;
      index_.Add(number, &entry.filter_class->filter());
      entry.number = number;
      joined.push_back(entry.filter_class);
    }
  }
  for (const auto& filter_class : joined) filter_class->Activate(bases);
  matches_.resize(live_.size());
  probe_->classes.Set(static_cast<double>(index_.size()));
  probe_->class_overflow.Set(static_cast<double>(overflow));
}

void ClassTable::Restart(int32_t partition, eventlog::Offset base) {
  for (const auto& filter_class : live_) {
    if (filter_class != nullptr) filter_class->Restart(partition, base);
  }
}

// What one segment may set aside: open segments, one for each class and partition, take about a quarter of the room, with their runs. Else the newest
// ones would be dropped before anybody has read them.
size_t ClassTable::SegmentBytes() const {
  const size_t stripes = std::max<size_t>(1, index_.size() * static_cast<size_t>(options_.partitions));
  const size_t share = static_cast<size_t>(options_.segment_bytes_max) / 8 / stripes;
  return std::clamp(share, FilterClass::kFirstSegmentBytes, kSegmentBytes);
}

// Event by event to find who matches, then class by class, so that each class is locked once per batch.
void ClassTable::Distribute(int32_t partition, std::vector<PendingEvent>* events) {
  if (events->empty()) return;
  int64_t left = 0;
  int64_t all = 0;
  for (PendingEvent& event : *events) {
    index_.Match(event.event().state.attributes, &now_);
    before_.clear();
    if (event.event().previous.has_value()) index_.Match(*event.event().previous, &before_);
    const size_t words = std::max(now_.size(), before_.size());
    now_.resize(words);
    before_.resize(words);
    for (size_t word = 0; word < words; ++word) {
      for (uint64_t bits = now_[word] | before_[word]; bits != 0; bits &= bits - 1) {
        const int bit = std::countr_zero(bits);
        const auto number = static_cast<uint32_t>(word * 64 + static_cast<size_t>(bit));
        const bool left_view = (now_[word] >> bit & 1) == 0;
        std::vector<FilterClass::Match>& matches = matches_[number];
        if (matches.empty()) matching_.push_back(number);
        matches.push_back({event.offset(), event.Encoded(live_[number]->audiences(), left_view)});
        left += left_view ? 1 : 0;
        ++all;
      }
    }
  }
  const size_t segment_bytes = SegmentBytes();
  for (const uint32_t number : matching_) {
    live_[number]->Append(partition, matches_[number], segment_bytes, &births_);
    matches_[number].clear();
  }
  matching_.clear();
  int64_t encoded = 0;
  for (const PendingEvent& event : *events) encoded += event.encodings();
  probe_->matched.Increment(static_cast<double>(all - left));
  probe_->left_view.Increment(static_cast<double>(left));
  probe_->encoded_live.Increment(static_cast<double>(encoded));
}

// What took its last event before a mark is older than it, also where nothing has come since: else one event of a quiet partition would hold
// all that came after it in the class's order of arrival. Where no segment was made since then, of any class, the newest stay.
void ClassTable::DropOld(absl::Duration monotonic) {
  if (!births_at_.empty() && monotonic - births_at_.back().first < kAgeLook) return;
  births_at_.emplace_back(monotonic, births_);
  uint64_t old = 0;
  while (births_at_.front().first < monotonic - options_.segment_age_max) {
    old = births_at_.front().second;
    births_at_.pop_front();
  }
  if (old == 0) return;
  int64_t dropped = 0;
  for (const auto& filter_class : live_) {
    if (filter_class != nullptr) dropped += filter_class->DropBefore(old);
  }
  probe_->segments_dropped.Increment(static_cast<double>(dropped));
}

// Drops the oldest segments until an eighth of the room is free, so that this does not run at every step.
void ClassTable::Evict(absl::Duration monotonic) {
  DropOld(monotonic);
  probe_->segment_bytes.Set(static_cast<double>(memory()));
  if (memory() <= options_.segment_bytes_max) return;
  std::vector<FilterClass::SegmentRef> segments;
  for (const auto& filter_class : live_) {
    if (filter_class != nullptr) filter_class->ListSegments(&segments);
  }
  std::sort(segments.begin(), segments.end(), [](const auto& a, const auto& b) { return a.birth < b.birth; });
  const int64_t aim = options_.segment_bytes_max - options_.segment_bytes_max / 8;
  for (const FilterClass::SegmentRef& segment : segments) {
    if (memory() <= aim) break;
    segment.owner->DropOldest(segment.partition);
    probe_->segments_dropped.Increment();
  }
  probe_->segment_bytes.Set(static_cast<double>(memory()));
}

}  // namespace hub::fanout
