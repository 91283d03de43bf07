#include "libs/fanout/packed_runs.h"

#include <algorithm>

#include "libs/wire/event_runs.h"

namespace hub::fanout {
namespace {

constexpr size_t kEventBytesMin = 32;  // of a packed event, about: where that is too much nothing is packed to find out

}  // namespace

const std::string& PackedRuns::Packed(size_t size, size_t first, BytesOf bytes_of) {
  std::vector<std::string>& kept = kept_[size];
  const size_t of = kSizes[size];
  const size_t place = first / of;
  if (kept.size() <= place) {
    memory_ += (place + 1 - kept.size()) * sizeof(std::string);
    kept.resize(place + 1);
  }
  std::string& run = kept[place];
  if (run.empty()) {
    wire::AppendPackedRun(bytes_of(first, first + of), static_cast<int>(of), &run);
    run.shrink_to_fit();
    memory_ += run.capacity();
    ++packed_;
  }
  return run;
}

size_t PackedRuns::Read(size_t first, size_t last, size_t bytes_max, BytesOf bytes_of, std::string* out) {
  const size_t begin = out->size();
  const auto fits = [&](size_t bytes) { return out->size() - begin + bytes <= bytes_max; };
  // The largest run that begins here, ends in the range and fits.
  const auto append_packed = [&](size_t at) -> size_t {
    for (size_t size = 0; size < kSizes.size(); ++size) {
      const size_t of = kSizes[size];
      if (at % of != 0 || last - at < of || (of != kFew && !fits(of * kEventBytesMin))) continue;
      const std::string& run = Packed(size, at, bytes_of);
      if (!fits(run.size()) && (of != kFew || out->size() > begin)) continue;
      out->append(run);
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
    if (!fits(plain.size()) && out->size() > begin) break;
    wire::AppendPlainRun(plain, static_cast<int>(stop - at), out);
    at = stop;
  }
  return at - first;
}

}  // namespace hub::fanout
