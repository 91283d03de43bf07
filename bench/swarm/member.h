// One simulated stakeholder's stream: who it is, its connection, what it received. A plain struct of the swarm's one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "bench/swarm/endpoint.h"
#include "bench/swarm/h2_stream.h"
#include "bench/swarm/receiver.h"
#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/v1/indicator.pb.h"

namespace hub::swarm {

struct Member {
  const fraudhub::config::v1::Stakeholder* stakeholder = nullptr;
  fraudhub::v1::Filter filter;
  SslContext identity;
  bool auditor = false;
  bool packed = true;    // asks for runs; some do as clients that know nothing of them
  size_t server = 0;   // the next to try
  std::string cursor;  // empty: tokens
  bool partial = false;  // it went on where another process was

  std::unique_ptr<H2Stream> stream;
  std::unique_ptr<Receiver> receiver;
  int number = 0;             // the checker's, if there is one
  absl::Duration hint;        // of a drain
  absl::Duration connect_at;  // monotonic, when there is no stream
  absl::Duration acked_at;
  bool waits_to_write = false;  // epoll is asked for it
  bool opened = false;
  bool ever_opened = false;
  Positions start, goal;  // where the stream began, and where the log ended then
  int attempts = 0;
  uint64_t deliveries = 0, duplicates = 0, reconnects = 0;
  std::string last_error;
};

// It has all that there was when it opened.
inline bool IsLive(const Member& member) {
  if (!member.opened) return false;
  for (size_t p = 0; p < member.goal.size(); ++p) {
    if (std::max(member.start.at(p), member.receiver->positions().at(p)) < member.goal.at(p)) return false;
  }
  return true;
}

}  // namespace hub::swarm
