// The decision: what a record of `reports` does to what is known about one identifier. Pure: no clock, no randomness, no map
// order, no I/O; everything it needs is in its arguments, so that a replay gives the same bytes.
//
// Rules of the data: DOMAIN.md 1 to 10, contracts: DESIGN.md 3. How a level comes about (also told by Explain, step by step):
//   1. each contribution that is neither withdrawn nor lapsed gives its level alone (SourceRule);
//   2. corroboration by independent ownership groups and by citizens (capped per portal) may raise it (CorroborationRule);
//   3. one ownership group alone stays below VERY_HIGH unless its role may go there alone;
//   4. evidence from before a correction gives at most the correction's ceiling;
//   5. protected identifiers stay NONE unless enough analysts overrode the protection.
// Thread safety: plain functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/model/event.h"
#include "libs/model/indicator.h"
#include "libs/model/report.h"
#include "libs/model/rules.h"

namespace hub::registry {

// All sides of one identifier; they share a routing token, hence a partition.
struct FacetStates {
  std::optional<model::IndicatorState> risk;
  std::optional<model::IndicatorState> connection;
  std::optional<model::IndicatorState> trace;
};

struct DecisionContext {
  const model::Rules* rules = nullptr;
  absl::Time now = absl::InfinitePast();  // the partition's clock: its last tick
  int64_t reports_offset = -1;            // of the record
};

struct Decision {
  FacetStates states;                // after
  std::vector<model::Event> events;  // at most one per facet; term not stamped
  // Facets whose stored state differs though no event came of it (counters, last seen).
  bool risk_dirty = false;
  bool connection_dirty = false;
  bool trace_dirty = false;
  model::Outcome outcome = model::Outcome::kUnspecified;
  model::HeldReason held_reason = model::HeldReason::kUnspecified;
};

// A report that is no duplicate. `token` is the routing token of report.identifier.
Decision Decide(const DecisionContext& context, const FacetStates& before, const model::RoutingToken& token,
                const model::Report& report);

// A tick that passed next_check_at of a facet: lapses.
Decision DecideLapse(const DecisionContext& context, const FacetStates& before);

// The steps above in words, for Explain: same code path as the decision.
std::vector<std::string> ExplainLevel(const model::Rules& rules, const model::IndicatorState& state, absl::Time now);

}  // namespace hub::registry
