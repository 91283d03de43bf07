// Between our statuses and gRPC's: one mapping, with machine-readable details in the google.rpc form.
//
// Details travel in the trailer grpc-status-details-bin as google.rpc.Status with ErrorInfo{reason, domain "fraudhub.v1"},
// BadRequest{field} and RetryInfo, as stock clients of any language expect.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace grpc {
class Status;
}

namespace hub::rpc {

// `retry_after` > 0 adds RetryInfo. Internal and Unknown messages are not sent to callers, only logged.
grpc::Status ToGrpc(const absl::Status& status, absl::Duration retry_after = absl::ZeroDuration());
// Restores the refusal (code, field) when there is one. `retry_after`, if not null, receives RetryInfo or zero; the status carries it, too.
absl::Status FromGrpc(const grpc::Status& status, absl::Duration* retry_after = nullptr);
// Refuse(kBadFormat): a request that never became a message.
absl::Status Unreadable();
// What the other side asked its caller to wait, as FromGrpc read it; zero: nothing.
absl::Duration RetryAfterOf(const absl::Status& status);

}  // namespace hub::rpc
