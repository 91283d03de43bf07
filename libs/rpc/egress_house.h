// What the shards of one egress loop share.
//
// Private to libs/rpc. Thread safety: as each field says.
#pragma once

#include <atomic>
#include <functional>

#include "absl/strings/string_view.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/rpc/egress.h"

namespace hub::rpc {

struct EgressProbe {
  explicit EgressProbe(base::Metrics* metrics);
  base::Gauge streams, memory;
  base::Counter messages, bytes, reads, refused, stalled, cut, revoked, aged, shed, ended;
  base::Histogram write_seconds, pass_seconds;
};

// What the shards of one loop share.
struct EgressHouse {
  EgressHouse(const EgressOptions& o, base::Metrics* m) : options(o), metrics(m), probe(m) {}
  const EgressOptions options;
  base::Metrics* const metrics;
  EgressProbe probe;
  // Set before the threads start.
  EgressMethod* method = nullptr;
  std::function<bool(absl::string_view peer)> cut;
  std::function<void()> ask_for_call;  // on the shard with the fewest streams

  std::atomic<int> open{0};                  // relaxed: a bound and a gauge
  std::atomic<bool> draining{false};         // relaxed: a stream opened in the same moment is drained or refused
  std::atomic<bool> short_of_memory{false};  // relaxed: as above
  base::Mutex gone_mu;
  base::CondVar gone;  // whenever a stream is gone
};

}  // namespace hub::rpc
