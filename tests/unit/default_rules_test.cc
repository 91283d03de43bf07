// What the shipped rules make of reports: the table of INTERFACES "Input kinds", decided by the registry's own code.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/registry/decide.h"
#include "tests/catch.h"
#include "tests/unit/shipped_files.h"

namespace hub::test {
namespace {

using model::IdentifierType;
using model::InputKind;
using model::Level;
using model::Reason;
using model::Role;

constexpr char kNumber[] = "+915551234567";
constexpr absl::Duration kDay = absl::Hours(24);
const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

// Reports about one identifier, decided one after the other by the shipped rules.
class Case {
 public:
  explicit Case(model::Identifier about = {IdentifierType::kMobile, kNumber}) : about_(std::move(about)) {}

  model::Report Report(InputKind kind, Role role, const std::string& stakeholder, const std::string& group = "") {
    model::Report report;
    report.kind = kind;
    report.identifier = about_;
    report.reporter = {stakeholder, "main", group.empty() ? stakeholder : group, role};
    report.observed_at = report.received_at = now_;
    return report;
  }
  void Take(const model::Report& report) { states_ = registry::Decide(Context(), states_, {}, report).states; }

  void Fraud(Role role, const std::string& stakeholder, const std::string& group = "") {
    Take(Report(InputKind::kFinancialFraud, role, stakeholder, group));
  }
  void Disconnected(Reason reason, const std::string& stakeholder = "tsp-01") {
    model::Report report = Report(InputKind::kDisconnected, Role::kTelecomOperator, stakeholder);
    report.reason = reason;
    Take(report);
  }
  void Citizens(int count, const std::string& portal) {
    for (int i = 0; i < count; ++i) {
      model::Report report = Report(InputKind::kSuspectedCommunication, Role::kCitizenPortal, portal);
      report.citizen_pseudonym = absl::StrCat(portal, "-citizen-", i);
      Take(report);
    }
  }
  void Wait(absl::Duration time) {
    now_ += time;
    states_ = registry::DecideLapse(Context(), states_).states;
  }

  Level level() const { return states_.risk.has_value() ? states_.risk->attributes.level : Level::kNone; }
  std::vector<Reason> reasons() const {
    return states_.risk.has_value() ? states_.risk->attributes.reasons : std::vector<Reason>();
  }

 private:
  registry::DecisionContext Context() const { return {.rules = &rules_, .now = now_, .reports_offset = 0}; }

  const model::Rules rules_ = ShippedRules();
  const model::Identifier about_;
  absl::Time now_ = kStart;
  registry::FacetStates states_;
};

TEST_CASE("law enforcement alone gives VERY_HIGH", "[config][rules]") {
  Case c;
  c.Fraud(Role::kLawEnforcement, "police-mh");
  CHECK(c.level() == Level::kVeryHigh);
  CHECK(c.reasons() == std::vector<Reason>{Reason::kLeaReportedCybercrime});
}

TEST_CASE("banks count by ownership group: MEDIUM alone, HIGH from three", "[config][rules]") {
  Case c;
  c.Fraud(Role::kFinancialInstitution, "bank-psb-01");
  CHECK(c.level() == Level::kMedium);
  c.Fraud(Role::kFinancialInstitution, "bank-rrb-01", "bank-psb-01");
  c.Fraud(Role::kFinancialInstitution, "bank-rrb-13", "bank-psb-01");
  CHECK(c.level() == Level::kMedium);
  c.Fraud(Role::kFinancialInstitution, "bank-psb-02");
  CHECK(c.level() == Level::kMedium);
  c.Fraud(Role::kFinancialInstitution, "bank-pvt-01");
  CHECK(c.level() == Level::kHigh);
  for (int i = 0; i < 30; ++i) c.Fraud(Role::kFinancialInstitution, absl::StrCat("nbfc-", i));
  CHECK(c.level() == Level::kHigh);
}

TEST_CASE("the financial intelligence unit's part has nobody's name", "[config][rules]") {
  Case c;
  c.Fraud(Role::kFinancialIntelligence, "fiu-01");
  CHECK(c.level() == Level::kMedium);
  CHECK(c.reasons() == std::vector<Reason>{Reason::kOtherStakeholder});
}

TEST_CASE("citizens: capped per portal, MEDIUM, then HIGH, never VERY_HIGH", "[config][rules]") {
  Case c;
  c.Citizens(4, "portal-01");
  CHECK(c.level() == Level::kNone);
  c.Citizens(5, "portal-01");  // four of them said it before
  CHECK(c.level() == Level::kMedium);
  c.Citizens(20, "portal-01");
  CHECK(c.level() == Level::kMedium);
  c.Citizens(4, "portal-02");
  CHECK(c.level() == Level::kMedium);
  c.Citizens(5, "portal-02");
  CHECK(c.level() == Level::kHigh);
  for (const char* portal : {"portal-02", "portal-03", "portal-04"}) c.Citizens(40, portal);
  CHECK(c.level() == Level::kHigh);
}

TEST_CASE("a disconnection gives its reason's level, for 90 days", "[config][rules]") {
  struct Row {
    Reason reason;
    Level level;
    Reason shown;
  };
  const auto row = GENERATE(values<Row>({
      {Reason::kLeaReportedCybercrime, Level::kHigh,
       Reason::kLeaReportedCybercrime},                                    // VERY_HIGH, but from one operator
      {Reason::kForgedDocuments, Level::kHigh, Reason::kForgedDocuments},  // likewise
      {Reason::kFailedReverification, Level::kMedium, Reason::kFailedReverification},
      {Reason::kDisconnectedDormant, Level::kMedium, Reason::kDisconnectedDormant},
      {Reason::kTspInternalAnalysis, Level::kMedium, Reason::kTspInternalAnalysis},
      {Reason::kOtherStakeholder, Level::kMedium, Reason::kOtherStakeholder},
      {Reason::kOverLimitPerPerson, Level::kMedium, Reason::kOverLimitPerPerson},
      {Reason::kNotMyNumber, Level::kMedium, Reason::kNotMyNumber},
      {Reason::kSurrendered, Level::kNone, Reason::kSurrendered},
      {Reason::kPosBlacklist, Level::kMedium, Reason::kPosBlacklist},
      {Reason::kOrderPublicInterest, Level::kMedium, Reason::kOrderPublicInterest},
      {Reason::kRevocationList, Level::kMedium, Reason::kRevocationList},
      {Reason::kUnspecified, Level::kMedium, Reason::kOtherStakeholder},
  }));
  CAPTURE(std::string(model::Name(row.reason)));
  Case c;
  c.Disconnected(row.reason);
  CHECK(c.level() == row.level);
  CHECK(c.reasons() == std::vector<Reason>{row.shown});
  c.Wait(89 * kDay);
  CHECK(c.level() == row.level);
  c.Wait(2 * kDay);
  CHECK(c.level() == Level::kNone);
}

TEST_CASE("forged documents are VERY_HIGH once a second source says so", "[config][rules]") {
  Case c;
  c.Disconnected(Reason::kForgedDocuments, "tsp-01");
  CHECK(c.level() == Level::kHigh);
  c.Disconnected(Reason::kForgedDocuments, "tsp-02");
  CHECK(c.level() == Level::kVeryHigh);
}

TEST_CASE("no flag outlives 90 days without new evidence", "[config][rules]") {
  Case c;
  c.Fraud(Role::kLawEnforcement, "police-mh");
  c.Wait(89 * kDay);
  CHECK(c.level() == Level::kVeryHigh);
  c.Fraud(Role::kFinancialInstitution, "bank-psb-01");
  c.Wait(2 * kDay);
  CHECK(c.level() == Level::kMedium);
  c.Wait(90 * kDay);
  CHECK(c.level() == Level::kNone);
}

TEST_CASE("a spoofed number's owner is not flagged", "[config][rules]") {
  Case c;
  for (const char* bank : {"bank-psb-01", "bank-psb-02", "bank-pvt-01"}) {
    c.Take(c.Report(InputKind::kSpoofedCli, Role::kFinancialInstitution, bank));
  }
  CHECK(c.level() == Level::kNone);
}

TEST_CASE("protected identifiers are not flagged, whoever reports", "[config][rules]") {
  const auto about = GENERATE(values<model::Identifier>({
      {IdentifierType::kHelpline, "112"},
      {IdentifierType::kHelpline, "1930"},
      {IdentifierType::kService1600, "1600000000"},
      {IdentifierType::kService1600, "1601000000"},
      {IdentifierType::kTollFree, "18000000000"},
      {IdentifierType::kMobile, "+915550000199"},  // verified customer care of the example
      {IdentifierType::kUrl, "www.some.bank.in/login"},
      {IdentifierType::kEmail, "care@some.bank.in"},
      {IdentifierType::kUrl, "some.fin.in"},
  }));
  CAPTURE(about.canonical);
  Case c(about);
  c.Fraud(Role::kLawEnforcement, "police-mh");
  c.Fraud(Role::kLawEnforcement, "police-dl");
  for (int i = 0; i < 5; ++i) c.Fraud(Role::kFinancialInstitution, absl::StrCat("bank-", i));
  CHECK(c.level() == Level::kNone);
}

TEST_CASE("what only looks like a protected domain is flagged", "[config][rules]") {
  const auto host =
      GENERATE(values<std::string>({"bank.in.example", "notbank.in", "some-bank.in", "kyc-update.example/a.bank.in"}));
  CAPTURE(host);
  Case c({IdentifierType::kUrl, host});
  c.Fraud(Role::kLawEnforcement, "police-mh");
  CHECK(c.level() == Level::kVeryHigh);
}

TEST_CASE("an analyst's decision stands for 90 days", "[config][rules]") {
  Case c;
  model::Report report = c.Report(InputKind::kCorrection, Role::kAnalyst, "dot-diu");
  report.correction = {model::CorrectionKind::kSetLevel, Level::kHigh, false, "PATTERN"};
  c.Take(report);
  CHECK(c.level() == Level::kHigh);
  CHECK(c.reasons() == std::vector<Reason>{Reason::kAnalystDecision});
  c.Wait(91 * kDay);
  CHECK(c.level() == Level::kNone);
}

}  // namespace
}  // namespace hub::test
