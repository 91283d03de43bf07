// Follows the hub's stream, for the programs of this tree. What it does, its bounds, and what options and handlers mean is documented where
// outsiders read it, in fraudhub/subscriber.h, whose Subscriber this is: with absl's types.
// Thread safety: plain function; several may run at once.
#pragma once

#include <cstddef>
#include <functional>
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
class ViewChanged;
}  // namespace fraudhub::v1

namespace hub::client {

struct SubscriberOptions {
  ConnectionOptions connection;
  std::string token;
  bool from_earliest = false;  // without a token, and of a cursor that is new; neither: from now on
  bool from_snapshot = false;
  bool snapshot_when_lost = false;
  std::string cursor;
  std::string client_id;
  size_t versions_max = 20'000'000;
  bool every_delivery = false;
  bool urgent = true;
  size_t ahead_max = 100'000;
  absl::Duration silence_max = absl::Seconds(15);
  absl::Duration backoff_base = absl::Milliseconds(200);
  absl::Duration backoff_max = absl::Seconds(30);
};

struct SubscriberHandlers {
  std::function<void(const fraudhub::v1::Opened&)> on_opened;
  std::function<bool(const fraudhub::v1::Event&)> on_event;
  std::function<bool()> on_batch;
  std::function<void(const fraudhub::v1::Progress&)> on_progress;
  std::function<void()> on_log_changed;
  std::function<void()> on_snapshot_begins;
  std::function<void()> on_snapshot_ends;
  std::function<void(const std::string& indicator_id)> on_unchanged;
  std::function<void(const std::string& indicator_id)> on_removed;
  std::function<void(const fraudhub::v1::ViewChanged&)> on_view_changed;
  std::function<void(const absl::Status&, absl::Duration pause)> on_disconnected;
};

class Subscriber {
 public:
  // OK when asked to stop, or an error that no retry cures; a refusal of the hub as model::Refuse made it.
  static absl::Status Run(const SubscriberOptions& options, const fraudhub::v1::Filter& filter,
                          const SubscriberHandlers& handlers, std::stop_token stop);
};

}  // namespace hub::client
