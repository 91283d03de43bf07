// When those who are told to leave should come back: spread over ten milliseconds for each stream that there was, a second at least.
//
// The next one's time is the golden section further round than the last one's: any few in a row lie apart from each other, and many fill the time
// evenly (the additive recurrence, H. Weyl 1916). By chance there would be seconds with a third more than others, which is what is to be avoided.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>

#include "absl/time/time.h"

namespace hub::fanout_service {

// Thread-safe.
class FarewellSpread {
 public:
  static constexpr absl::Duration kLeast = absl::Milliseconds(200);
  static constexpr absl::Duration kPerStream = absl::Milliseconds(10);

  // For the next one to leave; whole milliseconds. `streams`: how many there are now; the first call's counts for all.
  absl::Duration Next(int streams) {
    int none = 0;
    at_first_.compare_exchange_strong(none, streams);
    const absl::Duration spread = std::max(absl::Seconds(1), kPerStream * at_first_.load());
    const double turns = 0.6180339887498949 * static_cast<double>(told_.fetch_add(1));
    return absl::Trunc(kLeast + spread * (turns - std::floor(turns)), absl::Milliseconds(1));
  }

 private:
  std::atomic<int> at_first_{0};  // 0: nobody was told yet
  std::atomic<uint64_t> told_{0};
};

}  // namespace hub::fanout_service
