// What one client does with what the hub sends: the version rule, copies ahead of the order, the sweep at a snapshot's end, tokens.
//
// A client of the contract as the API states it, written for the swarm; the product's own is libs/client. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "bench/swarm/event_run.h"
#include "bench/swarm/view.h"

namespace hub::swarm {

// Positions by partition; -1 = not told yet.
class Positions {
 public:
  int64_t at(size_t partition) const { return partition < offsets_.size() ? offsets_[partition] : -1; }
  void Set(size_t partition, int64_t offset) {
    if (partition >= kPartitionsMax) return;  // nonsense from the wire must not cost memory
    if (partition >= offsets_.size()) offsets_.resize(partition + 1, -1);
    offsets_[partition] = offset;
  }
  size_t size() const { return offsets_.size(); }
  bool empty() const { return offsets_.empty(); }
  void clear() { offsets_.clear(); }
  // Not before `other` in any partition.
  bool Covers(const Positions& other) const {
    for (size_t p = 0; p < other.size(); ++p) {
      if (other.at(p) > at(p)) return false;
    }
    return true;
  }
  friend bool operator==(const Positions& a, const Positions& b) { return a.Covers(b) && b.Covers(a); }

 private:
  static constexpr size_t kPartitionsMax = 4096;
  std::vector<int64_t> offsets_;
};

// One event as it met the client's view. The references live as long as the call that is told of it.
struct Told {
  KeyId key = 0;
  const EventHead& head;
  absl::string_view bytes;
  bool applied = false;
  bool held_before = false;
  uint64_t term_before = 0;
  uint64_t version_before = 0;
  bool applied_ahead = false;  // its key has been applied ahead of the order
  bool copy = false;           // this is a copy ahead of the order, of what stands at `position` of `partition`
  int32_t partition = 0;
  int64_t position = 0;
};

// One message, but for its events.
struct Message {
  int events = 0;
  std::vector<std::pair<int32_t, int64_t>> moved;  // positions that it told
  bool opened = false;
  Positions start, end;  // of `opened`
  bool snapshot_resumed = false;
  bool progress = false;
  int64_t complete_until_micros = 0;  // 0 = not known
  int64_t records_behind = 0;
  int64_t hub_time_micros = 0;
  bool drain = false;
  bool has_token = false;  // of progress or drain
  absl::Duration reconnect_after;
  bool snapshot_begins = false, snapshot_ends = false;
  bool view_changed = false;
};

class Receiver {
 public:
  // `looks_into`: else events are counted only, and there is no view.
  explicit Receiver(KeyTable* keys, bool looks_into = true) : keys_(keys), looks_into_(looks_into) {}
  bool looks_into() const { return looks_into_; }

  // A stream is about to be opened with token().
  void OnConnect();
  // One message of the stream. False: malformed. `on_event` is called for each event, when the view has it.
  bool OnMessage(absl::string_view bytes, absl::FunctionRef<void(const Told&)> on_event, Message* message);
  // The hub refused the token: afresh, with what is held until a snapshot's end tells.
  void ForgetToken() {
    token_.clear();
    in_snapshot_ = false;
  }
  // Everything held is forgotten, too: for a start that has no end of a snapshot.
  void ForgetAll();

  const View& view() const { return view_; }
  const std::string& token() const { return token_; }
  // Token of the last progress or drain and where the stream stood then; what the next one must begin with.
  const Positions& token_positions() const { return token_positions_; }
  bool token_is_exact() const { return token_is_exact_; }
  const Positions& positions() const { return positions_; }
  const Positions& urgent_positions() const { return urgent_positions_; }
  // Parts of a snapshot that came, to be acknowledged; 0 = none.
  uint32_t snapshot_parts() const { return snapshot_parts_; }
  bool in_snapshot() const { return in_snapshot_; }

 private:
  // False: it is damaged.
  bool OnRun(const EventRun& run, absl::FunctionRef<void(const Told&)> on_event);
  void OnEvent(absl::string_view bytes, bool copy, int32_t partition, int64_t position,
               absl::FunctionRef<void(const Told&)> on_event);
  void Sweep();

  KeyTable* const keys_;
  const bool looks_into_;
  KeyId last_key_ = 0;
  std::string unpacked_;  // of the run at hand
  View view_;
  std::string token_;
  Positions token_positions_;
  bool token_is_exact_ = false;  // a progress mark's; a drain's may lie beyond what was told
  Positions positions_, urgent_positions_;
  bool in_snapshot_ = false;
  uint32_t snapshot_parts_ = 0;
  std::vector<bool> told_since_begin_;
  absl::flat_hash_map<KeyId, std::pair<int32_t, int64_t>> ahead_;
};

}  // namespace hub::swarm
