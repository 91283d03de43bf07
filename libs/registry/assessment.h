// How the contributions of one indicator add up to a level: the steps that decide.h lists. Private to this library.
//
// Pure; the same code decides and explains.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/model/indicator.h"
#include "libs/model/rules.h"

namespace hub::registry {

struct Assessment {
  model::Level level = model::Level::kNone;
  std::vector<model::Reason> reasons;  // of what counts towards the level; sorted
  uint32_t independent_sources = 0;    // ownership groups that count
  uint32_t independent_citizens = 0;   // after the cap per portal
  absl::Time expires_at = absl::InfiniteFuture();    // last lapse of what counts; infinite when the level is NONE
  absl::Time next_check_at = absl::InfiniteFuture();  // first lapse of what counts
  std::vector<std::string> steps;      // in words, for Explain
};

Assessment Assess(const model::Rules& rules, const model::IndicatorState& state, absl::Time now);

}  // namespace hub::registry
