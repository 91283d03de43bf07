// What each reporter has said about an indicator, kept within bounds. Private to this library.
#pragma once

#include "libs/model/indicator.h"
#include "libs/model/report.h"
#include "libs/model/rules.h"

namespace hub::registry {

// The first source rule that fits; null when none does (the report then counts as NONE).
const model::SourceRule* FindSourceRule(const model::Rules& rules, const model::Report& report);

// Adds the report to its reporter's contribution, making one when needed. Past kContributionsMax newcomers share one per ownership
// group and kind, and past that one for all.
void Contribute(const model::Rules& rules, const model::Report& report, model::IndicatorState* state);

// Withdraws everything the stakeholder said. False: it said nothing that still counts.
bool Withdraw(const std::string& stakeholder, model::IndicatorState* state);

// Withdraws all contributions of one kind, whoever made them. False: there were none.
bool WithdrawKind(model::InputKind kind, model::IndicatorState* state);

}  // namespace hub::registry
