// A line at the bottom of the terminal that tells how far a file is: share, rows, rate, time left. Drawn five times a second.
//
// Draws nothing when `out` is null (no terminal). Thread safety: the counters may be written by any thread; the rest from one.
#pragma once

#include <atomic>
#include <cstdint>
#include <ostream>
#include <string>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"

namespace hub::hubctl {

// Relaxed: numbers to look at.
struct ProgressCounters {
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> rows{0};     // read
  std::atomic<uint64_t> settled{0};  // taken or rejected
  std::atomic<uint64_t> rejected{0};
  std::atomic<uint64_t> undecided{0};  // taken, outcome not known yet
};

// "43.1 %  1,234,567 rows  45,678/s  2:07 left  3 rejected"
std::string ProgressLine(const ProgressCounters& counters, uint64_t bytes_total, absl::Duration elapsed);
std::string WithCommas(uint64_t number);

class ProgressBar {
 public:
  ProgressBar(const ProgressCounters* counters, uint64_t bytes_total, const base::Clock* clock, std::ostream* out);
  ~ProgressBar();  // wipes the line
  // Prints a line above the bar.
  void Say(std::ostream* err, const std::string& line);

 private:
  void Run(std::stop_token stop);

  const ProgressCounters* const counters_;
  const uint64_t bytes_total_;
  const base::Clock* const clock_;
  std::ostream* const out_;
  const absl::Duration started_;
  base::Mutex mu_;
  base::CondVar changed_;
  base::Thread thread_;
};

}  // namespace hub::hubctl
