#include "libs/access/policy_problems.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/access/policy.h"

namespace hub::access {
namespace {

constexpr size_t kIdBytesMax = 48;
constexpr size_t kTitleBytesMax = 128;
constexpr size_t kUriBytesMax = 256;
constexpr uint32_t kStreamsMax = 10'000;
constexpr double kRateMax = 1e6;  // per second; above it a typing error is likelier than a need

bool IsId(absl::string_view id) {
  return !id.empty() && id.size() <= kIdBytesMax && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           c == '-';
  });
}

bool IsState(absl::string_view state) {
  return state.size() == 2 && absl::ascii_isupper(static_cast<unsigned char>(state[0])) &&
         absl::ascii_isupper(static_cast<unsigned char>(state[1]));
}

template <typename E>
bool InRange(E value, E max) {
  return value != E::kUnspecified && value <= max;
}

// Collects problems under the path of the thing that is being looked at.
class Findings {
 public:
  void Add(absl::string_view path, absl::string_view problem) { all_.push_back(absl::StrCat(path, ": ", problem)); }
  std::vector<std::string> Take() { return std::move(all_); }

 private:
  std::vector<std::string> all_;
};

bool IsSpiffeId(absl::string_view uri, absl::string_view trust_domain) {
  const std::string prefix = absl::StrCat("spiffe://", trust_domain, "/");
  if (!absl::StartsWith(uri, prefix) || uri.size() == prefix.size() || uri.back() == '/') return false;
  return std::all_of(uri.begin() + static_cast<std::ptrdiff_t>(prefix.size()), uri.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._-/", c);
  });
}

void CheckStakeholder(const model::PolicySpec& spec, const model::StakeholderSpec& stakeholder, const std::string& path,
                      std::set<std::string>* ids, std::set<std::string>* uris, Findings* findings) {
  if (!IsId(stakeholder.id)) findings->Add(path + ".id", "want 1 to 48 of a-z, 0-9 and -");
  if (!ids->insert(stakeholder.id).second) findings->Add(path + ".id", "taken by another stakeholder");
  if (stakeholder.title.size() > kTitleBytesMax) findings->Add(path + ".title", "want at most 128 bytes");
  if (!InRange(stakeholder.role, model::Role::kAnalyst)) findings->Add(path + ".role", "missing or unknown");
  if (!stakeholder.ownership_group.empty() && !IsId(stakeholder.ownership_group)) {
    findings->Add(path + ".ownership_group", "want 1 to 48 of a-z, 0-9 and -");
  }
  if (!stakeholder.state.empty() && !IsState(stakeholder.state))
    findings->Add(path + ".state", "want two capital letters");
  if (stakeholder.principals.empty()) findings->Add(path + ".principals", "missing: nobody could speak for it");
  for (size_t i = 0; i < stakeholder.principals.size(); ++i) {
    const model::PrincipalSpec& principal = stakeholder.principals[i];
    const std::string at = absl::StrCat(path, ".principals[", i, "]");
    const std::string uri = UriOf(spec, stakeholder, principal);
    if (!ParseHubUri(absl::StrCat("fraudhub://d/s/", principal.name)).ok()) {
      findings->Add(at + ".name", "want letters, digits, dot, dash and underscore");
    }
    if (!principal.uri.empty()) {
      const absl::StatusOr<ParsedUri> parsed = ParseHubUri(uri);
      const bool ours = parsed.ok() && parsed->trust_domain == spec.trust_domain;
      if (uri.size() > kUriBytesMax || (!ours && !IsSpiffeId(uri, spec.trust_domain))) {
        findings->Add(at + ".uri", "want spiffe:// or fraudhub:// in the trust domain, at most 256 bytes");
      }
    } else if (uri.size() > kUriBytesMax) {
      findings->Add(at + ".name", "makes a URI of more than 256 bytes");
    }
    if (!uris->insert(uri).second) findings->Add(at, "its URI is taken by another principal");
  }
}

void CheckClause(const model::FilterClause& clause, const std::string& path, Findings* findings) {
  const auto check_enums = [&](const auto& values, auto max, absl::string_view field) {
    for (const auto value : values) {
      if (!InRange(value, max)) findings->Add(absl::StrCat(path, ".", field), "unspecified or unknown value");
    }
  };
  const auto check_texts = [&](const std::vector<std::string>& values, absl::string_view field, bool may_be_self) {
    for (const std::string& value : values) {
      if (value.empty() || value.size() > 64)
        findings->Add(absl::StrCat(path, ".", field), "want texts of 1 to 64 bytes");
      if (absl::StartsWith(value, "$") && !(may_be_self && value == kSelf)) {
        findings->Add(absl::StrCat(path, ".", field), "the one variable is $self, in operator_ids and handling_units");
      }
    }
  };
  check_enums(clause.facets, model::Facet::kTrace, "facets");
  check_enums(clause.types, model::IdentifierType::kHelpline, "types");
  check_enums(clause.reasons, model::Reason::kAnalystDecision, "reasons");
  if (clause.level_min < model::Level::kNone || clause.level_min > model::Level::kVeryHigh) {
    findings->Add(path + ".level_min", "unknown value");
  }
  check_texts(clause.circles_of_issue, "circles_of_issue", false);
  check_texts(clause.victim_states, "victim_states", false);
  check_texts(clause.handling_units, "handling_units", true);
  check_texts(clause.case_refs, "case_refs", false);
  check_texts(clause.operator_ids, "operator_ids", true);
}

void CheckGrant(const model::RoleGrant& grant, const std::string& path, std::set<model::Role>* roles,
                Findings* findings) {
  if (!InRange(grant.role, model::Role::kAnalyst)) findings->Add(path + ".role", "missing or unknown");
  if (!roles->insert(grant.role).second) findings->Add(path + ".role", "has a grant already");
  for (const std::string& rpc : grant.rpcs) {
    if (std::find(AllRpcs().begin(), AllRpcs().end(), rpc) == AllRpcs().end()) {
      findings->Add(path + ".rpcs", absl::StrCat("\"", rpc, "\" is no RPC, want \"Service.Method\""));
    }
  }
  for (const model::InputKind kind : grant.may_report) {
    if (!InRange(kind, model::InputKind::kCorrection))
      findings->Add(path + ".may_report", "unspecified or unknown value");
  }
  for (size_t i = 0; i < grant.may_see.size(); ++i) {
    CheckClause(grant.may_see[i], absl::StrCat(path, ".may_see[", i, "]"), findings);
  }
  for (const model::FieldAudience audience : grant.fields) {
    if (!InRange(audience, model::FieldAudience::kAnalyst)) findings->Add(path + ".fields", "want ALL to ANALYST");
  }
  for (const model::IdentifierType type : grant.may_look_up) {
    if (!InRange(type, model::IdentifierType::kHelpline))
      findings->Add(path + ".may_look_up", "unspecified or unknown value");
  }
  const auto bad_rate = [](double rate) { return !std::isfinite(rate) || rate < 0.1 || rate > kRateMax; };
  if (bad_rate(grant.reports_per_second)) findings->Add(path + ".reports_per_second", "want 0.1 to 1,000,000");
  if (bad_rate(grant.lookups_per_second)) findings->Add(path + ".lookups_per_second", "want 0.1 to 1,000,000");
  if (grant.streams_max < 1 || grant.streams_max > kStreamsMax) findings->Add(path + ".streams_max", "want 1 to 10,000");
}

}  // namespace

std::string UriOf(const model::PolicySpec& spec, const model::StakeholderSpec& stakeholder,
                  const model::PrincipalSpec& principal) {
  if (!principal.uri.empty()) return principal.uri;
  return absl::StrCat("fraudhub://", spec.trust_domain, "/", stakeholder.id, "/", principal.name);
}

std::vector<std::string> Problems(const model::PolicySpec& spec) {
  Findings findings;
  if (spec.version == 0) findings.Add("version", "missing, want a number above 0 that rises with every change");
  if (!ParseHubUri(absl::StrCat("fraudhub://", spec.trust_domain, "/s/p")).ok()) {
    findings.Add("trust_domain", "want a host name in lower case");
  }
  std::set<std::string> ids;
  std::set<std::string> uris;
  for (size_t i = 0; i < spec.stakeholders.size(); ++i) {
    // By id where there is one: a number of a line in a table of hundreds helps nobody.
    const std::string& id = spec.stakeholders[i].id;
    const std::string path =
        IsId(id) ? absl::StrCat("stakeholders[\"", id, "\"]") : absl::StrCat("stakeholders[", i, "]");
    CheckStakeholder(spec, spec.stakeholders[i], path, &ids, &uris, &findings);
  }
  std::set<model::Role> roles;
  for (size_t i = 0; i < spec.grants.size(); ++i) {
    CheckGrant(spec.grants[i], absl::StrCat("grants[", i, "]"), &roles, &findings);
  }
  for (size_t i = 0; i < spec.denied_uris.size(); ++i) {
    const std::string& uri = spec.denied_uris[i];
    if (uri.size() > kUriBytesMax || (!ParseHubUri(uri).ok() && !IsSpiffeId(uri, spec.trust_domain))) {
      findings.Add(absl::StrCat("denied_uris[", i, "]"), "want spiffe:// or fraudhub:// in full");
    }
  }
  return findings.Take();
}

}  // namespace hub::access
