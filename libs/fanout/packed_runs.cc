#include "libs/fanout/packed_runs.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "libs/wire/event_runs.h"

namespace hub::fanout {
namespace {

constexpr size_t kEventBytesMin = 32;  // of a packed event, about: where that is too much nothing is packed to find out

}  // namespace

void RunSlices::Add(const Slice& run) {
  if (run.bytes.size() < kShared) {
    copies_.append(run.bytes.data(), run.bytes.size());
    return;
  }
  CloseCopies();
  sliced_ += run.bytes.size();
  slices_.push_back(run);
}

void RunSlices::CloseCopies() {
  if (copies_.empty()) return;
  copies_.shrink_to_fit();
  sliced_ += copies_.size();
  copied_ += copies_.size();
  auto owned = std::make_shared<const std::string>(std::exchange(copies_, {}));
  slices_.push_back({owned, *owned});
}

std::vector<Slice> RunSlices::Take() && {
  CloseCopies();
  return std::move(slices_);
}

const Slice& PackedRuns::Packed(size_t size, size_t first, BytesOf bytes_of) {
  std::vector<Slice>& kept = kept_[size];
  const size_t of = kSizes[size];
  const size_t place = first / of;
  if (kept.size() <= place) {
    memory_ += (place + 1 - kept.size()) * sizeof(Slice);
    kept.resize(place + 1);
  }
  Slice& run = kept[place];
  if (run.bytes.empty()) {
    std::string packed;
    wire::AppendPackedRun(bytes_of(first, first + of), static_cast<int>(of), &packed);
    packed.shrink_to_fit();
    auto owned = std::make_shared<const std::string>(std::move(packed));
    run = {owned, *owned};
    memory_ += sizeof(std::string) + owned->capacity();
    ++packed_;
  }
  return run;
}

size_t PackedRuns::Read(size_t first, size_t last, size_t bytes_max, BytesOf bytes_of, RunSlices* out) {
  const auto fits = [&](size_t bytes) { return out->bytes() + bytes <= bytes_max; };
  // The largest run that begins here, ends in the range and fits.
  const auto append_packed = [&](size_t at) -> size_t {
    for (size_t size = 0; size < kSizes.size(); ++size) {
      const size_t of = kSizes[size];
      if (at % of != 0 || last - at < of || (of != kFew && !fits(of * kEventBytesMin))) continue;
      const Slice& run = Packed(size, at, bytes_of);
      if (!fits(run.bytes.size()) && (of != kFew || out->bytes() > 0)) continue;
      out->Add(run);
      return of;
    }
    return 0;
  };
  size_t at = first;
  while (at < last) {
    const size_t taken = append_packed(at);
    at += taken;
    if (taken > 0) continue;
    if (at % kFew == 0 && last - at >= kFew) break;  // full
    size_t stop = std::min(last, at - at % kFew + kFew);
    while (stop > at + 1 && bytes_of(at, stop).size() > bytes_max) --stop;
    const absl::string_view plain = bytes_of(at, stop);
    if (!fits(plain.size()) && out->bytes() > 0) break;
    wire::AppendPlainRun(plain, static_cast<int>(stop - at), out->Copies());
    at = stop;
  }
  return at - first;
}

}  // namespace hub::fanout
