// What every log refuses, in one place, so that the three agree: malformed topics, changed topics, records out of bounds.
//
// Private to the implementations of Log. Plain functions.
#pragma once

#include "absl/status/status.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog {

// InvalidArgument: name (what Kafka allows: [a-zA-Z0-9._-], at most 200), partitions (1 to 10,000), or times below zero.
absl::Status CheckTopic(const TopicSpec& topic);

// FailedPrecondition when the topic that is there can't serve as the wanted one: other partitions, or another cleanup.
absl::Status CheckSameTopic(const TopicSpec& present, const TopicSpec& wanted);

// NotFound: no such partition. InvalidArgument: record too large, or without a key where cleanup needs one.
absl::Status CheckRecord(const TopicSpec& topic, const TopicPartition& partition, const Record& record);

// NotFound when `topic` is null or lacks the partition.
absl::Status CheckPartition(const TopicSpec* topic, const TopicPartition& partition);

// OutOfRange unless first <= from <= end.
absl::Status CheckOffset(const TopicPartition& partition, Offset from, const OffsetRange& range);

}  // namespace hub::eventlog
