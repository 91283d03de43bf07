#include "services/fanout/farewell_spread.h"

#include <algorithm>
#include <vector>

#include "tests/catch.h"

namespace hub::fanout_service {
namespace {

TEST_CASE("who is told to leave comes back evenly spread, whoever else there is", "[fanout]") {
  for (const int streams : {187, 600, 5000}) {
    for (const absl::Duration window : {absl::ZeroDuration(), absl::Seconds(2), absl::Seconds(5)}) {  // over which they are told
      FarewellSpread spread;
      std::vector<absl::Duration> back;
      for (int i = 0; i < streams; ++i) {
        const absl::Duration after = spread.Next(streams - i);
        CHECK(after >= FarewellSpread::kLeast);
        CHECK(after <= FarewellSpread::kLeast + FarewellSpread::kPerStream * streams);
        back.push_back(window * i / streams + after);
      }
      std::sort(back.begin(), back.end());
      size_t most = 0;
      for (size_t first = 0, last = 0; last < back.size(); ++last) {
        while (back[last] - back[first] >= absl::Seconds(1)) ++first;
        most = std::max(most, last - first + 1);
      }
      INFO(streams << " streams, told within " << window);
      CHECK(most <= 108);  // 100 and what a sequence of three distances differs by
    }
  }
}

TEST_CASE("a few are spread over a second", "[fanout]") {
  FarewellSpread spread;
  const absl::Duration first = spread.Next(2), second = spread.Next(1);
  CHECK(first == FarewellSpread::kLeast);
  CHECK(second - first == absl::Milliseconds(618));
}

}  // namespace
}  // namespace hub::fanout_service
