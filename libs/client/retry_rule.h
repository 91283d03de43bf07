// Which errors of a stream a reconnect may cure. Private to this library.
#pragma once

#include "absl/status/status.h"
#include "libs/model/refusal.h"

namespace hub::client {

// False: trying again gives the same answer.
inline bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return false;
    case absl::StatusCode::kAborted: {
      const auto refusal = model::RefusalOf(status);
      return !refusal || refusal->code != model::RefusalCode::kCursorTaken;
    }
    default:
      return true;
  }
}

}  // namespace hub::client
