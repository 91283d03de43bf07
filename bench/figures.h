// What benchmarks of one process share: a thread's CPU time, medians, a row of the table, the machine they ran on.
//
// Plain functions, thread-safe. Linux only.
#pragma once

#include <string>
#include <vector>

namespace hub::bench {

// CPU of the calling thread so far: what others do on the machine counts as little as it can.
double ThreadCpuNanos();
// REQUIRES: values is not empty.
double Median(std::vector<double> values);
// Median, least and most of some nanoseconds, to stderr.
void PrintRow(const char* name, const std::vector<double>& values);
// "MODEL, 2 cores, gcc 12.2.0", fit for a JSON string.
std::string Machine();

}  // namespace hub::bench
