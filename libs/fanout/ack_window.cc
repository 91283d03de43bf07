#include "libs/fanout/ack_window.h"

#include <optional>

namespace hub::fanout {
namespace {

constexpr absl::Duration kHorizon = absl::Seconds(1);
// For a client that answers every few seconds a second's bytes would not last until its next answer, and the rate would be that of the
// window, ever smaller. A little more than what an answer takes is what lets such a window grow, at first as much again; no more than this.
constexpr absl::Duration kHorizonMax = absl::Seconds(10);
constexpr double kAllowance = 1.25;
constexpr double kAllowanceAtFirst = 2;
constexpr double kAllowanceProbed = 1.5;
constexpr double kDecay = 0.25;
constexpr int kProbeIntervalAnswers = 20;

}  // namespace

double AckWindow::Wanted(double rate) const {
  const double allowance = rising_ ? kAllowanceAtFirst : probed_ ? kAllowanceProbed : kAllowance;
  return rate * absl::ToDoubleSeconds(std::clamp(allowance * std::max(alone_, pause_), kHorizon, kHorizonMax));
}

void AckWindow::OnAck(const Acknowledgement& ack) {
  filled_ |= ack.full;
  if (probe_.running()) {
    const std::optional<WindowProbe::Finding> found = probe_.Take(ack);
    if (found) OnFound(*found, ack.now);
    if (!probe_.running()) probed_bytes_ = bytes_;
    return;
  }
  probe_.Watch(ack);
  if (!probed_) alone_ = std::min(alone_, ack.took());
  // Nobody waited for longer than its oldest message.
  if (ack.full) pause_ = std::max(pause_ * (1 - kDecay), ack.now - std::max(answered_at_, ack.oldest_sent_at));
  answered_at_ = ack.now;
  const double measured = ack.rate();
  if (ack.full && rate_ > 0 && measured < rate_ * kAllowance) rising_ = false;
  double rate = rate_;
  if (measured > rate_ || rate_ == 0) {
    rate = measured;
  } else if (ack.full) {
    rate += (measured - rate_) * kDecay;
  }
  const double wanted = Wanted(rate);
  const bool grows = wanted > static_cast<double>(bytes_);
  // What a probe has told is looked into again after a while: the client may have become quicker.
  const bool halved = wanted < static_cast<double>(probed_bytes_) / 2;
  if (!rising_ && (halved ? probe_.CanRun(ack.now) : (!grows || probed_) && probe_.MayRun(ack.now))) return probe_.Run(ack.now);
  rate_ = rate;
  const size_t sized = wanted >= static_cast<double>(kMax) ? kMax : std::max(kMin, static_cast<size_t>(wanted));
  if (ack.full || grows) bytes_ = std::min(sized, most_);
}

void AckWindow::OnFound(const WindowProbe::Finding& quarter, absl::Duration now) {
  alone_ = quarter.line && probed_ ? std::min(alone_, quarter.answer) : quarter.answer;
  probed_ = true;
  rising_ = !quarter.line;
  probe_.NotBefore(now + std::max(WindowProbe::kInterval, kProbeIntervalAnswers * alone_));
  if (!quarter.line) return;
  rate_ = quarter.rate;
  const double second = quarter.rate * absl::ToDoubleSeconds(kHorizon);
  if (static_cast<double>(bytes_ / 4) > second) probe_.NotBefore(now);  // less may do
  bytes_ = std::min(bytes_, std::max({bytes_ / 4, static_cast<size_t>(second), kMin}));
}

void AckWindow::OnSilence() {
  if (probe_.running()) return probe_.GiveUp();
  bytes_ = std::min(rate_ > 0 ? bytes_ * 2 : std::max(bytes_ * 2, kSilent), most_);
}

}  // namespace hub::fanout
