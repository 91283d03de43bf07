// How many bytes a session may have un-acknowledged: about what its client acknowledges in a second, so that what is urgent stands
// behind a second of other bytes at most, and a fast client is never held up. Private to this library. A plain value.
//
// The rate is that of bytes acknowledged from the acknowledgement before a message's sending to its own. It is believed upwards always, and
// downwards only while the window was full: a session with little to say proves nothing about its client. Before a full window becomes
// half as large, and now and then, a probe tells whether less will do.
#pragma once

#include <algorithm>
#include <cstddef>

#include "absl/time/time.h"
#include "libs/fanout/window_probe.h"

namespace hub::fanout {

class AckWindow {
 public:
  static constexpr size_t kMin = 16 * 1024;
  // Until something was acknowledged. On a line of 64 kbit/s what is urgent stands behind it for four seconds.
  static constexpr size_t kStart = 32 * 1024;
  // The same of a snapshot: its parts are acknowledged whole, and several must fit for a client that acknowledges every ten messages.
  static constexpr size_t kStartOfSnapshot = 256 * 1024;
  static constexpr size_t kMax = size_t{4} << 20;
  static constexpr double kSlowRate = 64 * 1024;  // bytes a second; a line that lets less through is a slow one
  // A full window without any acknowledgement for so long doubles, and as long as nothing was ever acknowledged it is kSilent at least: there are
  // clients that acknowledge every so many bytes only.
  static constexpr absl::Duration kPatience = absl::Seconds(5);
  static constexpr size_t kSilent = 512 * 1024;

  // `client_max`: the client's own limit; the window never passes it, be it below kMin.
  explicit AckWindow(size_t client_max = kMax, size_t start = kStart)
      : most_(std::min(client_max, kMax)), bytes_(std::min(start, most_)) {}

  size_t bytes() const { return probe_.running() ? bytes_ / 4 : bytes_; }
  double rate() const { return rate_; }  // bytes a second; 0 before the first acknowledgement
  // It has been full, and little goes through: a session with little to say is not slow.
  bool slow() const { return filled_ && rate_ < kSlowRate; }

  void OnAck(const Acknowledgement& ack);
  // Nothing came for kPatience, and the window is full.
  void OnSilence();

 private:
  double Wanted(double rate) const;
  void OnFound(const WindowProbe::Finding& quarter, absl::Duration now);

  size_t most_;
  size_t bytes_;
  double rate_ = 0;
  bool filled_ = false;
  bool rising_ = true;  // until a full window brings no more than the one before
  // What an answer takes: the least ever, until a probe has told.
  absl::Duration alone_ = absl::InfiniteDuration();
  // From one answer to the next, of late: a message that is sent right before its client's time to answer takes no time at all.
  absl::Duration pause_, answered_at_;
  WindowProbe probe_;
  bool probed_ = false;
  size_t probed_bytes_ = 0;  // the window after the last probe; the next comes at half of it, or at its time
};

}  // namespace hub::fanout
