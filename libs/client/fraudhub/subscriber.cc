#include "fraudhub/subscriber.h"

#include <utility>

#include "absl/time/time.h"
#include "fraudhub/translate.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/client/subscriber.h"

namespace fraudhub {

using hub::client::Translate;

Status Subscriber::Run(const SubscriberOptions& options, const v1::Filter& filter, const SubscriberHandlers& handlers,
                       std::stop_token stop) {
  hub::client::PrepareProcess();
  hub::client::SubscriberOptions ours;
  ours.connection = Translate(options.connection);
  ours.token = options.token;
  ours.from_earliest = options.start == StreamStart::kEarliest;
  ours.from_snapshot = options.start == StreamStart::kSnapshot;
  ours.snapshot_when_lost = options.snapshot_when_lost;
  ours.cursor = options.cursor;
  ours.client_id = options.client_id;
  ours.versions_max = options.versions_max;
  ours.every_delivery = options.every_delivery;
  ours.urgent = options.urgent;
  ours.ahead_max = options.ahead_max;
  ours.silence_max = absl::FromChrono(options.silence_max);
  ours.backoff_base = absl::FromChrono(options.backoff_base);
  ours.backoff_max = absl::FromChrono(options.backoff_max);

  hub::client::SubscriberHandlers told;
  told.on_opened = handlers.on_opened;
  told.on_event = handlers.on_event;
  told.on_batch = handlers.on_batch;
  told.on_progress = handlers.on_progress;
  told.on_log_changed = handlers.on_log_changed;
  told.on_snapshot_begins = handlers.on_snapshot_begins;
  told.on_snapshot_ends = handlers.on_snapshot_ends;
  told.on_unchanged = handlers.on_unchanged;
  told.on_removed = handlers.on_removed;
  told.on_view_changed = handlers.on_view_changed;
  if (handlers.on_disconnected) {
    told.on_disconnected = [&handlers](const absl::Status& why, absl::Duration pause) {
      handlers.on_disconnected(Translate(why), Translate(pause));
    };
  }
  return Translate(hub::client::Subscriber::Run(ours, filter, told, std::move(stop)));
}

}  // namespace fraudhub
