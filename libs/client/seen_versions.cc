#include "libs/client/seen_versions.h"

#include "libs/base/hash.h"

namespace hub::client {

SeenVersions::Key SeenVersions::KeyOf(const std::string& indicator_id) {
  return {base::Mix64(indicator_id, 1), base::Mix64(indicator_id, 2)};
}

bool SeenVersions::IsNew(const std::string& indicator_id, const VersionStamp& stamp) const {
  const auto found = stamps_.find(KeyOf(indicator_id));
  return found == stamps_.end() || stamp > found->second;
}

bool SeenVersions::Note(const std::string& indicator_id, const VersionStamp& stamp) {
  const Key key = KeyOf(indicator_id);
  const auto found = stamps_.find(key);
  if (found != stamps_.end()) {
    found->second = stamp;
    return true;
  }
  if (stamps_.size() >= entries_max_) return false;
  stamps_.emplace(key, stamp);
  return true;
}

}  // namespace hub::client
