// What a process has cost so far, in the kernel's own counters.
//
// Plain functions, thread-safe. Linux only.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace hub::bench {

// CPU time of all threads of `pid`, ended ones included; nanoseconds, where /proc/PID/stat has ticks of 10 ms. Zero: no such process.
absl::Duration CpuOf(pid_t pid);
// Resident bytes now. Zero: no such process.
int64_t ResidentBytes(pid_t pid);
// The most that were resident so far.
int64_t ResidentBytesPeak(pid_t pid);
// CPU time that all processes of the machine, and others on its host, have taken. Not that of interrupts: no process is charged for them, and with
// all traffic on loopback they are what the benchmark itself causes.
absl::Duration CpuOfMachine();

}  // namespace hub::bench
