// The newest rules that were ever applied, on the control topic: what a hub that starts with an older file goes by.
//
// Plain functions; they block on the log.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/eventlog/log.h"
#include "libs/model/rules.h"

namespace hub::registry_service {

// nullopt: none were kept yet. Unavailable: the topic could not be read to its end within `timeout`.
absl::StatusOr<std::optional<model::Rules>> ReadKeptRules(eventlog::Log* log, const base::Clock* clock,
                                                          absl::Duration timeout);
absl::Status KeepRules(eventlog::Log* log, const model::Rules& rules, absl::Duration timeout);

}  // namespace hub::registry_service
