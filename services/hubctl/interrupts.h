// Turns the first Ctrl-C or SIGTERM of a long command into a request to stop; a second one ends the process.
//
// While one exists it owns SIGINT and SIGTERM of the process; the destructor gives them back. One at a time.
// Thread safety: construct and destroy from one thread; token() and came() from any.
#pragma once

#include <stop_token>

#include "libs/base/thread.h"

namespace hub::hubctl {

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Also for those who want to end by themselves: RequestStop.
  std::stop_token token() const { return stop_.get_token(); }
  void RequestStop() { stop_.request_stop(); }
  // A signal came; false when RequestStop was all.
  static bool came();

 private:
  std::stop_source stop_;
  base::Thread thread_;
};

}  // namespace hub::hubctl
