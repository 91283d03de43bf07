#include "services/control/control_follower.h"

#include "absl/strings/str_cat.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "services/control/control_topic.h"
#include "tests/catch.h"

namespace hub::control {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

model::Rules RulesOf(uint64_t version) {
  model::Rules rules;
  rules.version = version;
  rules.sources.push_back({.kind = model::InputKind::kFinancialFraud, .level = model::Level::kMedium});
  return rules;
}

model::ControlItem PolicyOf(uint64_t version) {
  return {kPolicyItem, version, absl::StrCat("version: ", version, R"( trust_domain: "dev.hub.example"
    stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" }
    grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: "LookupService.Lookup" may_see {} })")};
}

struct Fixture {
  base::RealClock clock;
  eventlog::MemoryLog log{&clock, {}};
  Fixture() { REQUIRE(log.EnsureTopics(eventlog::HubTopics(2)).ok()); }
  std::shared_ptr<const ControlState> Read() {
    ControlFollower follower(&clock, &log, false);
    REQUIRE(follower.ReadToEnd(kTimeout).ok());
    return follower.state();
  }
};

TEST_CASE("The newest rules and policy are read back, and none where none were put", "[control]") {
  Fixture f;
  CHECK(f.Read()->rules == std::nullopt);
  CHECK(f.Read()->policy == nullptr);
  REQUIRE(KeepRules(&f.log, RulesOf(7), kTimeout).ok());
  REQUIRE(KeepRules(&f.log, RulesOf(5), kTimeout).ok());
  REQUIRE(PutItem(&f.log, PolicyOf(3), kTimeout).ok());
  REQUIRE(PutItem(&f.log, PolicyOf(2), kTimeout).ok());
  CHECK(f.Read()->rules == RulesOf(7));
  CHECK(f.Read()->policy->version() == 3);
  CHECK(f.Read()->policy_text == PolicyOf(3).text);
}

TEST_CASE("What is no record, or no good policy, or of a later release, is passed over", "[control]") {
  Fixture f;
  REQUIRE(KeepRules(&f.log, RulesOf(3), kTimeout).ok());
  REQUIRE(PutItem(&f.log, PolicyOf(3), kTimeout).ok());
  for (const char* key : {"rules", "something"}) {
    REQUIRE(eventlog::AppendSync(&f.log, ControlPartition(), {key, "not a record"}, kTimeout).ok());
  }
  REQUIRE(PutItem(&f.log, {kPolicyItem, 4, "stakeholders {"}, kTimeout).ok());
  REQUIRE(PutItem(&f.log, {"of a later release", 1, "x"}, kTimeout).ok());
  REQUIRE(PutItem(&f.log, {kCursorKeyItem, 1, "no number"}, kTimeout).ok());
  CHECK(f.Read()->rules == RulesOf(3));
  CHECK(f.Read()->policy->version() == 3);
  CHECK(f.Read()->cursor_key == 1);
  REQUIRE(PutItem(&f.log, {kCursorKeyItem, 2, "2"}, kTimeout).ok());
  REQUIRE(PutItem(&f.log, {kCursorKeyItem, 1, "1"}, kTimeout).ok());
  CHECK(f.Read()->cursor_key == 2);
}

TEST_CASE("The first routing check counts for good", "[control]") {
  Fixture f;
  REQUIRE(PutItem(&f.log, {kRoutingItem, 1, "aa"}, kTimeout).ok());
  REQUIRE(PutItem(&f.log, {kRoutingItem, 1, "bb"}, kTimeout).ok());
  CHECK(f.Read()->routing_check == "aa");
}

TEST_CASE("A follower tells of what is put while it runs, and mends a topic whose newest record is an old one",
          "[control]") {
  Fixture f;
  REQUIRE(KeepRules(&f.log, RulesOf(7), kTimeout).ok());
  ControlFollower follower(&f.clock, &f.log, /*mends=*/true);
  REQUIRE(follower.ReadToEnd(kTimeout).ok());
  base::Mutex mu;
  base::CondVar told;
  uint64_t version = 0;
  follower.Start([&](const ControlState& state) {
    base::MutexLock lock(&mu);
    version = state.rules->version;
    told.NotifyAll();
  });
  REQUIRE(KeepRules(&f.log, RulesOf(8), kTimeout).ok());
  {
    base::MutexLock lock(&mu);
    const absl::Duration until = f.clock.Monotonic() + kTimeout;
    while (version != 8 && f.clock.Monotonic() < until) told.WaitFor(&mu, absl::Milliseconds(50));
    CHECK(version == 8);
  }
  REQUIRE(KeepRules(&f.log, RulesOf(6), kTimeout).ok());
  const absl::Duration until = f.clock.Monotonic() + kTimeout;
  while (f.log.Offsets(ControlPartition())->end < 4 && f.clock.Monotonic() < until) {
    f.log.Wait({{ControlPartition(), 3}}, absl::Milliseconds(20));
  }
  follower.Stop();
  CHECK(f.log.Offsets(ControlPartition())->end == 4);  // 7, 8, 6, and 8 once more
  CHECK(follower.state()->rules == RulesOf(8));
}

TEST_CASE("Rules are kept and put on every partition of the reports", "[control]") {
  Fixture f;
  const auto positions = PutRules(&f.log, 2, RulesOf(4), kTimeout);
  REQUIRE(positions.ok());
  CHECK(*positions == std::map<int32_t, int64_t>{{0, 0}, {1, 0}});
  CHECK(f.Read()->rules == RulesOf(4));
}

}  // namespace
}  // namespace hub::control
