// An indicator's state as its reader gets it explained: the sources that count, strongest first, and the steps of the decision.
// Plain functions.
#pragma once

#include "fraudhub/v1/lookup.pb.h"
#include "libs/model/rules.h"
#include "libs/replica/replica.h"

namespace hub::query {

inline constexpr size_t kSourcesMax = 64;  // the strongest are shown

// `analyst`: may know the financial intelligence unit as such; to all others it is a financial institution.
void Explain(const replica::Answer& answer, const model::Rules& rules, absl::Time now, bool analyst,
             fraudhub::v1::Explanation* out);
model::Role ShownRole(model::Role role, bool analyst);

}  // namespace hub::query
