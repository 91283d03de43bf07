// Which of many filters match a row, by ANDs and ORs over bit sets instead of a look at each filter. Private to this library.
//
// Each clause of each filter has a bit. For every attribute that some clause constrains there is, per value, the set of clauses that want
// it, and the set of those that don't care; what matches is the AND over the attributes. Exact: equal to Filter::Matches for each filter
// (class_index_test.cc). Filters whose clauses have an `also` are found by the lists beside it, then asked.
// Not thread-safe; the dispatcher's thread.
// Bound: the number of filters, which the owner keeps; bits of removed ones are used again once they are half of all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/model/filter.h"

namespace hub::fanout {

// A set of small numbers. Grows as it is added to; what lies past its end is not in it.
class BitSet {
 public:
  void Add(uint32_t bit);
  void Remove(uint32_t bit);
  void Clear() { words_.clear(); }
  const std::vector<uint64_t>& words() const { return words_; }

 private:
  std::vector<uint64_t> words_;
};

class ClassIndex {
 public:
  // `number` names the filter in what Match returns; small numbers keep that short. REQUIRES: not in the index. `filter` is borrowed until
  // Remove.
  void Add(uint32_t number, const model::Filter* filter);
  void Remove(uint32_t number);
  size_t size() const { return filters_.size(); }

  // Sets the bits of the filters that match, in words of 64; the rest is zero.
  void Match(const model::Attributes& row, std::vector<uint64_t>* numbers) const;

 private:
  // The clauses that want a value: a list while they are few, then a set.
  class Wanting {
   public:
    void Add(uint32_t slot);
    void AddTo(std::vector<uint64_t>* words) const;

   private:
    std::vector<uint32_t> few_;
    BitSet many_;
  };
  template <typename Value>
  struct Attribute {
    BitSet indifferent;
    size_t constrained = 0;  // clauses; 0: the attribute needs no look
    absl::flat_hash_map<Value, Wanting> wanting;
  };
  struct Slot {
    uint32_t number = 0;
    const model::Filter* asked = nullptr;  // its clause says more than its lists do
  };

  template <typename Value>
  static void Constrain(uint32_t slot, const std::vector<Value>& wanted, Attribute<Value>* attribute);
  template <typename Values, typename Value>
  void Narrow(const Attribute<Value>& attribute, const Values& present, std::vector<uint64_t>* slots) const;
  void AddClauses(uint32_t number, const model::Filter& filter);
  void Rebuild();

  static constexpr size_t kLevels = 8;
  absl::flat_hash_map<uint32_t, const model::Filter*> filters_;
  std::vector<Slot> slots_;
  size_t dead_ = 0;  // slots of removed filters, not in alive_
  BitSet alive_;
  BitSet level_from_[kLevels];  // clauses that a row of this level satisfies
  Attribute<int> facets_, types_, reasons_, categories_;
  Attribute<std::string> circles_, victim_states_, handling_units_, case_refs_, operators_;
  // Match's room to work in.
  mutable std::vector<uint64_t> matching_, allowing_;
};

}  // namespace hub::fanout
