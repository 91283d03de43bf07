#include "services/hub/take_all.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "services/hub/retry.h"

namespace hub::hub_service {

absl::Status TakeAllPartitions(registry_service::RegistryApp* registry, eventlog::Log* log, int32_t partitions,
                               const base::Clock* clock, absl::Duration timeout) {
  std::set<int32_t> all;
  bool fresh = false;  // some partition never saw a record, so no rules either
  for (int32_t i = 0; i < partitions; ++i) {
    all.insert(i);
    HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, RetryUnavailable(clock, timeout, [&] {
                           return log->Offsets({eventlog::kReportsTopic, i});
                         }));
    fresh = fresh || range.end == 0;
  }
  registry->Assign(all);
  if (registry->WaitForRules(timeout)) return absl::OkStatus();
  if (!fresh) {
    HUB_LOG(WARN, "registry_not_running_yet", {{"why", "it takes over or rebuilds; /readyz says when it is done"}});
    return absl::OkStatus();
  }
  std::string why = "no error so far";
  for (const registry_service::PartitionStatus& status : registry->Status()) {
    if (!status.last_error.ok()) why = status.last_error.ToString();
  }
  return absl::UnavailableError(
      absl::StrCat("the rules can't be put on the log (", why, "): check disk space or the brokers"));
}

}  // namespace hub::hub_service
