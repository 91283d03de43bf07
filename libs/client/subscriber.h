// Follows the hub's stream: reconnects with full jitter, resumes from its token, applies each version once.
//
// Run blocks and calls the handlers on its own thread. Deliveries that the version rule says are old are dropped before the handler
// (bound: it keeps one version stamp per indicator in view; `versions_max` beyond which it stops dropping and says so).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/client/connection.h"

namespace fraudhub::v1 {
class Event;
class Filter;
class Opened;
class Progress;
}  // namespace fraudhub::v1

namespace hub::client {

struct SubscriberOptions {
  ConnectionOptions connection;
  std::string token;             // resume from here; empty: `from_earliest` decides
  bool from_earliest = false;
  std::string client_id;
  size_t versions_max = 20'000'000;
  absl::Duration silence_max = absl::Seconds(15);  // nothing heard so long: reconnect
};

struct SubscriberHandlers {
  std::function<void(const fraudhub::v1::Opened&)> on_opened;
  // False: not applied (yet): the stream is torn down and everything un-acknowledged comes again.
  std::function<bool(const fraudhub::v1::Event&)> on_event;
  // Everything before it has been handled; keep the token with what on_event stored.
  std::function<void(const fraudhub::v1::Progress&)> on_progress;
  // The stream broke; a reconnect follows after `pause`.
  std::function<void(const absl::Status&, absl::Duration pause)> on_disconnected;
};

class Subscriber {
 public:
  // Returns when asked to stop, or with an error that no retry cures: PermissionDenied, InvalidArgument, or a cursor refusal
  // (kCursorTooOld, kLogChanged, kFilterChanged, kCursorInvalid): then start afresh from the earliest.
  static absl::Status Run(const SubscriberOptions& options, const fraudhub::v1::Filter& filter,
                          const SubscriberHandlers& handlers, std::stop_token stop);
};

}  // namespace hub::client
