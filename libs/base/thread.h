// A named thread that is always joined.
//
// Thread safety: construct, Stop and destroy from one thread. The body gets a std::stop_token; when Stop (or the destructor)
// asks, it must return soon: bound every wait, or wake it through std::stop_callback.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <thread>

namespace hub::base {

class Thread {
 public:
  Thread() = default;
  // `name`: at most 15 characters reach the kernel; longer ones are cut.
  Thread(const std::string& name, std::function<void(std::stop_token)> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&&) = default;
  ~Thread() = default;  // std::jthread: requests stop, then joins

  void RequestStop() { thread_.request_stop(); }
  // Asks the body to return and waits for it. Safe to call twice, and on a default-constructed Thread.
  void Stop();

 private:
  std::jthread thread_;
};

// The calling thread is one that nobody waits for: it gets less of a core than others when there is not enough for all, and all it wants
// when there is. `nice`: setpriority(2), 1 to 19; at 5 about a third of what another gets, at 10 a tenth. Must hold no lock for long that
// others want. Linux keeps a priority per thread.
void GiveWay(int nice);

// The calling thread is one that others wait for, and has little to do at a time: it asks for turns of 0.3 ms of a core, not of 1.4 ms or more.
// When it wakes and cores are full it is then sooner there than those that compute on, and gets no more of a core than before.
// Best effort; false: not so. Earlier kernels than Linux 6.12 take no notice (sched_setattr(2), `sched_runtime` of SCHED_OTHER). Threads that
// it starts inherit it.
bool TakeShortTurns();

}  // namespace hub::base
