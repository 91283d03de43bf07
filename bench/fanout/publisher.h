// Who publishes to the server under test: the hub's log, or a peer's own publish command.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/fanout/load_event.h"
#include "bench/fanout/subscribers.h"

namespace hub::bench {

struct PublisherOptions {
  Target target = Target::kHub;
  std::string server;        // a peer's host:port
  std::string brokers;       // the hub's log
  std::string topic_prefix;  // likewise
  int32_t partitions = 2;    // likewise
};

class Publisher {
 public:
  static absl::StatusOr<std::unique_ptr<Publisher>> Open(const PublisherOptions& options);
  virtual ~Publisher() = default;
  // Hands event number `number` over; it may wait for Flush.
  virtual absl::Status Publish(uint64_t number, absl::Time stamp, Lane lane) = 0;
  // What was handed over is on its way.
  virtual absl::Status Flush() = 0;
  // Everything is there. The hub: in the log.
  virtual absl::Status Finish(absl::Duration timeout) = 0;
};

// Tells the raw server to send `events` to each of its subscribers.
absl::Status StartRawFlood(const std::string& server, uint64_t events);

}  // namespace hub::bench
