// How contributions become a level: steps 1 to 5 of decide.h. Private to this library. Thread safety: plain functions.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/model/indicator.h"
#include "libs/model/rules.h"

namespace hub::registry {

struct Verdict {
  model::Level level = model::Level::kNone;
  std::vector<model::Reason> reasons;  // sorted, at most kAttributeValuesMax, the strongest
  uint32_t independent_sources = 0;
  uint32_t independent_citizens = 0;
  absl::Time expires_at = absl::InfiniteFuture();     // of a flag: the last lapse
  absl::Time next_check_at = absl::InfiniteFuture();  // the next lapse of what counts; always after `now`
};

// `steps`, unless null, receives each step in words. They name roles, never stakeholders, and never the financial intelligence unit.
Verdict Judge(const model::Rules& rules, const model::IndicatorState& state, absl::Time now,
              std::vector<std::string>* steps);

// Enough analysts asked to override the protection, or there is none.
bool MayBeFlagged(const model::Rules& rules, const model::IndicatorState& state);

}  // namespace hub::registry
