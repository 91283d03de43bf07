#include "bench/swarm/mix.h"

#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/v1/indicator.pb.h"

namespace hub::swarm {

namespace api = fraudhub::v1;

api::Filter FilterFor(const fraudhub::config::v1::Stakeholder& stakeholder, int index) {
  api::Filter filter;
  if (stakeholder.role() == api::ROLE_FINANCIAL_INSTITUTION && index % 5 == 4) {
    filter.add_any_of()->set_level_min(api::LEVEL_HIGH);
  } else if (stakeholder.role() == api::ROLE_FINANCIAL_INSTITUTION && index % 7 == 3) {
    auto* clause = filter.add_any_of();
    clause->add_types(api::IDENTIFIER_TYPE_MOBILE);
    clause->add_types(api::IDENTIFIER_TYPE_UPI_ADDRESS);
    clause->add_types(api::IDENTIFIER_TYPE_URL);
  } else if (stakeholder.role() == api::ROLE_LAW_ENFORCEMENT && index % 2 == 1) {
    filter.add_any_of()->set_level_min(api::LEVEL_MEDIUM);
    auto* clause = filter.add_any_of();
    for (const int category : {10, 20, 30}) clause->add_categories(static_cast<api::FraudCategory>(category));
  }
  return filter;
}

}  // namespace hub::swarm
