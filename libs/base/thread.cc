#include "libs/base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace hub::base {
namespace {

constexpr uint64_t kShortTurnNanos = 300'000;  // the kernel takes 0.1 to 100 ms

// sched_setattr(2), in the first form that it had. The C library has neither this nor the two calls, and the kernel's header gets in its way.
struct SchedulingAttributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

bool Get(SchedulingAttributes* attributes) {
  return syscall(SYS_sched_getattr, 0, attributes, sizeof(*attributes), 0) == 0;
}

}  // namespace

Thread::Thread(const std::string& name, std::function<void(std::stop_token)> body)
    : thread_([name = name.substr(0, 15), body = std::move(body)](std::stop_token stop) {
        pthread_setname_np(pthread_self(), name.c_str());
        body(std::move(stop));
      }) {}

void Thread::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void GiveWay(int nice) { setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice); }

bool TakeShortTurns() {
  SchedulingAttributes attributes{};
  if (!Get(&attributes) || attributes.policy != SCHED_OTHER) return false;
  attributes.runtime = kShortTurnNanos;  // the rest, such as a priority that all of the process was given, stays
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0 && Get(&attributes) && attributes.runtime == kShortTurnNanos;
}

}  // namespace hub::base
