// The filter classes that somebody holds, and what each event does to them. Private to this library.
//
// Up to `classes_max` are in memory: an index finds those that an event matches, and their segments keep its bytes. More are held and not
// indexed: their memory never begins, so that each of their sessions reads and judges the log for itself, until there is room.
// Thread safety: Join and the release of what it gave from any thread; the rest from the dispatcher's.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/fanout/class_index.h"
#include "libs/fanout/filter_class.h"
#include "libs/fanout/probe.h"

namespace hub::fanout {

struct ClassTableOptions {
  int32_t partitions = 1;
  int64_t segment_bytes_max = 0;
  absl::Duration segment_age_max;
  int classes_max = 0;
  int overflow_classes_max = 0;  // beyond both, Join refuses
};

class ClassTable {
 public:
  ClassTable(const ClassTableOptions& options, FanoutProbe* probe) : options_(options), probe_(probe) {}

  // Who holds the result is in the class. ResourceExhausted: no room.
  absl::StatusOr<std::shared_ptr<FilterClass>> Join(const model::Filter& effective, const wire::AudienceSet& audiences);

  // Lets in who joined and out who left; memory of a newcomer begins at `bases`.
  void Refresh(const std::vector<eventlog::Offset>& bases);
  void Distribute(int32_t partition, std::vector<PendingEvent>* events);
  // Forgets a partition: memory begins anew at `base`.
  void Restart(int32_t partition, eventlog::Offset base);
  // Back within segment_bytes_max and segment_age_max, if they were passed. `monotonic`: now.
  void Evict(absl::Duration monotonic);

 private:
  // A class, and what those who joined hold of it: when the last lets go, the dispatcher's thread takes it out.
  struct Entry {
    std::shared_ptr<FilterClass> filter_class;
    std::weak_ptr<FilterClass> handle;
    std::optional<uint32_t> number;  // in index_ and live_; none: beyond classes_max
  };

  std::shared_ptr<FilterClass> HandleLocked(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  size_t SegmentBytes() const;
  void DropOld(absl::Duration monotonic);
  int64_t memory() const { return memory_->load(std::memory_order_relaxed); }

  const ClassTableOptions options_;
  FanoutProbe* const probe_;
  const std::shared_ptr<std::atomic<int64_t>> memory_ = std::make_shared<std::atomic<int64_t>>(0);
  // Rises when somebody joins or the last holder of a class leaves; outlives us with the last handle. acquire-release
  const std::shared_ptr<std::atomic<uint64_t>> changes_ = std::make_shared<std::atomic<uint64_t>>(0);

  // The dispatcher's thread only.
  uint64_t changes_seen_ = 0;
  uint64_t births_ = 0;
  std::deque<std::pair<absl::Duration, uint64_t>> births_at_;  // how many there were, once in a while; the oldest first
  ClassIndex index_;
  std::vector<std::shared_ptr<FilterClass>> live_;  // by number; null: free
  // Distribute's room to work in: matches by number, and the numbers that have some.
  std::vector<std::vector<FilterClass::Match>> matches_;
  std::vector<uint32_t> matching_;
  std::vector<uint64_t> now_, before_;

  base::Mutex mu_;
  std::map<std::string, Entry> classes_ ABSL_GUARDED_BY(mu_);  // by filter and audiences
  uint64_t class_ids_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hub::fanout
