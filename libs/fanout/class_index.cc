#include "libs/fanout/class_index.h"

#include <algorithm>
#include <bit>

#include "absl/types/span.h"
#include "libs/base/check.h"

namespace hub::fanout {
namespace {

constexpr size_t kWordBits = 64;
constexpr size_t kFewMax = 16;        // a set of 1,024 clauses has as many words
constexpr size_t kDeadSlotsMin = 64;  // fewer are not worth building all anew

template <typename E>
std::vector<int> Numbers(const std::vector<E>& values) {
  std::vector<int> numbers;
  for (const E value : values) numbers.push_back(static_cast<int>(value));
  return numbers;
}

// A row without a value for an attribute has the empty text there, as Filter::Matches sees it.
template <typename Value>
absl::Span<const Value> One(const Value& value) {
  return absl::MakeConstSpan(&value, 1);
}

void And(const std::vector<uint64_t>& other, std::vector<uint64_t>* words) {
  const size_t both = std::min(words->size(), other.size());
  for (size_t i = 0; i < both; ++i) (*words)[i] &= other[i];
  std::fill(words->begin() + static_cast<std::ptrdiff_t>(both), words->end(), 0);
}

}  // namespace

void BitSet::Add(uint32_t bit) {
  if (bit / kWordBits >= words_.size()) words_.resize(bit / kWordBits + 1);
  words_[bit / kWordBits] |= uint64_t{1} << bit % kWordBits;
}

void BitSet::Remove(uint32_t bit) {
  if (bit / kWordBits < words_.size()) words_[bit / kWordBits] &= ~(uint64_t{1} << bit % kWordBits);
}

void ClassIndex::Wanting::Add(uint32_t slot) {
  if (!many_.words().empty()) return many_.Add(slot);
  few_.push_back(slot);
  if (few_.size() <= kFewMax) return;
  for (const uint32_t bit : few_) many_.Add(bit);
  few_ = {};
}

void ClassIndex::Wanting::AddTo(std::vector<uint64_t>* words) const {
  for (const uint32_t slot : few_) (*words)[slot / kWordBits] |= uint64_t{1} << slot % kWordBits;
  const std::vector<uint64_t>& many = many_.words();
  for (size_t i = 0; i < many.size(); ++i) (*words)[i] |= many[i];
}

void ClassIndex::Add(uint32_t number, const model::Filter* filter) {
  HUB_CHECK(filters_.emplace(number, filter).second);
  AddClauses(number, *filter);
}

void ClassIndex::Remove(uint32_t number) {
  HUB_CHECK(filters_.erase(number) == 1);
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].number != number) continue;
    const uint64_t word = slot / kWordBits < alive_.words().size() ? alive_.words()[slot / kWordBits] : 0;
    if ((word >> slot % kWordBits & 1) == 0) continue;  // of a filter that had the number before
    alive_.Remove(slot);
    ++dead_;
  }
  if (dead_ >= kDeadSlotsMin && dead_ * 2 >= slots_.size()) Rebuild();
}

void ClassIndex::Rebuild() {
  const auto filters = std::move(filters_);
  *this = ClassIndex();
  for (const auto& [number, filter] : filters) Add(number, filter);
}

template <typename Value>
void ClassIndex::Constrain(uint32_t slot, const std::vector<Value>& wanted, Attribute<Value>* attribute) {
  if (wanted.empty()) return attribute->indifferent.Add(slot);
  ++attribute->constrained;
  for (const Value& value : wanted) attribute->wanting[value].Add(slot);
}

void ClassIndex::AddClauses(uint32_t number, const model::Filter& filter) {
  for (const model::FilterClause& clause : filter.clauses()) {
    const auto slot = static_cast<uint32_t>(slots_.size());
    slots_.push_back({number, clause.also.empty() ? nullptr : &filter});
    alive_.Add(slot);
    for (size_t level = static_cast<size_t>(clause.level_min); level < kLevels; ++level) level_from_[level].Add(slot);
    Constrain(slot, Numbers(clause.facets), &facets_);
    Constrain(slot, Numbers(clause.types), &types_);
    Constrain(slot, Numbers(clause.reasons), &reasons_);
    Constrain(slot, clause.categories, &categories_);
    Constrain(slot, clause.circles_of_issue, &circles_);
    Constrain(slot, clause.victim_states, &victim_states_);
    Constrain(slot, clause.handling_units, &handling_units_);
    Constrain(slot, clause.case_refs, &case_refs_);
    Constrain(slot, clause.operator_ids, &operators_);
  }
}

template <typename Values, typename Value>
void ClassIndex::Narrow(const Attribute<Value>& attribute, const Values& present, std::vector<uint64_t>* slots) const {
  if (attribute.constrained == 0) return;
  allowing_ = attribute.indifferent.words();
  allowing_.resize(slots->size());
  for (const auto& value : present) {
    const auto found = attribute.wanting.find(static_cast<const Value&>(value));
    if (found != attribute.wanting.end()) found->second.AddTo(&allowing_);
  }
  And(allowing_, slots);
}

void ClassIndex::Match(const model::Attributes& row, std::vector<uint64_t>* numbers) const {
  numbers->clear();
  const auto level = static_cast<size_t>(row.level);
  HUB_CHECK(level < kLevels);
  matching_ = alive_.words();
  And(level_from_[level].words(), &matching_);
  const int facet = static_cast<int>(row.facet), type = static_cast<int>(row.type);
  Narrow(facets_, One(facet), &matching_);
  Narrow(types_, One(type), &matching_);
  if (reasons_.constrained > 0) Narrow(reasons_, Numbers(row.reasons), &matching_);
  Narrow(categories_, row.categories, &matching_);
  Narrow(circles_, One(row.circle_of_issue), &matching_);
  Narrow(victim_states_, row.victim_states, &matching_);
  Narrow(handling_units_, row.handling_units, &matching_);
  Narrow(case_refs_, row.case_refs, &matching_);
  Narrow(operators_, One(row.operator_id), &matching_);
  for (size_t word = 0; word < matching_.size(); ++word) {
    for (uint64_t bits = matching_[word]; bits != 0; bits &= bits - 1) {
      const Slot& slot = slots_[word * kWordBits + static_cast<size_t>(std::countr_zero(bits))];
      if (slot.asked != nullptr && !slot.asked->Matches(row)) continue;
      if (slot.number / kWordBits >= numbers->size()) numbers->resize(slot.number / kWordBits + 1);
      (*numbers)[slot.number / kWordBits] |= uint64_t{1} << slot.number % kWordBits;
    }
  }
}

}  // namespace hub::fanout
