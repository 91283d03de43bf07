// Many light subscribers in one thread: connections that receive, count, and look into a sample of what came. One class for the hub and
// for its peers, so that all cost the client alike.
//
// Thread safety: one thread owns it; deliveries() from any.
//
//   auto subscribers = Subscribers::Create(options);
//   (*subscribers)->Connect(absl::Seconds(30));
//   while ((*subscribers)->deliveries() < wanted) (*subscribers)->Turn(absl::Milliseconds(10));
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/swarm/latency.h"

namespace hub::bench {

enum class Target { kHub, kNats, kRedis, kRaw };

struct SubscriberOptions {
  Target target = Target::kHub;
  std::string server;    // host:port
  std::string identity;  // the hub: folder of cert.pem, key.pem, ca.pem; empty = clear text
  int connections = 600;
  // The hub: so many different filters, dealt out in turn. All match every event of load_event.h, and the hub can't know.
  int filters = 20;
  // The hub: so many start at the log's beginning and acknowledge so seldom, in so small a window, that they stay behind.
  int behind = 0;
  bool urgent = false;  // the hub: ask for urgent events ahead of the order
  // Every so-manieth connection looks into each event: latency, and that each came once.
  int scan_every = 16;
};

// What was received since the last Clear.
struct Receipt {
  uint64_t deliveries = 0, bytes = 0, messages = 0;
  uint64_t urgent_deliveries = 0;
  swarm::Latency latency;         // of the scanned connections that live at the log's end: stamp to receipt
  swarm::Latency urgent_latency;  // of events that overtake, likewise
  swarm::Latency behind_latency;  // of events that overtake, at connections that are behind
};

class Subscribers {
 public:
  static absl::StatusOr<std::unique_ptr<Subscribers>> Create(const SubscriberOptions& options);
  virtual ~Subscribers() = default;

  // Until every subscription stands.
  virtual absl::Status Connect(absl::Duration timeout) = 0;
  // Receives what there is, waits at most `wait` for it. An error: some connection broke.
  virtual absl::Status Turn(absl::Duration wait) = 0;
  virtual void Clear() = 0;
  virtual const Receipt& receipt() const = 0;
  // Events received since Clear by connections that live at the log's end. For a publisher's window.
  virtual uint64_t deliveries() const = 0;
  // OK when each scanned connection received `events` events whose stamps sum up to `stamps` (microseconds, modulo 2^64).
  virtual absl::Status Check(uint64_t events, uint64_t stamps) const = 0;
};

}  // namespace hub::bench
