#include "services/hubctl/interrupts.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "libs/base/check.h"

namespace hub::hubctl {
namespace {

std::atomic<int> wake_fd{-1};        // relaxed: written before the handler is installed
std::atomic<bool> signalled{false};  // relaxed: a flag

void OnSignal(int) {
  signalled.store(true, std::memory_order_relaxed);
  const char byte = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd.load(std::memory_order_relaxed), &byte, 1);
}

void Install(int number) {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);  // the second one does what it always did
  sigaction(number, &action, nullptr);
}

}  // namespace

Interrupts::Interrupts() {
  int ends[2];
  HUB_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  wake_fd.store(ends[1], std::memory_order_relaxed);
  signalled.store(false, std::memory_order_relaxed);
  thread_ = base::Thread("hubctl-signals", [this, from = ends[0]](std::stop_token stop) {
    const std::stop_callback woken(stop, [] {
      const char byte = 0;
      [[maybe_unused]] const ssize_t written = write(wake_fd.load(std::memory_order_relaxed), &byte, 1);
    });
    pollfd waiting = {from, POLLIN, 0};
    while (poll(&waiting, 1, -1) < 0) {
    }
    if (!stop.stop_requested()) stop_.request_stop();
    close(from);
  });
  Install(SIGINT);
  Install(SIGTERM);
}

Interrupts::~Interrupts() {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  thread_.Stop();
  close(wake_fd.exchange(-1));
}

bool Interrupts::came() { return signalled.load(std::memory_order_relaxed); }

}  // namespace hub::hubctl
