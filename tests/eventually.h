// For what another thread or process brings about: asks, with a pause between, until the answer is yes.
#pragma once

#include <functional>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace hub {

inline bool Eventually(const std::function<bool()>& question, absl::Duration patience = absl::Seconds(20),
                       absl::Duration pause = absl::Milliseconds(2)) {
  const base::RealClock clock;
  const absl::Duration until = clock.Monotonic() + patience;
  base::Mutex mu;
  base::CondVar never;
  while (!question()) {
    if (clock.Monotonic() >= until) return false;
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, pause);
  }
  return true;
}

}  // namespace hub
