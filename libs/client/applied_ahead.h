// Indicators that an urgent copy changed before the stream came to the change in its order. Private to this library.
//
// An entry lasts until the stream's position passes the event that was copied: until then older events of the indicator are to be
// skipped, and the end of a snapshot must not forget it. Bound: `entries_max`; at that, further copies are not to be applied, which is safe:
// the same events come in their order.
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "libs/client/seen_versions.h"

namespace hub::client {

class AppliedAhead {
 public:
  explicit AppliedAhead(size_t entries_max) : entries_max_(entries_max) {}

  // `others`: so many are to be noted as well.
  bool CanNote(const std::string& indicator_id, size_t others = 0) const {
    return entries_.size() + others < entries_max_ || (others == 0 && entries_.contains(indicator_id));
  }
  // REQUIRES: CanNote; newer than what is noted.
  void Note(const std::string& indicator_id, const VersionStamp& stamp, int32_t partition, int64_t position);
  // The stream has passed everything of the partition before `position`.
  void Passed(int32_t partition, int64_t position);

  // An event that comes in its order is older than (or the same as) what was applied ahead.
  bool Covers(const std::string& indicator_id, const VersionStamp& stamp) const;
  // Whether the end of a snapshot must leave it alone.
  bool Spares(const std::string& indicator_id) const { return entries_.contains(indicator_id); }
  template <class Visit>
  void ForEach(Visit visit) const {
    for (const auto& [id, entry] : entries_) visit(id);
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    VersionStamp stamp;
    std::pair<int32_t, int64_t> place{-1, -1};  // partition and position of the event
  };
  const size_t entries_max_;
  absl::flat_hash_map<std::string, Entry> entries_;
  std::map<std::pair<int32_t, int64_t>, std::string> by_place_;  // one event stands in one place
};

}  // namespace hub::client
