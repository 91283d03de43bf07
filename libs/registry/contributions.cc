#include "libs/registry/contributions.h"

#include <limits>
#include <string>

#include "libs/base/hash.h"

namespace hub::registry {
namespace {

using model::Contribution;

bool IsOperatorNote(const Contribution& contribution) { return contribution.kind == model::InputKind::kUnspecified; }
bool IsFolded(const Contribution& contribution) {
  return contribution.reporter.stakeholder.empty() && !IsOperatorNote(contribution);
}

template <class Contributions>  // const or not
auto* FindOwn(const model::Report& report, absl::Time ceiling_at, Contributions* contributions) {
  for (auto& c : *contributions) {
    if (c.kind != report.kind || c.reporter.stakeholder != report.reporter.stakeholder || c.list_id != report.list_id)
      continue;
    if (report.reporter.role == model::Role::kAnalyst && c.reporter.principal != report.reporter.principal) continue;
    if ((c.last_observed > ceiling_at) != (report.observed_at > ceiling_at)) continue;
    return &c;
  }
  return static_cast<decltype(&contributions->front())>(nullptr);
}

// Past the bound: the group's, or everybody else's.
Contribution* FindFolded(const model::Report& report, absl::string_view group, absl::Time ceiling_at,
                         std::vector<Contribution>* contributions) {
  for (Contribution& c : *contributions) {
    if (IsFolded(c) && c.kind == report.kind && c.reporter.role == report.reporter.role &&
        c.reporter.ownership_group == group && (c.last_observed > ceiling_at) == (report.observed_at > ceiling_at)) {
      return &c;
    }
  }
  return nullptr;
}

// Makes room by dropping what lapsed or was withdrawn longest ago. False when everything still counts.
bool DropOldest(absl::Time now, std::vector<Contribution>* contributions) {
  auto oldest = contributions->end();
  for (auto it = contributions->begin(); it != contributions->end(); ++it) {
    if (IsOperatorNote(*it) || IsFolded(*it) || (!it->withdrawn && it->lapses_at > now)) continue;
    if (oldest == contributions->end() || it->lapses_at < oldest->lapses_at) oldest = it;
  }
  if (oldest == contributions->end()) return false;
  contributions->erase(oldest);
  return true;
}

Contribution* Place(const model::Report& report, absl::Time ceiling_at, absl::Time now,
                    std::vector<Contribution>* contributions) {
  if (Contribution* own = FindOwn(report, ceiling_at, contributions)) return own;
  size_t single = 0;
  size_t folded = 0;
  for (const Contribution& c : *contributions) {
    if (IsFolded(c)) {
      ++folded;
    } else if (!IsOperatorNote(c)) {
      ++single;
    }
  }
  Contribution made;
  made.kind = report.kind;
  made.reporter = report.reporter;
  made.reporter.ownership_group = std::string(GroupOf(report.reporter));
  if (report.reporter.role != model::Role::kAnalyst) made.reporter.principal.clear();
  made.first_observed = absl::InfiniteFuture();
  made.lapses_at = absl::InfinitePast();
  if (single < model::kContributionsMax || DropOldest(now, contributions)) {
    made.list_id = report.list_id;
  } else {
    made.reporter.stakeholder.clear();
    made.reporter.principal.clear();
    if (Contribution* group = FindFolded(report, made.reporter.ownership_group, ceiling_at, contributions))
      return group;
    if (folded >= kFoldedMax) {
      made.reporter.ownership_group.clear();
      if (Contribution* others = FindFolded(report, "", ceiling_at, contributions)) return others;
    }
  }
  contributions->push_back(std::move(made));
  return &contributions->back();
}

// The smallest kCitizensKeptMax hashes: whatever the order in which citizens report, the same ones are kept.
void CountCitizen(const std::string& pseudonym, std::vector<uint64_t>* citizens) {
  const uint64_t hash = base::Mix64(pseudonym);
  const auto at = std::lower_bound(citizens->begin(), citizens->end(), hash);
  if (at != citizens->end() && *at == hash) return;
  citizens->insert(at, hash);
  if (citizens->size() > model::kCitizensKeptMax) citizens->pop_back();
}

}  // namespace

absl::string_view GroupOf(const model::Reporter& reporter) {
  return reporter.ownership_group.empty() ? reporter.stakeholder : reporter.ownership_group;
}

Weight WeightOf(const model::Rules& rules, const model::Report& report) {
  Weight weight;
  if (report.kind == model::InputKind::kCorrection) {  // an analyst's SET_LEVEL
    weight.level = report.correction.level;
    weight.reason = model::Reason::kAnalystDecision;
  }
  if (report.kind == model::InputKind::kHandsetLost) {
    weight.reason = model::Reason::kImeiBlocklist;
    weight.lapses_after = absl::InfiniteDuration();  // unless a rule says otherwise
  }
  for (const model::SourceRule& rule : rules.sources) {
    if (rule.kind != model::InputKind::kUnspecified && rule.kind != report.kind) continue;
    if (rule.role != model::Role::kUnspecified && rule.role != report.reporter.role) continue;
    if (rule.reason != model::Reason::kUnspecified && rule.reason != report.reason) continue;
    weight.lapses_after = rule.lapses_after;
    if (report.kind == model::InputKind::kCorrection) return weight;  // the analyst says which level
    weight.level = std::max(rule.level, model::Level::kNone);
    // The financial intelligence unit's own words stay hidden even where a rule forgot to name the public reason.
    const bool hidden = report.reporter.role == model::Role::kFinancialIntelligence;
    if (rule.gives != model::Reason::kUnspecified) {
      weight.reason = rule.gives;
    } else if (weight.reason == model::Reason::kUnspecified) {
      weight.reason =
          hidden || report.reason == model::Reason::kUnspecified ? model::Reason::kOtherStakeholder : report.reason;
    }
    return weight;
  }
  return weight;
}

void AddContribution(const model::Report& report, const Weight& weight, absl::Time ceiling_at, absl::Time now,
                     std::vector<Contribution>* contributions) {
  Contribution& c = *Place(report, ceiling_at, now, contributions);
  c.last_received = std::max(c.last_received, report.received_at);
  if (c.withdrawn) {
    if (report.observed_at <= c.lapses_at) {  // said before it was taken back, and only delivered again
      if (c.count < std::numeric_limits<uint32_t>::max()) ++c.count;
      return;
    }
    c.withdrawn = false;
    c.count = 0;
    c.citizens.clear();
    c.level = model::Level::kNone;
    c.reason = model::Reason::kUnspecified;
    c.first_observed = absl::InfiniteFuture();
    c.last_observed = absl::InfinitePast();
    c.lapses_at = absl::InfinitePast();
  }
  if (c.count < std::numeric_limits<uint32_t>::max()) ++c.count;
  c.first_observed = std::min(c.first_observed, report.observed_at);
  c.last_observed = std::max(c.last_observed, report.observed_at);
  c.lapses_at = std::max(c.lapses_at, report.observed_at + weight.lapses_after);
  // The strongest; among equals the smaller number, so that the order of arrival doesn't matter.
  if (weight.reason != model::Reason::kUnspecified &&
      (c.reason == model::Reason::kUnspecified || weight.level > c.level ||
       (weight.level == c.level && weight.reason < c.reason))) {
    c.reason = weight.reason;
    c.level = weight.level;
  }
  if (report.reporter.role == model::Role::kCitizenPortal) CountCitizen(report.citizen_pseudonym, &c.citizens);
}

bool AlreadyListed(const model::Report& report, const Weight& weight, absl::Time ceiling_at,
                   const std::vector<Contribution>& contributions) {
  if (report.list_id.empty()) return false;
  const Contribution* own = FindOwn(report, ceiling_at, &contributions);
  return own != nullptr && !own->withdrawn && weight.level <= own->level;
}

int Withdraw(absl::string_view stakeholder, model::InputKind kind, absl::Time at,
             std::vector<Contribution>* contributions) {
  int withdrawn = 0;
  for (Contribution& c : *contributions) {
    if (c.withdrawn || IsOperatorNote(c) || IsFolded(c)) continue;
    if (!stakeholder.empty() && c.reporter.stakeholder != stakeholder) continue;
    if (kind != model::InputKind::kUnspecified && c.kind != kind) continue;
    c.withdrawn = true;
    c.lapses_at = std::max(at, c.last_observed);
    ++withdrawn;
  }
  return withdrawn;
}

bool Counts(const Contribution& contribution, absl::Time now) {
  return !contribution.withdrawn && contribution.reason != model::Reason::kUnspecified && contribution.lapses_at > now;
}

bool LearnOperator(const model::Report& report, model::IndicatorState* state) {
  if (report.operator_id.empty()) return false;
  auto note = std::find_if(state->contributions.begin(), state->contributions.end(), IsOperatorNote);
  if (note == state->contributions.end()) {
    note = state->contributions.emplace(state->contributions.begin());
    note->first_observed = report.observed_at;
  } else if (report.observed_at < note->last_observed) {
    return false;
  }
  note->last_observed = report.observed_at;
  note->last_received = report.received_at;
  if (state->attributes.operator_id == report.operator_id) return false;
  state->attributes.operator_id = report.operator_id;
  return true;
}

}  // namespace hub::registry
