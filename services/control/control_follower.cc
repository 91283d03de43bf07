#include "services/control/control_follower.h"

#include <utility>
#include <variant>

#include "absl/strings/numbers.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/wire/wire.h"
#include "services/control/control_topic.h"

namespace hub::control {
namespace {

constexpr absl::Duration kWaitMax =
    absl::Milliseconds(200);  // so that Stop is quick, and a change is seen within a second
constexpr absl::Duration kPause = absl::Milliseconds(500);  // after an error
constexpr absl::Duration kMendTimeout = absl::Seconds(5);

absl::StatusOr<std::shared_ptr<const access::Policy>> BuildPolicy(const std::string& text) {
  HUB_ASSIGN_OR_RETURN(model::PolicySpec spec, wire::ParsePolicy(text));
  return access::Policy::Build(std::move(spec));
}

}  // namespace

ControlFollower::ControlFollower(const base::Clock* clock, eventlog::Log* log, bool mends)
    : clock_(clock), log_(log), mends_(mends) {}

ControlFollower::~ControlFollower() { Stop(); }

absl::Status ControlFollower::ReadToEnd(absl::Duration timeout) {
  const absl::Duration until = clock_->Monotonic() + timeout;
  while (true) {
    const absl::StatusOr<bool> more = ReadOnce();
    if (!more.ok() && !absl::IsUnavailable(more.status())) return more.status();
    if (more.ok() && !*more) return absl::OkStatus();
    if (clock_->Monotonic() >= until) {
      return absl::UnavailableError("the control topic can't be read to its end in time");
    }
    if (!more.ok()) log_->Wait({{ControlPartition(), std::max<eventlog::Offset>(next_, 0)}}, absl::Milliseconds(50));
  }
}

void ControlFollower::Start(OnChange on_change) {
  on_change_ = std::move(on_change);
  thread_ = base::Thread("control", [this](std::stop_token stop) { Run(stop); });
}

void ControlFollower::Stop() { thread_.Stop(); }

std::shared_ptr<const ControlState> ControlFollower::state() const {
  base::MutexLock lock(&mu_);
  return state_;
}

absl::Duration ControlFollower::last_at_end() const {
  base::MutexLock lock(&mu_);
  return last_at_end_;
}

void ControlFollower::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const absl::StatusOr<bool> more = ReadOnce();
    if (!more.ok()) {
      HUB_LOG_EVERY(30, WARN, "control_not_read", {{"status", more.status().ToString()}});
      log_->Wait({}, kPause);
      continue;
    }
    if (*more) continue;
    MendIfNeeded();
    log_->Wait({{ControlPartition(), next_}}, kWaitMax);
  }
}

absl::StatusOr<bool> ControlFollower::ReadOnce() {
  // Before the read: what it reaches then is the end as it was.
  const absl::Duration now = clock_->Monotonic();
  HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets(ControlPartition()));
  if (next_ < range.first) next_ = range.first;
  if (next_ < range.end) {
    HUB_ASSIGN_OR_RETURN(const eventlog::ReadResult read, log_->Read(ControlPartition(), next_, {}));
    if (read.next == next_) return absl::UnavailableError("nothing was read before the end of the control topic");
    for (const eventlog::StoredRecord& record : read.records) Apply(record);
    next_ = read.next;
  }
  const bool more = next_ < range.end;
  std::shared_ptr<const ControlState> changed;
  {
    base::MutexLock lock(&mu_);
    if (!more) last_at_end_ = now;
    if (!more && changed_) changed = state_ = std::make_shared<ControlState>(working_);
  }
  if (changed != nullptr) {
    changed_ = false;
    if (on_change_) on_change_(*changed);
  }
  return more;
}

void ControlFollower::Apply(const eventlog::StoredRecord& record) {
  absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
  if (decoded.ok()) {
    if (auto* rules = std::get_if<model::RulesUpdate>(&decoded->body)) {
      changed_ = ApplyRules(std::move(*rules)) || changed_;
      return;
    }
    if (const auto* item = std::get_if<model::ControlItem>(&decoded->body)) {
      changed_ = ApplyItem(*item) || changed_;
      return;
    }
  }
  HUB_LOG(WARN, "control_record_passed_over", {{"offset", record.offset}});
}

bool ControlFollower::ApplyRules(model::RulesUpdate update) {
  rules_displaced_ = working_.rules && update.rules.version < working_.rules->version;
  if (rules_displaced_) return false;
  working_.rules = std::move(update.rules);
  return true;
}

bool ControlFollower::ApplyItem(const model::ControlItem& item) {
  if (item.name == kPolicyItem) {
    policy_displaced_ = working_.policy != nullptr && item.version < working_.policy->version();
    if (policy_displaced_) return false;
    const absl::StatusOr<std::shared_ptr<const access::Policy>> policy = BuildPolicy(item.text);
    if (!policy.ok()) {
      HUB_LOG(ERROR, "policy_passed_over", {{"version", item.version}, {"status", policy.status().ToString()}});
      return false;
    }
    working_.policy = *policy;
    working_.policy_text = item.text;
    return true;
  }
  if (item.name == kCursorKeyItem) {
    uint32_t id = 0;
    if (item.version < working_.cursor_key_version || !absl::SimpleAtoi(item.text, &id) || id == 0) return false;
    working_.cursor_key_version = item.version;
    working_.cursor_key = id;
    return true;
  }
  if (item.name == kRoutingItem) {
    // Never changes: the first to be seen counts.
    if (!working_.routing_check.empty()) return false;
    working_.routing_check = item.text;
    return true;
  }
  return false;  // of a newer release
}

void ControlFollower::MendIfNeeded() {
  if (!mends_ || (!rules_displaced_ && !policy_displaced_)) return;
  absl::Status mended;
  if (rules_displaced_) mended = KeepRules(log_, *working_.rules, kMendTimeout);
  if (policy_displaced_) {
    mended.Update(PutItem(log_, {kPolicyItem, working_.policy->version(), working_.policy_text}, kMendTimeout));
  }
  rules_displaced_ = policy_displaced_ = false;  // reading the own record settles it; a failure waits for the next time
  HUB_LOG(WARN, "control_mended", {{"status", mended.ToString()}});
}

}  // namespace hub::control
