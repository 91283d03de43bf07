// A file descriptor that is closed when its owner goes. Thread safety: one owner.
#pragma once

#include <unistd.h>

#include <utility>

namespace hub::base {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}  // below zero: none
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  // False: what was written may not have been stored; errno says why.
  bool Close() { return close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

}  // namespace hub::base
