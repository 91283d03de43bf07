#include "libs/access/policy.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/access/policy_problems.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"

namespace hub::access {
namespace {

using model::FieldAudience;
using model::RefusalCode;
using model::Refuse;
using model::Role;

// `clauses` with $self filled in.
model::Filter RowsOf(std::vector<model::FilterClause> clauses, const std::string& self) {
  for (model::FilterClause& clause : clauses) {
    std::replace(clause.operator_ids.begin(), clause.operator_ids.end(), std::string(kSelf), self);
    std::replace(clause.handling_units.begin(), clause.handling_units.end(), std::string(kSelf), self);
  }
  return model::Filter::AnyOf(std::move(clauses));
}

// Audiences nest (proto/fraudhub/v1/visibility.proto): who may see the fields of one may see those of all below it.
std::vector<FieldAudience> AudiencesUpTo(const std::vector<FieldAudience>& granted) {
  FieldAudience highest = FieldAudience::kAll;
  for (FieldAudience audience : granted) highest = std::max(highest, audience);
  std::vector<FieldAudience> all;
  for (FieldAudience audience : {FieldAudience::kTelecom, FieldAudience::kLawEnforcement, FieldAudience::kAnalyst}) {
    if (audience <= highest) all.push_back(audience);
  }
  return all;
}

// What one stakeholder may do, worked out once.
struct Rights {
  const model::StakeholderSpec* stakeholder = nullptr;
  const model::RoleGrant* grant = nullptr;
  model::Filter rows;
};

class PolicyImpl final : public Policy {
 public:
  explicit PolicyImpl(model::PolicySpec spec) : spec_(std::move(spec)) {
    for (int role = 0; role <= model::kRoleMax; ++role)
      grants_[static_cast<size_t>(role)].role = static_cast<Role>(role);
    for (const model::RoleGrant& grant : spec_.grants) grants_[static_cast<size_t>(grant.role)] = grant;
    for (const model::StakeholderSpec& stakeholder : spec_.stakeholders) {
      const model::RoleGrant& grant = Grant(stakeholder.role);
      rights_[stakeholder.id] = {&stakeholder, &grant, RowsOf(grant.may_see, stakeholder.id)};
      for (const model::PrincipalSpec& principal : stakeholder.principals) {
        const std::string uri = UriOf(spec_, stakeholder, principal);
        const std::string& group = stakeholder.ownership_group.empty() ? stakeholder.id : stakeholder.ownership_group;
        principals_[uri] = {uri, stakeholder.id, principal.name, group, stakeholder.role};
      }
    }
    denied_.insert(spec_.denied_uris.begin(), spec_.denied_uris.end());
  }

  absl::StatusOr<Principal> Identify(absl::string_view uri) const override {
    const auto found = principals_.find(uri);
    if (found == principals_.end() || denied_.contains(uri)) {
      return Refuse(RefusalCode::kUnauthenticated, "", "not a principal of this hub");
    }
    return found->second;
  }

  absl::Status AuthorizeRpc(const Principal& caller, absl::string_view rpc) const override {
    if (denied_.contains(caller.uri)) return Refuse(RefusalCode::kUnauthenticated, "", "not a principal of this hub");
    const Rights* rights = RightsOf(caller);
    if (rights == nullptr ||
        std::find(rights->grant->rpcs.begin(), rights->grant->rpcs.end(), rpc) == rights->grant->rpcs.end()) {
      return Refuse(RefusalCode::kNotEntitled, "", absl::StrCat("this role may not call ", rpc));
    }
    return absl::OkStatus();
  }

  absl::Status AuthorizeReport(const Principal& caller, const model::Report& report) const override {
    const Rights* rights = RightsOf(caller);
    if (rights == nullptr) return Refuse(RefusalCode::kNotEntitled, "kind", "this stakeholder may not report");
    const std::vector<model::InputKind>& kinds = rights->grant->may_report;
    if (std::find(kinds.begin(), kinds.end(), report.kind) == kinds.end()) {
      return Refuse(RefusalCode::kNotEntitled, "kind", "this role may not report this kind");
    }
    if (caller.role != Role::kLawEnforcement) {
      HUB_RETURN_IF_ERROR(LawEnforcementOnly(report.case_ref, "case_ref"));
      HUB_RETURN_IF_ERROR(LawEnforcementOnly(report.victim_phone, "victim_phone"));
      // A portal names the unit with which the citizen registered the loss: traces go there (libs/registry/decide.cc).
      const bool registers = caller.role == Role::kCitizenPortal && report.kind == model::InputKind::kHandsetLost;
      if (!registers) HUB_RETURN_IF_ERROR(LawEnforcementOnly(report.handling_unit, "handling_unit"));
    }
    if (report.kind == model::InputKind::kCorrection && caller.role != Role::kAnalyst &&
        report.correction.kind != model::CorrectionKind::kRetracted) {
      return Refuse(RefusalCode::kNotEntitled, "correction.kind", "reporters take back what they said: RETRACTED");
    }
    return absl::OkStatus();
  }

  model::Filter Entitlement(const Principal& caller) const override {
    const Rights* rights = RightsOf(caller);
    return rights == nullptr ? model::Filter() : rights->rows;
  }

  std::vector<FieldAudience> Fields(const Principal& caller) const override {
    const Rights* rights = RightsOf(caller);
    return rights == nullptr ? std::vector<FieldAudience>() : AudiencesUpTo(rights->grant->fields);
  }

  bool MayLookUp(const Principal& caller, model::IdentifierType type) const override {
    const Rights* rights = RightsOf(caller);
    if (rights == nullptr) return false;
    const std::vector<model::IdentifierType>& types = rights->grant->may_look_up;
    return std::find(types.begin(), types.end(), type) != types.end();
  }

  bool MustGivePurpose(const Principal& caller) const override {
    return caller.role == Role::kAnalyst || caller.role == Role::kLawEnforcement ||
           caller.role == Role::kFinancialIntelligence;
  }

  const model::RoleGrant& Grant(Role role) const override {
    return grants_[role <= Role::kAnalyst ? static_cast<size_t>(role) : 0];
  }
  const model::PolicySpec& spec() const override { return spec_; }
  uint64_t version() const override { return spec_.version; }

 private:
  static absl::Status LawEnforcementOnly(const std::string& value, absl::string_view field) {
    if (value.empty()) return absl::OkStatus();
    return Refuse(RefusalCode::kNotEntitled, field, "from law enforcement only");
  }

  // nullptr when this policy knows no such stakeholder in that role: the caller may have been identified by an older one.
  const Rights* RightsOf(const Principal& caller) const {
    const auto found = rights_.find(caller.stakeholder);
    return found == rights_.end() || found->second.stakeholder->role != caller.role ? nullptr : &found->second;
  }

  const model::PolicySpec spec_;
  std::array<model::RoleGrant, model::kRoleMax + 1> grants_;  // by role; one without a grant may do nothing
  absl::flat_hash_map<std::string, Rights> rights_;           // by stakeholder; points into spec_ and grants_
  absl::flat_hash_map<std::string, Principal> principals_;    // by URI SAN
  absl::flat_hash_set<std::string> denied_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Policy>> Policy::Build(model::PolicySpec spec) {
  const std::vector<std::string> problems = Problems(spec);
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  return std::make_shared<const PolicyImpl>(std::move(spec));
}

}  // namespace hub::access
