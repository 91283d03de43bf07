// Rate limits per stakeholder: the generic cell rate algorithm (ITU-T I.371), one time stamp per (stakeholder, class).
//
// Exactly equivalent to a token bucket of `burst` tokens refilled at `per_second`. Thread safety: any thread. Bound: one entry per
// stakeholder and class, never more than the policy has stakeholders.
#pragma once

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace hub::access {

struct Rate {
  double per_second = 0;  // > 0
  double burst = 0;       // >= 1
};

class Quota {
 public:
  explicit Quota(const base::Clock* clock) : clock_(clock) {}
  // Takes `cost` at once, all or nothing. Zero when granted; else how long to wait before it would be: for ever (infinite) when
  // the cost is above the burst. REQUIRES: cost >= 0.
  absl::Duration Take(absl::string_view stakeholder, absl::string_view quota_class, double cost, const Rate& rate);

 private:
  const base::Clock* const clock_;
  base::Mutex mu_;
  // Theoretical arrival time, monotonic.
  absl::flat_hash_map<std::string, absl::Duration> arrival_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hub::access
