// What lookups are answered from. A plain value; what it points to outlives whoever was given it.
#pragma once

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "libs/access/quota.h"
#include "libs/audit/audit.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/model/rules.h"
#include "libs/model/token.h"
#include "libs/replica/replica.h"

namespace hub::query {

struct LookupParts {
  const base::Clock* clock = nullptr;
  base::Metrics* metrics = nullptr;
  const replica::Replica* replica = nullptr;
  audit::AuditLog* audit = nullptr;
  const model::Tokeniser* tokeniser = nullptr;
  access::Quota* quota = nullptr;
  std::function<std::shared_ptr<const model::Rules>()> rules;  // in force, for explanations
  absl::Duration age_max = absl::Seconds(60);                  // older data is answered UNKNOWN
  bool allow_test_range = false;
};

}  // namespace hub::query
