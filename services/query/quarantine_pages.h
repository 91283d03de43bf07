// Pages of the quarantine, newest first: the log read backwards in bounded steps. The records' own bytes stay in the hub.
//
// Thread safety: plain function. It blocks, for about three seconds at most where the log takes its time.
#pragma once

#include "absl/status/status.h"
#include "fraudhub/v1/operations.pb.h"
#include "libs/eventlog/log.h"

namespace hub::query {

// Fills in records and the next page's token. A page may be shorter than asked for, even empty: the last one is that without a token.
// InvalidArgument as Refuse makes it: page_size, page_token. Unavailable: nothing could be read in time.
absl::Status ReadQuarantinePage(eventlog::Log* log, const fraudhub::v1::ListQuarantineRequest& request,
                                fraudhub::v1::ListQuarantineResponse* response);

}  // namespace hub::query
