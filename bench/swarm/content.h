// Whether an event's fields are what a role may see of what the auditor was told: by the annotations in the API's files, with code of its own.
// For one thread.
#pragma once

#include <set>
#include <string>

#include "absl/strings/string_view.h"

namespace fraudhub::config::v1 {
class Policy;
}

namespace hub::swarm {

// Which audiences' fields a role gets.
class Audiences {
 public:
  Audiences(const fraudhub::config::v1::Policy& policy, int role);
  bool Allows(int audience) const { return allowed_.contains(audience); }
  friend bool operator<(const Audiences& a, const Audiences& b) { return a.allowed_ < b.allowed_; }

 private:
  std::set<int> allowed_;
};

enum class ContentProblem { kNone, kMalformed, kHiddenField, kDiffers };

// `told`: the encoded event as a member got it; `full`: the same version as the auditor got it. `counters_may_differ`: a state out of a
// snapshot is younger than the event that led to it, but for what filters ask about.
ContentProblem CompareContent(absl::string_view told, absl::string_view full, const Audiences& audiences,
                              bool counters_may_differ);

}  // namespace hub::swarm
