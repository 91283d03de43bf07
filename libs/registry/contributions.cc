#include "libs/registry/contributions.h"

#include <algorithm>

#include "libs/base/hash.h"

namespace hub::registry {
namespace {

using model::Contribution;
using model::Report;

// Analysts count one by one (two of them override a protection); everybody else as an organisation.
std::string PrincipalOf(const Report& report) {
  return report.reporter.role == model::Role::kAnalyst ? report.reporter.principal : "";
}

Contribution* Find(std::vector<Contribution>* contributions, const std::string& stakeholder, const std::string& group,
                   const std::string& principal, model::InputKind kind, const std::string& list_id) {
  for (Contribution& contribution : *contributions) {
    if (contribution.reporter.stakeholder == stakeholder && contribution.reporter.ownership_group == group &&
        contribution.reporter.principal == principal && contribution.kind == kind && contribution.list_id == list_id) {
      return &contribution;
    }
  }
  return nullptr;
}

Contribution* FindOrAdd(const Report& report, model::IndicatorState* state) {
  std::vector<Contribution>* all = &state->contributions;
  const model::Reporter& by = report.reporter;
  if (Contribution* found = Find(all, by.stakeholder, by.ownership_group, PrincipalOf(report), report.kind, report.list_id)) {
    return found;
  }
  Contribution fresh;
  fresh.reporter = by;
  fresh.reporter.principal = PrincipalOf(report);
  fresh.kind = report.kind;
  fresh.list_id = report.list_id;
  // The last quarter of the places is for the folded ones.
  if (all->size() >= model::kContributionsMax * 3 / 4) {
    fresh.reporter.stakeholder.clear();
    fresh.reporter.principal.clear();
    fresh.list_id.clear();
    if (Contribution* folded = Find(all, "", by.ownership_group, "", report.kind, "")) return folded;
    if (all->size() >= model::kContributionsMax) return &all->back();
  }
  all->push_back(fresh);
  return &all->back();
}

}  // namespace

const model::SourceRule* FindSourceRule(const model::Rules& rules, const Report& report) {
  for (const model::SourceRule& rule : rules.sources) {
    if (rule.kind == report.kind && (rule.role == model::Role::kUnspecified || rule.role == report.reporter.role) &&
        (rule.reason == model::Reason::kUnspecified || rule.reason == report.reason)) {
      return &rule;
    }
  }
  return nullptr;
}

void Contribute(const model::Rules& rules, const Report& report, model::IndicatorState* state) {
  Contribution* contribution = FindOrAdd(report, state);
  if (contribution->withdrawn) {
    // It took everything back and says something new: a fresh start.
    contribution->withdrawn = false;
    contribution->count = 0;
    contribution->level = model::Level::kNone;
    contribution->reason = model::Reason::kUnspecified;
    contribution->citizens.clear();
    contribution->lapses_at = absl::InfiniteFuture();
    contribution->last_observed = absl::InfinitePast();
  }
  const model::SourceRule* rule = FindSourceRule(rules, report);
  model::Level level = rule == nullptr ? model::Level::kNone : rule->level;
  model::Reason reason = rule == nullptr ? model::Reason::kUnspecified : rule->gives;
  absl::Duration lapse = rule == nullptr ? absl::Hours(24 * 90) : rule->lapses_after;
  if (report.kind == model::InputKind::kCorrection) {  // an analyst's decision to raise
    level = std::min(report.correction.level, model::Level::kHigh);
    reason = model::Reason::kAnalystDecision;
  }
  const absl::Time lapses_at = report.observed_at + lapse;
  if (contribution->count == 0) {
    contribution->first_observed = report.observed_at;
    contribution->lapses_at = lapses_at;
  }
  ++contribution->count;
  if (level > contribution->level || contribution->reason == model::Reason::kUnspecified) {
    contribution->level = level;
    contribution->reason = reason;
  }
  contribution->first_observed = std::min(contribution->first_observed, report.observed_at);
  contribution->last_observed = std::max(contribution->last_observed, report.observed_at);
  contribution->last_received = std::max(contribution->last_received, report.received_at);
  contribution->lapses_at = std::max(contribution->lapses_at, lapses_at);
  if (!report.citizen_pseudonym.empty() && contribution->citizens.size() < model::kCitizensKeptMax) {
    const uint64_t citizen = base::Mix64(report.citizen_pseudonym);
    const auto at = std::lower_bound(contribution->citizens.begin(), contribution->citizens.end(), citizen);
    if (at == contribution->citizens.end() || *at != citizen) contribution->citizens.insert(at, citizen);
  }
}

bool Withdraw(const std::string& stakeholder, model::IndicatorState* state) {
  bool any = false;
  for (Contribution& contribution : state->contributions) {
    if (contribution.reporter.stakeholder != stakeholder || contribution.withdrawn) continue;
    contribution.withdrawn = true;
    any = true;
  }
  return any;
}

bool WithdrawKind(model::InputKind kind, model::IndicatorState* state) {
  bool any = false;
  for (Contribution& contribution : state->contributions) {
    if (contribution.kind != kind || contribution.withdrawn) continue;
    contribution.withdrawn = true;
    any = true;
  }
  return any;
}

}  // namespace hub::registry
