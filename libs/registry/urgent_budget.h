// How many urgent events a second get a copy that overtakes the order. Private to this library.
//
// A copy costs each reader of the lane as much as the event itself; when everything is urgent nothing is. Not thread-safe.
#pragma once

#include <algorithm>

#include "absl/time/time.h"
#include "libs/base/clock.h"

namespace hub::registry {

class UrgentBudget {
 public:
  // As many at once, and then as many a second.
  UrgentBudget(int copies_max, const base::Clock* clock)
      : copies_max_(copies_max), clock_(clock), left_(copies_max), at_(clock->Monotonic()) {}

  bool Take() {
    const absl::Duration now = clock_->Monotonic();
    left_ = std::min(copies_max_, left_ + absl::ToDoubleSeconds(now - at_) * copies_max_);
    at_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  const double copies_max_;
  const base::Clock* const clock_;
  double left_;
  absl::Duration at_;  // monotonic; when `left_` was right
};

}  // namespace hub::registry
