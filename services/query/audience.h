// Who is to have an event: the policy's word on who may subscribe and what it may see then. Plain functions.
#pragma once

#include <optional>

#include "libs/access/policy.h"
#include "libs/model/event.h"
#include "libs/model/filter.h"

namespace hub::query {

// What a stakeholder may see when it subscribes; nullopt: it may not subscribe.
std::optional<model::Filter> RowsOfSubscriber(const access::Policy& policy, const model::StakeholderSpec& stakeholder);
// The event's row as it is now, or as it was before.
bool MaySee(const model::Filter& rows, const model::Event& event);

}  // namespace hub::query
