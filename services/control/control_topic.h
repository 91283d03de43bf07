// What every process must know, put on the control topic: rules, the policy, which key signs cursors, which routing key this log was made with.
//
// One record per item, keyed by its name, compacted. The higher version counts; of equal ones the later. Plain functions; they block on
// the log.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/eventlog/log.h"
#include "libs/model/records.h"
#include "libs/model/rules.h"

namespace hub::control {

// Names of items: stored, frozen.
inline constexpr char kRulesItem[] = "rules";
inline constexpr char kPolicyItem[] = "policy";         // text: policy.textproto
inline constexpr char kCursorKeyItem[] = "cursor_key";  // text: id of the key that signs, decimal
inline constexpr char kRoutingItem[] = "routing_key";   // text: what RoutingCheck makes of the key

eventlog::TopicPartition ControlPartition();

absl::Status PutItem(eventlog::Log* log, const model::ControlItem& item, absl::Duration timeout);
// Keeps the rules there, so that whoever starts later finds them.
absl::Status KeepRules(eventlog::Log* log, const model::Rules& rules, absl::Duration timeout);
// Keeps the rules, then puts them on every partition of `reports`, where they take effect: positions by partition. What fails half-way, the
// registries make good: they follow the control topic.
absl::StatusOr<std::map<int32_t, int64_t>> PutRules(eventlog::Log* log, int32_t partitions, const model::Rules& rules,
                                                    absl::Duration timeout);

// The first 16 hexadecimal digits of the SHA-256 of some text: to compare what two processes have.
std::string ShortHash(absl::string_view text);
std::string ShortHash(const model::Rules& rules);

}  // namespace hub::control
