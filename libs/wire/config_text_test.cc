// Broken configuration, rules and policy files: each mistake is refused with its place, and all of a file's are told.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "fraudhub/config/v1/hub.pb.h"
#include "libs/model/policy_spec.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::wire {
namespace {

constexpr absl::string_view kRules = R"(version: 1
sources { kind: INPUT_KIND_FINANCIAL_FRAUD level: LEVEL_MEDIUM gives: REASON_OTHER_STAKEHOLDER lapse_days: 90 }
corroboration { kind: INPUT_KIND_FINANCIAL_FRAUD groups_min: 3 level: LEVEL_HIGH }
protected_identifiers { type: IDENTIFIER_TYPE_MOBILE value: "+91 555 000 0199" }
protected_domain_suffixes: ".bank.in"
)";

struct Fault {
  const char* replace;  // this in the good text
  std::string with;
  std::vector<const char*> says;  // every one of these is in the message
};

const std::vector<Fault>& RulesFaults() {
  static const auto* const kFaults = new std::vector<Fault>{
      {"version: 1", "", {"version: missing"}},
      {"version: 1", "version: 0", {"version: missing"}},
      {"version: 1", "version: -1", {"line 1, column 10", "integer"}},
      {"version: 1", "version: 18446744073709551616", {"line 1, column 10"}},
      {"version: 1", "version: 1.5", {"line 1, column 10", "integer"}},
      {"version: 1", "version: \"1\"", {"line 1, column 10", "integer"}},
      {"version: 1", "version: 1\nversion: 2", {"line 2", "version", "multiple times"}},
      {"version: 1", "verison: 1", {"line 1", "verison"}},
      {"version: 1", "version 1", {"line 1, column 9", "\":\""}},
      {"version: 1", "version:", {"line 2"}},
      {"version: 1", std::string("version: 1\0", 11), {"line 1, column 11"}},
      {"version: 1",
       "\x7f"
       "ELF\x02\x01",
       {"line 1"}},
      {"version: 1", "{\"version\": 1}", {"line 1, column 1"}},
      {"version: 1", "<version>1</version>", {"line 1, column 1"}},
      {"lapse_days: 90 }", "lapse_days: 90", {"line 3"}},
      {"lapse_days: 90 }", "lapse_days: 90 } }", {"line 2"}},
      {"lapse_days: 90", "lapse_days: -1", {"line 2", "integer"}},
      {"lapse_days: 90", "lapse_days: 4294967296", {"line 2", "out of range"}},
      {"lapse_days: 90", "lapse_days: 4294967295", {"sources[0].lapse_days: out of range"}},
      {"lapse_days: 90", "lapse_days: ninety", {"line 2", "integer"}},
      {"lapse_days: 90", "lapse_seconds: 4294967295", {"sources[0].lapse_days: out of range"}},
      {"kind: INPUT_KIND_FINANCIAL_FRAUD level", "level", {"sources[0].kind: missing"}},
      {"kind: INPUT_KIND_FINANCIAL_FRAUD level",
       "kind: INPUT_KIND_FINANCIAL level",
       {"line 2", "INPUT_KIND_FINANCIAL"}},
      {"kind: INPUT_KIND_FINANCIAL_FRAUD level", "kind: financial_fraud level", {"line 2", "financial_fraud"}},
      {"kind: INPUT_KIND_FINANCIAL_FRAUD level", "kind: 99 level", {"sources[0].kind", "number"}},
      {"level: LEVEL_MEDIUM ", "", {"sources[0].level: missing"}},
      {"level: LEVEL_MEDIUM", "level: LEVEL_UNSPECIFIED", {"sources[0].level: missing"}},
      {"level: LEVEL_MEDIUM", "level: LEVEL_EXTREME", {"line 2", "LEVEL_EXTREME"}},
      {"level: LEVEL_MEDIUM", "level: 77", {"sources[0].level", "number"}},
      {"level: LEVEL_MEDIUM", "level: -1", {"sources[0].level", "number"}},
      {"level: LEVEL_MEDIUM", "role: ROLE_BANK level: LEVEL_MEDIUM", {"line 2", "ROLE_BANK"}},
      {"level: LEVEL_MEDIUM", "role: 40 level: LEVEL_MEDIUM", {"sources[0].role", "number"}},
      {"gives: REASON_OTHER_STAKEHOLDER", "", {"sources[0].gives: missing"}},
      {"gives: REASON_OTHER_STAKEHOLDER", "gives: 1000", {"sources[0].gives", "number"}},
      {"gives: REASON_OTHER_STAKEHOLDER",
       "gives: REASON_OTHER_STAKEHOLDER reason: 1000",
       {"sources[0].reason", "number"}},
      {"sources {", "source {", {"line 2", "source"}},
      {"groups_min: 3 ", "", {"corroboration[0]: want groups_min or citizens_min"}},
      {"groups_min: 3", "groups_min: -3", {"line 3", "integer"}},
      {"level: LEVEL_HIGH", "level: LEVEL_NONE", {"corroboration[0].level: want MEDIUM to VERY_HIGH"}},
      {"level: LEVEL_HIGH", "level: 77", {"corroboration[0].level", "number"}},
      {"level: LEVEL_HIGH", "role: 40 level: LEVEL_HIGH", {"corroboration[0].role", "number"}},
      {"\".bank.in\"", "\"bank.in\"", {"protected_domain_suffixes[0]", "leading dot"}},
      {"\".bank.in\"", "\".bank.in", {"line 5"}},
      {"\".bank.in\"", ".bank.in", {"line 5"}},
      {"\".bank.in\"",
       "\".bank.in\" analysts_to_override_protection: 1",
       {"analysts_to_override_protection: want at least 2"}},
      {"\".bank.in\"", "\".bank.in\" sole_source_very_high: 99", {"sole_source_very_high", "number"}},
      {"+91 555 000 0199", "+91 555 000 019", {"protected_identifiers[0].value"}},
      {"+91 555 000 0199", "", {"protected_identifiers[0].value"}},
      {"type: IDENTIFIER_TYPE_MOBILE", "type: 99", {"protected_identifiers[0].type", "number"}},
  };
  return *kFaults;
}

TEST_CASE("The good rules are good", "[wire][config]") {
  const auto rules = ParseRules(kRules);
  CAPTURE(rules.status());
  REQUIRE(rules.ok());
  CHECK(rules->protected_identifiers.at(0).canonical == "+915550000199");
  CHECK(rules->citizens_per_portal_max == 10);
  CHECK(rules->analysts_to_override_protection == 2);
}

TEST_CASE("Each mistake in a rules file is refused with its place", "[wire][config]") {
  const size_t i = GENERATE(range(size_t{0}, RulesFaults().size()));
  const Fault& fault = RulesFaults()[i];
  REQUIRE(absl::StrContains(kRules, fault.replace));
  const std::string text = absl::StrReplaceAll(kRules, {{fault.replace, fault.with}});
  const absl::Status status = ParseRules(text).status();
  CAPTURE(i, fault.with, status);
  CHECK(absl::IsInvalidArgument(status));
  for (const char* word : fault.says) {
    CAPTURE(word);
    CHECK(absl::StrContains(status.message(), word));
  }
}

TEST_CASE("An empty rules file, rubbish and a huge one are refused", "[wire][config]") {
  CHECK(absl::StrContains(ParseRules("").status().message(), "version: missing"));
  CHECK(absl::StrContains(ParseRules("").status().message(), "sources: empty"));
  CHECK(absl::IsInvalidArgument(ParseRules(std::string(10'000'000, 'x')).status()));
  CHECK(absl::IsInvalidArgument(ParseRules(std::string(1'000'000, '{')).status()));
  CHECK(absl::IsInvalidArgument(ParseRules("version: 1 protected_domain_suffixes: \".b\xff\xfe\"").status()));
  std::string nested = "version: 1\n";
  for (int i = 0; i < 100'000; ++i) nested += "x {";
  CHECK(absl::IsInvalidArgument(ParseRules(nested).status()));
}

TEST_CASE("All mistakes of a rules file are told at once", "[wire][config]") {
  const absl::Status status = ParseRules(R"(
    sources { kind: INPUT_KIND_FINANCIAL_FRAUD }
    sources { level: LEVEL_HIGH }
    corroboration { }
    analysts_to_override_protection: 1
    protected_domain_suffixes: "bank"
    protected_identifiers { type: IDENTIFIER_TYPE_MOBILE value: "1" }
  )")
                                  .status();
  const std::vector<std::string> problems = absl::StrSplit(status.message(), '\n');
  CAPTURE(problems);
  for (const char* path : {"version", "sources[0].level", "sources[1].kind", "sources[1].gives", "corroboration[0]",
                           "corroboration[0].level", "analysts_to_override_protection", "protected_domain_suffixes[0]",
                           "protected_identifiers[0].value"}) {
    CAPTURE(path);
    CHECK(absl::StrContains(status.message(), path));
  }
  // Of what cannot be read, each line, too.
  const absl::Status unknown = ParseRules("vers: 1\nsources { kynd: 1 }\nversion: 1\n").status();
  CHECK(absl::StrContains(unknown.message(), "line 1"));
  CHECK(absl::StrContains(unknown.message(), "line 2"));
}

TEST_CASE("A policy file keeps what its owner wrote, also where it is wrong", "[wire][config]") {
  const auto policy = ParsePolicy(R"(version: 1 trust_domain: "dev.hub.example"
    stakeholders { id: "bank-1" role: 99 }
    grants { role: ROLE_ANALYST reports_per_second: -5 lookups_per_second: nan streams_max: 4294967295 }
    grants { role: ROLE_REGULATOR })");
  REQUIRE(policy.ok());  // the policy's own check, in access, refuses these values with their paths
  CHECK(static_cast<int>(policy->stakeholders.at(0).role) == 99);
  CHECK(policy->stakeholders.at(0).principals.size() == 1);
  CHECK(policy->grants.at(0).reports_per_second == -5);
  CHECK_FALSE(policy->grants.at(0).lookups_per_second == policy->grants.at(0).lookups_per_second);
  CHECK(policy->grants.at(0).streams_max == 4294967295U);
  const model::RoleGrant defaults;
  CHECK(policy->grants.at(1).reports_per_second == defaults.reports_per_second);
  CHECK(policy->grants.at(1).streams_max == defaults.streams_max);
}

TEST_CASE("What cannot be read as a policy is refused with its place", "[wire][config]") {
  const std::vector<std::pair<std::string, const char*>> texts = {
      {"version: 1\nstakeholder { id: \"a\" }", "line 2"},
      {"version: 1\nstakeholders { id: bank }", "line 2"},
      {"version: 1\nstakeholders { id: \"a\" role: ROLE_BANKER }", "line 2"},
      {"version: 1\nstakeholders { id: \"a\" id: \"b\" }", "line 2"},
      {"version: 1\ngrants { streams_max: -1 }", "line 2"},
      {"version: 1\ngrants { reports_per_second: fast }", "line 2"},
      {"version: 1\ngrants { may_see { level_min: LEVEL_LOW } }", "line 2"},
      {"version: 1\ngrants { may_see: everything }", "line 2"},
      {"version: 1\ngrants { fields: FIELD_AUDIENCE_EVERYBODY }", "line 2"},
  };
  for (const auto& [text, place] : texts) {
    const absl::Status status = ParsePolicy(text).status();
    CAPTURE(text, status);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(absl::StrContains(status.message(), place));
  }
}

TEST_CASE("Overrides say which of them is wrong", "[wire][config]") {
  const std::vector<std::pair<std::string, const char*>> overrides = {
      {"", "want path=value"},
      {"log.kind", "want path=value"},
      {"=1", "no such setting"},
      {"lag.kind=local", "--set lag.kind: no such setting"},
      {"log=local", "--set log: no such setting"},
      {"log.kind.x=1", "--set log.kind.x: no such setting"},
      {"log.=1", "no such setting"},
      {"log.partitions=many", "--set log.partitions: want a value of type"},
      {"log.partitions=1e3", "--set log.partitions: want a value of type"},
      {"log.partitions=99999999999", "--set log.partitions: want a value of type"},
      {"log.partitions=", "--set log.partitions: want a value of type"},
      {"allow_test_range=perhaps", "--set allow_test_range: want a value of type"},
      {"fanout.segment_bytes_max=1GB", "--set fanout.segment_bytes_max: want a value of type"},
  };
  std::vector<std::string> all;
  for (const auto& [text, problem] : overrides) {
    fraudhub::config::v1::HubConfig config;
    const std::vector<std::string> problems = ParseTextConfig("", {text}, &config);
    CAPTURE(text, problems);
    REQUIRE(problems.size() == 1);
    CHECK(absl::StrContains(problems[0], problem));
    all.push_back(text);
  }
  fraudhub::config::v1::HubConfig config;
  CHECK(ParseTextConfig("data_dir: 5\nx: 1", all, &config).size() >= all.size() + 1);
  CHECK(ParseTextConfig("", {"log.partitions=7", "data_dir=a=b", "allow_test_range=true"}, &config).empty());
  CHECK(config.log().partitions() == 7);
  CHECK(config.data_dir() == "a=b");
  CHECK(config.allow_test_range());
}

}  // namespace
}  // namespace hub::wire
