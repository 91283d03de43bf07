// Whether a client's line lets no more through, or its window does. Private to this library. A plain value.
//
// A client whose way is long, or whose processors are short, answers late whatever is under way; a second's bytes would then be ever
// fewer. The window is therefore cut to a quarter for a few answers. If about as much goes through as before, it was the line. Otherwise
// it was the window, and what goes through tells how long an answer takes (Little's law).
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "absl/time/time.h"

namespace hub::fanout {

// What came back at once, and of what.
struct Acknowledgement {
  absl::Duration sent_at, now;    // of the newest message that came back, monotonic
  absl::Duration oldest_sent_at;  // of those that came back with it
  // The acknowledgement before it was sent, or its sending if nothing was under way, and the bytes that came back since. A rate is of this
  // time: acknowledgements that come all at once, right after it was sent, say nothing of the time since then.
  absl::Duration since;
  size_t acknowledged = 0;
  size_t released = 0;            // bytes, since the acknowledgement before
  size_t under_way = 0;           // bytes, before this
  bool full = false;              // the window was, at some time since the acknowledgement before

  // A clock that stands still must not look like an endless rate.
  absl::Duration took() const { return std::max(now - sent_at, absl::Milliseconds(1)); }
  double rate() const { return static_cast<double>(acknowledged) / absl::ToDoubleSeconds(std::max(now - since, absl::Milliseconds(1))); }
};

class WindowProbe {
 public:
  // From one to the next, at least: one may cost most of what three answers would bring.
  static constexpr absl::Duration kInterval = absl::Seconds(30);

  struct Finding {
    bool line = false;      // about as much goes through with a quarter
    double rate = 0;        // of it, bytes a second
    absl::Duration answer;  // what one takes with it
  };

  // Each acknowledgement while it does not run: what goes through with the whole window.
  void Watch(const Acknowledgement& ack);
  // Something is known of the whole window, which has been full for a while, and it is time.
  bool MayRun(absl::Duration now) const { return now >= next_at_ && CanRun(now); }
  bool CanRun(absl::Duration now) const;  // whether or not it is time
  void NotBefore(absl::Duration at) { next_at_ = at; }

  void Run(absl::Duration now);
  bool running() const { return running_; }
  // Each acknowledgement while it runs. Over when something is found, or when there was nothing more to send, which tells nothing.
  std::optional<Finding> Take(const Acknowledgement& ack);
  // This client says nothing to so little; it is not asked again.
  void GiveUp() { running_ = answers_ = false; }

 private:
  // What goes through, over some answers.
  struct Flow {
    double rate = 0;       // bytes a second
    double under_way = 0;  // bytes, at most
  };
  struct Meter {
    absl::Duration from = absl::InfiniteDuration(), until;
    size_t released = 0, under_way = 0;
    std::optional<Flow> Take(const Acknowledgement& ack);
  };

  Meter meter_;
  std::optional<Flow> whole_;  // with a full window, of late
  bool running_ = false, answers_ = true;
  absl::Duration began_at_;
  absl::Duration full_since_ = absl::InfiniteDuration();  // before the first acknowledgement
  absl::Duration next_at_;
};

}  // namespace hub::fanout
