#include "services/registry/kept_rules.h"

#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "tests/catch.h"

namespace hub::registry_service {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

model::Rules RulesOf(uint64_t version) {
  model::Rules rules;
  rules.version = version;
  rules.sources.push_back({.kind = model::InputKind::kFinancialFraud, .level = model::Level::kMedium});
  return rules;
}

TEST_CASE("The newest kept rules are read back, and none where none were kept", "[registry_service]") {
  base::RealClock clock;
  eventlog::MemoryLog log(&clock, {});
  REQUIRE(log.EnsureTopics(eventlog::HubTopics(1)).ok());
  CHECK(ReadKeptRules(&log, &clock, kTimeout).value() == std::nullopt);
  REQUIRE(KeepRules(&log, RulesOf(7), kTimeout).ok());
  REQUIRE(KeepRules(&log, RulesOf(5), kTimeout).ok());
  CHECK(ReadKeptRules(&log, &clock, kTimeout).value() == RulesOf(7));
}

TEST_CASE("Records of the control topic that are no rules are passed over", "[registry_service]") {
  base::RealClock clock;
  eventlog::MemoryLog log(&clock, {});
  REQUIRE(log.EnsureTopics(eventlog::HubTopics(1)).ok());
  REQUIRE(KeepRules(&log, RulesOf(3), kTimeout).ok());
  for (const char* key : {"rules", "something"}) {
    REQUIRE(eventlog::AppendSync(&log, {eventlog::kControlTopic, 0}, {key, "not a record"}, kTimeout).ok());
  }
  CHECK(ReadKeptRules(&log, &clock, kTimeout).value() == RulesOf(3));
}

}  // namespace
}  // namespace hub::registry_service
