// What a policy decides, on a small one: who the caller is, what it may call, say, see and look up.
#include "libs/access/policy.h"

#include <atomic>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/thread.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::access {
namespace {

using model::Facet;
using model::FieldAudience;
using model::IdentifierType;
using model::InputKind;
using model::RefusalCode;
using model::Role;

constexpr char kBank[] = "fraudhub://dev.hub.example/bank-1/main";
constexpr char kOperator[] = "spiffe://dev.hub.example/ns/prod/sa/operator";
constexpr char kPolice[] = "fraudhub://dev.hub.example/police-mh/main";
constexpr char kPortal[] = "fraudhub://dev.hub.example/portal-1/main";
constexpr char kAnalyst[] = "fraudhub://dev.hub.example/diu/analyst-1";
constexpr char kNobodysRole[] = "fraudhub://dev.hub.example/platform-1/main";

model::PolicySpec Spec() {
  model::PolicySpec spec;
  spec.version = 7;
  spec.trust_domain = "dev.hub.example";
  const auto add = [&](const char* id, Role role, std::vector<model::PrincipalSpec> principals,
                       const char* group = "") {
    spec.stakeholders.push_back(
        {.id = id, .title = id, .role = role, .ownership_group = group, .principals = std::move(principals)});
  };
  add("bank-1", Role::kFinancialInstitution, {{"main", ""}, {"batch", ""}}, "group-1");
  add("tsp-1", Role::kTelecomOperator, {{"main", kOperator}});
  add("police-mh", Role::kLawEnforcement, {{"main", ""}});
  add("portal-1", Role::kCitizenPortal, {{"main", ""}});
  add("diu", Role::kAnalyst, {{"analyst-1", ""}, {"analyst-2", ""}});
  add("platform-1", Role::kPlatform, {{"main", ""}});  // no grant for this role

  model::FilterClause flags;
  flags.facets = {Facet::kRisk};
  flags.level_min = model::Level::kMedium;
  spec.grants.push_back({.role = Role::kFinancialInstitution,
                         .rpcs = {"ReportService.SubmitReports", "LookupService.Lookup"},
                         .may_report = {InputKind::kFinancialFraud, InputKind::kCorrection},
                         .may_see = {flags},
                         .may_look_up = {IdentifierType::kMobile, IdentifierType::kUpiAddress},
                         .reports_per_second = 50});
  model::FilterClause own;
  own.operator_ids = {"$self"};
  spec.grants.push_back({.role = Role::kTelecomOperator,
                         .rpcs = {"SubscriptionService.Subscribe"},
                         .may_report = {InputKind::kDisconnected},
                         .may_see = {own},
                         .fields = {FieldAudience::kTelecom}});
  model::FilterClause traces;
  traces.facets = {Facet::kTrace};
  traces.handling_units = {"$self"};
  spec.grants.push_back({.role = Role::kLawEnforcement,
                         .rpcs = {"ReportService.SubmitReports"},
                         .may_report = {InputKind::kFinancialFraud, InputKind::kHandsetLost},
                         .may_see = {flags, traces},
                         .fields = {FieldAudience::kLawEnforcement}});
  spec.grants.push_back({.role = Role::kCitizenPortal,
                         .rpcs = {"ReportService.SubmitReports"},
                         .may_report = {InputKind::kSuspectedCommunication, InputKind::kHandsetLost}});
  spec.grants.push_back({.role = Role::kAnalyst,
                         .rpcs = {"OperationsService.Correct"},
                         .may_report = {InputKind::kCorrection},
                         .may_see = {model::FilterClause()},
                         .fields = {FieldAudience::kAnalyst}});
  return spec;
}

std::shared_ptr<const Policy> Build(model::PolicySpec spec = Spec()) {
  auto policy = Policy::Build(std::move(spec));
  INFO(policy.status().ToString());
  REQUIRE(policy.ok());
  return *std::move(policy);
}

Principal Caller(const Policy& policy, absl::string_view uri) {
  const auto caller = policy.Identify(uri);
  REQUIRE(caller.ok());
  return *caller;
}

RefusalCode CodeOf(const absl::Status& status) {
  const auto refusal = model::RefusalOf(status);
  return refusal.has_value() ? refusal->code : RefusalCode::kUnspecified;
}

TEST_CASE("a URI SAN of the policy is its principal", "[access][identity]") {
  const auto policy = Build();
  const Principal bank = Caller(*policy, kBank);
  CHECK(bank.uri == kBank);
  CHECK(bank.stakeholder == "bank-1");
  CHECK(bank.name == "main");
  CHECK(bank.ownership_group == "group-1");
  CHECK(bank.role == Role::kFinancialInstitution);
  CHECK(bank.AsReporter() == model::Reporter{"bank-1", "main", "group-1", Role::kFinancialInstitution});
  CHECK(Caller(*policy, "fraudhub://dev.hub.example/bank-1/batch").name == "batch");
  // Without an ownership group a stakeholder is its own.
  CHECK(Caller(*policy, kPolice).ownership_group == "police-mh");
}

TEST_CASE("a SPIFFE id stands for the principal that the policy gives it to, which has no other name",
          "[access][identity]") {
  const auto policy = Build();
  CHECK(Caller(*policy, kOperator).stakeholder == "tsp-1");
  CHECK_FALSE(policy->Identify("fraudhub://dev.hub.example/tsp-1/main").ok());
}

// Which of several URI SANs would count is decided before: libs/rpc/tls.h refuses certificates with none or two.
TEST_CASE("any other text is nobody", "[access][identity]") {
  const auto policy = Build();
  const auto uri = GENERATE(values<std::string>({
      "",
      "bank-1",
      "fraudhub://other.example/bank-1/main",                     // another trust domain
      "spiffe://other.example/ns/prod/sa/operator",               // likewise
      "spiffe://dev.hub.example/ns/prod/sa/operator2",            // one that nobody has
      "spiffe://dev.hub.example/ns/prod/sa",                      // a prefix of one
      "fraudhub://dev.hub.example/bank-1/other",                  // an unknown principal
      "fraudhub://dev.hub.example/bank-2/main",                   // an unknown stakeholder
      "fraudhub://dev.hub.example/bank-1/main/",                  // nearly
      "fraudhub://dev.hub.example/BANK-1/main",                   // likewise
      "fraudhub://dev.hub.example/bank-1/main,fraudhub://x/y/z",  // two
      "fraudhub://dev.hub.example/bank-1/mainfraudhub://dev.hub.example/diu/analyst-1",
  }));
  CAPTURE(uri);
  const auto caller = policy->Identify(uri);
  CHECK(CodeOf(caller.status()) == RefusalCode::kUnauthenticated);
}

TEST_CASE("a denied URI is nobody, also to a caller that was identified before", "[access][identity]") {
  const Principal before = Caller(*Build(), kBank);
  model::PolicySpec spec = Spec();
  spec.denied_uris = {kBank};
  const auto policy = Build(spec);
  CHECK(CodeOf(policy->Identify(kBank).status()) == RefusalCode::kUnauthenticated);
  CHECK(CodeOf(policy->AuthorizeRpc(before, "LookupService.Lookup")) == RefusalCode::kUnauthenticated);
  // One identity of a stakeholder, not the stakeholder.
  CHECK(policy->Identify("fraudhub://dev.hub.example/bank-1/batch").ok());
}

TEST_CASE("a role may call what it was granted", "[access][rpc]") {
  const auto policy = Build();
  const Principal bank = Caller(*policy, kBank);
  CHECK(policy->AuthorizeRpc(bank, "LookupService.Lookup").ok());
  for (const char* rpc : {"OperationsService.Correct", "LookupService.Look", "LookupService.LookupX", "Lookup", ""}) {
    CAPTURE(rpc);
    CHECK(CodeOf(policy->AuthorizeRpc(bank, rpc)) == RefusalCode::kNotEntitled);
  }
}

TEST_CASE("a role without a grant may do nothing", "[access][default-deny]") {
  const auto policy = Build();
  const Principal caller = Caller(*policy, kNobodysRole);
  for (const std::string& rpc : AllRpcs()) CHECK_FALSE(policy->AuthorizeRpc(caller, rpc).ok());
  for (int kind = 0; kind <= model::kInputKindMax; ++kind) {
    model::Report report;
    report.kind = static_cast<InputKind>(kind);
    CHECK(CodeOf(policy->AuthorizeReport(caller, report)) == RefusalCode::kNotEntitled);
  }
  CHECK(policy->Entitlement(caller).matches_nothing());
  CHECK(policy->Fields(caller).empty());
  for (int type = 0; type <= model::kIdentifierTypeMax; ++type) {
    CHECK_FALSE(policy->MayLookUp(caller, static_cast<IdentifierType>(type)));
  }
}

TEST_CASE("a caller that this policy doesn't know in its role may do nothing", "[access][default-deny]") {
  const auto policy = Build();
  Principal stranger = Caller(*policy, kBank);
  SECTION("another stakeholder") { stranger.stakeholder = "bank-9"; }
  SECTION("another role") { stranger.role = Role::kAnalyst; }
  SECTION("no role") { stranger.role = Role::kUnspecified; }
  CHECK_FALSE(policy->AuthorizeRpc(stranger, "LookupService.Lookup").ok());
  CHECK_FALSE(policy->AuthorizeRpc(stranger, "OperationsService.Correct").ok());
  model::Report report;
  report.kind = InputKind::kFinancialFraud;
  CHECK_FALSE(policy->AuthorizeReport(stranger, report).ok());
  CHECK(policy->Entitlement(stranger).matches_nothing());
  CHECK(policy->Fields(stranger).empty());
  CHECK_FALSE(policy->MayLookUp(stranger, IdentifierType::kMobile));
}

TEST_CASE("a role may report the kinds that it was granted", "[access][report]") {
  const auto policy = Build();
  model::Report report;
  report.kind = InputKind::kFinancialFraud;
  CHECK(policy->AuthorizeReport(Caller(*policy, kBank), report).ok());
  const absl::Status refused = policy->AuthorizeReport(Caller(*policy, kOperator), report);
  CHECK(CodeOf(refused) == RefusalCode::kNotEntitled);
  CHECK(model::RefusalOf(refused)->field == "kind");
}

TEST_CASE("cases, victims and units come from law enforcement only", "[access][report]") {
  const auto policy = Build();
  model::Report report;
  report.kind = InputKind::kFinancialFraud;
  std::string field;
  SECTION("case") { report.case_ref = field = "case_ref"; }
  SECTION("victim") { report.victim_phone = field = "victim_phone"; }
  SECTION("unit") { report.handling_unit = field = "handling_unit"; }
  CHECK(policy->AuthorizeReport(Caller(*policy, kPolice), report).ok());
  const absl::Status refused = policy->AuthorizeReport(Caller(*policy, kBank), report);
  CHECK(CodeOf(refused) == RefusalCode::kNotEntitled);
  CHECK(model::RefusalOf(refused)->field == field);
}

TEST_CASE("a portal names the unit that registered a lost handset, and in no other report", "[access][report]") {
  const auto policy = Build();
  const Principal portal = Caller(*policy, kPortal);
  model::Report report;
  report.handling_unit = "police-mh";
  report.kind = InputKind::kHandsetLost;
  CHECK(policy->AuthorizeReport(portal, report).ok());
  report.kind = InputKind::kSuspectedCommunication;
  CHECK(model::RefusalOf(policy->AuthorizeReport(portal, report))->field == "handling_unit");
}

TEST_CASE("reporters retract, analysts correct", "[access][report]") {
  const auto policy = Build();
  model::Report report;
  report.kind = InputKind::kCorrection;
  for (const auto kind : {model::CorrectionKind::kCleared, model::CorrectionKind::kRetracted,
                          model::CorrectionKind::kRescinded, model::CorrectionKind::kSetLevel}) {
    CAPTURE(std::string(model::Name(kind)));
    report.correction.kind = kind;
    CHECK(policy->AuthorizeReport(Caller(*policy, kAnalyst), report).ok());
    CHECK(policy->AuthorizeReport(Caller(*policy, kBank), report).ok() == (kind == model::CorrectionKind::kRetracted));
  }
}

TEST_CASE("a role sees the rows of any of its clauses", "[access][rows]") {
  const auto policy = Build();
  model::Attributes row;
  row.facet = Facet::kRisk;
  row.level = model::Level::kMedium;
  CHECK(policy->Entitlement(Caller(*policy, kBank)).Matches(row));
  CHECK(policy->Entitlement(Caller(*policy, kPolice)).Matches(row));
  row.level = model::Level::kNone;
  CHECK_FALSE(policy->Entitlement(Caller(*policy, kBank)).Matches(row));
  CHECK(policy->Entitlement(Caller(*policy, kAnalyst)).Matches(row));
  CHECK(policy->Entitlement(Caller(*policy, kPortal)).matches_nothing());
}

TEST_CASE("$self is the caller's stakeholder", "[access][rows]") {
  const auto policy = Build();
  model::Attributes row;
  row.facet = Facet::kTrace;
  row.operator_id = "tsp-1";
  row.handling_units = {"police-dl", "police-mh"};
  CHECK(policy->Entitlement(Caller(*policy, kOperator)).Matches(row));
  CHECK(policy->Entitlement(Caller(*policy, kPolice)).Matches(row));
  for (const char* other : {"tsp-2", "$self", "main", ""}) {
    row.operator_id = other;
    row.handling_units = {other};
    CHECK_FALSE(policy->Entitlement(Caller(*policy, kOperator)).Matches(row));
    CHECK_FALSE(policy->Entitlement(Caller(*policy, kPolice)).Matches(row));
  }
  // The grant itself stays as it was written.
  CHECK(policy->Grant(Role::kTelecomOperator).may_see[0].operator_ids == std::vector<std::string>{"$self"});
}

TEST_CASE("audiences nest", "[access][fields]") {
  const auto policy = Build();
  using A = FieldAudience;
  CHECK(policy->Fields(Caller(*policy, kBank)).empty());
  CHECK(policy->Fields(Caller(*policy, kOperator)) == std::vector<A>{A::kTelecom});
  CHECK(policy->Fields(Caller(*policy, kPolice)) == std::vector<A>{A::kTelecom, A::kLawEnforcement});
  CHECK(policy->Fields(Caller(*policy, kAnalyst)) == std::vector<A>{A::kTelecom, A::kLawEnforcement, A::kAnalyst});
}

TEST_CASE("a role looks up the types that it was granted", "[access][lookup]") {
  const auto policy = Build();
  const Principal bank = Caller(*policy, kBank);
  CHECK(policy->MayLookUp(bank, IdentifierType::kMobile));
  CHECK_FALSE(policy->MayLookUp(bank, IdentifierType::kImsi));
  CHECK_FALSE(policy->MayLookUp(bank, IdentifierType::kUnspecified));
  CHECK_FALSE(policy->MustGivePurpose(bank));
  CHECK(policy->MustGivePurpose(Caller(*policy, kPolice)));
  CHECK(policy->MustGivePurpose(Caller(*policy, kAnalyst)));
}

TEST_CASE("grants keep their rates, a role without one has none to use", "[access]") {
  const auto policy = Build();
  CHECK(policy->Grant(Role::kFinancialInstitution).reports_per_second == 50);
  CHECK(policy->Grant(Role::kPlatform).rpcs.empty());
  CHECK(policy->Grant(static_cast<Role>(99)).rpcs.empty());
  CHECK(policy->version() == 7);
}

TEST_CASE("a new policy counts from the next question on, who still holds the old one keeps it whole",
          "[access][swap]") {
  PolicyHolder holder(Build());
  const std::shared_ptr<const Policy> old = holder.Get();
  const Principal bank = Caller(*old, kBank);
  model::PolicySpec spec = Spec();
  spec.version = 8;
  spec.grants[0].rpcs = {"ReportService.SubmitReports"};
  holder.Set(Build(spec));
  CHECK(old->AuthorizeRpc(bank, "LookupService.Lookup").ok());
  CHECK_FALSE(holder.Get()->AuthorizeRpc(bank, "LookupService.Lookup").ok());
  CHECK(holder.Get()->AuthorizeRpc(bank, "ReportService.SubmitReports").ok());
  CHECK(holder.Get()->version() == 8);
}

TEST_CASE("a policy may be swapped while others ask it", "[access][swap][threads]") {
  model::PolicySpec spec = Spec();
  spec.version = 8;
  PolicyHolder holder(Build(spec));
  std::atomic<int> wrong = 0;
  std::atomic<int> asked = 0;
  {
    std::vector<base::Thread> askers;
    for (int i = 0; i < 4; ++i) {
      askers.emplace_back("asker", [&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          const auto policy = holder.Get();
          const auto caller = policy->Identify(kBank);
          // Even versions grant lookups, odd ones don't: never a mixture.
          if (!caller.ok() ||
              policy->AuthorizeRpc(*caller, "LookupService.Lookup").ok() != (policy->version() % 2 == 0)) {
            ++wrong;
          }
          ++asked;
        }
      });
    }
    for (uint64_t version = 9; version < 200 || asked < 1000; ++version) {
      spec.version = version;
      spec.grants[0].rpcs = {version % 2 == 0 ? "LookupService.Lookup" : "ReportService.SubmitReports"};
      holder.Set(Build(spec));
    }
    for (base::Thread& thread : askers) thread.RequestStop();
  }
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace hub::access
