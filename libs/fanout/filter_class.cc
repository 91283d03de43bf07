#include "libs/fanout/filter_class.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "libs/base/check.h"

namespace hub::fanout {
namespace {

constexpr eventlog::Offset kNoBase = std::numeric_limits<eventlog::Offset>::max();

template <typename E>
uint64_t Bit(E value, int at) {
  return uint64_t{1} << (at + static_cast<int>(value));
}

}  // namespace

AttributeMask AttributeMask::Of(const model::Attributes& attributes) {
  static_assert(model::kIdentifierTypeMax < 24 && model::kReasonMax < 24, "the mask has 24 bits for each");
  static_assert(static_cast<int>(model::Facet::kTrace) < 8 && static_cast<int>(model::Level::kVeryHigh) < 8,
                "the mask has 8 bits for each");
  AttributeMask mask;
  mask.bits_ = Bit(attributes.facet, kFacetsAt) | Bit(attributes.type, kTypesAt) | Bit(attributes.level, kLevelsAt) |
               Bit(0, kReasonsAt);  // for filters that do not ask for a reason
  for (const model::Reason reason : attributes.reasons) mask.bits_ |= Bit(reason, kReasonsAt);
  return mask;
}

AttributeMask AttributeMask::Of(const model::Filter& filter) {
  AttributeMask mask;
  for (const model::FilterClause& clause : filter.clauses()) {
    if (clause.facets.empty()) mask.bits_ |= kFacets;
    for (const model::Facet facet : clause.facets) mask.bits_ |= Bit(facet, kFacetsAt);
    if (clause.types.empty()) mask.bits_ |= kTypes;
    for (const model::IdentifierType type : clause.types) mask.bits_ |= Bit(type, kTypesAt);
    mask.bits_ |= kLevels & ~(Bit(clause.level_min, kLevelsAt) - 1);
    if (clause.reasons.empty()) mask.bits_ |= Bit(0, kReasonsAt);
    for (const model::Reason reason : clause.reasons) mask.bits_ |= Bit(reason, kReasonsAt);
  }
  return mask;
}

PendingEvent::PendingEvent(eventlog::Offset offset, model::Event event)
    : offset_(offset), event_(std::move(event)), mask_(AttributeMask::Of(event_.state.attributes)) {
  if (event_.previous.has_value()) previous_mask_ = AttributeMask::Of(*event_.previous);
}

absl::string_view PendingEvent::Encoded(const wire::AudienceSet& audiences, bool left_view) {
  for (const Form& form : encoded_) {
    if (form.audience_bits == audiences.bits() && form.left_view == left_view) return *form.bytes;
  }
  encoded_.push_back({audiences.bits(), left_view,
                      std::make_unique<const std::string>(wire::EncodeEventSlice(event_, audiences, left_view))});
  return *encoded_.back().bytes;
}

FilterClass::FilterClass(uint64_t id, model::Filter filter, const wire::AudienceSet& audiences, int32_t partitions,
                         std::shared_ptr<std::atomic<int64_t>> memory)
    : id_(id),
      filter_(std::move(filter)),
      mask_(AttributeMask::Of(filter_)),
      audiences_(audiences),
      memory_(std::move(memory)),
      stripes_(static_cast<size_t>(partitions), Stripe{kNoBase, {}, kFirstSegmentBytes}),
      order_(partitions) {}

FilterClass::~FilterClass() {
  base::MutexLock lock(&mu_);
  for (const Stripe& stripe : stripes_) {
    for (const Held& held : stripe.segments) CountMemory(-static_cast<int64_t>(held.segment->memory()));
  }
  CountMemory(-static_cast<int64_t>(order_.memory()));
}

Verdict FilterClass::Judge(const PendingEvent& event) const {
  if (mask_.MayMatch(event.mask()) && filter_.Matches(event.event().state.attributes)) return Verdict::kEvent;
  const bool matched_before = event.event().previous.has_value() && mask_.MayMatch(event.previous_mask()) &&
                              filter_.Matches(*event.event().previous);
  return matched_before ? Verdict::kLeftView : Verdict::kNothing;
}

bool FilterClass::Sees(const model::Attributes& row) const {
  return mask_.MayMatch(AttributeMask::Of(row)) && filter_.Matches(row);
}

void FilterClass::Activate(const std::vector<eventlog::Offset>& bases) {
  active_ = true;
  base::MutexLock lock(&mu_);
  for (size_t p = 0; p < stripes_.size(); ++p) stripes_[p].base = bases[p];
}

void FilterClass::Append(int32_t partition, absl::Span<const Match> matches, size_t segment_bytes, uint64_t* birth) {
  base::MutexLock lock(&mu_);
  Stripe& stripe = stripes_[static_cast<size_t>(partition)];
  int64_t added = -static_cast<int64_t>(order_.memory());
  for (const Match& match : matches) {
    const bool aged = !stripe.segments.empty() && stripe.segments.back().birth < closed_before_;
    if (stripe.segments.empty() || aged || !stripe.segments.back().segment->Fits(match.bytes.size())) {
      const size_t capacity = std::min(stripe.capacity_next, segment_bytes);
      stripe.segments.push_back({*birth, *birth, std::make_shared<Segment>(match.offset, capacity)});
      ++*birth;
      if (!aged) stripe.capacity_next = std::min(capacity * 2, kSegmentBytes);  // a quiet one stays small
    }
    Segment* open = stripe.segments.back().segment.get();
    stripe.segments.back().next_birth = *birth;
    added -= static_cast<int64_t>(open->memory());
    order_.Append(partition, match.offset, open->Append(match.offset, match.bytes));
    added += static_cast<int64_t>(open->memory());
  }
  CountMemory(added + static_cast<int64_t>(order_.memory()));
}

void FilterClass::Restart(int32_t partition, eventlog::Offset base) {
  base::MutexLock lock(&mu_);
  for (Stripe& stripe : stripes_) {
    if (!stripe.segments.empty()) stripe.base = stripe.segments.back().segment->end();
    for (const Held& held : stripe.segments) CountMemory(-static_cast<int64_t>(held.segment->memory()));
    stripe.segments.clear();
  }
  stripes_[static_cast<size_t>(partition)].base = base;
  CountMemory(-static_cast<int64_t>(order_.memory()));
  order_.Clear();
}

void FilterClass::ListSegments(std::vector<SegmentRef>* out) {
  base::MutexLock lock(&mu_);
  for (size_t p = 0; p < stripes_.size(); ++p) {
    for (const Held& held : stripes_[p].segments) {
      out->push_back({held.birth, static_cast<int32_t>(p), this, held.segment->memory()});
    }
  }
}

void FilterClass::DropOldest(int32_t partition) {
  base::MutexLock lock(&mu_);
  DropOldestLocked(&stripes_[static_cast<size_t>(partition)]);
  TrimOrder();
}

int64_t FilterClass::DropBefore(uint64_t birth) {
  base::MutexLock lock(&mu_);
  closed_before_ = birth;
  int64_t dropped = 0;
  for (Stripe& stripe : stripes_) {
    while (!stripe.segments.empty() && stripe.segments.front().next_birth < birth) {
      DropOldestLocked(&stripe);
      ++dropped;
    }
  }
  if (dropped > 0) TrimOrder();
  return dropped;
}

void FilterClass::TrimOrder() {
  std::vector<eventlog::Offset> bases;
  for (const Stripe& stripe : stripes_) bases.push_back(stripe.base);
  const auto memory = static_cast<int64_t>(order_.memory());
  order_.Drop(bases);
  CountMemory(static_cast<int64_t>(order_.memory()) - memory);
}

void FilterClass::DropOldestLocked(Stripe* stripe) {
  HUB_CHECK(!stripe->segments.empty());
  const Segment& oldest = *stripe->segments.front().segment;
  CountMemory(-static_cast<int64_t>(oldest.memory()));
  stripe->base = oldest.end();
  stripe->segments.pop_front();
  if (stripe->segments.empty()) stripe->capacity_next = kFirstSegmentBytes;
}

std::deque<FilterClass::Held>::const_iterator FilterClass::SegmentAt(const std::deque<Held>& segments,
                                                                     eventlog::Offset from) {
  return std::partition_point(segments.begin(), segments.end(),
                              [from](const Held& held) { return held.segment->end() <= from; });
}

std::optional<FilterClass::MemoryRead> FilterClass::Read(int32_t partition, eventlog::Offset from,
                                                         eventlog::Offset until, size_t bytes_max) const {
  base::MutexLock lock(&mu_);
  const Stripe& stripe = stripes_[static_cast<size_t>(partition)];
  if (from < stripe.base) return std::nullopt;
  MemoryRead read;
  read.next = until;
  const auto it = SegmentAt(stripe.segments, from);
  if (it == stripe.segments.end()) return read;
  read.slice = Segment::Read(it->segment, from, until, bytes_max, &read.next, &read.events);
  if (read.next == until && std::next(it) != stripe.segments.end()) {
    read.next = std::min(until, std::next(it)->segment->first());
  }
  return read;
}

std::optional<ArrivalOrder::Read> FilterClass::ReadRuns(ArrivalOrder::Places from, ArrivalOrder::Places until,
                                                        uint64_t at, size_t bytes_max) const {
  base::MutexLock lock(&mu_);
  for (size_t p = 0; p < stripes_.size(); ++p) {
    if (from[p] < stripes_[p].base) return std::nullopt;
  }
  const auto memory = static_cast<int64_t>(order_.memory());
  ArrivalOrder::Read read = order_.ReadRuns(from, until, at, bytes_max);
  CountMemory(static_cast<int64_t>(order_.memory()) - memory);
  return read;
}

}  // namespace hub::fanout
