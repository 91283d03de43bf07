// What was handed to the embedded log's Append and is not answered yet. Private to local_log. Plain values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "libs/eventlog/local_partitions.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog::local {

struct PendingRecord {
  int32_t number;  // of the partition
  Record record;
  Partition* partition = nullptr;  // null: refused
  Offset offset = 0;
};

// Records that are answered together, and committed together.
struct PendingCall {
  absl::InlinedVector<PendingRecord, 1> records;
  std::vector<absl::StatusOr<Offset>> answers;  // empty as long as none was refused
  Log::AppendCallback done_one;                  // of an Append; else
  Log::AppendAllCallback done;
  size_t bytes = 0;  // of those admitted
  size_t count = 0;
  void Refuse(size_t index, const absl::Status& why) {
    answers.resize(records.size());
    answers[index] = why;
    records[index].partition = nullptr;
  }
  void RefuseAll(const absl::Status& why) {
    for (size_t i = 0; i < records.size(); ++i) {
      if (records[i].partition != nullptr) Refuse(i, why);
    }
    bytes = count = 0;
  }
  void Answer() { done_one ? done_one(std::move(answers[0])) : done(std::move(answers)); }
  // `outcome`: of those that were not.
  void Finish(const absl::Status& outcome) {
    answers.resize(records.size());
    for (size_t i = 0; i < records.size(); ++i) {
      if (records[i].partition == nullptr) continue;
      if (outcome.ok()) {
        answers[i] = records[i].offset;
      } else {
        answers[i] = outcome;
      }
    }
    Answer();
  }
};

// Those of a group that were not refused, partition by partition, each in its order: RocksDB finds the place of a record at once that follows
// the one put before it.
inline std::vector<PendingRecord*> ByPartition(std::vector<PendingCall>* group) {
  std::vector<PendingRecord*> records;
  for (PendingCall& call : *group) {
    for (PendingRecord& pending : call.records) {
      if (pending.partition != nullptr) records.push_back(&pending);
    }
  }
  std::stable_sort(records.begin(), records.end(), [](const PendingRecord* a, const PendingRecord* b) {
    return std::less<>()(a->partition, b->partition);
  });
  return records;
}

}  // namespace hub::eventlog::local
