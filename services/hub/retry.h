// Trying again while a log that starts up is not there yet: a broker that elects leaders, a topic just made.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace hub::hub_service {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <class T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// Calls `attempt` until it answers anything but Unavailable, or `timeout` passed; the last answer. Blocks.
template <class Attempt>
auto RetryUnavailable(const base::Clock* clock, absl::Duration timeout, Attempt attempt) {
  const absl::Duration until = clock->Monotonic() + timeout;
  base::Mutex mu;
  base::CondVar never;
  while (true) {
    auto answer = attempt();
    if (!absl::IsUnavailable(StatusOf(answer)) || clock->Monotonic() >= until) return answer;
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, absl::Milliseconds(100));
  }
}

}  // namespace hub::hub_service
