// What the auditor, who sees everything, was told: the reference of the checker. Each event with which kinds of view it belongs to and
// between which positions it stands.
//
// The events of one of the auditor's messages are a group; the group's end is the auditor's positions after it: whoever is at or past
// them has passed every event of the group. Bounded: the oldest entries go when `entries_max` is reached; what would need them is not judged.
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "bench/swarm/receiver.h"
#include "bench/swarm/view.h"

namespace hub::swarm {

class Ledger {
 public:
  static constexpr size_t kKindsMax = 256;  // of views; AddKind answers -1 beyond
  using Kinds = std::array<uint64_t, kKindsMax / 64>;

  struct Entry {
    KeyId key = 0;
    uint64_t term = 0;
    uint64_t version = 0;
    Kinds matches{}, matched_before{};
    bool exact = true;          // an event; not a state, which may stand for it and has newer counters
    bool before_known = false;  // the auditor was told the version right before, by the same owner
    uint32_t repeats = 0;       // how often the auditor was told again
    uint64_t group = 0;
    std::string bytes;
    std::vector<uint64_t> verified;  // hashes of what was found good
    bool Matches(int kind) const { return Has(matches, kind); }
    bool MatchedBefore(int kind) const { return Has(matched_before, kind); }

   private:
    static bool Has(const Kinds& kinds, int kind) {
      return (kinds[static_cast<size_t>(kind) / 64] >> (static_cast<size_t>(kind) % 64) & 1) != 0;
    }
  };

  explicit Ledger(size_t entries_max = 1'000'000) : entries_max_(entries_max) {}

  // A kind of view: a filter and rights. The same `name`, the same kind.
  int AddKind(const std::string& name, std::unique_ptr<ExpectedView> view);

  // The auditor was told. True: a new entry, the last one.
  bool Add(const Told& told, bool exact);
  // Its message is over.
  void EndGroup(const Positions& positions);

  // Entries by number, [first, end).
  uint64_t first() const { return first_; }
  uint64_t end() const { return first_ + entries_.size(); }
  Entry& at(uint64_t number) { return entries_[static_cast<size_t>(number - first_)]; }
  const Entry& at(uint64_t number) const { return entries_[static_cast<size_t>(number - first_)]; }
  const Positions& group_end(uint64_t group) const { return groups_[static_cast<size_t>(group - first_group_)]; }
  bool GroupIsOver(uint64_t group) const { return group < first_group_ + groups_.size(); }

  // Null: the auditor was not told, or long ago. `any_term`: of any owner.
  Entry* Find(KeyId key, uint64_t term, uint64_t version, bool any_term);
  // Whether entries of this key have gone: then what is not found may have been.
  bool HasForgotten(KeyId key) const { return key < keys_.size() && keys_[key].forgotten; }
  // The newest version the auditor was told; 0 = never.
  uint64_t newest(KeyId key) const { return key < keys_.size() ? keys_[key].version : 0; }

  // Nobody needs entries before `number` any more.
  void ForgetBefore(uint64_t number);

 private:
  struct Key {
    uint64_t term = 0, version = 0;
    Kinds matches{};
    bool forgotten = false;
    std::vector<uint64_t> entries;  // numbers, oldest first
  };
  void DropOldest();

  const size_t entries_max_;
  std::vector<std::unique_ptr<ExpectedView>> kinds_;
  absl::flat_hash_map<std::string, int> kind_numbers_;
  std::deque<Key> keys_;  // not a vector: it need not be moved to grow
  std::deque<Entry> entries_;
  uint64_t first_ = 0;
  std::deque<Positions> groups_;
  uint64_t first_group_ = 0;
};

}  // namespace hub::swarm
