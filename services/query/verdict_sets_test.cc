// What a set tells, and whom: a caller's own view and no more, in parts that add up, a few at a time.
#include "services/query/verdict_sets.h"

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"
#include "libs/store/database.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;
using model::Level;
using model::RefusalCode;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr uint64_t kFirst = 5'550'000'000;

constexpr char kPolicy[] = R"(
version: 1 trust_domain: "dev.hub.example"
grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: ["SubscriptionService.Subscribe", "LookupService.GetVerdictSet"]
         may_see { facets: FACET_RISK level_min: LEVEL_MEDIUM } may_look_up: IDENTIFIER_TYPE_MOBILE }
grants { role: ROLE_TELECOM_OPERATOR rpcs: ["SubscriptionService.Subscribe", "LookupService.GetVerdictSet"]
         may_see { operator_ids: "$self" } may_look_up: IDENTIFIER_TYPE_MOBILE }
grants { role: ROLE_REGULATOR rpcs: "LookupService.GetVerdictSet" may_see {} may_look_up: IDENTIFIER_TYPE_MOBILE }
stakeholders { id: "bank" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK" principals { name: "main" } }
stakeholders { id: "bank-2" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK" principals { name: "main" } }
stakeholders { id: "bank-3" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK" principals { name: "main" } }
stakeholders { id: "operator" role: ROLE_TELECOM_OPERATOR kind: "OPERATOR" principals { name: "main" } }
stakeholders { id: "regulator" role: ROLE_REGULATOR kind: "REGULATOR" principals { name: "main" } }
)";

struct Hub {
  Hub() {
    auto spec = wire::ParsePolicy(kPolicy);
    INFO(std::string(spec.status().message()));
    REQUIRE(spec.ok());
    auto built = access::Policy::Build(*std::move(spec));
    INFO(std::string(built.status().message()));
    REQUIRE(built.ok());
    policy = *std::move(built);
    auto opened = replica::Replica::Open(&database, 1, 1, "log-1", &clock, &metrics);
    REQUIRE(opened.ok());
    replica = *std::move(opened);
    auto audit_log = audit::AuditLog::Open(&database, 0, &clock);
    REQUIRE(audit_log.ok());
    audit = *std::move(audit_log);
    quota = std::make_unique<access::Quota>(&clock);
    LookupParts parts;
    parts.clock = &clock;
    parts.metrics = &metrics;
    parts.replica = replica.get();
    parts.audit = audit.get();
    parts.quota = quota.get();
    sets = std::make_unique<VerdictSets>(parts, 100);
  }
  // Number n, with its token spread as tokens are.
  model::Event Flag(uint64_t n, Level level, const std::string& operator_id = "",
                    model::Facet facet = model::Facet::kRisk, const std::string& canonical = "") {
    model::Event event;
    event.kind = model::EventKind::kFlagged;
    model::IndicatorState& state = event.state;
    uint64_t spread = n * 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < 8; ++i, spread >>= 8) state.key.token[i] = static_cast<uint8_t>(spread);
    state.key.facet = facet;
    state.identifier = {model::IdentifierType::kMobile,
                        canonical.empty() ? absl::StrCat("+91", kFirst + n) : canonical};
    state.version = 1;
    state.attributes.facet = facet;
    state.attributes.type = model::IdentifierType::kMobile;
    state.attributes.level = level;
    state.attributes.operator_id = operator_id;
    return event;
  }
  void Feed(const std::vector<model::Event>& events) {
    std::vector<replica::FedRecord> records;
    int64_t next = replica->EventsNext()[0];
    for (const model::Event& event : events) records.push_back({0, next++, 1, event});
    records.push_back({0, next++, 1, model::Tick{clock.TimeNow()}});
    REQUIRE(replica->ApplyEvents(records, 0, next, /*caught_up=*/true).ok());
  }
  absl::StatusOr<std::unique_ptr<VerdictSets::Walk>> Begin(const std::string& who, uint32_t parts = 0,
                                                           uint32_t first = 0) {
    auto caller = policy->Identify(absl::StrCat("fraudhub://dev.hub.example/", who, "/main"));
    REQUIRE(caller.ok());
    v1::GetVerdictSetRequest request;
    request.set_parts(parts);
    request.set_first_part(first);
    auto turn = sets->Enter(
        *caller, [this] { ++cut; }, &retry_after);
    if (!turn.ok()) return turn.status();
    return sets->Begin(*policy, *caller, request, *std::move(turn));
  }
  // All that a walk tells, checked against its hashes.
  std::map<uint64_t, Level> Walk(const std::string& who, uint32_t parts = 0, uint32_t first = 0) {
    auto walk = Begin(who, parts, first);
    INFO(std::string(walk.status().message()));
    REQUIRE(walk.ok());
    std::map<uint64_t, Level> told;
    std::vector<replica::PackedVerdict> part;
    v1::GetVerdictSetResponse response;
    for (absl::StatusOr<bool> more = (*walk)->Next(&response); more.ok() && *more; more = (*walk)->Next(&response)) {
      parts_seen = response.parts();
      if (!response.block().empty()) REQUIRE(replica::DecodeBlock(response.block(), &part).ok());
      if (!response.has_digest()) continue;
      replica::SetDigest digest;
      for (const replica::PackedVerdict verdict : part) {
        digest.Add(verdict);
        told[replica::DigitsOf(verdict)] = replica::LevelOf(verdict);
      }
      CHECK(digest.count == response.digest().count());
      CHECK(digest.sums[0] == response.digest().sum());
      CHECK(digest.sums[1] == response.digest().other_sum());
      part.clear();
    }
    CHECK(part.empty());
    return told;
  }

  store::MemoryDatabase database{6};
  base::ManualClock clock{kNow};
  base::Metrics metrics;
  std::shared_ptr<const access::Policy> policy;
  std::unique_ptr<replica::Replica> replica;
  std::unique_ptr<audit::AuditLog> audit;
  std::unique_ptr<access::Quota> quota;
  std::unique_ptr<VerdictSets> sets;
  absl::Duration retry_after;
  int cut = 0;
  uint32_t parts_seen = 0;
};

TEST_CASE("A set holds the caller's view: what it may see of mobile numbers at risk, and nothing else",
          "[query][verdict_sets]") {
  Hub hub;
  hub.Feed({hub.Flag(1, Level::kHigh), hub.Flag(2, Level::kMedium), hub.Flag(3, Level::kNone),
            hub.Flag(4, Level::kVeryHigh, "operator"), hub.Flag(5, Level::kHigh, "", model::Facet::kConnection),
            hub.Flag(6, Level::kNone, "operator"), hub.Flag(7, Level::kHigh, "", model::Facet::kRisk, "+15550100001")});
  CHECK(hub.Walk("bank") == std::map<uint64_t, Level>{{kFirst + 1, Level::kHigh},
                                                      {kFirst + 2, Level::kMedium},
                                                      {kFirst + 4, Level::kVeryHigh}});
  CHECK(hub.Walk("operator") == std::map<uint64_t, Level>{{kFirst + 4, Level::kVeryHigh}, {kFirst + 6, Level::kNone}});
  CHECK(hub.audit->head().next_sequence == 2);
}

TEST_CASE("Who has no stream is refused, and the refusal is audited", "[query][verdict_sets]") {
  Hub hub;
  hub.Feed({hub.Flag(1, Level::kHigh)});
  const auto refusal = model::RefusalOf(hub.Begin("regulator").status());
  REQUIRE(refusal.has_value());
  CHECK(refusal->code == RefusalCode::kNotEntitled);
  CHECK(hub.audit->head().next_sequence == 1);
}

TEST_CASE("A set of many states comes in parts, and can be gone on with from any", "[query][verdict_sets]") {
  Hub hub;
  std::vector<model::Event> flags;
  for (uint64_t n = 0; n < 1000; ++n) flags.push_back(hub.Flag(n, Level::kHigh));
  hub.Feed(flags);
  CHECK(hub.Walk("bank").size() == 1000);
  const uint32_t parts = hub.parts_seen;
  CHECK(parts >= 8);
  const size_t rest = hub.Walk("bank", parts, 1).size();
  CHECK(rest < 1000);
  CHECK(rest > 500);
  for (const auto& [asked, first] :
       std::map<uint32_t, uint32_t>{{parts, parts}, {3, 0}, {1, 0}, {0, 1}, {1u << 13, 0}}) {
    hub.clock.Advance(absl::Seconds(2));  // for its quota
    const auto refusal = model::RefusalOf(hub.Begin("bank", asked, first).status());
    REQUIRE(refusal.has_value());
    CHECK(refusal->code == RefusalCode::kOutOfRange);
  }
}

TEST_CASE("No set is made of states that are too old", "[query][verdict_sets]") {
  Hub hub;
  hub.Feed({hub.Flag(1, Level::kHigh)});
  hub.clock.Advance(absl::Seconds(61));
  auto walk = hub.Begin("bank");
  REQUIRE(walk.ok());
  v1::GetVerdictSetResponse response;
  CHECK(absl::IsUnavailable((*walk)->Next(&response).status()));
}

TEST_CASE("One walk at a time: the next is refused before anything is done for it, and not audited",
          "[query][verdict_sets]") {
  Hub hub;
  hub.Feed({hub.Flag(1, Level::kHigh)});
  auto one = hub.Begin("bank");
  REQUIRE(one.ok());
  const uint64_t audited = hub.audit->head().next_sequence;
  const auto refusal = model::RefusalOf(hub.Begin("bank-2").status());
  REQUIRE(refusal.has_value());
  CHECK(refusal->code == RefusalCode::kOverloaded);
  CHECK(hub.retry_after > absl::ZeroDuration());
  CHECK(hub.audit->head().next_sequence == audited);
  *one = nullptr;
  CHECK(hub.Begin("bank-2").ok());
}

TEST_CASE("Who was refused first has the next turn, if it comes for it", "[query][verdict_sets]") {
  Hub hub;
  hub.Feed({hub.Flag(1, Level::kHigh)});
  auto one = hub.Begin("bank");
  REQUIRE(one.ok());
  CHECK_FALSE(hub.Begin("bank-2").ok());
  CHECK_FALSE(hub.Begin("bank-3").ok());
  *one = nullptr;
  CHECK_FALSE(hub.Begin("bank").ok());
  CHECK_FALSE(hub.Begin("bank-3").ok());
  CHECK(hub.Begin("bank-2").ok());
  CHECK(hub.Begin("bank").ok());
  one = hub.Begin("bank-3");
  CHECK_FALSE(hub.Begin("bank-2").ok());
  *one = nullptr;
  hub.clock.Advance(VerdictSets::kTurnKept);  // it did not come
  CHECK(hub.Begin("bank-3").ok());
}

TEST_CASE("Who stalls, or takes a set too slowly, gives way to who comes", "[query][verdict_sets]") {
  Hub hub;
  hub.Feed({hub.Flag(1, Level::kHigh)});
  auto one = hub.Begin("bank");
  REQUIRE(one.ok());
  hub.clock.Advance(absl::Seconds(9));
  CHECK_FALSE(hub.Begin("bank-2").ok());
  CHECK(hub.cut == 0);
  hub.clock.Advance(absl::Seconds(2));
  CHECK_FALSE(hub.Begin("bank-2").ok());
  CHECK(hub.cut == 1);
  v1::GetVerdictSetResponse response;
  (*one)->Next(&response).IgnoreError();
  CHECK_FALSE(hub.Begin("bank-2").ok());
  CHECK(hub.cut == 1);
  for (int i = 0; i < 12; ++i) {
    hub.clock.Advance(absl::Seconds(9));
    (*one)->Next(&response).IgnoreError();
  }
  CHECK_FALSE(hub.Begin("bank-2").ok());
  CHECK(hub.cut == 1);
  hub.clock.Advance(absl::Seconds(9));
  (*one)->Next(&response).IgnoreError();
  CHECK_FALSE(hub.Begin("bank-2").ok());
  CHECK(hub.cut == 2);
}

TEST_CASE("Sets have a quota of their own", "[query][verdict_sets]") {
  Hub hub;
  hub.Feed({hub.Flag(1, Level::kHigh)});
  int granted = 0;
  while (granted < 100 && hub.Begin("bank").ok()) ++granted;
  CHECK(granted == 6);
  CHECK(hub.retry_after > absl::ZeroDuration());
  hub.clock.Advance(absl::Seconds(5));
  CHECK(hub.Begin("bank").ok());
}

}  // namespace
}  // namespace hub::query
