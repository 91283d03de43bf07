#include "libs/client/in_process_lookup.h"

#include <algorithm>

#include "fraudhub/v1/lookup.pb.h"
#include "libs/base/status_macros.h"
#include "libs/client/connection.h"

namespace hub::client {

InProcessLookup::InProcessLookup(const LocalReplicaOptions& options, bool allow_test_range, const base::Clock* clock)
    : replica_(options, clock, &metrics_),
      lookup_(
          LocalLookupParts{[this] { return replica_.view(); }, clock, &metrics_, options.age_max, allow_test_range}) {}

absl::StatusOr<std::unique_ptr<InProcessLookup>> InProcessLookup::Open(const LocalReplicaOptions& options,
                                                                       bool allow_test_range,
                                                                       const base::Clock* clock) {
  if (options.data_dir.empty()) return absl::InvalidArgumentError("folder: want one for the replica");
  if (options.age_max <= absl::ZeroDuration()) return absl::InvalidArgumentError("age_max: want more than nothing");
  for (const ConnectionOptions& connection : {options.hub, options.query}) {
    HUB_RETURN_IF_ERROR(Channels::Make(connection).status());
  }
  std::unique_ptr<InProcessLookup> lookup(new InProcessLookup(options, allow_test_range, clock));
  const absl::Status opened = lookup->replica_.Open();
  if (!opened.ok() && !absl::IsDataLoss(opened)) return opened;
  lookup->replica_.Start();
  return lookup;
}

absl::StatusOr<fraudhub::v1::LookupResponse> InProcessLookup::Get(const fraudhub::v1::LookupRequest& request,
                                                                  absl::Duration /*timeout*/) {
  fraudhub::v1::LookupResponse response;
  HUB_RETURN_IF_ERROR(lookup_.Lookup(request, &response));
  return response;
}

absl::Duration InProcessLookup::age() const {
  const std::shared_ptr<const LocalView> view = replica_.view();
  if (view == nullptr) return absl::InfiniteDuration();
  const absl::Duration age = view->freshness().age;
  const std::shared_ptr<const FirstVerdicts> first = view->first_verdicts();
  return first == nullptr ? age : std::min(age, view->FreshnessOf(*first).age);
}

}  // namespace hub::client
