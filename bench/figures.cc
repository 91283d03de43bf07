#include "bench/figures.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>

namespace hub::bench {

double ThreadCpuNanos() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void PrintRow(const char* name, const std::vector<double>& values) {
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  std::fprintf(stderr, "%-26s median %9.1f ns   min %9.1f   max %9.1f\n", name, Median(values), *min, *max);
}

std::string Machine() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, model = "unknown";
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) == 0) {
      model = line.substr(std::min(line.size(), line.find(':') + 2));
      break;
    }
  }
  model.erase(std::remove_if(model.begin(), model.end(), [](char c) { return c == '"' || c == '\\'; }), model.end());
  return model + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores, gcc " + __VERSION__;
}

}  // namespace hub::bench
