#include "libs/access/quota.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace hub::access {

absl::Duration Quota::Take(absl::string_view stakeholder, absl::string_view quota_class, double cost,
                           const Rate& rate) {
  HUB_CHECK(rate.per_second > 0 && rate.burst >= 1 && cost >= 0);
  if (cost > rate.burst) return absl::InfiniteDuration();
  const absl::Duration interval = absl::Seconds(1) / rate.per_second;
  const absl::Duration now = clock_->Monotonic();
  // Neither part may hold a NUL, so the pair is unambiguous.
  const std::string key = absl::StrCat(stakeholder, absl::string_view("\0", 1), quota_class);

  base::MutexLock lock(&mu_);
  absl::Duration& arrival = arrival_.try_emplace(key, now).first->second;
  // The bucket is full when the theoretical arrival time is now, empty when it lies `burst` intervals ahead.
  const absl::Duration next = std::max(arrival, now) + cost * interval;
  const absl::Duration wait = next - (now + rate.burst * interval);
  if (wait > absl::ZeroDuration()) return wait;
  arrival = next;
  return absl::ZeroDuration();
}

}  // namespace hub::access
