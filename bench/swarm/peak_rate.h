// How many of something there were in a second, at most. Not thread-safe.
#pragma once

#include <algorithm>
#include <deque>

#include "absl/time/time.h"

namespace hub::swarm {

class PeakRate {
 public:
  // REQUIRES: `now` is not before the last.
  void Note(absl::Duration now) {
    at_.push_back(now);
    while (at_.front() <= now - absl::Seconds(1)) at_.pop_front();
    most_ = std::max(most_, at_.size());
  }
  void Clear() { most_ = 0; }
  size_t most() const { return most_; }

 private:
  std::deque<absl::Duration> at_;  // those of the last second
  size_t most_ = 0;
};

}  // namespace hub::swarm
