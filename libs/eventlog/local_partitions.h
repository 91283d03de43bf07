// The partitions of the embedded log in memory: what its readers, its writer and its cleaner share.
//
// Private to local_log. Thread safety: see the fields.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/eventlog/local_format.h"
#include "libs/eventlog/log.h"
#include "libs/eventlog/validate.h"

namespace hub::eventlog::local {

struct Partition {
  PartitionKey key;  // never changes

  // Readers go by these; guarded by Partitions::mu.
  // Invariant 1: all records in [range.first, range.end) that were not compacted away are in the database, synced.
  // Invariant 2: `first` rises before the records below it are deleted, so that a reader who finds a gap can tell why.
  OffsetRange range;
  int64_t bytes_appended = 0;

  // The writer thread's: what it has given out, durable or not. Rises even if the group then fails: an offset whose fate is unknown
  // is never given again.
  Offset next = 0;

  // The cleaner thread's.
  int64_t bytes_dropped = 0;
  Offset clean_from = 0;
  int64_t bytes_to_reclaim = 0;
};

struct Topic {
  TopicSpec spec;
  // Never resized after it was made, and topics are never removed: pointers to partitions stay good.
  std::vector<Partition> partitions;
};

struct Partitions {
  // Null when there is no such partition.
  Partition* FindLocked(const TopicPartition& at, TopicSpec* spec = nullptr) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const auto it = topics.find(at.topic);
    if (it == topics.end() || !CheckPartition(&it->second.spec, at).ok()) return nullptr;
    if (spec != nullptr) *spec = it->second.spec;
    return &it->second.partitions[static_cast<size_t>(at.partition)];
  }

  base::Mutex mu;
  base::CondVar advanced;  // some range.end rose
  std::map<std::string, Topic> topics ABSL_GUARDED_BY(mu);
};

}  // namespace hub::eventlog::local
