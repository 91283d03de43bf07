#include "libs/registry/level.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/registry/contributions.h"
#include "libs/registry/decide.h"

namespace hub::registry {
namespace {

using model::Contribution;
using model::Level;
using Contributions = std::vector<const Contribution*>;

void Say(std::vector<std::string>* steps, const std::string& text) {
  if (steps != nullptr) steps->push_back(text);
}

uint32_t CountGroups(const Contributions& contributions) {
  std::vector<absl::string_view> groups;
  for (const Contribution* c : contributions) groups.push_back(GroupOf(c->reporter));
  std::sort(groups.begin(), groups.end());
  return static_cast<uint32_t>(std::unique(groups.begin(), groups.end()) - groups.begin());
}

// Citizens by pseudonym, at most `per_portal_max` behind one portal whatever the number of its lists.
uint32_t CountCitizens(const Contributions& contributions, uint32_t per_portal_max) {
  std::map<std::pair<absl::string_view, absl::string_view>, std::set<uint64_t>> portals;
  for (const Contribution* c : contributions) {
    if (c->citizens.empty()) continue;
    portals[{c->reporter.stakeholder, GroupOf(c->reporter)}].insert(c->citizens.begin(), c->citizens.end());
  }
  uint32_t count = 0;
  for (const auto& [portal, citizens] : portals) {
    count += static_cast<uint32_t>(std::min<size_t>(citizens.size(), per_portal_max));
  }
  return count;
}

std::string RoleInWords(model::Role role) {
  if (role == model::Role::kFinancialIntelligence) return "ANOTHER_STAKEHOLDER";
  return std::string(model::Name(role));
}

// Steps 1 to 3 for one set of contributions.
Level LevelOf(const model::Rules& rules, const Contributions& contributions, std::vector<std::string>* steps) {
  Level level = Level::kNone;
  bool sole_allowed = false;
  Contributions flagging;
  for (const Contribution* c : contributions) {
    Say(steps, absl::StrCat(model::Name(c->kind), " from ", RoleInWords(c->reporter.role), " (", c->count,
                            " times) gives ", model::Name(c->level), " alone, for ", model::Name(c->reason)));
    level = std::max(level, c->level);
    if (c->level > Level::kNone) flagging.push_back(c);
    if (c->level == Level::kVeryHigh &&
        std::find(rules.sole_source_very_high.begin(), rules.sole_source_very_high.end(), c->reporter.role) !=
            rules.sole_source_very_high.end()) {
      sole_allowed = true;
    }
  }
  uint32_t groups_flagging = CountGroups(flagging);
  for (const model::CorroborationRule& rule : rules.corroboration) {
    if (rule.level < level && steps == nullptr) continue;
    Contributions matching;
    for (const Contribution* c : contributions) {
      if (rule.kind != model::InputKind::kUnspecified && rule.kind != c->kind) continue;
      if (rule.role != model::Role::kUnspecified && rule.role != c->reporter.role) continue;
      matching.push_back(c);
    }
    const uint32_t groups = CountGroups(matching);
    const uint32_t citizens = CountCitizens(matching, rules.citizens_per_portal_max);
    if (groups < rule.groups_min || citizens < rule.citizens_min || matching.empty()) continue;
    Say(steps, absl::StrCat(groups, " independent sources and ", citizens, " citizens together give ",
                            model::Name(rule.level)));
    if (rule.level >= level) groups_flagging = std::max(groups_flagging, groups);
    level = std::max(level, rule.level);
  }
  if (level == Level::kVeryHigh && !sole_allowed && groups_flagging < 2) {
    Say(steps, "one source alone stays at HIGH");
    level = Level::kHigh;
  }
  return level;
}

std::vector<model::Reason> ReasonsOf(Contributions contributions) {
  std::stable_sort(contributions.begin(), contributions.end(), [](const Contribution* a, const Contribution* b) {
    return a->level != b->level ? a->level > b->level : a->reason < b->reason;
  });
  std::vector<model::Reason> reasons;
  for (const Contribution* c : contributions) InsertBounded(c->reason, &reasons);
  return reasons;
}

}  // namespace

bool MayBeFlagged(const model::Rules& rules, const model::IndicatorState& state) {
  return !state.protected_identifier || state.override_votes.size() >= rules.analysts_to_override_protection;
}

Verdict Judge(const model::Rules& rules, const model::IndicatorState& state, absl::Time now,
              std::vector<std::string>* steps) {
  Contributions all;
  Contributions after;
  for (const Contribution& c : state.contributions) {
    if (!Counts(c, now)) continue;
    const bool is_after = c.last_observed > state.ceiling_at;
    if (is_after) after.push_back(&c);
    // What a correction took to NONE counts for nothing any more: neither level nor reason.
    if (is_after || state.ceiling > Level::kNone) all.push_back(&c);
  }
  Verdict verdict;
  verdict.level = LevelOf(rules, all, steps);
  if (verdict.level > state.ceiling) {
    verdict.level = std::max(state.ceiling, LevelOf(rules, after, nullptr));
    Say(steps, absl::StrCat("a correction limits what was observed before it to ", model::Name(state.ceiling)));
  }
  verdict.independent_sources = CountGroups(all);
  verdict.independent_citizens = CountCitizens(all, rules.citizens_per_portal_max);
  for (const Contribution* c : all) verdict.next_check_at = std::min(verdict.next_check_at, c->lapses_at);
  if (!MayBeFlagged(rules, state)) {
    Say(steps, "the identifier is protected: reports are kept as evidence, the level stays NONE");
    verdict.level = Level::kNone;
  } else {
    verdict.reasons = ReasonsOf(all);
  }
  if (verdict.level > Level::kNone) {
    verdict.expires_at = absl::InfinitePast();
    for (const Contribution* c : all) verdict.expires_at = std::max(verdict.expires_at, c->lapses_at);
  }
  Say(steps, absl::StrCat("level ", model::Name(verdict.level)));
  return verdict;
}

std::vector<std::string> ExplainLevel(const model::Rules& rules, const model::IndicatorState& state, absl::Time now) {
  std::vector<std::string> steps;
  Judge(rules, state, now, &steps);
  return steps;
}

}  // namespace hub::registry
