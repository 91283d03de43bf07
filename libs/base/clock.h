// Time as a dependency: whoever needs the time takes a `Clock*` and never asks the system itself.
//
// Thread safety: RealClock and ManualClock may be used from any thread.
// Typical use:
//   Session(const base::Clock* clock) ...  absl::Time now = clock->TimeNow();
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace hub::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, UTC. May jump; stamp records with it, never measure with it.
  virtual absl::Time TimeNow() const = 0;
  // Time since an arbitrary start. Never goes back; for intervals, ages and deadlines.
  virtual absl::Duration Monotonic() const = 0;
};

// The machine's clock.
class RealClock final : public Clock {
 public:
  absl::Time TimeNow() const override;
  absl::Duration Monotonic() const override;
};

// A clock that moves only when told to; tests and the simulation own one.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time start);
  absl::Time TimeNow() const override;
  absl::Duration Monotonic() const override;
  // REQUIRES: by >= 0.
  void Advance(absl::Duration by);

 private:
  const absl::Time start_;
  std::atomic<int64_t> elapsed_nanos_{0};  // relaxed: readers need a value, not an order
};

}  // namespace hub::base
