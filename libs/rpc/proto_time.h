// absl's times in protobuf's messages. Plain functions.
#pragma once

#include "absl/time/time.h"

namespace google::protobuf {
class Duration;
class Timestamp;
}  // namespace google::protobuf

namespace hub::rpc {

// An infinite time is an unset field: if (IsFinite(t)) ToProto(t, message->mutable_x()).
inline bool IsFinite(absl::Time time) { return time != absl::InfinitePast() && time != absl::InfiniteFuture(); }
// REQUIRES: IsFinite(time).
void ToProto(absl::Time time, google::protobuf::Timestamp* out);
void ToProto(absl::Duration duration, google::protobuf::Duration* out);
absl::Time FromProto(const google::protobuf::Timestamp& stamp);

}  // namespace hub::rpc
