#include "libs/fanout/intake.h"

#include <algorithm>

namespace hub::fanout {

void Intake::Restart(const PartitionPosition& head) {
  {
    base::MutexLock lock(&mu_);
    changes_.assign(1, head);
    head_ = head;
  }
  head_offset_.store(head.offset, std::memory_order_release);
}

void Intake::Changed(const PartitionPosition& at) {
  base::MutexLock lock(&mu_);
  changes_.push_back(at);
  if (changes_.size() > kChangesMax) changes_.pop_front();
}

void Intake::Publish(const PartitionPosition& head) {
  {
    base::MutexLock lock(&mu_);
    head_ = head;
  }
  head_offset_.store(head.offset, std::memory_order_release);
}

PartitionPosition Intake::head() const {
  base::MutexLock lock(&mu_);
  return head_;
}

std::optional<PartitionPosition> Intake::At(eventlog::Offset offset) const {
  base::MutexLock lock(&mu_);
  if (offset == head_.offset) return head_;
  const auto after =
      std::upper_bound(changes_.begin(), changes_.end(), offset,
                       [](eventlog::Offset at, const PartitionPosition& change) { return at < change.offset; });
  if (after == changes_.begin() || offset > head_.offset) return std::nullopt;
  PartitionPosition position = *std::prev(after);
  position.offset = offset;
  return position;
}

void Intake::Learn(uint64_t term) {
  uint64_t known = learned_.load(std::memory_order_relaxed);
  while (known < term && !learned_.compare_exchange_weak(known, term, std::memory_order_relaxed)) {
  }
}

}  // namespace hub::fanout
