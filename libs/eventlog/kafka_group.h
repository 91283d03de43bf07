// Which partitions this process is to serve, as a Kafka consumer group deals them out: for liveness only.
//
// Static membership: a member that comes back under its name within `session_timeout` gets the same partitions without the others noticing.
// What was dealt out counts until something else is, or until the group says that this member was away too long: while the group settles, and
// while the broker is away, nothing is taken from anybody.
// Two members may so believe in the same partition for a while; whoever uses this must be safe without it (DESIGN.md 5, one owner).
// No record is read and no offset committed.
//
// Thread safety: any thread. `on_change` runs on the group's own thread and may block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/eventlog/kafka_log.h"

namespace hub::eventlog {

struct KafkaGroupOptions {
  std::string group;   // the log's topic prefix is put in front
  std::string member;  // unique in the group, kept over restarts
  std::string topic;   // whose partitions are dealt out; it exists
  // A member not heard of for so long loses its partitions to the others.
  absl::Duration session_timeout = absl::Seconds(15);
  std::function<void(const std::set<int32_t>& partitions)> on_change;
};

class KafkaGroup {
 public:
  // InvalidArgument: librdkafka refuses a setting. Everything else shows in Health.
  static absl::StatusOr<std::unique_ptr<KafkaGroup>> Join(const KafkaLogOptions& log, KafkaGroupOptions options);
  // Leaves without a word: the partitions stay this member's until the session times out.
  virtual ~KafkaGroup() = default;
  // FailedPrecondition: another process joined under the same name; this one has no partitions until it is started again.
  // PermissionDenied: the brokers don't let this user into the group.
  virtual absl::Status Health() const = 0;
};

}  // namespace hub::eventlog
