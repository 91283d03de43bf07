#include "libs/client/applied_ahead.h"

namespace hub::client {

void AppliedAhead::Note(const std::string& indicator_id, const VersionStamp& stamp, int32_t partition, int64_t position) {
  Entry& entry = entries_[indicator_id];
  by_place_.erase(entry.place);
  entry = {stamp, {partition, position}};
  by_place_[entry.place] = indicator_id;
}

void AppliedAhead::Passed(int32_t partition, int64_t position) {
  auto it = by_place_.lower_bound({partition, 0});
  while (it != by_place_.end() && it->first.first == partition && it->first.second < position) {
    entries_.erase(it->second);
    it = by_place_.erase(it);
  }
}

bool AppliedAhead::Covers(const std::string& indicator_id, const VersionStamp& stamp) const {
  const auto found = entries_.find(indicator_id);
  return found != entries_.end() && stamp <= found->second.stamp;
}

}  // namespace hub::client
