#include "bench/fanout/process_figures.h"

#include <time.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace hub::bench {

absl::Duration CpuOf(pid_t pid) {
  clockid_t clock;
  timespec spent{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) != 0) return absl::ZeroDuration();
  return absl::DurationFromTimespec(spent);
}

int64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return file ? resident * sysconf(_SC_PAGESIZE) : 0;
}

int64_t ResidentBytesPeak(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string word; file >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

absl::Duration CpuOfMachine() {
  std::ifstream file("/proc/stat");
  std::string word;
  // cpu: user nice system idle iowait irq softirq steal
  int64_t ticks[8] = {};
  file >> word;
  for (int64_t& value : ticks) file >> value;
  const int64_t busy = ticks[0] + ticks[1] + ticks[2] + ticks[7];
  return absl::Seconds(static_cast<double>(busy) / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace hub::bench
