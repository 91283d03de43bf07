// The streams of all fan-out processes: each knows its own only, so every address is asked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fraudhub/v1/operations.pb.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {

struct AllStreams {
  // By stakeholder. Every process knows every named cursor: it is here once, as the process knows it that has its stream.
  std::map<std::string, fraudhub::v1::StakeholderStreams> stakeholders;
  // Why those that gave no answer gave none, in the order of addresses; empty: this is all there is.
  std::vector<absl::Status> missing;
  size_t answers = 0;

  // OK, or the first of `missing`, for the command to end with; the others are told here.
  absl::Status TellMissing(const Environment& env) const;
};

// An error: the addresses can't be asked at all.
absl::StatusOr<AllStreams> ListAllStreams(const Environment& env);

}  // namespace hub::hubctl
