// The decision, by the shipped rules' shape: levels, corroboration, corrections, tenures, lapses, handsets, protection.
#include "libs/registry/decide.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::registry {
namespace {

using model::EventKind;
using model::HeldReason;
using model::InputKind;
using model::Level;
using model::Outcome;
using model::Reason;
using model::Role;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kDay = absl::Hours(24);

model::Rules TestRules() {
  model::Rules rules;
  rules.version = 7;
  rules.sources = {
      {InputKind::kFinancialFraud, Role::kLawEnforcement, Reason::kUnspecified, Level::kVeryHigh,
       Reason::kLeaReportedCybercrime, 180 * kDay},
      {InputKind::kFinancialFraud, Role::kFinancialInstitution, Reason::kUnspecified, Level::kMedium,
       Reason::kFinancialInstitution, 90 * kDay},
      {InputKind::kFinancialFraud, Role::kUnspecified, Reason::kUnspecified, Level::kMedium, Reason::kOtherStakeholder,
       90 * kDay},
      {InputKind::kSuspectedCommunication, Role::kCitizenPortal, Reason::kUnspecified, Level::kNone,
       Reason::kCitizenReports, 90 * kDay},
      {InputKind::kDisconnected, Role::kUnspecified, Reason::kForgedDocuments, Level::kVeryHigh,
       Reason::kForgedDocuments, 90 * kDay},
      {InputKind::kDisconnected, Role::kUnspecified, Reason::kUnspecified, Level::kMedium, Reason::kDisconnectedDormant,
       90 * kDay},
  };
  rules.corroboration = {
      {InputKind::kFinancialFraud, Role::kUnspecified, 3, 0, Level::kHigh},
      {InputKind::kSuspectedCommunication, Role::kUnspecified, 0, 5, Level::kMedium},
      {InputKind::kSuspectedCommunication, Role::kUnspecified, 0, 15, Level::kHigh},
  };
  rules.citizens_per_portal_max = 10;
  rules.sole_source_very_high = {Role::kLawEnforcement};
  rules.protected_identifiers = {{model::IdentifierType::kMobile, "+915550000199"}};
  return rules;
}

model::Reporter Bank(const std::string& id, const std::string& group = "") {
  return {id, "main", group.empty() ? id : group, Role::kFinancialInstitution};
}
const model::Reporter kPolice{"police-mh", "main", "police-mh", Role::kLawEnforcement};
const model::Reporter kOperator{"tsp-01", "main", "tsp-01", Role::kTelecomOperator};
const model::Reporter kAnalyst1{"dot-diu", "analyst-1", "dot-diu", Role::kAnalyst};
const model::Reporter kAnalyst2{"dot-diu", "analyst-2", "dot-diu", Role::kAnalyst};
model::Reporter Portal(int n) {
  const std::string id = absl::StrCat("portal-0", n);
  return {id, "main", id, Role::kCitizenPortal};
}

// One identifier's life: says things and keeps what became of it.
class Life {
 public:
  explicit Life(const std::string& canonical = "+915550001234",
                model::IdentifierType type = model::IdentifierType::kMobile)
      : identifier_{type, canonical} {}

  model::Report Make(InputKind kind, const model::Reporter& reporter) const {
    model::Report report;
    report.kind = kind;
    report.identifier = identifier_;
    report.reporter = reporter;
    report.observed_at = now_;
    report.received_at = now_;
    return report;
  }
  const Decision& Say(const model::Report& report) {
    last_ = Decide({&rules_, now_, ++offset_}, states_, token_, report);
    states_ = last_.states;
    return last_;
  }
  const Decision& Say(InputKind kind, const model::Reporter& reporter) { return Say(Make(kind, reporter)); }
  void Citizens(int portal, int from, int to) {
    for (int i = from; i < to; ++i) {
      model::Report report = Make(InputKind::kSuspectedCommunication, Portal(portal));
      report.citizen_pseudonym = absl::StrCat("citizen-", i);
      Say(report);
    }
  }
  const Decision& Correct(const model::Reporter& by, model::CorrectionKind kind, Level level = Level::kUnspecified,
                          bool override_protected = false) {
    model::Report report = Make(InputKind::kCorrection, by);
    report.correction = {kind, level, override_protected, ""};
    return Say(report);
  }
  void Pass(absl::Duration time) {
    now_ += time;
    for (int i = 0; i < 10 && states_.risk.has_value() && states_.risk->next_check_at <= now_; ++i) {
      last_ = DecideLapse({&rules_, now_, ++offset_}, states_);
      states_ = last_.states;
    }
  }

  Level level() const { return states_.risk.has_value() ? states_.risk->attributes.level : Level::kUnspecified; }
  EventKind kind() const { return last_.events.empty() ? EventKind::kUnspecified : last_.events.back().kind; }
  const model::IndicatorState& risk() const { return *states_.risk; }
  const FacetStates& states() const { return states_; }
  const Decision& last() const { return last_; }
  absl::Time now() const { return now_; }
  model::Rules* rules() { return &rules_; }

 private:
  model::Rules rules_ = TestRules();
  const model::Identifier identifier_;
  const model::RoutingToken token_{};
  absl::Time now_ = kStart;
  int64_t offset_ = 0;
  FacetStates states_;
  Decision last_;
};

TEST_CASE("one bank gives MEDIUM, repeats raise the count and nothing else", "[registry][decide]") {
  Life life;
  life.Say(InputKind::kFinancialFraud, Bank("bank-1"));
  CHECK(life.level() == Level::kMedium);
  CHECK(life.kind() == EventKind::kFlagged);
  CHECK(life.risk().version == 1);
  CHECK(life.risk().attributes.reasons == std::vector<Reason>{Reason::kFinancialInstitution});
  const Decision& again = life.Say(InputKind::kFinancialFraud, Bank("bank-1"));
  CHECK(again.events.empty());
  CHECK(again.risk_dirty);
  CHECK(life.risk().report_count == 2);
  CHECK(life.risk().version == 1);
}

TEST_CASE("three reports from one ownership group stay MEDIUM, three groups are HIGH", "[registry][decide]") {
  Life one_group;
  for (const char* bank : {"bank-1", "bank-2", "bank-3"})
    one_group.Say(InputKind::kFinancialFraud, Bank(bank, "group-1"));
  CHECK(one_group.level() == Level::kMedium);
  CHECK(one_group.risk().independent_sources == 1);
  Life three;
  for (const char* bank : {"bank-1", "bank-2", "bank-3"}) three.Say(InputKind::kFinancialFraud, Bank(bank));
  CHECK(three.level() == Level::kHigh);
  CHECK(three.kind() == EventKind::kLevelRaised);
  CHECK(three.risk().independent_sources == 3);
}

TEST_CASE("the police alone give VERY_HIGH, others alone stop at HIGH", "[registry][decide]") {
  Life police;
  police.Say(InputKind::kFinancialFraud, kPolice);
  CHECK(police.level() == Level::kVeryHigh);
  Life forged;
  model::Report report = forged.Make(InputKind::kDisconnected, kOperator);
  report.reason = Reason::kForgedDocuments;
  forged.Say(report);
  CHECK(forged.level() == Level::kHigh);
  // A second independent source behind the flag lifts the bound.
  forged.Say(InputKind::kFinancialFraud, Bank("bank-1"));
  CHECK(forged.level() == Level::kVeryHigh);
}

TEST_CASE("citizens count once each, and at most ten behind one portal", "[registry][decide]") {
  Life life;
  life.Citizens(1, 0, 4);
  CHECK(life.level() == Level::kNone);
  for (int i = 0; i < 50; ++i) life.Citizens(1, 0, 1);  // the same one again and again
  CHECK(life.level() == Level::kNone);
  life.Citizens(1, 4, 20);
  CHECK(life.level() == Level::kMedium);
  CHECK(life.risk().independent_citizens == 10);
  life.Citizens(2, 0, 5);
  CHECK(life.level() == Level::kHigh);
  life.Citizens(3, 0, 20);
  CHECK(life.level() == Level::kHigh);  // citizens alone never give VERY_HIGH
}

TEST_CASE("the result does not depend on the order of arrival", "[registry][decide]") {
  const std::vector<model::Reporter> banks = {Bank("bank-1", "g1"), Bank("bank-2", "g2"), Bank("bank-3", "g3"),
                                              kPolice};
  std::vector<size_t> order = {0, 1, 2, 3};
  std::string first;
  do {
    Life life;
    for (const size_t i : order) life.Say(InputKind::kFinancialFraud, banks[i]);
    model::IndicatorState state = life.risk();
    state.version = 0;
    state.standing = EventKind::kUnspecified;
    std::sort(state.contributions.begin(), state.contributions.end(),
              [](const auto& a, const auto& b) { return a.reporter.stakeholder < b.reporter.stakeholder; });
    const std::string bytes = wire::EncodeState(state);
    if (first.empty()) first = bytes;
    CHECK(bytes == first);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("a protected number keeps its reports and stays NONE until two analysts override", "[registry][decide]") {
  Life life("+915550000199");
  life.Say(InputKind::kFinancialFraud, kPolice);
  CHECK(life.level() == Level::kNone);
  CHECK(life.last().outcome == Outcome::kHeld);
  CHECK(life.last().held_reason == HeldReason::kProtectedIdentifier);
  CHECK(life.risk().report_count == 1);
  life.Correct(kAnalyst1, model::CorrectionKind::kSetLevel, Level::kHigh, true);
  CHECK(life.level() == Level::kNone);
  CHECK(life.last().held_reason == HeldReason::kAwaitingSecondAnalyst);
  life.Correct(kAnalyst1, model::CorrectionKind::kSetLevel, Level::kHigh, true);  // the same one twice is one
  CHECK(life.level() == Level::kNone);
  life.Correct(kAnalyst2, model::CorrectionKind::kSetLevel, Level::kHigh, true);
  CHECK(life.level() == Level::kHigh);
}

TEST_CASE("a cleared number stays cleared for what was seen before, and not for what comes after",
          "[registry][decide]") {
  Life life;
  life.Citizens(1, 0, 10);
  life.Citizens(2, 0, 10);
  CHECK(life.level() == Level::kHigh);
  life.Pass(absl::Hours(1));
  life.Correct(kAnalyst1, model::CorrectionKind::kCleared);
  CHECK(life.level() == Level::kNone);
  CHECK(life.kind() == EventKind::kCleared);
  CHECK(life.risk().attributes.reasons.empty());
  // A late delivery of what was seen before changes nothing.
  model::Report late = life.Make(InputKind::kFinancialFraud, kPolice);
  late.observed_at = life.now() - absl::Minutes(30);
  life.Say(late);
  CHECK(life.level() == Level::kNone);
  // One new citizen doesn't bring back the twenty that were judged.
  life.Pass(absl::Hours(1));
  life.Citizens(1, 100, 101);
  CHECK(life.level() == Level::kNone);
  life.Citizens(1, 101, 105);
  CHECK(life.level() == Level::kMedium);
  life.Say(InputKind::kFinancialFraud, kPolice);
  CHECK(life.level() == Level::kVeryHigh);
}

TEST_CASE("a reporter takes back what it said, and only that", "[registry][decide]") {
  Life life;
  for (const char* bank : {"bank-1", "bank-2", "bank-3"}) life.Say(InputKind::kFinancialFraud, Bank(bank));
  life.Correct(Bank("bank-3"), model::CorrectionKind::kRetracted);
  CHECK(life.level() == Level::kMedium);
  CHECK(life.kind() == EventKind::kLevelLowered);
  life.Correct(Bank("bank-1"), model::CorrectionKind::kRetracted);
  life.Correct(Bank("bank-2"), model::CorrectionKind::kRetracted);
  CHECK(life.level() == Level::kNone);
  CHECK(life.kind() == EventKind::kRetracted);
  life.Correct(Bank("bank-9"), model::CorrectionKind::kRetracted);
  CHECK(life.last().outcome == Outcome::kHeld);
  CHECK(life.last().held_reason == HeldReason::kNothingToCorrect);
}

TEST_CASE("a flag lapses by itself at its time and not before", "[registry][decide]") {
  Life life;
  life.Say(InputKind::kFinancialFraud, Bank("bank-1"));
  CHECK(life.risk().expires_at == kStart + 90 * kDay);
  life.Pass(89 * kDay);
  CHECK(life.level() == Level::kMedium);
  life.Pass(2 * kDay);
  CHECK(life.level() == Level::kNone);
  CHECK(life.kind() == EventKind::kExpired);
  CHECK(life.risk().next_check_at == absl::InfiniteFuture());
  life.Say(InputKind::kFinancialFraud, Bank("bank-1"));
  CHECK(life.level() == Level::kMedium);
}

TEST_CASE("of several flags the last lapse takes the level, the first lowers it", "[registry][decide]") {
  Life life;
  life.Say(InputKind::kFinancialFraud, kPolice);  // VERY_HIGH for 180 days
  life.Pass(100 * kDay);
  life.Say(InputKind::kFinancialFraud, Bank("bank-1"));  // MEDIUM until day 190
  life.Pass(81 * kDay);
  CHECK(life.level() == Level::kMedium);
  CHECK(life.kind() == EventKind::kLevelLowered);
  life.Pass(10 * kDay);
  CHECK(life.level() == Level::kNone);
  CHECK(life.kind() == EventKind::kExpired);
}

TEST_CASE("a closed tenure starts clean, and late reports about it stay there", "[registry][decide]") {
  Life life;
  life.Say(InputKind::kFinancialFraud, kPolice);
  const absl::Time before = life.now();
  life.Pass(kDay);
  life.Say(InputKind::kTenureClosed, kOperator);
  CHECK(life.kind() == EventKind::kTenureClosed);
  CHECK(life.level() == Level::kNone);
  CHECK(life.risk().tenure == 2);
  CHECK(life.risk().report_count == 0);
  REQUIRE(life.risk().closed_tenures.size() == 1);
  CHECK(life.risk().closed_tenures[0].final_level == Level::kVeryHigh);
  model::Report late = life.Make(InputKind::kFinancialFraud, kPolice);
  late.observed_at = before;
  life.Say(late);
  CHECK(life.last().outcome == Outcome::kHeld);
  CHECK(life.last().held_reason == HeldReason::kClosedTenure);
  CHECK(life.level() == Level::kNone);
  life.Pass(kDay);
  life.Say(InputKind::kFinancialFraud, Bank("bank-1"));
  CHECK(life.level() == Level::kMedium);
}

TEST_CASE("verified again clears, and answers the citizen's question", "[registry][decide]") {
  Life life;
  model::Report not_mine = life.Make(InputKind::kNotMyConnection, Portal(1));
  not_mine.citizen_pseudonym = "citizen-1";
  not_mine.operator_id = "tsp-01";
  life.Say(not_mine);
  CHECK(life.kind() == EventKind::kReverificationRequested);
  CHECK(life.last().events.size() == 1);
  CHECK(life.states().connection->attributes.operator_id == "tsp-01");
  CHECK_FALSE(life.states().risk.has_value());
  life.Say(InputKind::kFinancialFraud, Bank("bank-1"));
  life.Pass(kDay);
  life.Say(InputKind::kReverified, kOperator);
  CHECK(life.last().events.size() == 2);
  CHECK(life.states().connection->standing == EventKind::kReverified);
  CHECK(life.level() == Level::kNone);
}

TEST_CASE("a lost handset is blocked, traced for its unit alone, and unblocked", "[registry][decide]") {
  Life life("001017001234569", model::IdentifierType::kImei);
  life.Say(InputKind::kHandsetLost, kPolice);
  CHECK(life.kind() == EventKind::kHandsetBlocked);
  CHECK(life.risk().registered_by == "police-mh");
  CHECK(life.risk().attributes.reasons == std::vector<Reason>{Reason::kImeiBlocklist});
  model::Report trace = life.Make(InputKind::kHandsetTraced, kOperator);
  trace.traced_with = "+915550000777";
  life.Say(trace);
  REQUIRE(life.last().events.size() == 1);
  CHECK(life.last().events[0].state.attributes.facet == model::Facet::kTrace);
  CHECK(life.last().events[0].state.attributes.handling_units == std::vector<std::string>{"police-mh"});
  life.Say(InputKind::kHandsetFound, kPolice);
  CHECK(life.kind() == EventKind::kHandsetUnblocked);
  CHECK(life.risk().attributes.reasons.empty());
  life.Say(InputKind::kHandsetFound, kPolice);
  CHECK(life.last().held_reason == HeldReason::kNothingToCorrect);
}

TEST_CASE("a spoofed number is evidence and nothing else", "[registry][decide]") {
  Life life;
  life.Say(InputKind::kSpoofedCli, Bank("bank-1"));
  CHECK(life.level() == Level::kNone);
  CHECK(life.last().held_reason == HeldReason::kSpoofedNumber);
}

TEST_CASE("a list delivered again changes nothing but last-seen", "[registry][decide]") {
  Life life;
  model::Report row = life.Make(InputKind::kDisconnected, kOperator);
  row.list_id = "2026-11";
  life.Say(row);
  CHECK(life.level() == Level::kMedium);
  CHECK(life.risk().report_count == 1);
  life.Pass(kDay);
  row.observed_at = life.now();
  life.Say(row);
  CHECK(life.last().outcome == Outcome::kDuplicate);
  CHECK(life.last().events.empty());
  CHECK(life.risk().report_count == 1);
  CHECK(life.risk().last_seen == life.now());
  row.list_id = "2026-12";
  life.Say(row);
  CHECK(life.last().outcome == Outcome::kMerged);
  CHECK(life.risk().report_count == 2);
}

TEST_CASE("contributions stay bounded however many report", "[registry][decide]") {
  Life life;
  for (int i = 0; i < 1000; ++i)
    life.Say(InputKind::kFinancialFraud, Bank(absl::StrCat("bank-", i), absl::StrCat("g-", i % 200)));
  CHECK(life.risk().contributions.size() <= model::kContributionsMax + 40);
  CHECK(life.level() == Level::kHigh);
  CHECK(life.risk().report_count == 1000);
}

TEST_CASE("Explain tells the steps of the very decision, and never the financial intelligence unit",
          "[registry][decide]") {
  Life life;
  life.Say(InputKind::kFinancialFraud, {"fiu-01", "main", "fiu-01", Role::kFinancialIntelligence});
  CHECK(life.risk().attributes.reasons == std::vector<Reason>{Reason::kOtherStakeholder});
  const auto steps = ExplainLevel(*life.rules(), life.risk(), life.now());
  REQUIRE_FALSE(steps.empty());
  CHECK(steps.back() == "level MEDIUM");
  for (const std::string& step : steps) {
    CHECK(step.find("INTELLIGENCE") == std::string::npos);
    CHECK(step.find("fiu") == std::string::npos);
  }
}

}  // namespace
}  // namespace hub::registry
