#include "libs/fanout/arrival_order.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "libs/wire/event_runs.h"

namespace hub::fanout {
namespace {

constexpr int kWorthPacking = 4;  // events
constexpr int kPackedMax = 12;    // runs for the first time, but for a block's: half a millisecond

size_t Index(int32_t partition) { return static_cast<size_t>(partition); }

}  // namespace

void ArrivalOrder::Append(int32_t partition, eventlog::Offset offset, absl::string_view bytes) {
  if (blocks_.empty() || blocks_.back()->entries.size() == kBlockEvents) {
    blocks_.push_back(std::make_unique<Block>());
    blocks_.back()->ends = ends_;
    Count(static_cast<int64_t>(sizeof(Block) + ends_.size() * sizeof(eventlog::Offset)));
  }
  Block& block = *blocks_.back();
  block.entries.push_back({bytes.data(), static_cast<uint32_t>(bytes.size()), partition, offset});
  block.ends[Index(partition)] = ends_[Index(partition)] = offset + 1;
  Count(sizeof(Entry));
}

void ArrivalOrder::Drop(Places bases) {
  const auto gone = [bases](const Entry& entry) { return entry.offset < bases[Index(entry.partition)]; };
  while (!blocks_.empty()) {
    const Block& block = *blocks_.front();
    if (!std::all_of(block.entries.begin(), block.entries.end(), gone)) break;
    Count(-static_cast<int64_t>(sizeof(Block) + ends_.size() * sizeof(eventlog::Offset) +
                                block.entries.size() * sizeof(Entry) + block.runs.memory()));
    blocks_.pop_front();
    first_ += kBlockEvents;
  }
  if (last_.begin < first_) Forget();
}

void ArrivalOrder::Clear() {
  first_ += blocks_.size() * kBlockEvents;
  blocks_.clear();
  last_ = {};
  memory_ = 0;
}

void ArrivalOrder::Forget() {
  Count(-static_cast<int64_t>(last_.copied));
  last_ = {};
}

uint64_t ArrivalOrder::PlaceOf(size_t partition, eventlog::Offset event, size_t block) const {
  const std::vector<Entry>& entries = blocks_[block]->entries;
  const auto is = [&](const Entry& entry) { return Index(entry.partition) == partition && entry.offset >= event; };
  const auto found = std::find_if(entries.begin(), entries.end(), is);
  return first_ + block * kBlockEvents + static_cast<uint64_t>(found - entries.begin());
}

void ArrivalOrder::Find(size_t partition, eventlog::Offset offset, uint64_t* before, uint64_t* first) const {
  // The first block that holds an event of the partition at or after this one.
  const auto block_past = [&](eventlog::Offset event) {
    const auto ends_before = [&](const std::unique_ptr<Block>& block) { return block->ends[partition] <= event; };
    return static_cast<size_t>(std::partition_point(blocks_.begin(), blocks_.end(), ends_before) - blocks_.begin());
  };
  const size_t block = block_past(offset);
  *first = block == blocks_.size() ? total() : PlaceOf(partition, offset, block);
  // The event before that: in the same block, or the last of an earlier one.
  *before = first_;
  for (uint64_t at = std::min(*first, total()); at > first_ + block * kBlockEvents; --at) {
    if (Index(EntryAt(at - 1).partition) == partition) {
      *before = at;
      return;
    }
  }
  if (block == 0) return;
  const eventlog::Offset last = blocks_[block - 1]->ends[partition] - 1;
  const size_t holder = block_past(last);
  const uint64_t at = PlaceOf(partition, last, holder);
  const uint64_t holder_end = first_ + holder * kBlockEvents + blocks_[holder]->entries.size();
  if (at < holder_end) *before = at + 1;  // else it was dropped
}

ArrivalOrder::Read ArrivalOrder::ReadRuns(Places from, Places until, uint64_t at, size_t bytes_max) {
  Read read;
  read.after.assign(from.begin(), from.end());
  uint64_t begin = at, together = at;  // from `together` on nothing was had, before it some
  if (at == kNowhere || at < first_ || at > total()) {
    begin = total();
    together = first_;
    for (size_t p = 0; p < from.size(); ++p) {
      uint64_t before = 0, first = 0;
      Find(p, from[p], &before, &first);
      begin = std::min(begin, first);
      together = std::max(together, before);
    }
    together = std::max(together, begin);
  }
  std::string apart;
  const uint64_t reached = ReadApart(from, until, begin, together, bytes_max, &read, &apart);
  if (!apart.empty()) {
    read.bytes = apart.size();
    auto owned = std::make_shared<const std::string>(std::move(apart));
    read.slices.push_back({owned, *owned});
  }
  if (reached < together || !read.slices.empty()) {
    if (reached == together) read.at = together;
    PassOthers(until, &read.after);
    return read;  // not drained: the next goes on with what comes together
  }
  const uint64_t limit = std::min(total(), together + kEventsMax);
  const uint64_t end = EndOfSeen(together, limit, until);
  uint64_t stop = end;
  if (end > together) {
    const Last& had = ReadTogether(together, end, bytes_max, &read.runs_packed);
    read.slices = had.slices;
    read.bytes = had.bytes;
    stop = had.stop;
  }
  Pass(together, stop, &read.after);
  read.events = static_cast<int>(stop - together);
  read.at = stop;
  PassOthers(until, &read.after);
  // What is left are events that nobody may see yet: who publishes them says so.
  read.drained = stop == end && (end < limit || limit == total());
  return read;
}

// `places` up to the next event of each partition, past records that are none of the class.
void ArrivalOrder::PassOthers(Places until, std::vector<eventlog::Offset>* places) const {
  for (size_t p = 0; p < places->size(); ++p) {
    eventlog::Offset bound = until[p];
    if ((*places)[p] < ends_[p]) {
      uint64_t before = 0, first = 0;
      Find(p, (*places)[p], &before, &first);
      if (first < total()) bound = std::min(bound, EntryAt(first).offset);
    }
    (*places)[p] = std::max((*places)[p], bound);
  }
}

// The first event of [begin, end) that lies at or after `until` in its partition; `end`: none.
uint64_t ArrivalOrder::EndOfSeen(uint64_t begin, uint64_t end, Places until) const {
  uint64_t at = begin;
  while (at < end) {
    const Block& block = BlockOf(at);
    const uint64_t block_first = at - (at - first_) % kBlockEvents;
    const uint64_t block_end = std::min(end, block_first + block.entries.size());
    const auto all_seen = [&] {
      return std::equal(block.ends.begin(), block.ends.end(), until.begin(), std::less_equal<>());
    };
    if (!all_seen()) {
      const auto seen = [until](const Entry& entry) { return entry.offset < until[Index(entry.partition)]; };
      const auto entry = [&](uint64_t place) {
        return block.entries.begin() + static_cast<ptrdiff_t>(place - block_first);
      };
      const auto first = std::find_if_not(entry(at), entry(block_end), seen);
      if (first != entry(block_end)) return block_first + static_cast<uint64_t>(first - block.entries.begin());
    }
    at = block_end;
  }
  return end;
}

// `places` behind the events of [begin, end).
void ArrivalOrder::Pass(uint64_t begin, uint64_t end, std::vector<eventlog::Offset>* places) const {
  if (begin == end) return;
  const uint64_t last_block = (end - 1 - first_) / kBlockEvents;
  uint64_t at = std::max(begin, first_ + last_block * kBlockEvents);
  if (at > begin) {  // whole blocks, but for what of the first was passed already
    const std::vector<eventlog::Offset>& ends = blocks_[last_block - 1]->ends;
    for (size_t p = 0; p < places->size(); ++p) (*places)[p] = std::max((*places)[p], ends[p]);
  }
  const std::vector<Entry>& entries = blocks_[last_block]->entries;
  for (; at < end; ++at) {
    const Entry& entry = entries[(at - first_) % kBlockEvents];
    (*places)[Index(entry.partition)] = entry.offset + 1;
  }
}

// Of [begin, end) what the reader has not; returns how far it came.
uint64_t ArrivalOrder::ReadApart(Places from, Places until, uint64_t begin, uint64_t end, size_t bytes_max, Read* read,
                                 std::string* out) const {
  std::string slices;
  uint64_t at = begin;
  for (; at < end; ++at) {
    const Entry& entry = EntryAt(at);
    const size_t p = Index(entry.partition);
    if (entry.offset < from[p]) continue;
    const bool full = read->events > 0 && slices.size() + entry.size > bytes_max;
    if (entry.offset >= until[p] || full || read->events == kEventsMax) break;
    slices.append(entry.data, entry.size);
    read->after[p] = entry.offset + 1;
    ++read->events;
  }
  if (read->events >= kWorthPacking) {
    wire::AppendPackedRun(slices, read->events, out);
  } else if (read->events > 0) {
    wire::AppendPlainRun(slices, read->events, out);
  }
  return at;
}

const ArrivalOrder::Last& ArrivalOrder::ReadTogether(uint64_t begin, uint64_t end, size_t bytes_max, int* runs_packed) {
  if (last_.begin == begin && last_.end == end &&
      (last_.whole ? last_.bytes <= bytes_max : last_.bytes_max == bytes_max)) {
    return last_;
  }
  RunSlices runs;
  std::string scattered;
  uint64_t at = begin;
  while (at < end && *runs_packed < kPackedMax) {
    Block& block = BlockOf(at);
    const size_t first = (at - first_) % kBlockEvents;
    const size_t last = std::min<size_t>(kBlockEvents, first + (end - at));
    const auto bytes_of = [&](size_t from, size_t until) {
      scattered.clear();
      for (size_t i = from; i < until; ++i) scattered.append(block.entries[i].data, block.entries[i].size);
      return absl::string_view(scattered);
    };
    const auto memory = static_cast<int64_t>(block.runs.memory());
    const int packed = block.runs.packed();
    const size_t taken = block.runs.Read(first, last, bytes_max, bytes_of, &runs);
    Count(static_cast<int64_t>(block.runs.memory()) - memory);
    *runs_packed += block.runs.packed() - packed;
    at += taken;
    if (first + taken < last) break;
  }
  const size_t bytes = runs.bytes(), copied = runs.copied();
  Count(static_cast<int64_t>(copied) - static_cast<int64_t>(last_.copied));
  last_ = {begin, end, bytes_max, at == end, std::move(runs).Take(), bytes, copied, at};
  return last_;
}

}  // namespace hub::fanout
