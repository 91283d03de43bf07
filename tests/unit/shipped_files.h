// The configuration files that ship in deploy/config, read and parsed; for tests. A file with a problem fails the test that asks for it.
//
// Thread safety: plain functions.
#pragma once

#include <memory>
#include <string>

#include "libs/access/policy.h"
#include "libs/model/rules.h"

namespace hub::test {

// `path` from the top of the tree; empty when it can't be read.
std::string ReadShipped(const std::string& path);
// What a script of deploy/config prints, with `arguments` as a shell would read them. Empty when it fails.
std::string RunShipped(const std::string& script_and_arguments);

std::shared_ptr<const access::Policy> ShippedPolicy();
model::Rules ShippedRules();

// The first principal of the first stakeholder with this role.
access::Principal SomebodyWith(const access::Policy& policy, model::Role role);

}  // namespace hub::test
