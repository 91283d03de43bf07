#include "libs/fanout/snapshot_block.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/wire/event_runs.h"

namespace hub::fanout {
namespace {

constexpr uint32_t kRunEvents = 16;
constexpr size_t kRunBytes = 16 * 1024;            // a run with so much is closed
constexpr size_t kUnpackedBytesMax = size_t{1} << 20;  // of a piece: events that repeat themselves pack to next to nothing

}  // namespace

void SnapshotBlock::Add(absl::string_view event) {
  absl::StrAppend(&open_, event);
  ++events_;
  if (++open_events_ == kRunEvents || open_.size() >= kRunBytes) Close();
}

void SnapshotBlock::Close() {
  wire::AppendPackedRun(open_, static_cast<int>(open_events_), &bytes_);
  runs_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(open_.size()), open_events_});
  open_.clear();
  open_events_ = 0;
}

void SnapshotBlock::Finish(std::vector<eventlog::Offset> heads) {
  if (open_events_ > 0) Close();
  open_.shrink_to_fit();
  bytes_.shrink_to_fit();
  runs_.shrink_to_fit();
  heads_ = std::move(heads);
}

SnapshotBlock::Piece SnapshotBlock::Read(const std::shared_ptr<const SnapshotBlock>& block, size_t from,
                                         size_t bytes_max, EventForm form) {
  const std::vector<Run>& runs = block->runs_;
  const size_t begin = from == 0 ? 0 : runs[from - 1].end;
  Piece piece;
  size_t bytes = 0;
  for (piece.next = from; piece.next < runs.size(); ++piece.next) {
    const Run& run = runs[piece.next];
    bytes += form == EventForm::kRuns ? run.end - (piece.next == 0 ? 0 : runs[piece.next - 1].end) : run.unpacked;
    piece.unpacked += run.unpacked;
    if ((bytes > bytes_max || piece.unpacked > kUnpackedBytesMax) && piece.next > from) break;
    piece.events += static_cast<int>(run.events);
  }
  const absl::string_view packed = absl::string_view(block->bytes_).substr(begin, runs[piece.next - 1].end - begin);
  if (form == EventForm::kRuns) {
    piece.slice = {block, packed};
  } else {
    auto slices = std::make_shared<std::string>();
    HUB_CHECK(wire::UnpackFramedRuns(packed, slices.get()).ok());
    piece.slice = {slices, *slices};
  }
  return piece;
}

size_t SnapshotBlock::memory() const {
  return sizeof(*this) + bytes_.capacity() + runs_.capacity() * sizeof(Run) + heads_.capacity() * sizeof(heads_[0]);
}

}  // namespace hub::fanout
