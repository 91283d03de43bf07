// Plain function.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace hub::bench {

// The value that `part` (0 to 1) of the values are at most; 0 when there are none. Reorders them.
inline double Percentile(std::vector<double>* values, double part) {
  if (values->empty()) return 0;
  const auto at = values->begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values->size() - 1));
  std::nth_element(values->begin(), at, values->end());
  return *at;
}

}  // namespace hub::bench
