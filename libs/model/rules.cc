#include "libs/model/rules.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hub::model {
namespace {

// The host of a URL, or of an e-mail address; empty for other types.
absl::string_view HostOf(const Identifier& identifier) {
  absl::string_view text = identifier.canonical;
  if (identifier.type == IdentifierType::kUrl) return text.substr(0, text.find('/'));
  if (identifier.type == IdentifierType::kEmail) return text.substr(text.find('@') + 1);
  return "";
}

}  // namespace

bool operator==(const SourceRule& a, const SourceRule& b) {
  return std::tie(a.kind, a.role, a.reason, a.level, a.gives, a.lapses_after) ==
         std::tie(b.kind, b.role, b.reason, b.level, b.gives, b.lapses_after);
}

bool operator==(const CorroborationRule& a, const CorroborationRule& b) {
  return std::tie(a.kind, a.role, a.groups_min, a.citizens_min, a.level) ==
         std::tie(b.kind, b.role, b.groups_min, b.citizens_min, b.level);
}

std::vector<std::string> Problems(const Rules& rules) {
  std::vector<std::string> problems;
  if (rules.version == 0) problems.push_back("version: missing, want a number above 0 that rises with every change");
  for (size_t i = 0; i < rules.sources.size(); ++i) {
    const SourceRule& rule = rules.sources[i];
    const std::string path = absl::StrCat("sources[", i, "]");
    if (rule.kind == InputKind::kUnspecified) problems.push_back(path + ".kind: missing");
    if (rule.level == Level::kUnspecified) problems.push_back(path + ".level: missing, want NONE to VERY_HIGH");
    if (rule.level > Level::kNone && rule.gives == Reason::kUnspecified) {
      problems.push_back(path + ".gives: missing, every flag has a reason");
    }
    if (rule.lapses_after <= absl::ZeroDuration() || rule.lapses_after > absl::Hours(24 * 366 * 3)) {
      problems.push_back(path + ".lapse_days: out of range, want 1 day to 3 years");
    }
  }
  if (rules.sources.empty()) problems.push_back("sources: empty, no report would have an effect");
  for (size_t i = 0; i < rules.corroboration.size(); ++i) {
    const CorroborationRule& rule = rules.corroboration[i];
    const std::string path = absl::StrCat("corroboration[", i, "]");
    if (rule.groups_min == 0 && rule.citizens_min == 0) problems.push_back(path + ": want groups_min or citizens_min");
    if (rule.level <= Level::kNone) problems.push_back(path + ".level: want MEDIUM to VERY_HIGH");
  }
  if (rules.citizens_per_portal_max == 0) problems.push_back("citizens_per_portal_max: want at least 1");
  if (rules.analysts_to_override_protection < 2) {
    problems.push_back("analysts_to_override_protection: want at least 2, one person alone must not");
  }
  for (size_t i = 0; i < rules.protected_domain_suffixes.size(); ++i) {
    if (!absl::StartsWith(rules.protected_domain_suffixes[i], ".")) {
      problems.push_back(absl::StrCat("protected_domain_suffixes[", i, "]: want a leading dot, \".bank.in\""));
    }
  }
  return problems;
}

bool IsProtected(const Rules& rules, const Identifier& identifier) {
  if (IsProtectedType(identifier.type)) return true;
  if (std::find(rules.protected_identifiers.begin(), rules.protected_identifiers.end(), identifier) !=
      rules.protected_identifiers.end()) {
    return true;
  }
  const absl::string_view host = HostOf(identifier);
  return !host.empty() && std::any_of(rules.protected_domain_suffixes.begin(), rules.protected_domain_suffixes.end(),
                                      [&](const std::string& suffix) { return absl::EndsWith(host, suffix); });
}

}  // namespace hub::model
