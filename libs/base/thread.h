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

}  // namespace hub::base
