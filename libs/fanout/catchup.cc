#include "libs/fanout/catchup.h"

#include <algorithm>
#include <iterator>
#include <limits>
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
    entries_.push_back({record.offset, record.term, record.tick, ends_.size(), record.kind});
    if (!IsEvent(record.kind)) return;
    absl::StrAppend(&bytes_, bytes);
    ends_.push_back(bytes_.size());
  });
  bytes_.shrink_to_fit();
}

size_t CatchupBlock::memory() const {
  return sizeof(*this) + bytes_.capacity() + ends_.capacity() * sizeof(size_t) + entries_.capacity() * sizeof(Entry) +
         ages_.capacity() * sizeof(LogBlock::Age) + runs_memory_.load(std::memory_order_relaxed);
}

absl::string_view CatchupBlock::BytesOf(size_t first, size_t last) const {
  const size_t begin = first == 0 ? 0 : ends_[first - 1];
  return absl::string_view(bytes_).substr(begin, ends_[last - 1] - begin);
}

CatchupBlock::Passed CatchupBlock::Pass(const PartitionPosition& from, eventlog::Offset until,
                                        size_t events_max) const {
  Passed passed;
  passed.after = from;
  passed.after.offset = std::min(until, end_);
  Fence fence{from.term, from.tick};
  const auto begin =
      std::lower_bound(entries_.begin(), entries_.end(), from.offset,
                       [](const Entry& entry, eventlog::Offset offset) { return entry.offset < offset; });
  for (auto it = begin; it != entries_.end() && it->offset < until; ++it) {
    const size_t events = passed.last - passed.first;
    const bool accepted = fence.Accepts(it->term);
    // No holes: a fenced event ends what is read, the next call steps over it.
    if (IsEvent(it->kind) && (accepted ? events == events_max : events > 0)) {
      passed.after.offset = it->offset;
      break;
    }
    if (!accepted) {
      ++passed.fenced;
    } else if (it->kind == LogBlock::Kind::kMark) {
      fence.OnMark(it->term);
    } else if (it->kind == LogBlock::Kind::kTick) {
      fence.OnTick(it->tick);
    } else {
      if (events == 0) passed.first = it->event;
      passed.last = it->event + 1;
    }
  }
  passed.after.term = fence.term;
  passed.after.tick = fence.tick;
  const auto age = std::lower_bound(ages_.begin(), ages_.end(), passed.after.offset,
                                    [](const LogBlock::Age& a, eventlog::Offset offset) { return a.offset < offset; });
  if (age != ages_.begin()) passed.after.since = std::max(from.since, std::prev(age)->appended_at);
  return passed;
}

// One at least.
size_t CatchupBlock::CountThatFit(size_t first, size_t last, size_t bytes_max) const {
  const size_t begin = first == 0 ? 0 : ends_[first - 1];
  const auto at = [this](size_t event) { return ends_.begin() + static_cast<ptrdiff_t>(event); };
  const auto over = std::upper_bound(at(first), at(last), begin + bytes_max);
  return std::max<size_t>(1, static_cast<size_t>(over - at(first)));
}

std::vector<Slice> CatchupBlock::ReadRuns(size_t first, size_t last, size_t bytes_max, size_t* events,
                                          FanoutProbe* probe) const {
  RunSlices slices;
  base::MutexLock lock(&mu_);
  const int packed = runs_.packed();
  *events = runs_.Read(
      first, last, bytes_max, [this](size_t begin, size_t end) { return BytesOf(begin, end); }, &slices);
  if (runs_.packed() > packed) probe->runs_packed.Increment(runs_.packed() - packed);
  runs_memory_.store(runs_.memory(), std::memory_order_relaxed);
  return std::move(slices).Take();
}

Chunk CatchupBlock::Read(const std::shared_ptr<const CatchupBlock>& block, const PartitionPosition& from,
                         eventlog::Offset until, size_t bytes_max, EventForm form, FanoutProbe* probe) {
  Chunk chunk;
  chunk.from_log = true;
  Passed passed = block->Pass(from, until, std::numeric_limits<size_t>::max());
  if (const size_t there = passed.last - passed.first; there > 0) {
    size_t events = 0;
    if (form == EventForm::kRuns) {
      chunk.slices = block->ReadRuns(passed.first, passed.last, bytes_max, &events, probe);
    } else {
      events = block->CountThatFit(passed.first, passed.last, bytes_max);
      chunk.slices.push_back({block, block->BytesOf(passed.first, passed.first + events)});
    }
    chunk.events = static_cast<int>(events);
    if (events < there) passed = block->Pass(from, until, events);
  }
  if (passed.fenced > 0) probe->fenced.Increment(passed.fenced);
  chunk.after = passed.after;
  return chunk;
}

CatchupCache::CatchupCache(int64_t bytes_max, eventlog::Log* log, FanoutProbe* probe, LogBlock::OnEvent on_event)
    : log_(log),
      probe_(probe),
      on_event_(std::move(on_event)),
      class_blocks_(bytes_max / 2),
      log_blocks_(bytes_max - bytes_max / 2) {}

absl::StatusOr<Chunk> CatchupCache::Read(const CatchupLane& lane, const PartitionPosition& from, eventlog::Offset until,
                                         size_t bytes_max, EventForm form) {
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
  return CatchupBlock::Read(found.block, from, until, bytes_max, form, probe_);
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
