#include "libs/fanout/ack_window.h"

#include <cmath>

namespace hub::fanout {
namespace {

// A clock that stands still must not look like an endless rate.
constexpr absl::Duration kTookMin = absl::Milliseconds(1);
constexpr absl::Duration kHorizon = absl::Seconds(1);
// For a client that answers every few seconds a second's bytes would not last until its next answer, and the rate would be that of the
// window, ever smaller. A little more than what an answer takes is what lets such a window grow, at first as much again; no more than this.
constexpr absl::Duration kHorizonMax = absl::Seconds(10);
constexpr double kAllowance = 1.25;
constexpr double kAllowanceAtFirst = 2;
constexpr double kAllowanceProbed = 1.5;
constexpr double kDecay = 0.25;
// The client's pauses count as far as a stream that is current needs it. Beyond, where processors are short, those that catch up would take
// more of them than those that are current can spare.
constexpr double kEnoughForPauses = 256 * 1024;
// From one probe to the next: a probe may cost most of what three answers would bring.
constexpr absl::Duration kProbeInterval = absl::Seconds(30);
constexpr int kProbeIntervalAnswers = 20;
// A window that is full for less is that of a stream that catches up with a moment's standstill; a probe would make it wait for seconds.
// Nor is a new stream looked into, which may be one of thousands that come back at once.
constexpr absl::Duration kAgeBeforeProbe = absl::Seconds(20);
constexpr absl::Duration kFullBeforeProbe = absl::Seconds(5);

}  // namespace

std::optional<AckWindow::Flow> AckWindow::Meter::OnAck(const Ack& ack, absl::Duration took) {
  if (from == absl::InfiniteDuration()) {
    from = ack.now;
    until = from + 2 * took;
    return std::nullopt;
  }
  released += ack.released;
  under_way = std::max(under_way, ack.under_way);
  if (ack.now < until) return std::nullopt;
  return Flow{static_cast<double>(released) / absl::ToDoubleSeconds(std::max(ack.now - from, kTookMin)),
              static_cast<double>(under_way)};
}

double AckWindow::Wanted(double rate) const {
  const double allowance = rising_ ? kAllowanceAtFirst : probed_ ? kAllowanceProbed : kAllowance;
  const auto bytes_in = [&](absl::Duration answer) {
    return rate * absl::ToDoubleSeconds(std::clamp(allowance * answer, kHorizon, kHorizonMax));
  };
  return std::max(bytes_in(alone_), std::min(bytes_in(pause_), kEnoughForPauses));
}

void AckWindow::OnAck(const Ack& ack) {
  const absl::Duration took = std::max(ack.now - ack.sent_at, kTookMin);
  if (probing_) return TakeProbe(ack, took);
  if (!probed_) alone_ = std::min(alone_, took);
  // Nobody waited for longer than its oldest message.
  if (ack.full) pause_ = std::max(pause_ * (1 - kDecay), ack.now - std::max(answered_at_, ack.oldest_sent_at));
  answered_at_ = ack.now;
  if (rate_ == 0) probe_at_ = ack.now + kAgeBeforeProbe;
  if (!ack.full || rate_ == 0) full_since_ = ack.now;
  if (!ack.full) {
    meter_ = {};
    whole_.reset();
  } else if (const std::optional<Flow> flow = meter_.OnAck(ack, took)) {
    meter_ = {};
    whole_ = flow;
  }
  const double measured = static_cast<double>(ack.acknowledged) / absl::ToDoubleSeconds(took);
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
  const bool due = (ack.now >= probe_at_ && (!grows || probed_)) || wanted < static_cast<double>(probed_bytes_) / 2;
  if (whole_ && !rising_ && may_probe_ && due && ack.now - full_since_ >= kFullBeforeProbe) {
    probing_ = true;
    probing_since_ = ack.now;
    meter_ = {};
    return;
  }
  rate_ = rate;
  const size_t sized = wanted >= static_cast<double>(kMax) ? kMax : std::max(kMin, static_cast<size_t>(wanted));
  if (ack.full || grows) bytes_ = std::min(sized, most_);
}

void AckWindow::TakeProbe(const Ack& ack, absl::Duration took) {
  if (ack.sent_at < probing_since_) return;
  const std::optional<Flow> quarter = meter_.OnAck(ack, took);
  if (ack.full && !quarter) return;
  probe_at_ = ack.now + kProbeInterval;
  if (ack.full) OnProbed(*quarter, ack.now);  // else there was nothing more to send, which tells nothing
  probed_bytes_ = bytes_;
  probing_ = false;
  meter_ = {};
  whole_.reset();
}

void AckWindow::OnProbed(const Flow& quarter, absl::Duration now) {
  // Late answers: as much less goes through as was under way. A slow line: about as much as before.
  const bool line = quarter.rate > whole_->rate * std::sqrt(quarter.under_way / whole_->under_way);
  const absl::Duration answer = absl::Seconds(quarter.under_way / quarter.rate);
  alone_ = line && probed_ ? std::min(alone_, answer) : answer;
  probed_ = true;
  probe_at_ = now + std::max(kProbeInterval, kProbeIntervalAnswers * alone_);
  rising_ = !line;
  if (!line) return;
  rate_ = quarter.rate;
  const double second = quarter.rate * absl::ToDoubleSeconds(kHorizon);
  if (static_cast<double>(bytes_ / 4) > second) probe_at_ = now;  // less may do
  bytes_ = std::min(bytes_, std::max({bytes_ / 4, static_cast<size_t>(second), kMin}));
}

void AckWindow::OnSilence() {
  if (probing_) {  // a client that says nothing to so little
    probing_ = may_probe_ = false;
    return;
  }
  bytes_ = std::min(std::max(bytes_ * 2, kSilent), most_);
}

}  // namespace hub::fanout
