// Inside libs/access: everything that is wrong with a policy, at once.
#pragma once

#include <string>
#include <vector>

#include "libs/access/principal.h"
#include "libs/model/policy_spec.h"

namespace hub::access {

// The stakeholder's id wherever it stands in operator_ids and handling_units of a grant's clauses.
inline constexpr char kSelf[] = "$self";

// The URI SAN of a principal: its own, or the hub's form.
std::string UriOf(const model::PolicySpec& spec, const model::StakeholderSpec& stakeholder,
                  const model::PrincipalSpec& principal);

// Each "path: what is wrong, what is wanted"; empty when the policy is good.
std::vector<std::string> Problems(const model::PolicySpec& spec);

}  // namespace hub::access
