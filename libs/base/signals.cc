#include "libs/base/signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "libs/base/log.h"

namespace hub::base {
namespace {

constexpr long kPollNanos = 100'000'000;       // so that the destructor is quick
constexpr int kStoppedAtOnce = 128 + SIGTERM;  // the shell's code for it: not 0, because nothing was drained

sigset_t Handled() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal_number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal_number);
  return set;
}

}  // namespace

Signals::Signals() {
  signal(SIGPIPE, SIG_IGN);  // a peer that is gone is an error of the write
  const sigset_t set = Handled();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = base::Thread("signals", [this](std::stop_token stop) { Listen(stop); });
}

Signals::~Signals() { thread_.Stop(); }

Signals::Event Signals::Next() {
  base::MutexLock lock(&mu_);
  while (!reload_ && !stop_) changed_.Wait(&mu_);
  if (stop_) return Event::kStop;
  reload_ = false;
  return Event::kReload;
}

bool Signals::StopAsked() const {
  base::MutexLock lock(&mu_);
  return stop_;
}

void Signals::Listen(const std::stop_token& stop) {
  const sigset_t set = Handled();
  const timespec poll = {0, kPollNanos};
  while (!stop.stop_requested()) {
    const int received = sigtimedwait(&set, nullptr, &poll);
    if (received < 0) continue;
    base::MutexLock lock(&mu_);
    if (received == SIGHUP) {
      reload_ = true;
    } else if (stop_) {
      // What was acknowledged is synced already: this is a crash that was asked for.
      HUB_LOG(WARN, "stopped_at_once", {{"signal", received}});
      _exit(kStoppedAtOnce);
    } else {
      HUB_LOG(INFO, "stop_asked", {{"signal", received}});
      stop_ = true;
    }
    changed_.NotifyAll();
  }
}

}  // namespace hub::base
