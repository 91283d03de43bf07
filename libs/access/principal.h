// Who is calling: one mTLS identity of one stakeholder.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/report.h"
#include "libs/model/vocabulary.h"

namespace hub::access {

struct Principal {
  std::string uri;  // the certificate's one URI SAN
  std::string stakeholder;
  std::string name;
  std::string ownership_group;
  model::Role role = model::Role::kUnspecified;

  model::Reporter AsReporter() const { return {stakeholder, name, ownership_group, role}; }
};

// The parts of fraudhub://<domain>/<stakeholder>/<principal>. InvalidArgument for any other form: length > 256, NUL, percent
// encoding, empty or extra parts, a port, a query.
struct ParsedUri {
  std::string trust_domain;
  std::string stakeholder;
  std::string principal;
};
absl::StatusOr<ParsedUri> ParseHubUri(absl::string_view uri);

}  // namespace hub::access
