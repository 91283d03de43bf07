// What every server of lookups checks and says alike, at the hub and at the edge. Plain functions.
#pragma once

#include "absl/status/status.h"

namespace fraudhub::v1 {
class LookupRequest;
class LookupResult;
}  // namespace fraudhub::v1

namespace hub::wire {

// Refuse(kMissing or kTooManyItems): want 1 to 1,000 identifiers.
absl::Status CheckLookup(const fraudhub::v1::LookupRequest& request);
// INVALID, and why, for an identifier that was refused.
void SetInvalid(const absl::Status& refused, fraudhub::v1::LookupResult* result);

}  // namespace hub::wire
