// A TCP proxy that makes a network bad: delay, little bandwidth, silence (half-open connections), resets. One thread, epoll.
//
// Connections are numbered as they are accepted; what befalls one is drawn from the seed and its number, so a run replays. Holds at most
// kQueuedMax bytes per direction: then it reads no more, and the sender feels it, as it would feel a slow line. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"

namespace hub::faults {

struct Rules {
  absl::Duration delay;               // each way
  absl::Duration jitter;              // up to so much more; bytes stay in order
  int64_t down_bytes_per_second = 0;  // from the upstream to the client; 0 = no bound
  int64_t up_bytes_per_second = 0;
  double reset_share = 0;                 // of the connections are reset, both ways, after some of fault_after_bytes
  double silent_share = 0;                // of the connections fall silent: nothing passes any more, nothing is closed
  int64_t fault_after_bytes = 64 * 1024;  // where, at most; drawn
};

// "delay=200ms jitter=20ms down=8000 up=8000 reset=0.1 silent=0.1 after=65536"; what is left out keeps its value.
absl::Status ParseRules(absl::string_view text, Rules* rules);

struct Counts {
  int64_t connections = 0, open = 0, down_bytes = 0, up_bytes = 0, resets = 0, silenced = 0, delayed = 0, held_back = 0;
};

class Proxy {
 public:
  static constexpr size_t kQueuedMax = 64 * 1024;

  // Listens on 127.0.0.1 (port 0: any) and connects to `upstream`, "127.0.0.1:7443". Unavailable: the port is taken.
  static absl::StatusOr<std::unique_ptr<Proxy>> Create(const base::Clock* clock, uint16_t port,
                                                       const std::string& upstream, const Rules& rules, uint64_t seed);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  uint16_t port() const { return port_; }
  // Moves what can be moved; waits at most so long for something to do.
  void Turn(absl::Duration at_most);
  // For new connections all of it, for open ones delay and bandwidth.
  void SetRules(const Rules& rules) { rules_ = rules; }
  const Rules& rules() const { return rules_; }
  // RST to both ends of every open connection.
  void ResetAll();
  // Every open connection falls silent for ever.
  void SilenceAll();
  // Whether new connections are taken; refused ones are reset.
  void Refuse(bool refuse) { refuse_ = refuse; }
  Counts counts() const;

 private:
  struct Connection;
  Proxy(const base::Clock* clock, const Rules& rules, uint64_t seed);
  void Accept();
  void Move(Connection* connection);
  void End(Connection* connection, bool reset);
  absl::Duration NextDue() const;

  const base::Clock* const clock_;
  Rules rules_;
  const uint64_t seed_;
  int listener_ = -1;
  int epoll_ = -1;
  uint16_t port_ = 0;
  std::string upstream_;
  bool refuse_ = false;
  std::vector<std::unique_ptr<Connection>> connections_;
  Counts counts_;
};

}  // namespace hub::faults
