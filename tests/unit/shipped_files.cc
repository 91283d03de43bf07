#include "tests/unit/shipped_files.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::test {

std::string ReadShipped(const std::string& path) {
  std::ifstream file(absl::StrCat(HUB_SOURCE_DIR, "/", path), std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string RunShipped(const std::string& script_and_arguments) {
  const std::string command = absl::StrCat("cd '", HUB_SOURCE_DIR, "' && deploy/config/", script_and_arguments);
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  std::array<char, 4096> buffer;
  for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), n);
  return pclose(pipe) == 0 ? output : "";
}

std::shared_ptr<const access::Policy> ShippedPolicy() {
  absl::StatusOr<model::PolicySpec> spec = wire::ParsePolicy(ReadShipped("deploy/config/policy.textproto"));
  INFO(spec.status().ToString());
  REQUIRE(spec.ok());
  auto policy = access::Policy::Build(*std::move(spec));
  INFO(policy.status().ToString());
  REQUIRE(policy.ok());
  return *std::move(policy);
}

model::Rules ShippedRules() {
  absl::StatusOr<model::Rules> rules = wire::ParseRules(ReadShipped("deploy/config/rules.textproto"));
  INFO(rules.status().ToString());
  REQUIRE(rules.ok());
  return *std::move(rules);
}

access::Principal SomebodyWith(const access::Policy& policy, model::Role role) {
  const model::PolicySpec& spec = policy.spec();
  for (const model::StakeholderSpec& stakeholder : spec.stakeholders) {
    if (stakeholder.role != role) continue;
    auto caller = policy.Identify(
        absl::StrCat("fraudhub://", spec.trust_domain, "/", stakeholder.id, "/", stakeholder.principals.at(0).name));
    REQUIRE(caller.ok());
    return *std::move(caller);
  }
  FAIL("nobody in the shipped policy has the role " << std::string(model::Name(role)));
  return {};
}

}  // namespace hub::test
