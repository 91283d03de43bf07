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
#include "libs/fanout/segment.h"

namespace hub::fanout {

// Runs one after the other, for one message or for many.
class RunSlices {
 public:
  // A run that is kept where it was packed. A large one is not copied; to count its readers is dearer than to copy a small one.
  void Add(const Slice& run);
  // To append what nobody keeps to.
  std::string* Copies() { return &copies_; }
  size_t bytes() const { return sliced_ + copies_.size(); }
  size_t copied() const { return copied_ + copies_.size(); }  // of them
  std::vector<Slice> Take() &&;

 private:
  static constexpr size_t kShared = 2048;  // bytes, from here on
  void CloseCopies();

  std::vector<Slice> slices_;
  std::string copies_;  // behind them
  size_t sliced_ = 0, copied_ = 0;
};

class PackedRuns {
 public:
  // Slices of the events [first, last) of the sequence, one after the other.
  using BytesOf = absl::FunctionRef<absl::string_view(size_t first, size_t last)>;

  // Adds runs of the events from `first` on, before `last`, until about `bytes_max` bytes are in `out`, but one run at least where it is empty;
  // how many events. REQUIRES: first < last.
  size_t Read(size_t first, size_t last, size_t bytes_max, BytesOf bytes_of, RunSlices* out);
  size_t memory() const { return memory_; }
  int packed() const { return packed_; }  // runs that are kept

 private:
  static constexpr std::array<size_t, 3> kSizes = {64, 16, 4};
  static constexpr size_t kFew = kSizes.back();
  const Slice& Packed(size_t size, size_t first, BytesOf bytes_of);

  std::array<std::vector<Slice>, kSizes.size()> kept_;  // by the first event's place; empty: not asked for yet
  size_t memory_ = 0;
  int packed_ = 0;
};

}  // namespace hub::fanout
