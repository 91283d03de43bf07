#include "libs/fanout/urgent_place.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hub::fanout {

UrgentPlace::UrgentPlace(const Dispatcher* dispatcher, std::vector<eventlog::Offset> offsets)
    : dispatcher_(dispatcher), next_(std::move(offsets)) {
  next_.resize(static_cast<size_t>(dispatcher->partitions()), 0);
  told_ = next_;
  acked_ = next_;
}

void UrgentPlace::MoveOn() {
  for (size_t p = 0; p < next_.size(); ++p) {
    next_[p] = std::max(next_[p], dispatcher_->UrgentHead(static_cast<int32_t>(p)));
  }
}

UrgentCopies UrgentPlace::Gather(const std::shared_ptr<FilterClass>& filter_class,
                                 const std::vector<PartitionPosition>& positions, size_t bytes_max) {
  UrgentCopies all;
  for (size_t i = 0; i < next_.size() && all.bytes < bytes_max; ++i) {
    const size_t p = (first_ + i) % next_.size();
    UrgentCopies copies =
        dispatcher_->ReadUrgent(filter_class, static_cast<int32_t>(p), next_[p], positions[p], bytes_max - all.bytes);
    next_[p] = copies.next;
    all.bytes += copies.bytes;
    std::move(copies.slices.begin(), copies.slices.end(), std::back_inserter(all.slices));
  }
  first_ = (first_ + 1) % next_.size();
  return all;
}

void UrgentPlace::Tell(wire::BatchTrailer* trailer) {
  for (size_t p = 0; p < next_.size(); ++p) {
    if (told_[p] == next_[p]) continue;
    told_[p] = next_[p];
    trailer->urgent_positions.emplace_back(static_cast<int32_t>(p), next_[p]);
  }
}

absl::Status UrgentPlace::Check(const std::map<int32_t, eventlog::Offset>& acked) const {
  for (const auto& [partition, offset] : acked) {
    if (partition < 0 || static_cast<size_t>(partition) >= told_.size()) {
      return absl::InvalidArgumentError(on() ? absl::StrCat("ack.urgent_positions: no partition ", partition)
                                             : "ack.urgent_positions: this stream was opened without `urgent`");
    }
    if (offset > told_[static_cast<size_t>(partition)]) {
      return absl::InvalidArgumentError(absl::StrCat("ack.urgent_positions[", partition, "]: ahead of what was sent"));
    }
  }
  return absl::OkStatus();
}

void UrgentPlace::Take(const std::map<int32_t, eventlog::Offset>& acked) {
  for (const auto& [partition, offset] : acked) {
    eventlog::Offset& at = acked_[static_cast<size_t>(partition)];
    at = std::max(at, offset);
  }
}

}  // namespace hub::fanout
