#include "libs/registry/assessment.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace hub::registry {
namespace {

using model::Contribution;
using model::CorroborationRule;
using model::Level;
using model::Reason;
using model::Role;
using model::Rules;

using Contributions = std::vector<const Contribution*>;

struct Sum {
  Level level = Level::kNone;
  std::set<Reason> reasons;
  std::set<std::string> groups;  // ownership groups behind the level
};

bool Matches(const CorroborationRule& rule, const Contribution& contribution) {
  return (rule.kind == model::InputKind::kUnspecified || rule.kind == contribution.kind) &&
         (rule.role == Role::kUnspecified || rule.role == contribution.reporter.role);
}

// Independent citizens: distinct pseudonyms per portal (they are keyed by it, so portals can't be compared), capped.
uint32_t CountCitizens(const Contributions& contributions, uint32_t cap) {
  std::map<std::string, std::set<uint64_t>> by_portal;
  for (const Contribution* contribution : contributions) {
    by_portal[contribution->reporter.ownership_group].insert(contribution->citizens.begin(), contribution->citizens.end());
  }
  uint32_t citizens = 0;
  for (const auto& [portal, people] : by_portal) citizens += std::min(cap, static_cast<uint32_t>(people.size()));
  return citizens;
}

// Steps 1 to 3.
Sum AddUp(const Rules& rules, const Contributions& contributions, std::vector<std::string>* steps) {
  Sum sum;
  bool may_be_alone = false;
  for (const Contribution* contribution : contributions) {
    if (contribution->level <= Level::kNone) continue;
    sum.level = std::max(sum.level, contribution->level);
    sum.reasons.insert(contribution->reason);
    sum.groups.insert(contribution->reporter.ownership_group);
    may_be_alone = may_be_alone || std::count(rules.sole_source_very_high.begin(), rules.sole_source_very_high.end(),
                                              contribution->reporter.role) > 0;
    if (steps != nullptr) {
      steps->push_back(absl::StrCat(model::Name(contribution->reporter.role), " said ", model::Name(contribution->kind), ": ",
                                    model::Name(contribution->level), " alone"));
    }
  }
  for (const CorroborationRule& rule : rules.corroboration) {
    Contributions matching;
    std::set<std::string> groups;
    for (const Contribution* contribution : contributions) {
      if (!Matches(rule, *contribution)) continue;
      matching.push_back(contribution);
      groups.insert(contribution->reporter.ownership_group);
    }
    const uint32_t citizens = CountCitizens(matching, rules.citizens_per_portal_max);
    const bool holds = !matching.empty() && groups.size() >= rule.groups_min && citizens >= rule.citizens_min;
    if (!holds) continue;
    sum.level = std::max(sum.level, rule.level);
    sum.groups.insert(groups.begin(), groups.end());
    for (const Contribution* contribution : matching) {
      if (contribution->reason != Reason::kUnspecified) sum.reasons.insert(contribution->reason);
    }
    if (steps != nullptr) {
      steps->push_back(absl::StrCat(groups.size(), " independent sources and ", citizens, " independent citizens of ",
                                    model::Name(rule.kind), " give ", model::Name(rule.level)));
    }
  }
  if (sum.level == Level::kVeryHigh && sum.groups.size() <= 1 && !may_be_alone) {
    sum.level = Level::kHigh;
    if (steps != nullptr) steps->push_back("one source alone stays at HIGH");
  }
  return sum;
}

}  // namespace

Assessment Assess(const Rules& rules, const model::IndicatorState& state, absl::Time now) {
  Assessment result;
  Contributions all, fresh;
  for (const Contribution& contribution : state.contributions) {
    if (contribution.withdrawn || contribution.lapses_at <= now) continue;
    all.push_back(&contribution);
    if (contribution.last_observed > state.ceiling_at) fresh.push_back(&contribution);
    result.next_check_at = std::min(result.next_check_at, contribution.lapses_at);
  }
  Sum sum = AddUp(rules, all, &result.steps);
  if (state.ceiling < sum.level) {
    const Sum since = AddUp(rules, fresh, nullptr);
    result.steps.push_back(absl::StrCat("a correction holds what was observed until ", absl::FormatTime(state.ceiling_at, absl::UTCTimeZone()),
                                        " at ", model::Name(state.ceiling)));
    if (since.level > state.ceiling) {
      sum = since;
      result.steps.push_back(absl::StrCat("what was observed since gives ", model::Name(since.level)));
    } else {
      sum.level = state.ceiling;
    }
  }
  if (state.protected_identifier && sum.level > Level::kNone) {
    const size_t votes = state.override_votes.size();
    if (votes < rules.analysts_to_override_protection) {
      sum.level = Level::kNone;
      result.steps.push_back(absl::StrCat("protected identifiers are never flagged automatically (", votes, " of ",
                                          rules.analysts_to_override_protection, " analysts overrode it)"));
    } else {
      result.steps.push_back(absl::StrCat(votes, " analysts overrode the protection"));
    }
  }
  result.level = sum.level;
  result.independent_sources = static_cast<uint32_t>(sum.groups.size());
  result.independent_citizens = CountCitizens(all, rules.citizens_per_portal_max);
  if (result.level > Level::kNone) {
    result.reasons.assign(sum.reasons.begin(), sum.reasons.end());
    if (result.reasons.size() > model::kAttributeValuesMax) result.reasons.resize(model::kAttributeValuesMax);
    result.expires_at = absl::InfinitePast();
    for (const Contribution* contribution : all) result.expires_at = std::max(result.expires_at, contribution->lapses_at);
  }
  result.steps.push_back(absl::StrCat("level ", model::Name(result.level)));
  return result;
}

}  // namespace hub::registry
