// Rules and policy: their files and, for rules, their records on the log.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/config/v1/rules.pb.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/wire/filter_proto.h"
#include "libs/wire/stored.h"
#include "libs/wire/wire.h"

namespace hub::wire {
namespace {

namespace config = fraudhub::config::v1;

constexpr uint32_t kLapseDays = 90;
constexpr uint32_t kReviewDays = 30;
constexpr absl::Duration kDay = absl::Hours(24);

absl::Status Fail(const std::vector<std::string>& problems) {
  return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
}

template <class Values, class Value>
void CopyEnums(const Values& from, std::vector<Value>* to) {
  for (const int value : from) to->push_back(static_cast<Value>(value));
}

}  // namespace

void ToStored(const model::Rules& rules, config::Rules* out) {
  out->set_version(rules.version);
  for (const model::SourceRule& rule : rules.sources) {
    config::SourceRule* stored = out->add_sources();
    stored->set_kind(static_cast<fraudhub::v1::InputKind>(rule.kind));
    stored->set_role(static_cast<fraudhub::v1::Role>(rule.role));
    stored->set_reason(static_cast<fraudhub::v1::Reason>(rule.reason));
    stored->set_level(static_cast<fraudhub::v1::Level>(rule.level));
    stored->set_gives(static_cast<fraudhub::v1::Reason>(rule.gives));
    stored->set_lapse_seconds(static_cast<uint32_t>(absl::ToInt64Seconds(rule.lapses_after)));
  }
  for (const model::CorroborationRule& rule : rules.corroboration) {
    config::CorroborationRule* stored = out->add_corroboration();
    stored->set_kind(static_cast<fraudhub::v1::InputKind>(rule.kind));
    stored->set_role(static_cast<fraudhub::v1::Role>(rule.role));
    stored->set_groups_min(rule.groups_min);
    stored->set_citizens_min(rule.citizens_min);
    stored->set_level(static_cast<fraudhub::v1::Level>(rule.level));
  }
  out->set_citizens_per_portal_max(rules.citizens_per_portal_max);
  for (const model::Role role : rules.sole_source_very_high) {
    out->add_sole_source_very_high(static_cast<fraudhub::v1::Role>(role));
  }
  out->set_analysts_to_override_protection(rules.analysts_to_override_protection);
  for (const model::Identifier& identifier : rules.protected_identifiers) {
    config::ProtectedIdentifier* stored = out->add_protected_identifiers();
    stored->set_type(static_cast<fraudhub::v1::IdentifierType>(identifier.type));
    stored->set_value(identifier.canonical);
  }
  for (const std::string& suffix : rules.protected_domain_suffixes) out->add_protected_domain_suffixes(suffix);
  out->set_review_days(static_cast<uint32_t>(rules.review_after / kDay));
}

absl::Status FromStored(const config::Rules& stored, model::Rules* out) {
  out->version = stored.version();
  for (int i = 0; i < stored.sources_size(); ++i) {
    const config::SourceRule& from = stored.sources(i);
    const std::string path = absl::StrCat("sources[", i, "]");
    model::SourceRule rule;
    HUB_RETURN_IF_ERROR(StoredEnum(from.kind(), model::InputKind::kCorrection, path + ".kind", &rule.kind));
    HUB_RETURN_IF_ERROR(StoredEnum(from.role(), model::Role::kAnalyst, path + ".role", &rule.role));
    HUB_RETURN_IF_ERROR(StoredEnum(from.reason(), model::Reason::kAnalystDecision, path + ".reason", &rule.reason));
    HUB_RETURN_IF_ERROR(StoredEnum(from.level(), model::Level::kVeryHigh, path + ".level", &rule.level));
    HUB_RETURN_IF_ERROR(StoredEnum(from.gives(), model::Reason::kAnalystDecision, path + ".gives", &rule.gives));
    const uint32_t days = from.lapse_days() == 0 ? kLapseDays : from.lapse_days();
    rule.lapses_after = from.lapse_seconds() > 0 ? absl::Seconds(from.lapse_seconds()) : days * kDay;
    out->sources.push_back(rule);
  }
  for (int i = 0; i < stored.corroboration_size(); ++i) {
    const config::CorroborationRule& from = stored.corroboration(i);
    const std::string path = absl::StrCat("corroboration[", i, "]");
    model::CorroborationRule rule;
    HUB_RETURN_IF_ERROR(StoredEnum(from.kind(), model::InputKind::kCorrection, path + ".kind", &rule.kind));
    HUB_RETURN_IF_ERROR(StoredEnum(from.role(), model::Role::kAnalyst, path + ".role", &rule.role));
    rule.groups_min = from.groups_min();
    rule.citizens_min = from.citizens_min();
    HUB_RETURN_IF_ERROR(StoredEnum(from.level(), model::Level::kVeryHigh, path + ".level", &rule.level));
    out->corroboration.push_back(rule);
  }
  out->citizens_per_portal_max = stored.citizens_per_portal_max();
  for (const int role : stored.sole_source_very_high()) {
    HUB_RETURN_IF_ERROR(
        StoredEnum(role, model::Role::kAnalyst, "sole_source_very_high", &out->sole_source_very_high.emplace_back()));
  }
  out->analysts_to_override_protection = stored.analysts_to_override_protection();
  for (int i = 0; i < stored.protected_identifiers_size(); ++i) {
    const config::ProtectedIdentifier& from = stored.protected_identifiers(i);
    model::Identifier identifier;
    HUB_RETURN_IF_ERROR(StoredEnum(from.type(), model::IdentifierType::kHelpline,
                                   absl::StrCat("protected_identifiers[", i, "].type"), &identifier.type));
    identifier.canonical = from.value();
    out->protected_identifiers.push_back(identifier);
  }
  out->protected_domain_suffixes.assign(stored.protected_domain_suffixes().begin(),
                                        stored.protected_domain_suffixes().end());
  out->review_after = (stored.review_days() == 0 ? kReviewDays : stored.review_days()) * kDay;
  return absl::OkStatus();
}

absl::StatusOr<model::Rules> ParseRules(absl::string_view text) {
  config::Rules file;
  std::vector<std::string> problems = ParseTextConfig(text, {}, &file);
  if (!problems.empty()) return Fail(problems);
  if (file.citizens_per_portal_max() == 0) file.set_citizens_per_portal_max(10);
  if (file.analysts_to_override_protection() == 0) file.set_analysts_to_override_protection(2);
  model::Rules rules;
  if (const absl::Status status = FromStored(file, &rules); !status.ok()) {
    // A person's file, not a record.
    return absl::InvalidArgumentError(absl::StripPrefix(status.message(), "stored record: "));
  }
  for (size_t i = 0; i < rules.protected_identifiers.size(); ++i) {
    model::Identifier& identifier = rules.protected_identifiers[i];
    auto canonical = model::Canonicalise(identifier.type, identifier.canonical, model::LineKind::kUnspecified,
                                         {.allow_test_range = true});
    if (canonical.ok()) {
      identifier = canonical->identifier;
    } else {
      const auto refusal = model::RefusalOf(canonical.status());
      problems.push_back(
          absl::StrCat("protected_identifiers[", i, "].value: ", model::Name(refusal->code), ": ", refusal->message));
    }
  }
  for (std::string& problem : model::Problems(rules)) problems.push_back(std::move(problem));
  if (!problems.empty()) return Fail(problems);
  return rules;
}

absl::StatusOr<model::PolicySpec> ParsePolicy(absl::string_view text) {
  config::Policy file;
  std::vector<std::string> problems = ParseTextConfig(text, {}, &file);
  if (!problems.empty()) return Fail(problems);
  model::PolicySpec spec;
  spec.version = file.version();
  spec.trust_domain = file.trust_domain();
  for (const config::Stakeholder& from : file.stakeholders()) {
    model::StakeholderSpec stakeholder;
    stakeholder.id = from.id();
    stakeholder.title = from.title();
    stakeholder.role = static_cast<model::Role>(from.role());
    stakeholder.kind = from.kind();
    stakeholder.ownership_group = from.ownership_group().empty() ? from.id() : from.ownership_group();
    stakeholder.state = from.state();
    for (const config::Principal& principal : from.principals()) {
      stakeholder.principals.push_back({principal.name(), principal.uri()});
    }
    if (stakeholder.principals.empty()) stakeholder.principals.push_back({"main", ""});
    spec.stakeholders.push_back(std::move(stakeholder));
  }
  for (int i = 0; i < file.grants_size(); ++i) {
    const config::RoleGrant& from = file.grants(i);
    model::RoleGrant grant;
    grant.role = static_cast<model::Role>(from.role());
    grant.rpcs.assign(from.rpcs().begin(), from.rpcs().end());
    CopyEnums(from.may_report(), &grant.may_report);
    for (const auto& clause : from.may_see()) grant.may_see.push_back(ClauseFromProto(clause));
    CopyEnums(from.fields(), &grant.fields);
    CopyEnums(from.may_look_up(), &grant.may_look_up);
    // Zero, which is unset, leaves the default; whoever checks the policy refuses what is below.
    if (from.reports_per_second() != 0) grant.reports_per_second = from.reports_per_second();
    if (from.lookups_per_second() != 0) grant.lookups_per_second = from.lookups_per_second();
    if (from.streams_max() != 0) grant.streams_max = from.streams_max();
    spec.grants.push_back(std::move(grant));
  }
  spec.denied_uris.assign(file.denied_uris().begin(), file.denied_uris().end());
  return spec;
}

}  // namespace hub::wire
