// A histogram of times with about 3 % resolution from 1 us to hours, constant memory. Not thread-safe.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "absl/time/time.h"

namespace hub::swarm {

class Latency {
 public:
  void Add(absl::Duration value) {
    const int64_t micros = absl::ToInt64Microseconds(value);
    ++buckets_[Bucket(micros < 0 ? 0 : static_cast<uint64_t>(micros))];
    ++count_;
    if (value > max_) max_ = value;
  }
  uint64_t count() const { return count_; }
  absl::Duration max() const { return max_; }
  // The upper edge of the bucket that holds the given share (0 to 1) of the values; zero when there are none.
  absl::Duration Quantile(double share) const {
    const auto rank = static_cast<uint64_t>(share * static_cast<double>(count_));
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > rank) return absl::Microseconds(Edge(i));
    }
    return max_;
  }
  void Clear() { *this = Latency(); }
  // What was added since `earlier`, which is this one as it was then; its greatest value is not known.
  Latency Since(const Latency& earlier) const {
    Latency since = *this;
    for (size_t i = 0; i < buckets_.size(); ++i) since.buckets_[i] -= earlier.buckets_[i];
    since.count_ -= earlier.count_;
    return since;
  }

 private:
  static constexpr int kSub = 32;  // buckets per power of two
  static size_t Bucket(uint64_t micros) {
    if (micros < kSub) return micros;
    const int shift = std::bit_width(micros) - 6;
    const size_t index = static_cast<size_t>(shift + 1) * kSub + ((micros >> shift) - kSub);
    return index < kBuckets ? index : kBuckets - 1;
  }
  static int64_t Edge(size_t index) {
    if (index < kSub) return static_cast<int64_t>(index);
    const auto shift = static_cast<int>(index / kSub) - 1;
    return static_cast<int64_t>(kSub + index % kSub + 1) << shift;
  }
  static constexpr size_t kBuckets = 40 * kSub;
  std::array<uint32_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  absl::Duration max_;
};

}  // namespace hub::swarm
