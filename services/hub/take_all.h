// How a hub in one process comes to own every partition. A plain function.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/eventlog/log.h"
#include "services/registry/registry_app.h"

namespace hub::hub_service {

// Gives `registry` all partitions and waits until it decides by some rules; one that takes over or rebuilds may go on with that. Unavailable:
// a new log that the rules can't be put on within `timeout`.
absl::Status TakeAllPartitions(registry_service::RegistryApp* registry, eventlog::Log* log, int32_t partitions,
                               const base::Clock* clock, absl::Duration timeout);

}  // namespace hub::hub_service
