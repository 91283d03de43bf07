#include "libs/rpc/proto_time.h"

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

namespace hub::rpc {

void ToProto(absl::Time time, google::protobuf::Timestamp* out) {
  const timespec parts = absl::ToTimespec(time);
  out->set_seconds(parts.tv_sec);
  out->set_nanos(static_cast<int32_t>(parts.tv_nsec));
}

void ToProto(absl::Duration duration, google::protobuf::Duration* out) {
  const timespec parts = absl::ToTimespec(duration);
  out->set_seconds(parts.tv_sec);
  out->set_nanos(static_cast<int32_t>(parts.tv_nsec));
}

absl::Time FromProto(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
}

}  // namespace hub::rpc
