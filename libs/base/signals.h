// The signals a server lives by: SIGTERM and SIGINT drain, a second one stops at once, SIGHUP reloads.
//
// Thread safety: make it before any other thread (signals are blocked for all that start later), one per process; Next from one thread.
#pragma once

#include "libs/base/mutex.h"
#include "libs/base/thread.h"

namespace hub::base {

class Signals {
 public:
  enum class Event { kReload, kStop };
  Signals();
  ~Signals();
  // Waits for the next. kStop is remembered: it was perhaps asked for during the start.
  Event Next();
  // Whether kStop is due; from any thread.
  bool StopAsked() const;

 private:
  void Listen(const std::stop_token& stop);

  mutable base::Mutex mu_;
  base::CondVar changed_;
  bool reload_ ABSL_GUARDED_BY(mu_) = false;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  base::Thread thread_;
};

}  // namespace hub::base
