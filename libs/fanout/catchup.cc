#include "libs/fanout/catchup.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/intake.h"

namespace hub::fanout {
namespace {

bool IsEvent(LogBlock::Kind kind) { return kind == LogBlock::Kind::kEvent || kind == LogBlock::Kind::kState; }

}  // namespace

CatchupBlock::CatchupBlock(const CatchupLane& lane, const LogBlock& log)
    : start_(log.start()), end_(log.end()), ages_(log.ages()) {
  log.Visit(lane.filter_class, lane.with_states, [this](const LogBlock::Record& record, absl::string_view bytes) {
    absl::StrAppend(&bytes_, bytes);
    entries_.push_back({record.offset, record.term, record.tick, static_cast<uint32_t>(bytes_.size()), record.kind});
  });
  bytes_.shrink_to_fit();
}

size_t CatchupBlock::memory() const {
  return sizeof(*this) + bytes_.capacity() + entries_.capacity() * sizeof(Entry) +
         ages_.capacity() * sizeof(LogBlock::Age);
}

Chunk CatchupBlock::Read(const std::shared_ptr<const CatchupBlock>& block, const PartitionPosition& from,
                         eventlog::Offset until, size_t bytes_max, FanoutProbe* probe) {
  Chunk chunk;
  chunk.from_log = true;
  chunk.after = from;
  chunk.after.offset = std::min(until, block->end_);
  Fence fence{from.term, from.tick};
  auto it = std::lower_bound(block->entries_.begin(), block->entries_.end(), from.offset,
                             [](const Entry& entry, eventlog::Offset offset) { return entry.offset < offset; });
  size_t at = it == block->entries_.begin() ? 0 : std::prev(it)->end;  // bytes of the entries before
  size_t begin = 0, end = 0;                                           // of the slice, once there is an event in it
  for (; it != block->entries_.end() && it->offset < until; ++it) {
    const size_t size = it->end - at;
    if (!fence.Accepts(it->term)) {
      if (IsEvent(it->kind) && chunk.events > 0) {
        // A slice has no holes: stop before the fenced event, the next call steps over it.
        chunk.after.offset = it->offset;
        break;
      }
      probe->fenced.Increment();
    } else if (it->kind == LogBlock::Kind::kMark) {
      fence.OnMark(it->term);
    } else if (it->kind == LogBlock::Kind::kTick) {
      fence.OnTick(it->tick);
    } else {
      if (chunk.events > 0 && it->end - begin > bytes_max) {
        chunk.after.offset = it->offset;
        break;
      }
      if (chunk.events++ == 0) begin = at;
      end = it->end;
    }
    at += size;
  }
  chunk.after.term = fence.term;
  chunk.after.tick = fence.tick;
  const auto age = std::lower_bound(block->ages_.begin(), block->ages_.end(), chunk.after.offset,
                                    [](const LogBlock::Age& a, eventlog::Offset offset) { return a.offset < offset; });
  if (age != block->ages_.begin()) chunk.after.since = std::max(from.since, std::prev(age)->appended_at);
  if (chunk.events > 0) chunk.slice = {block, absl::string_view(block->bytes_).substr(begin, end - begin)};
  return chunk;
}

CatchupCache::CatchupCache(int64_t bytes_max, eventlog::Log* log, FanoutProbe* probe, LogBlock::OnEvent on_event)
    : log_(log),
      probe_(probe),
      on_event_(std::move(on_event)),
      class_blocks_(bytes_max / 2),
      log_blocks_(bytes_max - bytes_max / 2) {}

absl::StatusOr<Chunk> CatchupCache::Read(const CatchupLane& lane, const PartitionPosition& from, eventlog::Offset until,
                                         size_t bytes_max) {
  const ClassLane class_lane{lane.filter_class.id(), lane.partition, lane.with_states};
  const auto make = [&](eventlog::Offset) -> absl::StatusOr<ClassBlocks::BlockPtr> {
    HUB_ASSIGN_OR_RETURN(const LogBlocks::Found found,
                         log_blocks_.Find(lane.partition, from.offset, [&](eventlog::Offset start) {
                           return ReadLog(lane.partition, start, from.offset);
                         }));
    probe_->blocks_made.Increment();
    return std::make_shared<const CatchupBlock>(lane, *found.block);
  };
  HUB_ASSIGN_OR_RETURN(const ClassBlocks::Found found, class_blocks_.Find(class_lane, from.offset, make));
  if (found.kept) probe_->blocks_shared.Increment();
  if (found.block->end() <= from.offset) {  // the log shows less than the dispatcher has seen: a broker that lags
    Chunk nothing;
    nothing.after = from;
    nothing.from_log = true;
    return nothing;
  }
  return CatchupBlock::Read(found.block, from, until, bytes_max, probe_);
}

absl::StatusOr<CatchupCache::LogBlocks::BlockPtr> CatchupCache::ReadLog(int32_t partition, eventlog::Offset start,
                                                                        eventlog::Offset from) {
  const eventlog::TopicPartition at{eventlog::kEventsTopic, partition};
  eventlog::ReadLimits limits;
  limits.records_max = LogBlocks::kBlockRecords;
  absl::StatusOr<eventlog::ReadResult> read = log_->Read(at, start, limits);
  // The round offset below may have gone already, or the records between it and `from` may fill a whole read.
  if ((absl::IsOutOfRange(read.status()) || (read.ok() && read->next <= from)) && start < from) {
    start = from;
    read = log_->Read(at, start, limits);
  }
  if (!read.ok()) return read.status();
  probe_->blocks_read.Increment();
  return std::make_shared<const LogBlock>(partition, start, *std::move(read), probe_, on_event_);
}

}  // namespace hub::fanout
