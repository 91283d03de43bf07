#include "libs/registry/decide.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/registry/contributions.h"
#include "libs/registry/level.h"

namespace hub::registry {
namespace {

using model::Attributes;
using model::EventKind;
using model::Facet;
using model::HeldReason;
using model::IndicatorState;
using model::InputKind;
using model::Level;
using model::Outcome;
using model::Report;

// What doesn't fit stays in the history only.
template <class Value>
void AddValue(const Value& value, std::vector<Value>* values) {
  if (!(value == Value{})) InsertBounded(value, values);
}

template <class States>
auto& Slot(States& states, Facet facet) {
  return facet == Facet::kRisk ? states.risk : facet == Facet::kConnection ? states.connection : states.trace;
}

// One decision in the making: what is common to all kinds of input.
class Deciding {
 public:
  Deciding(const DecisionContext& context, const FacetStates& before, const model::RoutingToken& token,
           const Report* report)
      : context_(context), before_(before), token_(token), report_(report) {
    decision_.states = before;
    decision_.outcome = Outcome::kMerged;
  }

  Decision Finish() && { return std::move(decision_); }
  void Hold(HeldReason reason) {
    decision_.outcome = Outcome::kHeld;
    decision_.held_reason = reason;
  }

  // The state of a facet, made when there was none.
  IndicatorState* Edit(Facet facet) {
    std::optional<IndicatorState>& state = Slot(decision_.states, facet);
    if (!state.has_value()) {
      state.emplace();
      state->key = {token_, facet};
      state->identifier = report_->identifier;
      state->line_kind = report_->line_kind;
      state->links = report_->links;
      state->attributes.facet = facet;
      state->attributes.type = report_->identifier.type;
      state->first_seen = report_->observed_at;
      state->last_seen = report_->observed_at;
      if (facet == Facet::kRisk) state->protected_identifier = model::IsProtected(*context_.rules, report_->identifier);
      if (const auto& risk = decision_.states.risk; facet != Facet::kRisk && risk.has_value()) {
        state->tenure = risk->tenure;
        state->tenure_started_at = risk->tenure_started_at;
      }
    }
    Dirty(facet) = true;
    return &*state;
  }

  bool Known(Facet facet) { return Slot(decision_.states, facet).has_value(); }

  // Counts the report and takes over what it tells besides.
  void Count(IndicatorState* state) {
    ++state->report_count;
    state->first_seen = std::min(state->first_seen, report_->observed_at);
    state->last_seen = std::max(state->last_seen, report_->observed_at);
    if (state->line_kind == model::LineKind::kUnspecified) state->line_kind = report_->line_kind;
    LearnOperator(*report_, state);
    if (!report_->circle_of_issue.empty()) state->attributes.circle_of_issue = report_->circle_of_issue;
    AddValue(report_->category, &state->attributes.categories);
    AddValue(report_->victim_state, &state->attributes.victim_states);
    AddValue(report_->handling_unit, &state->attributes.handling_units);
    AddValue(report_->case_ref, &state->attributes.case_refs);
    if (!report_->suspect_state.empty()) state->suspect_state = report_->suspect_state;
    if (!report_->victim_phone.empty()) state->victim_phone = report_->victim_phone;
    if (__builtin_add_overflow(state->loss_paise, report_->amount_paise, &state->loss_paise)) {
      state->loss_paise = std::numeric_limits<int64_t>::max();
    }
  }

  // Level, reasons and times of the RISK facet from its contributions.
  void Reassess(IndicatorState* state) {
    state->protected_identifier = model::IsProtected(*context_.rules, state->identifier);
    const Verdict verdict = Judge(*context_.rules, *state, context_.now, /*steps=*/nullptr);
    state->attributes.level = verdict.level;
    state->attributes.reasons = verdict.reasons;
    if (!state->registered_by.empty()) AddValue(model::Reason::kImeiBlocklist, &state->attributes.reasons);
    state->independent_sources = verdict.independent_sources;
    state->independent_citizens = verdict.independent_citizens;
    state->next_check_at = verdict.next_check_at;
    if (verdict.level == Level::kNone) {
      state->expires_at = absl::InfiniteFuture();
      state->review_due = absl::InfiniteFuture();
      return;
    }
    if (state->expires_at == absl::InfiniteFuture() || verdict.expires_at > state->expires_at + model::kExpiryStep ||
        verdict.expires_at < state->expires_at) {
      state->expires_at = verdict.expires_at;
    }
    if (state->review_due == absl::InfiniteFuture()) state->review_due = context_.now + context_.rules->review_after;
  }

  // An event when something that others may see has changed, or when `always`. `fallen`: how to call a fall to NONE, and what is
  // told `always` though nothing changed.
  void Announce(IndicatorState* state, EventKind fallen, bool always) {
    const std::optional<IndicatorState>& old = Slot(before_, state->attributes.facet);
    const bool same = old.has_value() && old->attributes == state->attributes && old->tenure == state->tenure &&
                      old->expires_at == state->expires_at;
    if (same && !always) return;
    const Level was = old.has_value() ? old->attributes.level : Level::kNone;
    const Level is = state->attributes.level;
    EventKind kind = EventKind::kDetailsChanged;
    if (is > was) {
      kind = was == Level::kNone ? EventKind::kFlagged : EventKind::kLevelRaised;
    } else if (is < was) {
      kind = is == Level::kNone ? fallen : EventKind::kLevelLowered;
    } else if (always) {
      kind = fallen;
    } else if (!old.has_value()) {
      kind = EventKind::kReported;
    }
    AnnounceAs(state, kind);
  }

  // The report as its reporter's word, weighed by the rules.
  void Contribute(IndicatorState* state) {
    AddContribution(*report_, WeightOf(*context_.rules, *report_), state->ceiling_at, context_.now,
                    &state->contributions);
  }

  // A row of a list that was delivered again changes nothing but last-seen.
  bool ListedAgain(IndicatorState* state) {
    if (!AlreadyListed(*report_, WeightOf(*context_.rules, *report_), state->ceiling_at, state->contributions))
      return false;
    state->last_seen = std::max(state->last_seen, report_->observed_at);
    decision_.outcome = Outcome::kDuplicate;
    return true;
  }

  void AnnounceAs(IndicatorState* state, EventKind kind) {
    const std::optional<IndicatorState>& old = Slot(before_, state->attributes.facet);
    state->version = (old.has_value() ? old->version : 0) + 1;
    state->standing = kind;
    model::Event event;
    event.kind = kind;
    event.state = *state;
    if (old.has_value()) event.previous = old->attributes;
    event.reports_offset = context_.reports_offset;
    event.rules_version = context_.rules->version;
    event.decided_at = context_.now;
    event.received_at = report_ != nullptr ? report_->received_at : context_.now;
    decision_.events.push_back(std::move(event));
    Dirty(state->attributes.facet) = false;  // the event carries the state
  }

 private:
  bool& Dirty(Facet facet) {
    return facet == Facet::kRisk         ? decision_.risk_dirty
           : facet == Facet::kConnection ? decision_.connection_dirty
                                         : decision_.trace_dirty;
  }

  const DecisionContext& context_;
  const FacetStates& before_;
  const model::RoutingToken token_;
  const Report* const report_;
  Decision decision_;
};

bool FromClosedTenure(const FacetStates& states, const Report& report) {
  return states.risk.has_value() && report.observed_at < states.risk->tenure_started_at;
}

// SUSPECTED_COMMUNICATION, FINANCIAL_FRAUD, DISCONNECTED, SPOOFED_CLI: evidence that counts by the rules.
void DecideEvidence(const Report& report, Deciding* deciding) {
  IndicatorState* state = deciding->Edit(Facet::kRisk);
  if (deciding->ListedAgain(state)) return;
  deciding->Count(state);
  deciding->Contribute(state);
  deciding->Reassess(state);
  if (report.kind == InputKind::kSpoofedCli) {
    deciding->Hold(HeldReason::kSpoofedNumber);
  } else if (state->protected_identifier && state->attributes.level == Level::kNone) {
    deciding->Hold(HeldReason::kProtectedIdentifier);
  }
  deciding->Announce(state, EventKind::kLevelLowered, /*always=*/false);
}

void DecideNotMyConnection(const FacetStates& before, const Report& report, Deciding* deciding) {
  const bool pending =
      before.connection.has_value() && before.connection->standing == EventKind::kReverificationRequested;
  IndicatorState* state = deciding->Edit(Facet::kConnection);
  deciding->Count(state);
  if (report.operator_id.empty() && before.risk.has_value() && !before.risk->attributes.operator_id.empty()) {
    state->attributes.operator_id = before.risk->attributes.operator_id;
  }
  deciding->Announce(state, EventKind::kReverificationRequested, /*always=*/!pending);
}

void DecideReverified(const Report& report, const FacetStates& before, Deciding* deciding) {
  if (before.connection.has_value() && before.connection->standing == EventKind::kReverificationRequested) {
    IndicatorState* connection = deciding->Edit(Facet::kConnection);
    deciding->Count(connection);
    deciding->AnnounceAs(connection, EventKind::kReverified);
  }
  IndicatorState* state = deciding->Edit(Facet::kRisk);
  deciding->Count(state);
  if (report.observed_at >= state->ceiling_at) {
    state->ceiling = Level::kNone;
    state->ceiling_at = report.observed_at;
  }
  deciding->Reassess(state);
  deciding->Announce(state, EventKind::kCleared, /*always=*/false);
}

void CloseTenure(const Report& report, IndicatorState* state) {
  state->closed_tenures.push_back({state->tenure, report.observed_at, state->attributes.level});
  if (state->closed_tenures.size() > model::kTenuresKeptMax) state->closed_tenures.erase(state->closed_tenures.begin());
  ++state->tenure;
  state->tenure_started_at = report.observed_at;
  state->contributions.clear();
  state->override_votes.clear();
  state->report_count = 0;
  state->first_seen = report.observed_at;
  state->last_seen = report.observed_at;
  state->ceiling = Level::kVeryHigh;
  state->ceiling_at = absl::InfinitePast();
  state->suspect_state.clear();
  state->victim_phone.clear();
  state->loss_paise = 0;
  Attributes fresh;
  fresh.facet = state->attributes.facet;
  fresh.type = state->attributes.type;
  fresh.circle_of_issue = state->attributes.circle_of_issue;
  fresh.operator_id = report.operator_id.empty() ? state->attributes.operator_id : report.operator_id;
  state->attributes = fresh;
}

void DecideTenureClosed(const Report& report, const FacetStates& before, Deciding* deciding) {
  if (before.risk.has_value() && report.observed_at <= before.risk->tenure_started_at) {
    return deciding->Hold(HeldReason::kClosedTenure);
  }
  if (before.connection.has_value()) {
    IndicatorState* connection = deciding->Edit(Facet::kConnection);
    CloseTenure(report, connection);
    deciding->AnnounceAs(connection, EventKind::kTenureClosed);
  }
  IndicatorState* state = deciding->Edit(Facet::kRisk);
  CloseTenure(report, state);
  deciding->Reassess(state);
  deciding->AnnounceAs(state, EventKind::kTenureClosed);
}

void DecideHandset(const FacetStates& before, const Report& report, Deciding* deciding) {
  const bool registered = before.risk.has_value() && !before.risk->registered_by.empty();
  if (report.kind == InputKind::kHandsetLost) {
    IndicatorState* state = deciding->Edit(Facet::kRisk);
    deciding->Count(state);
    deciding->Contribute(state);
    // Whoever registered first stays; a unit named in the report registers for the citizen who lost it.
    if (state->registered_by.empty()) {
      state->registered_by = report.handling_unit.empty() ? report.reporter.stakeholder : report.handling_unit;
    }
    deciding->Reassess(state);
    if (registered) return deciding->Announce(state, EventKind::kLevelLowered, /*always=*/false);
    return deciding->AnnounceAs(state, EventKind::kHandsetBlocked);
  }
  if (!registered) return deciding->Hold(HeldReason::kNothingToCorrect);
  if (report.kind == InputKind::kHandsetFound) {
    IndicatorState* state = deciding->Edit(Facet::kRisk);
    deciding->Count(state);
    Withdraw("", InputKind::kHandsetLost, report.observed_at, &state->contributions);
    state->registered_by.clear();
    deciding->Reassess(state);
    return deciding->AnnounceAs(state, EventKind::kHandsetUnblocked);
  }
  // A trace is the registering unit's business and nobody else's: a facet of its own.
  IndicatorState* state = deciding->Edit(Facet::kTrace);
  ++state->report_count;
  state->last_seen = std::max(state->last_seen, report.observed_at);
  state->attributes.handling_units = {before.risk->registered_by};
  state->registered_by = before.risk->registered_by;
  state->traced_with = report.traced_with;
  state->traced_at = report.observed_at;
  deciding->AnnounceAs(state, EventKind::kHandsetTraced);
}

void DecideCorrection(const FacetStates& before, const Report& report, Deciding* deciding) {
  const model::Correction& correction = report.correction;
  const bool sets_level = correction.kind == model::CorrectionKind::kSetLevel;
  if (!before.risk.has_value() && !(sets_level && correction.level > Level::kNone)) {
    return deciding->Hold(HeldReason::kNothingToCorrect);
  }
  if (correction.kind == model::CorrectionKind::kRetracted) {
    std::vector<model::Contribution> left = before.risk->contributions;
    if (Withdraw(report.reporter.stakeholder, InputKind::kUnspecified, report.observed_at, &left) == 0) {
      return deciding->Hold(HeldReason::kNothingToCorrect);
    }
    IndicatorState* state = deciding->Edit(Facet::kRisk);
    state->contributions = std::move(left);
    deciding->Reassess(state);
    return deciding->Announce(state, EventKind::kRetracted, /*always=*/true);
  }
  IndicatorState* state = deciding->Edit(Facet::kRisk);
  const Level level = sets_level ? correction.level : Level::kNone;
  if (sets_level && correction.override_protected && state->protected_identifier) {
    constexpr size_t kVotesKept = 16;  // more than any rule asks for
    const std::string vote = absl::StrCat(report.reporter.stakeholder, "/", report.reporter.principal);
    const auto at = std::lower_bound(state->override_votes.begin(), state->override_votes.end(), vote);
    if ((at == state->override_votes.end() || *at != vote) && state->override_votes.size() < kVotesKept) {
      state->override_votes.insert(at, vote);
    }
  }
  if (report.observed_at >= state->ceiling_at) {
    state->ceiling = level;
    state->ceiling_at = report.observed_at;
  }
  if (sets_level && level > Level::kNone) deciding->Contribute(state);
  deciding->Reassess(state);
  if (sets_level && level > Level::kNone && state->protected_identifier && state->attributes.level == Level::kNone) {
    deciding->Hold(correction.override_protected ? HeldReason::kAwaitingSecondAnalyst
                                                 : HeldReason::kProtectedIdentifier);
    return deciding->Announce(state, EventKind::kLevelLowered, /*always=*/false);
  }
  const EventKind fallen =
      correction.kind == model::CorrectionKind::kRescinded ? EventKind::kRescinded : EventKind::kCleared;
  // A correction is always told, also where the level stays: someone waits for it.
  deciding->Announce(state, level == Level::kNone ? fallen : EventKind::kDetailsChanged, /*always=*/true);
}

}  // namespace

Decision Decide(const DecisionContext& context, const FacetStates& before, const model::RoutingToken& token,
                const Report& report) {
  Deciding deciding(context, before, token, &report);
  if (report.kind == InputKind::kActionTaken) return std::move(deciding).Finish();  // history only
  if (report.kind != InputKind::kTenureClosed && FromClosedTenure(before, report)) {
    deciding.Hold(HeldReason::kClosedTenure);
    return std::move(deciding).Finish();
  }
  switch (report.kind) {
    case InputKind::kSuspectedCommunication:
    case InputKind::kFinancialFraud:
    case InputKind::kDisconnected:
    case InputKind::kSpoofedCli:
      DecideEvidence(report, &deciding);
      break;
    case InputKind::kNotMyConnection:
      DecideNotMyConnection(before, report, &deciding);
      break;
    case InputKind::kReverified:
      DecideReverified(report, before, &deciding);
      break;
    case InputKind::kTenureClosed:
      DecideTenureClosed(report, before, &deciding);
      break;
    case InputKind::kHandsetLost:
    case InputKind::kHandsetFound:
    case InputKind::kHandsetTraced:
      DecideHandset(before, report, &deciding);
      break;
    case InputKind::kCorrection:
      DecideCorrection(before, report, &deciding);
      break;
    case InputKind::kActionTaken:
    case InputKind::kUnspecified:
      break;
  }
  return std::move(deciding).Finish();
}

Decision DecideLapse(const DecisionContext& context, const FacetStates& before) {
  Deciding deciding(context, before, before.risk.has_value() ? before.risk->key.token : model::RoutingToken{}, nullptr);
  if (before.risk.has_value() && before.risk->next_check_at <= context.now) {
    IndicatorState* state = deciding.Edit(Facet::kRisk);
    deciding.Reassess(state);
    deciding.Announce(state, EventKind::kExpired, /*always=*/false);
  }
  return std::move(deciding).Finish();
}

}  // namespace hub::registry
