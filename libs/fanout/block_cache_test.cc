#include "libs/fanout/block_cache.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/catch.h"

namespace hub::fanout {
namespace {

class Block {
 public:
  Block(eventlog::Offset start, eventlog::Offset end) : start_(start), end_(end) {}
  eventlog::Offset start() const { return start_; }
  eventlog::Offset end() const { return end_; }
  size_t memory() const { return *memory_; }
  void Grow(size_t bytes) const { *memory_ += bytes; }

 private:
  const eventlog::Offset start_, end_;
  const std::unique_ptr<size_t> memory_ = std::make_unique<size_t>(1000);
};
using Cache = BlockCache<int32_t, Block>;
constexpr int64_t kOfOne = 1000 + Cache::kBlockOverhead;

struct Log {
  eventlog::Offset end = 10'000;
  std::vector<eventlog::Offset> made;
  Cache::Found Find(Cache* cache, int32_t lane, eventlog::Offset from) {
    const auto found = cache->Find(lane, from, [&](eventlog::Offset start) -> absl::StatusOr<Cache::BlockPtr> {
      made.push_back(start);
      return std::make_shared<const Block>(start, std::min(start + Cache::kBlockRecords, end));
    });
    REQUIRE(found.ok());
    return *found;
  }
};

TEST_CASE("a block is made once for all who ask for what it holds, per lane", "[fanout][catchup]") {
  Cache cache(10 * kOfOne);
  Log log;
  CHECK(!log.Find(&cache, 0, 300).kept);
  CHECK(log.Find(&cache, 0, 256).kept);
  CHECK(log.Find(&cache, 0, 511).block->start() == 256);
  CHECK(!log.Find(&cache, 1, 300).kept);
  CHECK(log.made == std::vector<eventlog::Offset>{256, 256});
}

TEST_CASE("at the log's end the next block begins where the last one ended", "[fanout][catchup]") {
  Cache cache(10 * kOfOne);
  Log log{.end = 300, .made = {}};
  CHECK(log.Find(&cache, 0, 260).block->end() == 300);
  log.end = 10'000;
  CHECK(log.Find(&cache, 0, 260).kept);
  CHECK(log.Find(&cache, 0, 310).block->start() == 300);
}

TEST_CASE("what was not asked for longest goes first, and one that has grown counts as what it is", "[fanout][catchup]") {
  Cache cache(3 * kOfOne);
  Log log;
  const Cache::Found first = log.Find(&cache, 0, 0);
  log.Find(&cache, 0, 256);
  log.Find(&cache, 0, 512);
  CHECK(log.Find(&cache, 0, 0).kept);
  log.Find(&cache, 0, 768);
  CHECK(log.Find(&cache, 0, 0).kept);
  CHECK(log.Find(&cache, 0, 512).kept);
  CHECK(!log.Find(&cache, 0, 256).kept);  // it went for 768, which goes for it
  first.block->Grow(kOfOne);
  CHECK(log.Find(&cache, 0, 0).kept);     // and is counted: one of the other two goes
  CHECK(log.Find(&cache, 0, 256).kept);
  CHECK(!log.Find(&cache, 0, 512).kept);
  const Cache::Found again = log.Find(&cache, 0, 0);
  again.block->Grow(3 * kOfOne);
  CHECK(log.Find(&cache, 0, 0).kept);
  CHECK(!log.Find(&cache, 0, 0).kept);  // it alone was more than the bound
}

}  // namespace
}  // namespace hub::fanout
