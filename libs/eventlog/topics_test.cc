#include "libs/eventlog/topics.h"

#include <set>

#include "libs/eventlog/memory_log.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

const TopicSpec& Find(const std::vector<TopicSpec>& topics, const std::string& name) {
  for (const TopicSpec& topic : topics) {
    if (topic.name == name) return topic;
  }
  FAIL("no topic " << name);
  return topics.front();
}

TEST_CASE("the hub's topics have the cleanup that the design relies on", "[eventlog][topics]") {
  const std::vector<TopicSpec> topics = HubTopics(16);
  CHECK(topics.size() == 8);
  for (const char* name : {kReportsTopic, kEventsTopic, kUrgentTopic, kHistoryTopic}) CHECK(Find(topics, name).partitions == 16);
  for (const char* name : {kControlTopic, kCursorsTopic, kReceiptsTopic, kQuarantineTopic}) CHECK(Find(topics, name).partitions == 1);
  for (const char* name : {kEventsTopic, kControlTopic, kCursorsTopic}) CHECK(Find(topics, name).cleanup == Cleanup::kCompact);
  CHECK(Find(topics, kReportsTopic).retention > absl::Hours(35 * 24));
  CHECK(Find(topics, kEventsTopic).compaction_lag == absl::Hours(8 * 24));
  CHECK(Find(topics, kUrgentTopic).retention == absl::Hours(7 * 24));
  CHECK(Find(topics, kHistoryTopic).retention == absl::Hours(400 * 24));
  CHECK(Find(topics, kReceiptsTopic).retention == absl::Hours(400 * 24));
  CHECK(Find(topics, kQuarantineTopic).retention == absl::Hours(30 * 24));
  MemoryLog log(nullptr, {});
  CHECK(log.EnsureTopics(topics).ok());
}

TEST_CASE("a routing token's partition is its first eight bytes modulo", "[eventlog][topics]") {
  const std::string token("\x00\x00\x00\x00\x00\x00\x01\x02rest ignored", 20);
  CHECK(PartitionOf(token, 1) == 0);
  CHECK(PartitionOf(token, 16) == 2);
  CHECK(PartitionOf(token, 1000) == 258);
  CHECK(PartitionOf(std::string(8, '\xff'), 16) == 15);
  CHECK(PartitionOf(std::string("\xf0\x00\x00\x00\x00\x00\x00\x07", 8), 100) == static_cast<int32_t>(0xf000000000000007ull % 100));
}

}  // namespace
}  // namespace hub::eventlog
