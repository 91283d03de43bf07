#include "libs/client/seen_versions.h"

#include "libs/base/hash.h"

namespace hub::client {

SeenVersions::Key SeenVersions::KeyOf(const std::string& indicator_id) {
  return {base::Mix64(indicator_id, 1), base::Mix64(indicator_id, 2)};
}

bool SeenVersions::IsNew(const std::string& indicator_id, const VersionStamp& stamp) const {
  const auto found = entries_.find(KeyOf(indicator_id));
  return found == entries_.end() || stamp > found->second.stamp;
}

bool SeenVersions::Turns(const std::string& indicator_id, const VersionStamp& stamp, bool held) const {
  const auto found = entries_.find(KeyOf(indicator_id));
  return found != entries_.end() && stamp == found->second.stamp && held != found->second.held;
}

bool SeenVersions::Note(const std::string& indicator_id, const VersionStamp& stamp, bool held) {
  const Key key = KeyOf(indicator_id);
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    found->second = {stamp, snapshot_, held};
    return true;
  }
  if (entries_.size() >= entries_max_) return false;
  entries_.emplace(key, Entry{stamp, snapshot_, held});
  if (keep_ids_) ids_.emplace(key, indicator_id);
  return true;
}

void SeenVersions::BeginSnapshot(bool forget_stamps) {
  ++snapshot_;
  in_snapshot_ = true;
  if (!forget_stamps) return;
  for (auto& [key, entry] : entries_) entry.stamp = {};
}

void SeenVersions::Tell(const std::string& indicator_id) {
  if (!in_snapshot_) return;
  const auto found = entries_.find(KeyOf(indicator_id));
  if (found != entries_.end()) found->second.snapshot = snapshot_;
}

void SeenVersions::Sweep(const std::function<void(const std::string& indicator_id)>& removed) {
  in_snapshot_ = false;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->second.snapshot == snapshot_) {
      ++it;
      continue;
    }
    const auto id = ids_.find(it->first);
    if (it->second.held && removed) removed(id == ids_.end() ? std::string() : id->second);
    // The stamp goes, too: what the tail tells next of the indicator is the newest there is.
    if (id != ids_.end()) ids_.erase(id);
    entries_.erase(it++);
  }
}

}  // namespace hub::client
