// What one simulated stakeholder holds, and what it should hold.
//
// KeyTable interns indicator ids, so that a stakeholder's view is one small entry per indicator. View follows the version rule of
// the API. Auditor keeps the full attributes as an analyst sees them; ExpectedView evaluates filter and rights on them with code of its
// own, straight from the policy file: it shares nothing with the hub's matching. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace fraudhub::config::v1 {
class Policy;
class Stakeholder;
}  // namespace fraudhub::config::v1
namespace fraudhub::v1 {
class Event;
class Filter;
class Indicator;
}  // namespace fraudhub::v1

namespace hub::swarm {

using KeyId = uint32_t;

class KeyTable {
 public:
  // `previous`: what the same stream told before, or 0. Streams tell nearly the same in nearly the same order, so what came after it the last
  // time is tried first; hundreds of streams would else pay for the same cold places of one large table.
  KeyId Intern(absl::string_view indicator_id, KeyId previous = 0);
  size_t size() const { return ids_.size(); }

 private:
  // In parts, by hash: one table of a million stops its process for half a second when it grows, and all processes of a swarm at the same moment.
  static constexpr size_t kParts = 256;
  using Numbers = absl::flat_hash_map<absl::string_view, KeyId>;
  std::array<Numbers, kParts> numbers_;
  std::deque<std::string> ids_;  // by number
  std::vector<KeyId> next_;      // by number
};

// The parts of an event that a view needs; found by scanning the bytes, not by parsing the message.
struct EventHead {
  absl::string_view indicator_id;
  uint64_t term = 0;
  uint64_t version = 0;
  int64_t reports_offset = 0;
  int64_t received_micros = 0;
  int64_t decided_micros = 0;
  int kind = 0;
  bool left_view = false;
};
// False: not a well-formed event.
bool ScanEvent(absl::string_view bytes, EventHead* head);

class View {
 public:
  // False: an old version, dropped.
  bool Apply(KeyId key, const EventHead& event);
  bool Holds(KeyId key) const { return key < size() && At(key).held; }
  size_t held() const { return held_; }
  // Not flagged any more, as the end of a snapshot tells; the version stays, so that nothing older brings it back.
  void Forget(KeyId key);
  uint64_t term(KeyId key) const { return key < size() ? At(key).term : 0; }
  uint64_t version(KeyId key) const { return key < size() ? At(key).version : 0; }
  uint64_t set_hash() const { return set_hash_; }
  size_t size() const { return chunks_.size() * kChunk; }

 private:
  struct Entry {
    uint32_t term = 0;
    uint32_t version = 0;
    bool held = false;
  };
  // In chunks, because hundreds of views that copy themselves to twice the size at the same moment stop the whole swarm for a second.
  static constexpr size_t kChunk = 1024;
  using Chunk = std::array<Entry, kChunk>;
  const Entry& At(KeyId key) const { return (*chunks_[key / kChunk])[key % kChunk]; }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  size_t held_ = 0;
  uint64_t set_hash_ = 0;  // sum of the hashes of (key, version) held
};

uint64_t HeldHash(KeyId key, uint64_t version);

class Auditor {
 public:
  Auditor();
  ~Auditor();
  void Apply(KeyId key, const fraudhub::v1::Event& event);
  // By key: version and attributes of every indicator known; null: not known. Each by itself, as it is dear to move.
  struct Known;
  const std::vector<std::unique_ptr<Known>>& known() const { return known_; }

 private:
  std::vector<std::unique_ptr<Known>> known_;
};

// Which indicators `stakeholder` should hold: its role's rows of the policy and its own filter.
class ExpectedView {
 public:
  ExpectedView(const fraudhub::config::v1::Policy& policy, const fraudhub::config::v1::Stakeholder& stakeholder,
               const fraudhub::v1::Filter& filter);
  bool Expects(const fraudhub::v1::Indicator& indicator) const;

 private:
  const fraudhub::config::v1::Policy& policy_;
  const fraudhub::config::v1::Stakeholder& stakeholder_;
  const fraudhub::v1::Filter& filter_;
};

// Problems, empty when the view is exactly what is expected: "missing 3, extra 0, other version 1".
std::string Compare(const View& view, const Auditor& auditor, const ExpectedView& expected);

}  // namespace hub::swarm
