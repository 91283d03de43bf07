#include "libs/eventlog/topics.h"

#include "libs/base/check.h"

namespace hub::eventlog {
namespace {

TopicSpec Deleted(const char* name, int32_t partitions, absl::Duration retention) {
  TopicSpec spec;
  spec.name = name;
  spec.partitions = partitions;
  spec.cleanup = Cleanup::kDelete;
  spec.retention = retention;
  return spec;
}

TopicSpec Compacted(const char* name, int32_t partitions, absl::Duration lag) {
  TopicSpec spec;
  spec.name = name;
  spec.partitions = partitions;
  spec.cleanup = Cleanup::kCompact;
  spec.compaction_lag = lag;
  return spec;
}

}  // namespace

std::vector<TopicSpec> HubTopics(int32_t partitions) {
  constexpr absl::Duration kDay = absl::Hours(24);
  return {
      // The dedupe window is 35 days by ticks; a day more, so that an id's age is always judged before its record goes (R15).
      Deleted(kReportsTopic, partitions, 36 * kDay),
      // The lag is the window in which a client may resume, and the time an owner has to repair fenced records (R10, R13); a day more,
      // so that a client within the window never meets compaction.
      Compacted(kEventsTopic, partitions, 8 * kDay),
      Deleted(kUrgentTopic, partitions, 7 * kDay),
      Deleted(kHistoryTopic, partitions, 400 * kDay),
      Compacted(kCursorsTopic, 1, absl::ZeroDuration()),
      Deleted(kReceiptsTopic, 1, 400 * kDay),
      Compacted(kControlTopic, 1, absl::ZeroDuration()),
      Deleted(kQuarantineTopic, 1, 30 * kDay),
  };
}

int32_t PartitionOf(absl::string_view routing_token, int32_t partitions) {
  HUB_CHECK(routing_token.size() >= 8 && partitions > 0);
  uint64_t head = 0;
  for (size_t i = 0; i < 8; ++i) head = (head << 8) | static_cast<unsigned char>(routing_token[i]);
  return static_cast<int32_t>(head % static_cast<uint64_t>(partitions));
}

}  // namespace hub::eventlog
