// What each reporter has said about one identifier: merging, withdrawing, bounding. Private to this library.
//
// A contribution is per (stakeholder, kind, list), for analysts per principal, and per side of the last correction: what was observed
// after `ceiling_at` never mixes with what was observed before it, so that one new citizen doesn't bring twenty cleared ones back.
// Invariant 1: a contribution without a reason matched no source rule: evidence that counts for nothing.
// Invariant 2: of a withdrawn contribution, lapses_at is the time until which its reporter took back what it said.
// Invariant 3: at most kContributionsMax of single reporters, kFoldedMax of ownership groups (stakeholder empty), and then one per
// role and kind for all others (ownership group empty too).
// Thread safety: plain functions.
#pragma once

#include <algorithm>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/model/indicator.h"
#include "libs/model/report.h"
#include "libs/model/rules.h"

namespace hub::registry {

inline constexpr size_t kFoldedMax = 32;

// What the rules give a report alone.
struct Weight {
  model::Level level = model::Level::kNone;
  model::Reason reason = model::Reason::kUnspecified;  // the public one; kUnspecified: no rule matched
  absl::Duration lapses_after = model::SourceRule().lapses_after;
};
Weight WeightOf(const model::Rules& rules, const model::Report& report);

void AddContribution(const model::Report& report, const Weight& weight, absl::Time ceiling_at, absl::Time now,
                     std::vector<model::Contribution>* contributions);

// The same reporter's same list has said it already, as strongly: the list was delivered again.
bool AlreadyListed(const model::Report& report, const Weight& weight, absl::Time ceiling_at,
                   const std::vector<model::Contribution>& contributions);

// Takes back all that `stakeholder` said, of one kind only unless that is kUnspecified. Returns how many were taken back.
int Withdraw(absl::string_view stakeholder, model::InputKind kind, absl::Time at,
             std::vector<model::Contribution>* contributions);

// Neither withdrawn nor lapsed, and known to the rules.
bool Counts(const model::Contribution& contribution, absl::Time now);

absl::string_view GroupOf(const model::Reporter& reporter);

// Which operator serves the number, with its date: kept as a contribution of no kind that counts for nothing, because the state has
// no field for the date. True when the operator known changed.
bool LearnOperator(const model::Report& report, model::IndicatorState* state);

// Into a sorted list without repeats; a full list stays as it is.
template <typename T>
void InsertBounded(const T& value, std::vector<T>* sorted) {
  const auto at = std::lower_bound(sorted->begin(), sorted->end(), value);
  if (at != sorted->end() && *at == value) return;
  if (sorted->size() >= model::kAttributeValuesMax) return;
  sorted->insert(at, value);
}

}  // namespace hub::registry
