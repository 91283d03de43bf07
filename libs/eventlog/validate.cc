#include "libs/eventlog/validate.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace hub::eventlog {
namespace {

constexpr size_t kTopicNameMax = 200;  // Kafka allows 249; the rest is for a prefix
constexpr int32_t kPartitionsMax = 10000;

absl::string_view CleanupName(Cleanup cleanup) { return cleanup == Cleanup::kCompact ? "compact" : "delete"; }

}  // namespace

absl::Status CheckTopic(const TopicSpec& topic) {
  bool named = !topic.name.empty() && topic.name.size() <= kTopicNameMax && topic.name != "." && topic.name != "..";
  for (const char c : topic.name) {
    named = named && (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-');
  }
  if (!named) {
    return absl::InvalidArgumentError(absl::StrCat("name: ", topic.name, ", want 1 to ", kTopicNameMax, " of [a-zA-Z0-9._-]"));
  }
  if (topic.partitions < 1 || topic.partitions > kPartitionsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(topic.name, ".partitions: ", topic.partitions, ", want 1 to ", kPartitionsMax));
  }
  if (topic.retention < absl::ZeroDuration() || topic.compaction_lag < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(topic.name, ".retention, .compaction_lag: want no negative duration"));
  }
  return absl::OkStatus();
}

absl::Status CheckSameTopic(const TopicSpec& present, const TopicSpec& wanted) {
  if (present.partitions != wanted.partitions) {
    return absl::FailedPreconditionError(
        absl::StrCat(wanted.name, ".partitions: ", present.partitions, " in the log, want ", wanted.partitions));
  }
  if (present.cleanup != wanted.cleanup) {
    return absl::FailedPreconditionError(absl::StrCat(wanted.name, ".cleanup: ", CleanupName(present.cleanup),
                                                      " in the log, want ", CleanupName(wanted.cleanup)));
  }
  return absl::OkStatus();
}

absl::Status CheckPartition(const TopicSpec* topic, const TopicPartition& partition) {
  if (topic == nullptr || partition.partition < 0 || partition.partition >= topic->partitions) {
    return absl::NotFoundError(absl::StrCat(partition.topic, "/", partition.partition, ": no such partition"));
  }
  return absl::OkStatus();
}

absl::Status CheckRecord(const TopicSpec& topic, const TopicPartition& partition, const Record& record) {
  if (absl::Status status = CheckPartition(&topic, partition); !status.ok()) return status;
  if (record.value.size() > kRecordBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(topic.name, ": value: ", record.value.size(), " bytes, want at most ", kRecordBytesMax));
  }
  if (record.key.size() > kKeyBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(topic.name, ": key: ", record.key.size(), " bytes, want at most ", kKeyBytesMax));
  }
  if (topic.cleanup == Cleanup::kCompact && record.key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(topic.name, ": key: empty, want one where cleanup is compact"));
  }
  return absl::OkStatus();
}

absl::Status CheckOffset(const TopicPartition& partition, Offset from, const OffsetRange& range) {
  if (from >= range.first && from <= range.end) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(partition.topic, "/", partition.partition, ": offset ", from, ", the log holds ",
                                            range.first, " to ", range.end));
}

}  // namespace hub::eventlog
