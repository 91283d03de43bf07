#include "libs/rpc/egress_pace.h"

#include <time.h>

#include <algorithm>
#include <utility>

namespace hub::rpc {
namespace {

constexpr absl::Duration kWriteCostAtFirst = absl::Microseconds(11);  // measured, paced, in clear
constexpr absl::Duration kWriteCostMin = absl::Microseconds(1);
// A dearer write is not believed: what was measured is something else, such as timers of many streams that write little.
constexpr absl::Duration kWriteCostMax = absl::Milliseconds(1);
constexpr int64_t kWritesToTell = 200;
constexpr double kWeightOfNew = 0.2;
constexpr absl::Duration kAskInterval = absl::Milliseconds(100);
constexpr int64_t kCrowdedStreams = 1000;  // on one thread

}  // namespace

absl::Duration ThreadCpu() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return absl::DurationFromTimespec(spent);
}

EgressPace::EgressPace(const EgressOptions& options)
    : linger_min_(options.linger_min),
      linger_max_(std::max(options.linger_max, options.linger_min)),
      linger_crowded_max_(std::max(options.linger_crowded_max, linger_max_)),
      core_share_(std::clamp(options.core_share, 0.05, 1.0)),
      catchup_share_(std::clamp(options.catchup_share, 0.05, 0.95)),
      write_cost_(kWriteCostAtFirst) {}

void EgressPace::OnTurn(Lane lane, absl::Duration took) {
  turns_ += took;
  if (lane == Lane::kLive) live_turns_ += took;
}

void EgressPace::OnSweep(absl::Duration cpu) {
  const absl::Duration spent = std::max(cpu - std::exchange(cpu_seen_, cpu), turns_);
  if (turns_ > absl::ZeroDuration()) Measured(spent * absl::FDivDuration(live_turns_, turns_), live_writes_);
  turns_ = live_turns_ = absl::ZeroDuration();
  live_writes_ = 0;
}

void EgressPace::Measured(absl::Duration spent, int64_t writes) {
  spent_ += spent;
  writes_ += writes;
  if (writes_ < kWritesToTell) return;
  const absl::Duration cost = std::clamp(spent_ / writes_, kWriteCostMin, kWriteCostMax);
  write_cost_ = measured_ ? write_cost_ * (1 - kWeightOfNew) + cost * kWeightOfNew : cost;
  measured_ = true;
  spent_ = absl::ZeroDuration();
  writes_ = 0;
}

absl::Duration EgressPace::Linger(int64_t streams, bool shared) {
  const int64_t writes = std::exchange(pass_writes_, 0);
  const double share = shared ? std::min(core_share_, 1 - catchup_share_) : core_share_;
  const double crowd = std::max(1.0, static_cast<double>(streams) / kCrowdedStreams);
  const absl::Duration bound = std::min(linger_max_ * crowd, linger_crowded_max_);
  linger_ = std::clamp(write_cost_ * static_cast<double>(writes) / share, linger_min_, bound);
  return linger_;
}

absl::Duration EgressPace::AskInterval(Lane lane) const {
  return lane == Lane::kLive ? std::max(kAskInterval, 2 * linger_) : kAskInterval;
}

}  // namespace hub::rpc
