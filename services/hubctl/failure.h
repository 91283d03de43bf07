// How a command ends: exit codes, and what is said about an error.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hub::hubctl {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNotAllowed = 3,    // not allowed, or over quota
  kUnreachable = 4,   // unreachable, or timed out
  kSomeRejected = 5,  // some rows were rejected; the others are in
};

// The caller typed something wrong.
absl::Status Usage(absl::string_view message);
// REQUIRES: !status.ok().
ExitCode ExitCodeFor(const absl::Status& status);
// The same, and whom was asked: for a call that doesn't go to --server.
absl::Status At(absl::string_view server, absl::Status status);
// One line for a person: "localhost:7443 can't be reached: ..."; refusals with their code and field. `server`: where At doesn't tell.
std::string Describe(const absl::Status& status, absl::string_view server);

}  // namespace hub::hubctl
