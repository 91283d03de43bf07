// The newest version handled of each indicator: what makes at-least-once delivery apply once; and which of them a snapshot has told of.
// Private to this library.
//
// Memory: about 70 bytes per indicator, `entries_max` of them; of the ids 128 bits of a hash, the ids themselves (60 bytes more) only if
// somebody wants to hear what a snapshot's end removes.
// Thread safety: one thread.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace hub::client {

struct VersionStamp {
  uint64_t term = 0;
  uint64_t version = 0;
  int64_t reports_offset = 0;
  friend auto operator<=>(const VersionStamp&, const VersionStamp&) = default;
};

class SeenVersions {
 public:
  explicit SeenVersions(size_t entries_max, bool keep_ids = false) : entries_max_(entries_max), keep_ids_(keep_ids) {}
  // True: newer than anything noted for this indicator, or unknown.
  bool IsNew(const std::string& indicator_id, const VersionStamp& stamp) const;
  // This very version is noted, but as in the view when it is not now, or the other way round: the view has changed (libs/decisions/0061).
  bool Turns(const std::string& indicator_id, const VersionStamp& stamp, bool held) const;
  // False: full, not noted. `held`: the indicator is in the view now.
  bool Note(const std::string& indicator_id, const VersionStamp& stamp, bool held = true);
  size_t size() const { return entries_.size(); }

  // A snapshot begins: Sweep will forget what is neither noted nor told of from here on. `forget_stamps`: versions from before compare with
  // none of its (another log).
  void BeginSnapshot(bool forget_stamps);
  bool in_snapshot() const { return in_snapshot_; }
  // The stream told of the indicator, if only what is known already. Who holds keys for other reasons when a snapshot begins (applied
  // ahead of the order) tells of them then.
  void Tell(const std::string& indicator_id);
  // The snapshot ends. `removed` is called with each indicator that was held and is not any more; empty ids if they are not kept.
  void Sweep(const std::function<void(const std::string& indicator_id)>& removed);

 private:
  using Key = std::pair<uint64_t, uint64_t>;
  struct Entry {
    VersionStamp stamp;
    uint32_t snapshot = 0;  // the last that told of it
    bool held = false;
  };
  static Key KeyOf(const std::string& indicator_id);

  const size_t entries_max_;
  const bool keep_ids_;
  uint32_t snapshot_ = 0;
  bool in_snapshot_ = false;
  absl::flat_hash_map<Key, Entry> entries_;
  absl::flat_hash_map<Key, std::string> ids_;
};

}  // namespace hub::client
