#include "libs/fanout/catchup.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/intake.h"

namespace hub::fanout {
namespace {

// A silent state as the event that led to it, with the counters of now (R8: it keeps the event's version).
model::Event LastEvent(model::StateUpdate update, uint64_t term) {
  model::Event event;
  event.kind = update.state.standing;
  event.state = std::move(update.state);
  event.term = term;
  event.reports_offset = update.reports_offset;
  event.rules_version = update.rules_version;
  return event;
}

}  // namespace

CatchupBlock::CatchupBlock(const CatchupLane& lane, eventlog::Offset start, eventlog::ReadResult read,
                           FanoutProbe* probe, const decltype(DispatcherOptions::on_event)& on_event)
    : start_(start), end_(read.next) {
  for (eventlog::StoredRecord& record : read.records) {
    if (ages_.empty() || record.appended_at >= ages_.back().appended_at + absl::Seconds(1)) {
      ages_.push_back({record.offset, record.appended_at});
    }
    absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
    if (!decoded.ok()) {
      probe->undecodable.Increment();
      continue;
    }
    const uint64_t term = decoded->header.term;
    if (auto* event = std::get_if<model::Event>(&decoded->body)) {
      if (on_event) on_event(lane.partition, record.offset, *event);
      Add(lane.filter_class, record.offset, std::move(*event), probe);
    } else if (auto* update = std::get_if<model::StateUpdate>(&decoded->body)) {
      if (lane.with_states) Add(lane.filter_class, record.offset, LastEvent(std::move(*update), term), probe);
    } else if (std::holds_alternative<model::TermMark>(decoded->body)) {
      entries_.push_back({record.offset, term, {}, static_cast<uint32_t>(bytes_.size()), Kind::kMark});
    } else if (const auto* tick = std::get_if<model::Tick>(&decoded->body)) {
      entries_.push_back({record.offset, term, tick->now, static_cast<uint32_t>(bytes_.size()), Kind::kTick});
    }
  }
  bytes_.shrink_to_fit();
}

void CatchupBlock::Add(const FilterClass& filter_class, eventlog::Offset offset, model::Event event,
                       FanoutProbe* probe) {
  const uint64_t term = event.term;
  PendingEvent pending(offset, std::move(event));
  const Verdict verdict = filter_class.Judge(pending);
  if (verdict == Verdict::kNothing) return;
  absl::StrAppend(&bytes_, pending.Encoded(filter_class.audiences(), verdict == Verdict::kLeftView));
  probe->encoded_catchup.Increment();
  entries_.push_back({offset, term, {}, static_cast<uint32_t>(bytes_.size()), Kind::kEvent});
}

size_t CatchupBlock::memory() const {
  return sizeof(*this) + bytes_.capacity() + entries_.capacity() * sizeof(Entry) + ages_.capacity() * sizeof(Age);
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
      if (it->kind == Kind::kEvent && chunk.events > 0) {
        // A slice has no holes: stop before the fenced event, the next call steps over it.
        chunk.after.offset = it->offset;
        break;
      }
      probe->fenced.Increment();
    } else if (it->kind == Kind::kMark) {
      fence.OnMark(it->term);
    } else if (it->kind == Kind::kTick) {
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
                                    [](const Age& a, eventlog::Offset offset) { return a.offset < offset; });
  if (age != block->ages_.begin()) chunk.after.since = std::max(from.since, std::prev(age)->appended_at);
  if (chunk.events > 0) chunk.slice = {block, absl::string_view(block->bytes_).substr(begin, end - begin)};
  return chunk;
}

CatchupCache::CatchupCache(int64_t bytes_max, eventlog::Log* log, FanoutProbe* probe, OnEvent on_event)
    : bytes_max_(bytes_max), log_(log), probe_(probe), on_event_(std::move(on_event)) {}

absl::StatusOr<Chunk> CatchupCache::Read(const CatchupLane& lane, const PartitionPosition& from, eventlog::Offset until,
                                         size_t bytes_max) {
  absl::StatusOr<BlockPtr> block = Find(lane, from.offset);
  if (!block.ok()) return block.status();
  if ((*block)->end() <= from.offset) {  // the log shows less than the dispatcher has seen: a broker that lags
    Chunk nothing;
    nothing.after = from;
    nothing.from_log = true;
    return nothing;
  }
  return CatchupBlock::Read(*block, from, until, bytes_max, probe_);
}

absl::StatusOr<CatchupCache::BlockPtr> CatchupCache::Find(const CatchupLane& lane, eventlog::Offset from) {
  // Blocks begin at multiples of kBlockRecords or where another ends, so that readers at slightly different places share them.
  Key key{lane.filter_class.id(), lane.partition, lane.with_states, from / kBlockRecords * kBlockRecords};
  {
    base::MutexLock lock(&mu_);
    while (true) {
      const auto after = blocks_.upper_bound({key.class_id, key.partition, key.with_states, from});
      if (after == blocks_.begin()) break;
      const auto before = std::prev(after);
      if (!before->first.SameLane(key)) break;
      const BlockPtr& block = before->second.block;
      if (block == nullptr) {
        if (from >= before->first.start + kBlockRecords) break;
        made_.Wait(&mu_);  // single flight
        continue;
      }
      if (from < block->end()) {
        used_.splice(used_.end(), used_, before->second.used);
        probe_->blocks_shared.Increment();
        return block;
      }
      key.start = std::max(key.start, block->end());
      break;
    }
    blocks_[key];  // whoever comes now waits for us
  }
  absl::StatusOr<BlockPtr> made = Make(lane, key.start, from);
  base::MutexLock lock(&mu_);
  const auto placeholder = blocks_.find(key);
  if (placeholder != blocks_.end() && placeholder->second.block == nullptr) blocks_.erase(placeholder);
  if (made.ok() && (*made)->end() > (*made)->start()) {
    key.start = (*made)->start();
    KeepLocked(key, *made);
  }
  made_.NotifyAll();
  return made;
}

absl::StatusOr<CatchupCache::BlockPtr> CatchupCache::Make(const CatchupLane& lane, eventlog::Offset start,
                                                          eventlog::Offset from) {
  const eventlog::TopicPartition at{eventlog::kEventsTopic, lane.partition};
  eventlog::ReadLimits limits;
  limits.records_max = kBlockRecords;
  absl::StatusOr<eventlog::ReadResult> read = log_->Read(at, start, limits);
  // The round offset below may have gone already, or the records between it and `from` may fill a whole read.
  if ((absl::IsOutOfRange(read.status()) || (read.ok() && read->next <= from)) && start < from) {
    start = from;
    read = log_->Read(at, start, limits);
  }
  if (!read.ok()) return read.status();
  probe_->blocks_made.Increment();
  return std::make_shared<const CatchupBlock>(lane, start, *std::move(read), probe_, on_event_);
}

void CatchupCache::KeepLocked(const Key& key, const BlockPtr& block) {
  Entry& entry = blocks_[key];
  if (entry.block != nullptr) {  // the same start, made twice
    bytes_ -= Cost(*entry.block);
    used_.erase(entry.used);
  }
  entry.block = block;
  entry.used = used_.insert(used_.end(), key);
  bytes_ += Cost(*block);
  while (bytes_ > bytes_max_ && !used_.empty()) {
    const auto oldest = blocks_.find(used_.front());
    used_.pop_front();
    bytes_ -= Cost(*oldest->second.block);
    blocks_.erase(oldest);
  }
}

}  // namespace hub::fanout
