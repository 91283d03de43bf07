// What a new replica answers from while its snapshot runs: the hub's compact set of its view's verdicts (LookupService.GetVerdictSet).
//
// The parts of a set are taken in as they come, each checked against the hub's hash; a call that breaks is gone on with after the last
// whole part. Nothing of it is kept on disk: after a restart it is fetched again if it is still needed.
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/replica/verdict_set.h"

namespace fraudhub::v1 {
class GetVerdictSetRequest;
class GetVerdictSetResponse;
}  // namespace fraudhub::v1

namespace hub::client {

// Immutable.
struct FirstVerdicts {
  replica::VerdictSet set;
  replica::SetDigest digest;
  absl::Time complete_until;  // of the part that was read first
  absl::Time read_until;      // the hub's clock after the part that was read last
  // The hub's clock was no later than this one when this machine's monotonic clock stood so.
  absl::Time hub_time;
  absl::Duration at;

  absl::Time HubNow(absl::Duration monotonic) const { return hub_time + (monotonic - at); }
};

class VerdictCollector {
 public:
  static constexpr size_t kVerdictsMax = 32'000'000;  // 256 MB while they are collected; of more no set is made

  // Sets from where to go on, or to begin. `monotonic`: now.
  void Ask(absl::Duration monotonic, fraudhub::v1::GetVerdictSetRequest* request);
  // DataLoss: not what the hub made, the part is to come again; FailedPrecondition: more than kVerdictsMax.
  absl::Status Take(const fraudhub::v1::GetVerdictSetResponse& response);
  bool whole() const { return parts_ > 0 && part_ == parts_; }
  // Begins afresh after it. REQUIRES: whole().
  absl::StatusOr<FirstVerdicts> Finish();
  void Reset() { *this = VerdictCollector(); }

 private:
  uint32_t parts_ = 0, part_ = 0;  // of the set; that come next
  std::vector<replica::PackedVerdict> verdicts_;
  size_t whole_ = 0;  // of them, in whole parts
  replica::SetDigest digest_;
  absl::Time complete_until_ = absl::InfiniteFuture(), read_until_ = absl::InfinitePast();
  absl::Time hub_time_ = absl::InfinitePast();
  absl::Duration asked_;
};

}  // namespace hub::client
