// What became of a caller's own reports, from the replica. Plain function; blocks on the local database.
#pragma once

#include "absl/status/status.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/access/policy.h"
#include "libs/replica/replica.h"

namespace hub::ingest {

absl::Status GetReportStatus(const replica::Replica& replica, const access::Policy& policy,
                             const access::Principal& caller, const fraudhub::v1::GetReportStatusRequest& request,
                             fraudhub::v1::GetReportStatusResponse* response);

}  // namespace hub::ingest
