#include "libs/fanout/window_probe.h"

#include <cmath>

namespace hub::fanout {
namespace {

// A window that is full for less is that of a stream that catches up with a moment's standstill; a probe would make it wait for seconds.
// Nor is a new stream looked into, which may be one of thousands that come back at once.
constexpr absl::Duration kFullBefore = absl::Seconds(5);
constexpr absl::Duration kAgeBefore = absl::Seconds(20);

}  // namespace

std::optional<WindowProbe::Flow> WindowProbe::Meter::Take(const Acknowledgement& ack) {
  if (from == absl::InfiniteDuration()) {
    from = ack.now;
    until = from + 2 * ack.took();
    return std::nullopt;
  }
  released += ack.released;
  under_way = std::max(under_way, ack.under_way);
  if (ack.now < until) return std::nullopt;
  const Flow flow{static_cast<double>(released) / absl::ToDoubleSeconds(std::max(ack.now - from, absl::Milliseconds(1))),
                  static_cast<double>(under_way)};
  *this = {};
  return flow;
}

void WindowProbe::Watch(const Acknowledgement& ack) {
  if (full_since_ == absl::InfiniteDuration()) {
    full_since_ = ack.now;
    next_at_ = ack.now + kAgeBefore;
  }
  if (!ack.full) {
    full_since_ = ack.now;
    meter_ = {};
    whole_.reset();
  } else if (const std::optional<Flow> flow = meter_.Take(ack)) {
    whole_ = flow;
  }
}

bool WindowProbe::CanRun(absl::Duration now) const {
  return whole_ && answers_ && now - full_since_ >= kFullBefore;
}

void WindowProbe::Run(absl::Duration now) {
  running_ = true;
  began_at_ = now;
  meter_ = {};
}

std::optional<WindowProbe::Finding> WindowProbe::Take(const Acknowledgement& ack) {
  if (ack.sent_at < began_at_) return std::nullopt;
  const std::optional<Flow> quarter = meter_.Take(ack);
  if (ack.full && !quarter) return std::nullopt;
  std::optional<Finding> finding;
  if (ack.full) {
    // Late answers: as much less goes through as was under way. A slow line: about as much as before.
    const bool line = quarter->rate > whole_->rate * std::sqrt(quarter->under_way / whole_->under_way);
    finding = {line, quarter->rate, absl::Seconds(quarter->under_way / quarter->rate)};
  }
  running_ = false;
  meter_ = {};
  whole_.reset();
  next_at_ = ack.now + kInterval;
  return finding;
}

}  // namespace hub::fanout
