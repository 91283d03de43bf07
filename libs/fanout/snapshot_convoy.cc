#include "libs/fanout/snapshot_convoy.h"

#include <algorithm>
#include <limits>

namespace hub::fanout {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(50);
constexpr absl::Duration kSeenEvery = absl::Seconds(5);
constexpr uint64_t kWaitedFor = 4;  // who has come one in so many of the first's parts, and is as fast

}  // namespace

std::shared_ptr<SnapshotReader> SnapshotConvoy::Enter(uint32_t part, absl::Duration now) {
  auto reader = std::make_shared<SnapshotReader>(SnapshotReader{part, part, now});
  readers_.push_back(reader);
  looked_at_ = -absl::InfiniteDuration();
  return reader;
}

void SnapshotConvoy::Look(absl::Duration now) {
  if (now - looked_at_ < kLookInterval) return;
  looked_at_ = now;
  uint64_t first = 0;
  std::erase_if(readers_, [&](const std::weak_ptr<SnapshotReader>& held) {
    const std::shared_ptr<SnapshotReader> reader = held.lock();
    if (reader != nullptr) first = std::max<uint64_t>(first, reader->part);
    return reader == nullptr;
  });
  last_ = std::numeric_limits<uint32_t>::max();
  for (const std::weak_ptr<SnapshotReader>& held : readers_) {
    const std::shared_ptr<SnapshotReader> reader = held.lock();
    if (reader == nullptr) continue;
    if (const absl::Duration time = now - reader->seen_at; time >= kSeenEvery) {
      const double moved = reader->part - reader->seen_part;
      reader->slow = moved * kWaitedFor < pace_ * absl::FDivDuration(time, kSeenEvery);
      reader->seen_part = reader->part;
      reader->seen_at = now;
    }
    if (!reader->slow && reader->part * kWaitedFor >= first) last_ = std::min(last_, reader->part);
  }
}

bool SnapshotConvoy::MayGoOn(uint32_t part, uint32_t room, absl::Duration now) {
  Look(now);
  if (last_ >= part || part - last_ <= room) return true;
  if (pace_ == 0) pace_ = part / std::max(absl::FDivDuration(now - began_, kSeenEvery), 1.0);
  return false;
}

}  // namespace hub::fanout
