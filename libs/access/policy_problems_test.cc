// Everything that is wrong with a policy is told at once, each with its place.
#include "libs/access/policy_problems.h"

#include <functional>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/access/policy.h"
#include "tests/catch.h"

namespace hub::access {
namespace {

using model::Role;

model::PolicySpec Good() {
  model::PolicySpec spec;
  spec.version = 1;
  spec.trust_domain = "dev.hub.example";
  spec.stakeholders.push_back(
      {.id = "bank-1", .title = "Bank 1", .role = Role::kFinancialInstitution, .principals = {{"main", ""}}});
  spec.stakeholders.push_back({.id = "police-mh",
                               .title = "Police MH",
                               .role = Role::kLawEnforcement,
                               .state = "MH",
                               .principals = {{"main", ""}}});
  model::FilterClause own;
  own.handling_units = {"$self"};
  spec.grants.push_back({.role = Role::kLawEnforcement, .rpcs = {"LookupService.Lookup"}, .may_see = {own}});
  return spec;
}

struct Fault {
  const char* problem;  // how the one problem begins
  std::function<void(model::PolicySpec*)> plant;
};

const std::vector<Fault>& Faults() {
  using Spec = model::PolicySpec;
  static const auto* const kFaults = new std::vector<Fault>{
      {"version: ", [](Spec* s) { s->version = 0; }},
      {"trust_domain: ", [](Spec* s) { s->trust_domain = ""; }},
      {"trust_domain: ", [](Spec* s) { s->trust_domain = "Dev/Hub"; }},
      {"stakeholders[0].id: ", [](Spec* s) { s->stakeholders[0].id = "Bank 1"; }},
      {"stakeholders[\"bank-1\"].title: ", [](Spec* s) { s->stakeholders[0].title = std::string(129, 'x'); }},
      {"stakeholders[\"bank-1\"].role: ", [](Spec* s) { s->stakeholders[0].role = Role::kUnspecified; }},
      {"stakeholders[\"bank-1\"].role: ", [](Spec* s) { s->stakeholders[0].role = static_cast<Role>(99); }},
      {"stakeholders[\"bank-1\"].ownership_group: ", [](Spec* s) { s->stakeholders[0].ownership_group = "A B"; }},
      {"stakeholders[\"police-mh\"].state: ", [](Spec* s) { s->stakeholders[1].state = "mh"; }},
      {"stakeholders[\"bank-1\"].principals: ", [](Spec* s) { s->stakeholders[0].principals.clear(); }},
      {"stakeholders[\"bank-1\"].principals[0].uri: ",
       [](Spec* s) { s->stakeholders[0].principals[0].uri = "spiffe://other.example/bank"; }},
      {"stakeholders[\"bank-1\"].principals[0].uri: ",
       [](Spec* s) { s->stakeholders[0].principals[0].uri = "fraudhub://other.example/bank-1/main"; }},
      {"stakeholders[\"bank-1\"].principals[0].uri: ",
       [](Spec* s) { s->stakeholders[0].principals[0].uri = "https://dev.hub.example/bank-1/main"; }},
      {"stakeholders[\"bank-1\"].principals[0].uri: ",
       [](Spec* s) { s->stakeholders[0].principals[0].uri = "spiffe://dev.hub.example/" + std::string(256, 'a'); }},
      {"stakeholders[\"bank-1\"].principals[1]: ",
       [](Spec* s) {
         s->stakeholders[0].principals.push_back({"main", ""});
       }},
      {"stakeholders[\"police-mh\"].principals[0]: ",
       [](Spec* s) { s->stakeholders[1].principals[0].uri = "fraudhub://dev.hub.example/bank-1/main"; }},
      {"grants[0].role: ", [](Spec* s) { s->grants[0].role = Role::kUnspecified; }},
      {"grants[1].role: ", [](Spec* s) { s->grants.push_back({.role = Role::kLawEnforcement}); }},
      {"grants[0].rpcs: ", [](Spec* s) { s->grants[0].rpcs = {"LookupService.Lookop"}; }},
      {"grants[0].may_report: ", [](Spec* s) { s->grants[0].may_report = {model::InputKind::kUnspecified}; }},
      {"grants[0].may_report: ", [](Spec* s) { s->grants[0].may_report = {static_cast<model::InputKind>(13)}; }},
      {"grants[0].may_see[0].facets", [](Spec* s) { s->grants[0].may_see[0].facets = {model::Facet::kUnspecified}; }},
      {"grants[0].may_see[0].types",
       [](Spec* s) { s->grants[0].may_see[0].types = {static_cast<model::IdentifierType>(22)}; }},
      {"grants[0].may_see[0].reasons",
       [](Spec* s) { s->grants[0].may_see[0].reasons = {static_cast<model::Reason>(17)}; }},
      {"grants[0].may_see[0].level_min",
       [](Spec* s) { s->grants[0].may_see[0].level_min = static_cast<model::Level>(9); }},
      {"grants[0].may_see[0].case_refs", [](Spec* s) { s->grants[0].may_see[0].case_refs = {"$self"}; }},
      {"grants[0].may_see[0].operator_ids", [](Spec* s) { s->grants[0].may_see[0].operator_ids = {"$SELF"}; }},
      {"grants[0].may_see[0].handling_units", [](Spec* s) { s->grants[0].may_see[0].handling_units = {""}; }},
      {"grants[0].fields: ", [](Spec* s) { s->grants[0].fields = {model::FieldAudience::kInput}; }},
      {"grants[0].may_look_up: ", [](Spec* s) { s->grants[0].may_look_up = {model::IdentifierType::kUnspecified}; }},
      {"grants[0].reports_per_second: ", [](Spec* s) { s->grants[0].reports_per_second = -1; }},
      {"grants[0].reports_per_second: ",
       [](Spec* s) { s->grants[0].reports_per_second = std::numeric_limits<double>::quiet_NaN(); }},
      {"grants[0].lookups_per_second: ", [](Spec* s) { s->grants[0].lookups_per_second = 1e9; }},
      {"grants[0].streams_max: ", [](Spec* s) { s->grants[0].streams_max = 0; }},
      {"denied_uris[0]: ", [](Spec* s) { s->denied_uris = {"bank-1"}; }},
  };
  return *kFaults;
}

TEST_CASE("a good policy has no problems", "[access][problems]") { CHECK(Problems(Good()).empty()); }

TEST_CASE("each mistake in a policy is found and named", "[access][problems]") {
  const size_t i = GENERATE(range(size_t{0}, Faults().size()));
  const Fault& fault = Faults()[i];
  model::PolicySpec spec = Good();
  fault.plant(&spec);
  const std::vector<std::string> problems = Problems(spec);
  CAPTURE(i, fault.problem, problems);
  REQUIRE(problems.size() == 1);
  CHECK(absl::StartsWith(problems[0], fault.problem));
  CHECK(absl::IsInvalidArgument(Policy::Build(spec).status()));
}

TEST_CASE("two stakeholders of one id are found", "[access][problems]") {
  model::PolicySpec spec = Good();
  spec.stakeholders[1].id = "bank-1";
  const std::vector<std::string> problems = Problems(spec);
  CAPTURE(problems);
  REQUIRE(problems.size() == 2);  // the id and with it the URI
  CHECK(absl::StrContains(problems[0], "taken by another stakeholder"));
  CHECK(absl::StrContains(problems[1], "taken by another principal"));
}

TEST_CASE("all mistakes are told at once, one a line", "[access][problems]") {
  model::PolicySpec spec = Good();
  spec.version = 0;
  spec.stakeholders[0].role = Role::kUnspecified;
  spec.stakeholders[1].state = "Maharashtra";
  spec.grants[0].rpcs = {"Nothing.AtAll"};
  spec.grants[0].streams_max = 0;
  spec.denied_uris = {"x"};
  const absl::Status status = Policy::Build(spec).status();
  CHECK(absl::IsInvalidArgument(status));
  const std::vector<std::string> lines = absl::StrSplit(status.message(), '\n');
  CAPTURE(lines);
  CHECK(lines.size() == 6);
}

}  // namespace
}  // namespace hub::access
