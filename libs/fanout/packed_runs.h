// Runs of a sequence of events, packed once for all who read it. Not for use outside this library.
//
// A reader's range is cut into sixty-fours, sixteens, fours and what is left, which goes plain; each begins at a multiple of itself, so that
// whoever reads the same events shares the same runs. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace hub::fanout {

class PackedRuns {
 public:
  // Slices of the events [first, last) of the sequence, one after the other.
  using BytesOf = absl::FunctionRef<absl::string_view(size_t first, size_t last)>;

  // Appends runs of the events from `first` on, before `last`, at most about `bytes_max` of bytes but one run at least; how many events.
  // REQUIRES: first < last.
  size_t Read(size_t first, size_t last, size_t bytes_max, BytesOf bytes_of, std::string* out);
  size_t memory() const { return memory_; }
  int packed() const { return packed_; }  // runs that are kept

 private:
  static constexpr std::array<size_t, 3> kSizes = {64, 16, 4};
  static constexpr size_t kFew = kSizes.back();
  const std::string& Packed(size_t size, size_t first, BytesOf bytes_of);

  std::array<std::vector<std::string>, kSizes.size()> kept_;  // by the first event's place; empty: not asked for yet
  size_t memory_ = 0;
  int packed_ = 0;
};

}  // namespace hub::fanout
