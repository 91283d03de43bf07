// Lookups from a replica that this process holds itself: a LocalReplica with LocalLookup over it, as in hub-edge, without the server.
//
// Thread safety: any thread.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/client/local_lookup.h"
#include "libs/client/local_replica.h"
#include "libs/client/lookup.h"

namespace hub::client {

class InProcessLookup final : public Lookup {
 public:
  // Opens what the folder holds and begins to follow the hub. The clock outlives it. InvalidArgument: a bad address or identity;
  // FailedPrecondition: another process has the folder open; Unavailable, ResourceExhausted: of the disk. A folder that is damaged is set
  // aside, not refused.
  static absl::StatusOr<std::unique_ptr<InProcessLookup>> Open(const LocalReplicaOptions& options,
                                                               bool allow_test_range, const base::Clock* clock);
  // `timeout` counts for nothing: there is no waiting but for the disk.
  absl::StatusOr<fraudhub::v1::LookupResponse> Get(const fraudhub::v1::LookupRequest& request,
                                                   absl::Duration timeout) override;
  // Infinite: nothing is complete yet.
  absl::Duration age() const;
  const base::Metrics& metrics() const { return metrics_; }

 private:
  InProcessLookup(const LocalReplicaOptions& options, bool allow_test_range, const base::Clock* clock);

  base::Metrics metrics_;
  LocalReplica replica_;
  LocalLookup lookup_;
};

}  // namespace hub::client
