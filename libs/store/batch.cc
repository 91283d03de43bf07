#include "libs/store/batch.h"

#include <algorithm>
#include <cstring>

#include "libs/base/check.h"

namespace hub::store {
namespace {

// The first is small, for batches of a row or two; each next twice the one before.
constexpr size_t kBlockBytesMin = 512;
constexpr size_t kBlockBytesMax = size_t{64} << 10;

}  // namespace

absl::string_view Batch::Keep(std::initializer_list<absl::string_view> parts) {
  size_t size = 0;
  for (const absl::string_view part : parts) size += part.size();
  bytes_ += size;
  if (size > block_room_) {
    const size_t doubled = kBlockBytesMin << std::min<size_t>(blocks_.size(), 7);
    block_room_ = std::max(size, std::min(doubled, kBlockBytesMax));
    blocks_.emplace_back(new char[block_room_]);
    block_at_ = blocks_.back().get();
  }
  char* const begin = block_at_;
  for (const absl::string_view part : parts) {
    if (!part.empty()) std::memcpy(block_at_, part.data(), part.size());
    block_at_ += part.size();
  }
  block_room_ -= size;
  return absl::string_view(begin, size);
}

void Batch::Put(TableId table, absl::string_view key, std::initializer_list<absl::string_view> value) {
  const absl::string_view kept = Keep({key});
  operations_.push_back({Operation::Kind::kPut, table, kept, Keep(value)});
}

void Batch::Delete(TableId table, absl::string_view key) {
  operations_.push_back({Operation::Kind::kDelete, table, Keep({key}), {}});
}

void Batch::DeleteRange(TableId table, absl::string_view begin, absl::string_view end) {
  HUB_CHECK(!end.empty());
  const absl::string_view first = Keep({begin});
  operations_.push_back({Operation::Kind::kDeleteRange, table, first, Keep({end})});
}

void Batch::Clear() { *this = Batch(); }

}  // namespace hub::store
