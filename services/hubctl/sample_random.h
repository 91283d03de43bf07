// A small seeded generator (SplitMix64): the same seed gives the same sample everywhere. Never for secrets. Thread safety: one thread.
#pragma once

#include <cstdint>

namespace hub::hubctl {

class SampleRandom {
 public:
  explicit SampleRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // Uniform in [0, below). REQUIRES: below > 0.
  uint64_t Below(uint64_t below) { return Next() % below; }
  // Uniform in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

}  // namespace hub::hubctl
