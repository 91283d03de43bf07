#include "services/query/explanation.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/registry/decide.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/wire.h"

namespace hub::query {

namespace v1 = ::fraudhub::v1;

model::Role ShownRole(model::Role role, bool analyst) {
  if (role == model::Role::kFinancialIntelligence && !analyst) return model::Role::kFinancialInstitution;
  return role;
}

void Explain(const replica::Answer& answer, const model::Rules& rules, absl::Time now, bool analyst,
             v1::Explanation* out) {
  wire::ToProto(answer.state, out->mutable_indicator());
  out->set_rules_version(answer.rules_version);

  std::vector<const model::Contribution*> strongest;
  for (const model::Contribution& contribution : answer.state.contributions) strongest.push_back(&contribution);
  std::stable_sort(strongest.begin(), strongest.end(), [](const model::Contribution* a, const model::Contribution* b) {
    return std::make_tuple(a->withdrawn, -static_cast<int>(a->level), a->first_observed) <
           std::make_tuple(b->withdrawn, -static_cast<int>(b->level), b->first_observed);
  });
  if (strongest.size() > kSourcesMax) strongest.resize(kSourcesMax);
  for (const model::Contribution* contribution : strongest) {
    v1::Source* source = out->add_sources();
    source->set_role(static_cast<v1::Role>(ShownRole(contribution->reporter.role, analyst)));
    source->set_stakeholder(contribution->reporter.stakeholder);
    source->set_ownership_group(contribution->reporter.ownership_group);
    source->set_kind(static_cast<v1::InputKind>(contribution->kind));
    source->set_reason(static_cast<v1::Reason>(contribution->reason));
    source->set_level(static_cast<v1::Level>(contribution->level));
    source->set_count(contribution->count);
    source->set_citizens(static_cast<uint32_t>(contribution->citizens.size()));
    if (rpc::IsFinite(contribution->first_observed))
      rpc::ToProto(contribution->first_observed, source->mutable_first_observed());
    if (rpc::IsFinite(contribution->last_observed))
      rpc::ToProto(contribution->last_observed, source->mutable_last_observed());
    if (rpc::IsFinite(contribution->lapses_at)) rpc::ToProto(contribution->lapses_at, source->mutable_lapses_at());
    source->set_withdrawn(contribution->withdrawn);
  }
  for (std::string& step : registry::ExplainLevel(rules, answer.state, now)) out->add_steps(std::move(step));
  if (rules.version != answer.rules_version) {
    out->add_steps(
        absl::StrCat("decided by rules ", answer.rules_version, "; these steps apply rules ", rules.version));
  }
}

}  // namespace hub::query
