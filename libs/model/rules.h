// The rules by which reports become levels: data, versioned, the same on every partition from one log position on.
//
// Parsed from rules.textproto by libs/wire, validated here as a whole. Meaning: research/domain.md 2.3, DOMAIN.md rules 4 to 6.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/model/identifier.h"
#include "libs/model/vocabulary.h"

namespace hub::model {

// First match wins. kUnspecified matches any.
struct SourceRule {
  InputKind kind = InputKind::kUnspecified;
  Role role = Role::kUnspecified;
  Reason reason = Reason::kUnspecified;  // as the report gave it
  Level level = Level::kNone;            // what this source gives alone
  Reason gives = Reason::kUnspecified;   // the public reason
  absl::Duration lapses_after = absl::Hours(24 * 90);
};

// All matching rules count; the highest level wins.
struct CorroborationRule {
  InputKind kind = InputKind::kUnspecified;  // contributions of this kind are counted; kUnspecified = all
  Role role = Role::kUnspecified;            // of this role; kUnspecified = all
  uint32_t groups_min = 0;                   // independent ownership groups (0 = not asked)
  uint32_t citizens_min = 0;                 // independent citizens after the cap per portal (0 = not asked)
  Level level = Level::kNone;
};

struct Rules {
  uint64_t version = 0;  // rises; chosen by who writes the file
  std::vector<SourceRule> sources;
  std::vector<CorroborationRule> corroboration;
  uint32_t citizens_per_portal_max = 10;
  std::vector<Role> sole_source_very_high;  // roles that may take an indicator to VERY_HIGH alone
  uint32_t analysts_to_override_protection = 2;
  std::vector<Identifier> protected_identifiers;       // verified customer care and the like
  std::vector<std::string> protected_domain_suffixes;  // ".bank.in"
  absl::Duration review_after = absl::Hours(24 * 30);
  friend bool operator==(const Rules&, const Rules&) = default;
};
bool operator==(const SourceRule& a, const SourceRule& b);
bool operator==(const CorroborationRule& a, const CorroborationRule& b);

// All problems, each "path: what is wrong, what is wanted"; empty when the rules are good.
std::vector<std::string> Problems(const Rules& rules);

bool IsProtected(const Rules& rules, const Identifier& identifier);

}  // namespace hub::model
