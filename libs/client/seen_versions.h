// The newest version handled of each indicator: what makes at-least-once delivery apply once. Private to this library.
//
// Memory: about 60 bytes per indicator, `entries_max` of them; the ids themselves are not kept (128 bits of a hash are).
// Thread safety: one thread.
#pragma once

#include <compare>
#include <cstdint>
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
  explicit SeenVersions(size_t entries_max) : entries_max_(entries_max) {}
  // True: newer than anything noted for this indicator, or unknown.
  bool IsNew(const std::string& indicator_id, const VersionStamp& stamp) const;
  // False: full, not noted.
  bool Note(const std::string& indicator_id, const VersionStamp& stamp);
  size_t size() const { return stamps_.size(); }

 private:
  using Key = std::pair<uint64_t, uint64_t>;
  static Key KeyOf(const std::string& indicator_id);

  const size_t entries_max_;
  absl::flat_hash_map<Key, VersionStamp> stamps_;
};

}  // namespace hub::client
