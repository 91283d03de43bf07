// What the operator's port says about the parts of the hub. Plain functions.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/eventlog/kafka_group.h"
#include "libs/eventlog/log.h"
#include "libs/replica/replica.h"
#include "services/control/control_follower.h"
#include "services/fanout/fanout_app.h"
#include "services/registry/registry_app.h"

namespace hub::hub_service {

// What isn't part of this process is null.
struct PageParts {
  const eventlog::Log* log = nullptr;
  const registry_service::RegistryApp* registry = nullptr;
  const replica::Replica* replica = nullptr;
  const fanout_service::FanoutApp* fanout = nullptr;
  const control::ControlFollower* control = nullptr;
  const eventlog::KafkaGroup* group = nullptr;
};

// Empty when all is well, else a line for each part that isn't: /readyz.
std::string Unready(const PageParts& parts, const base::Clock& clock, absl::Duration age_max);

// The body of /statusz, for a person: what runs, where each partition stands, how far behind anything is.
std::string StatusText(const PageParts& parts, absl::Time now);

}  // namespace hub::hub_service
