#include "services/query/audience.h"

namespace hub::query {

std::optional<model::Filter> RowsOfSubscriber(const access::Policy& policy, const model::StakeholderSpec& stakeholder) {
  access::Principal anybody;
  anybody.stakeholder = stakeholder.id;
  anybody.role = stakeholder.role;
  if (!policy.AuthorizeRpc(anybody, "SubscriptionService.Subscribe").ok()) return std::nullopt;
  return policy.Entitlement(anybody);
}

bool MaySee(const model::Filter& rows, const model::Event& event) {
  return rows.Matches(event.state.attributes) || (event.previous && rows.Matches(*event.previous));
}

}  // namespace hub::query
