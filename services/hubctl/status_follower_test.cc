#include "services/hubctl/status_follower.h"

#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/report.pb.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

TEST_CASE("Who has sent all is told of each report what was decided, and asks no more than it takes") {
  const base::RealClock clock;
  std::atomic<int> asked = 0;
  const auto ask = [&asked](const std::vector<std::string>& ids) -> absl::StatusOr<std::vector<v1::ReportStatus>> {
    std::vector<v1::ReportStatus> statuses(ids.size());
    if (++asked > 3) {
      for (v1::ReportStatus& status : statuses) status.set_outcome(v1::OUTCOME_MERGED);
    }
    return statuses;
  };
  StatusFollower follower(
      ask, [](uint64_t row) { return absl::StrCat(row); }, &clock, clock.TimeNow());
  for (uint64_t row = 0; row < 10; ++row) follower.Accepted(row);
  follower.Finish(absl::Seconds(30));
  CHECK(follower.undecided() == 0);
  CHECK(follower.outcomes() == std::map<std::string, uint64_t>{{"MERGED", 10}});
  CHECK(asked == 4);
}

TEST_CASE("What the hub does not decide within the patience stays undecided, and is not asked for without end") {
  const base::RealClock clock;
  std::atomic<int> asked = 0;
  const auto ask = [&asked](const std::vector<std::string>& ids) -> absl::StatusOr<std::vector<v1::ReportStatus>> {
    ++asked;
    return std::vector<v1::ReportStatus>(ids.size());
  };
  StatusFollower follower(
      ask, [](uint64_t row) { return absl::StrCat(row); }, &clock, clock.TimeNow());
  for (uint64_t row = 0; row < 2500; ++row) follower.Accepted(row);
  follower.Finish(absl::Seconds(1));
  CHECK(follower.undecided() == 2500);
  CHECK(asked < 30);
}

}  // namespace
}  // namespace hub::hubctl
