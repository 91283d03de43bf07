#include "libs/base/clock.h"

#include <chrono>

#include "absl/time/clock.h"
#include "libs/base/check.h"

namespace hub::base {

absl::Time RealClock::TimeNow() const { return absl::Now(); }

absl::Duration RealClock::Monotonic() const {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

ManualClock::ManualClock(absl::Time start) : start_(start) {}

absl::Time ManualClock::TimeNow() const { return start_ + Monotonic(); }

absl::Duration ManualClock::Monotonic() const {
  return absl::Nanoseconds(elapsed_nanos_.load(std::memory_order_relaxed));
}

void ManualClock::Advance(absl::Duration by) {
  HUB_CHECK(by >= absl::ZeroDuration());
  elapsed_nanos_.fetch_add(absl::ToInt64Nanoseconds(by), std::memory_order_relaxed);
}

}  // namespace hub::base
