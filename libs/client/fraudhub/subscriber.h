// Follows the hub's stream: reconnects with full jitter, resumes from its token, applies each version once.
//
// Run blocks and calls the handlers on its own thread; a handler that is slow slows the hub's sending, nothing piles up. What a handler has
// taken is acknowledged, and comes no more. Deliveries that the version rule says are old are dropped before the handler (bound: one version
// stamp of about 60 bytes per indicator in view; beyond `versions_max` it stops dropping for further indicators and says so in the log:
// at-least-once remains). An indicator that left the view keeps its stamp, so that a late repeat doesn't bring it back.
//
// Urgent events (corrections, flags to VERY_HIGH) may be handled ahead of the order while the stream is behind; older events of the same
// indicator are dropped until the stream has passed them. Whoever keeps what on_event told beyond the life of Run keeps its version with
// it and applies what is greater: after a restart older events of an indicator may come once more.
// Snapshots: everything in view comes as events, then what changes. Absence means "not flagged": at the end, on_removed tells of each
// indicator that this Run has delivered and the snapshot did not. Who keeps what was delivered longer than a Run clears out between
// on_snapshot_begins and on_snapshot_ends: whatever came neither in on_event nor in on_unchanged between the two is not flagged any more. A
// stream that breaks inside goes on inside. When the caller's rights change which rows it sees, the hub sends a snapshot unasked.
// Thread safety: plain function; several may run at once.
//
//   std::jthread follower([&](std::stop_token stop) { ended = fraudhub::Subscriber::Run(options, filter, handlers, stop); });
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>

#include "fraudhub/connection.h"
#include "fraudhub/status.h"

namespace fraudhub {

namespace v1 {  // fraudhub/v1/subscription.pb.h
class Event;
class Filter;
class Opened;
class Progress;
class ViewChanged;
}  // namespace v1

// Where a stream without a token begins, and a named cursor that is new.
enum class StreamStart {
  kNow,       // only what happens from now on
  kEarliest,  // all that the log still holds, the last state of each indicator at least
  kSnapshot,  // a consistent snapshot, then what changes
};

struct SubscriberOptions {
  Connection connection{};
  std::string token{};                    // resume from here, as on_progress said
  StreamStart start = StreamStart::kNow;  // without a token
  // A token or a cursor that is too old, of another log, filter or hub: take a snapshot rather than end.
  bool snapshot_when_lost = false;
  // A named cursor, kept by the hub, instead of a token: one stream at a time, which goes on where the last one was acknowledged.
  std::string cursor{};
  std::string client_id{};  // helps to find this stream in the hub's log and lists; at most 64 bytes
  size_t versions_max = 20'000'000;
  // on_event hears of every delivery, also of what is old or known: the caller compares versions itself, and Run spends no memory on them.
  // on_removed is then silent; what was applied ahead of the order is named by on_unchanged when a snapshot begins.
  bool every_delivery = false;
  bool urgent = true;  // ask for urgent events ahead of the order
  size_t ahead_max =
      100'000;  // indicators applied ahead at a time, about 200 bytes each; beyond it copies wait for their order
  std::chrono::milliseconds silence_max{15'000};  // nothing heard so long: reconnect
  std::chrono::milliseconds backoff_base{200};
  std::chrono::milliseconds backoff_max{30'000};
};

// Any of them may be empty.
struct SubscriberHandlers {
  std::function<void(const v1::Opened&)> on_opened{};
  // False: not applied (yet): the stream is torn down and everything un-acknowledged comes again, after a pause.
  std::function<bool(const v1::Event&)> on_event{};
  // Only with every_delivery. One message of the hub has been handled: what on_event heard since the last time belongs together, and is
  // acknowledged next. False: not stored: all of it comes again, after a pause.
  std::function<bool()> on_batch{};
  // Everything before it has been handled; keep the token with what on_event stored.
  std::function<void(const v1::Progress&)> on_progress{};
  // The hub's log is another one: versions held from before compare with none that come. Just before on_snapshot_begins.
  std::function<void()> on_log_changed{};
  // The two ends of a snapshot; between them on_progress is silent. It may begin anew before it has ended.
  std::function<void()> on_snapshot_begins{};
  std::function<void()> on_snapshot_ends{};
  // Between the two: the stream told of an indicator, but only what on_event has been told in this Run. For who clears out there.
  std::function<void(const std::string& indicator_id)> on_unchanged{};
  // A snapshot's end: the indicator is not flagged any more, or not for this caller's eyes. Just before on_snapshot_ends.
  std::function<void(const std::string& indicator_id)> on_removed{};
  // Other rows from here on; a snapshot follows.
  std::function<void(const v1::ViewChanged&)> on_view_changed{};
  // The stream broke; a reconnect follows after `pause`.
  std::function<void(const Status& why, std::chrono::milliseconds pause)> on_disconnected{};
};

class Subscriber {
 public:
  // Returns OK when asked to stop, or an error that no retry cures: kPermissionDenied, kInvalidArgument, ... or a refusal of the token or
  // cursor (ERROR_REASON_CURSOR_TOO_OLD, _LOG_CHANGED, _FILTER_CHANGED, _CURSOR_INVALID) unless `snapshot_when_lost`.
  // ERROR_REASON_CURSOR_TAKEN: another stream has attached to the cursor since; to come back would be to take it from that one.
  static Status Run(const SubscriberOptions& options, const v1::Filter& filter, const SubscriberHandlers& handlers,
                    std::stop_token stop);
};

}  // namespace fraudhub
