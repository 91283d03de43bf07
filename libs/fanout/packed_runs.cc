#include "libs/fanout/packed_runs.h"

#include <algorithm>

#include "libs/wire/event_runs.h"

namespace hub::fanout {

const std::string& PackedRuns::Packed(size_t of, size_t first, BytesOf bytes_of) {
  std::vector<std::string>& kept = of == kFew ? few_ : many_;
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
  const auto fits = [&](size_t bytes) { return out->size() == begin || out->size() - begin + bytes <= bytes_max; };
  size_t at = first;
  while (at < last) {
    const size_t of = at % kMany == 0 && last - at >= kMany ? kMany : kFew;
    if (at % of == 0 && last - at >= of) {
      const std::string& run = Packed(of, at, bytes_of);
      if (!fits(run.size())) break;
      out->append(run);
      at += of;
      continue;
    }
    size_t stop = std::min(last, at - at % kFew + kFew);
    while (stop > at + 1 && bytes_of(at, stop).size() > bytes_max) --stop;
    const absl::string_view plain = bytes_of(at, stop);
    if (!fits(plain.size())) break;
    wire::AppendPlainRun(plain, static_cast<int>(stop - at), out);
    at = stop;
  }
  return at - first;
}

}  // namespace hub::fanout
