#include "libs/fanout/ack_window.h"

namespace hub::fanout {
namespace {

// A clock that stands still must not look like an endless rate.
constexpr absl::Duration kTookMin = absl::Milliseconds(1);
constexpr absl::Duration kHorizon = absl::Seconds(1);
// For a client that acknowledges every few seconds a second's bytes would not last until its next acknowledgement, and the rate would be
// that of the window, ever smaller. A little more than what the quickest message took is what lets such a window grow, at first as much
// again; no more than this.
constexpr absl::Duration kHorizonMax = absl::Seconds(10);
constexpr double kAllowance = 1.25;
constexpr double kAllowanceAtFirst = 2;
constexpr double kDecay = 0.25;

}  // namespace

void AckWindow::OnAck(size_t acknowledged, absl::Duration took, bool full) {
  took = std::max(took, kTookMin);
  least_ = std::min(least_, took);
  const double measured = static_cast<double>(acknowledged) / absl::ToDoubleSeconds(took);
  if (full && rate_ > 0 && measured < rate_ * kAllowance) rising_ = false;
  if (measured > rate_ || rate_ == 0) {
    rate_ = measured;
  } else if (full) {
    rate_ += (measured - rate_) * kDecay;
  }
  const double allowance = rising_ ? kAllowanceAtFirst : kAllowance;
  const double wanted = rate_ * absl::ToDoubleSeconds(std::clamp(allowance * least_, kHorizon, kHorizonMax));
  const size_t sized = wanted >= static_cast<double>(kMax) ? kMax : std::max(kMin, static_cast<size_t>(wanted));
  const size_t next = std::min(sized, most_);
  if (full || next > bytes_) bytes_ = next;
}

}  // namespace hub::fanout
