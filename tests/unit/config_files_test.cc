// The files of deploy/config: valid, complete, and what their generator prints.
#include <google/protobuf/descriptor.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/config/v1/edge.pb.h"
#include "fraudhub/config/v1/hub.pb.h"
#include "libs/wire/places.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"
#include "tests/unit/shipped_files.h"

namespace hub::test {
namespace {

using model::Role;

void CollectSettings(const google::protobuf::Descriptor& message, std::set<std::string>* names) {
  for (int i = 0; i < message.field_count(); ++i) {
    names->insert(message.field(i)->name());
    if (message.field(i)->message_type() != nullptr) CollectSettings(*message.field(i)->message_type(), names);
  }
}

TEST_CASE("the shipped hub.textproto parses and names every setting", "[config]") {
  const std::string text = ReadShipped("deploy/config/hub.textproto");
  fraudhub::config::v1::HubConfig config;
  const std::vector<std::string> problems = wire::ParseTextConfig(text, {}, &config);
  CAPTURE(problems);
  CHECK(problems.empty());
  CHECK(config.listen().address() == "127.0.0.1:7443");
  CHECK(config.listen().ops_address() == "127.0.0.1:9464");
  CHECK_FALSE(config.listen().insecure_for_benches());
  CHECK_FALSE(config.allow_test_range());
  CHECK_FALSE(ReadShipped(config.policy_file()).empty());
  CHECK_FALSE(ReadShipped(config.rules_file()).empty());
  std::set<std::string> settings;
  CollectSettings(*fraudhub::config::v1::HubConfig::descriptor(), &settings);
  for (const std::string& setting : settings) {
    CAPTURE(setting);
    CHECK(
        (absl::StrContains(text, absl::StrCat(setting, ": ")) || absl::StrContains(text, absl::StrCat(setting, " {"))));
  }
}

TEST_CASE("the shipped edge.textproto parses and names every setting", "[config]") {
  const std::string text = ReadShipped("deploy/config/edge.textproto");
  fraudhub::config::v1::EdgeConfig config;
  const std::vector<std::string> problems = wire::ParseTextConfig(text, {}, &config);
  CAPTURE(problems);
  CHECK(problems.empty());
  CHECK_FALSE(config.hub().insecure_for_benches());
  CHECK_FALSE(config.allow_test_range());
  std::set<std::string> settings;
  CollectSettings(*fraudhub::config::v1::EdgeConfig::descriptor(), &settings);
  for (const std::string& setting : settings) {
    CAPTURE(setting);
    CHECK(
        (absl::StrContains(text, absl::StrCat(setting, ": ")) || absl::StrContains(text, absl::StrCat(setting, " {"))));
  }
}

TEST_CASE("the shipped policy has 560 stakeholders in the real mix, the portals and the analysts", "[config][policy]") {
  const auto policy = ShippedPolicy();
  std::map<Role, int> by_role;
  std::map<std::string, int> banks;
  std::set<std::string> states;
  for (const model::StakeholderSpec& stakeholder : policy->spec().stakeholders) {
    ++by_role[stakeholder.role];
    if (absl::StartsWith(stakeholder.kind, "BANK_")) ++banks[stakeholder.kind];
    if (stakeholder.kind != "POLICE_STATE") continue;
    // As reports carry it: else filters by state would never match.
    std::string canonical;
    CAPTURE(stakeholder.id);
    CHECK(wire::CanonicalState(stakeholder.state, &canonical));
    CHECK(canonical == stakeholder.state);
    states.insert(canonical);
  }
  const int all = static_cast<int>(policy->spec().stakeholders.size());
  CHECK(all - by_role[Role::kCitizenPortal] - by_role[Role::kAnalyst] == 560);
  // research section 10: 123 banks, 265 co-operative ones, 70 lenders, 25 payment firms, 12 payment apps.
  CHECK(by_role[Role::kFinancialInstitution] == 123 + 265 + 70 + 25 + 12);
  CHECK(by_role[Role::kTelecomOperator] == 4);
  CHECK(by_role[Role::kLawEnforcement] == 36 + 10 + 1);
  CHECK(by_role[Role::kFinancialIntelligence] == 1);
  CHECK(by_role[Role::kRegulator] == 4 + 4);
  CHECK(by_role[Role::kPlatform] == 5);
  CHECK(by_role[Role::kCitizenPortal] == 4);
  CHECK(by_role[Role::kAnalyst] == 1);
  CHECK(banks["BANK_PSB"] == 12);
  CHECK(banks["BANK_PRIVATE"] == 21);
  CHECK(banks["BANK_RURAL"] == 28);
  CHECK(banks["BANK_FOREIGN"] == 44);
  CHECK(states.size() == 36);
}

TEST_CASE("who the scripts and examples name is in the shipped policy", "[config][policy]") {
  const auto policy = ShippedPolicy();
  for (const char* name : {"bank-psb-01/main", "tsp-01/main", "police-mh/main", "portal-01/main", "portal-04/main",
                           "dot-diu/analyst-1", "dot-diu/analyst-2"}) {
    CAPTURE(name);
    CHECK(policy->Identify(absl::StrCat("fraudhub://dev.hub.example/", name)).ok());
  }
  CHECK_FALSE(policy->Identify("fraudhub://dev.hub.example/dot-diu/main").ok());
}

TEST_CASE("a rural bank and its sponsor are one source", "[config][policy]") {
  const auto policy = ShippedPolicy();
  const auto rural = policy->Identify("fraudhub://dev.hub.example/bank-rrb-13/main");
  const auto sponsor = policy->Identify("fraudhub://dev.hub.example/bank-psb-01/main");
  REQUIRE((rural.ok() && sponsor.ok()));
  CHECK(rural->ownership_group == sponsor->ownership_group);
  CHECK(rural->stakeholder != sponsor->stakeholder);
}

TEST_CASE("policy.textproto is what make_policy.sh prints", "[config][policy]") {
  CHECK(RunShipped("make_policy.sh") == ReadShipped("deploy/config/policy.textproto"));
}

TEST_CASE("list_principals.sh prints every principal of the policy, in order", "[config][policy]") {
  const auto policy = ShippedPolicy();
  std::string expected;
  for (const model::StakeholderSpec& stakeholder : policy->spec().stakeholders) {
    for (const model::PrincipalSpec& principal : stakeholder.principals) {
      absl::StrAppend(&expected, stakeholder.id, "/", principal.name, "\n");
    }
  }
  CHECK(RunShipped("list_principals.sh deploy/config/policy.textproto") == expected);
}

TEST_CASE("list_principals.sh reads policies that people wrote", "[config][policy]") {
  CHECK(RunShipped(R"sh(list_principals.sh /dev/stdin <<'END'
# stakeholders { id: "in-a-comment" }
stakeholders {
  id: "bank-1"   # "quoted" in a comment
  title: "Bank {1}"
}
stakeholders: < principals { name: "a" } principals { uri: "spiffe://dev.hub.example/b" } id: 'bank-2' >
grants { rpcs: "x" }
END)sh") == "bank-1/main\nbank-2/a\n");
  CHECK(RunShipped("list_principals.sh /dev/null 2>/dev/null").empty());
}

}  // namespace
}  // namespace hub::test
