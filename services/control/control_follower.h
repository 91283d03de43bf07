// Follows the control topic: what is in force everywhere, within a second of being put there.
//
// A record that doesn't decode, or whose policy isn't good, is logged and passed over: what was in force stays.
// Thread safety: ReadToEnd, Start and Stop from one thread; everything else from any. `on_change` runs on the follower's thread.
//
//   ControlFollower control(&clock, log, /*mends=*/false);
//   HUB_RETURN_IF_ERROR(control.ReadToEnd(absl::Seconds(10)));
//   control.Start([](const ControlState& state) { ... });
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/access/policy.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/eventlog/log.h"
#include "libs/model/records.h"
#include "libs/model/rules.h"

namespace hub::control {

struct ControlState {
  std::optional<model::Rules> rules;             // nullopt: never put there
  std::shared_ptr<const access::Policy> policy;  // nullptr: never put there
  std::string policy_text;
  uint64_t cursor_key_version = 0;  // of the item that named it
  uint32_t cursor_key = 1;          // id of the key that signs cursors
  std::string routing_check;        // empty: never put there
};

class ControlFollower {
 public:
  using OnChange = std::function<void(const ControlState&)>;

  // `mends`: may write the topic. When it sees an older version put after a newer one (two people at once), it puts the newer one there
  // again, as compaction would keep the older.
  ControlFollower(const base::Clock* clock, eventlog::Log* log, bool mends);
  ~ControlFollower();

  // Reads to where the topic ends now. Unavailable: not within `timeout`.
  absl::Status ReadToEnd(absl::Duration timeout);
  void Start(OnChange on_change);
  void Stop();

  std::shared_ptr<const ControlState> state() const;
  // When it last knew that nothing newer was there; monotonic.
  absl::Duration last_at_end() const;

 private:
  // True when there was something to read.
  absl::StatusOr<bool> ReadOnce();
  void Apply(const eventlog::StoredRecord& record);
  bool ApplyRules(model::RulesUpdate update);
  bool ApplyItem(const model::ControlItem& item);
  void MendIfNeeded();
  void Run(const std::stop_token& stop);

  const base::Clock* const clock_;
  eventlog::Log* const log_;
  const bool mends_;

  // The follower's own: one thread at a time.
  eventlog::Offset next_ = -1;  // -1: not begun
  ControlState working_;
  bool changed_ = false;
  bool rules_displaced_ = false;
  bool policy_displaced_ = false;
  OnChange on_change_;

  mutable base::Mutex mu_;
  std::shared_ptr<const ControlState> state_ ABSL_GUARDED_BY(mu_) = std::make_shared<ControlState>();
  absl::Duration last_at_end_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  base::Thread thread_;
};

}  // namespace hub::control
