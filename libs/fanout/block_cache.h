// Blocks of consecutive offsets, by lane: kept within a bound of bytes, least recently used first to go; of several who miss the same block
// one makes it, the others wait. Private to this library.
//
// Thread safety: any thread. No lock is held while a block is made.
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/log.h"

namespace hub::fanout {

// Lane: ordered. Block: start(), end() and memory(), which may grow.
template <class Lane, class Block>
class BlockCache {
 public:
  using BlockPtr = std::shared_ptr<const Block>;
  static constexpr eventlog::Offset kBlockRecords = 256;  // of a block that is whole; bounds how long one read keeps its caller
  static constexpr int64_t kBlockOverhead = 256;          // bytes of a block's places in the map and the list, about

  // `bytes_max` bounds what is kept; who uses a block, and the one just made, come on top.
  explicit BlockCache(int64_t bytes_max) : bytes_max_(bytes_max) {}

  struct Found {
    BlockPtr block;  // ends at or before `from` when the log shows no more
    bool kept = false;
  };
  // The block that holds `from`; else what `make(start)` gives: StatusOr<BlockPtr> from `start` on, which is at or before `from`, or from a
  // later place up to `from` when that is where its records begin.
  template <class Make>
  absl::StatusOr<Found> Find(const Lane& lane, eventlog::Offset from, const Make& make) {
    // Blocks begin at multiples of kBlockRecords or where another ends, so that readers at slightly different places share them.
    Key key{lane, from / kBlockRecords * kBlockRecords};
    {
      base::MutexLock lock(&mu_);
      while (true) {
        const auto after = blocks_.upper_bound({lane, from});
        if (after == blocks_.begin()) break;
        const auto before = std::prev(after);
        if (before->first.lane != lane) break;
        const BlockPtr& block = before->second.block;
        if (block == nullptr) {
          if (from >= before->first.start + kBlockRecords) break;
          made_.Wait(&mu_);
          continue;
        }
        if (from < block->end()) {
          const BlockPtr found = block;
          used_.splice(used_.end(), used_, before->second.used);
          CountLocked(&before->second);
          EvictLocked();
          return Found{found, true};
        }
        key.start = std::max(key.start, block->end());
        break;
      }
      blocks_[key];  // whoever comes now waits for us
    }
    absl::StatusOr<BlockPtr> made = make(key.start);
    base::MutexLock lock(&mu_);
    const auto placeholder = blocks_.find(key);
    if (placeholder != blocks_.end() && placeholder->second.block == nullptr) blocks_.erase(placeholder);
    if (made.ok() && (*made)->end() > (*made)->start()) KeepLocked({lane, (*made)->start()}, *made);
    made_.NotifyAll();
    if (!made.ok()) return made.status();
    return Found{*std::move(made), false};
  }

 private:
  struct Key {
    Lane lane;
    eventlog::Offset start;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Entry {
    BlockPtr block;  // null while somebody makes it
    int64_t cost = 0;
    typename std::list<Key>::iterator used;
  };

  void CountLocked(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const int64_t cost = static_cast<int64_t>(entry->block->memory()) + kBlockOverhead;
    bytes_ += cost - std::exchange(entry->cost, cost);
  }
  void KeepLocked(const Key& key, const BlockPtr& block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Entry& entry = blocks_[key];
    if (entry.block != nullptr) used_.erase(entry.used);  // the same start, made twice
    entry.block = block;
    entry.used = used_.insert(used_.end(), key);
    CountLocked(&entry);
    EvictLocked();
  }
  void EvictLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    while (bytes_ > bytes_max_ && !used_.empty()) {
      const auto oldest = blocks_.find(used_.front());
      used_.pop_front();
      bytes_ -= oldest->second.cost;
      blocks_.erase(oldest);
    }
  }

  const int64_t bytes_max_;
  base::Mutex mu_;
  base::CondVar made_;
  std::map<Key, Entry> blocks_ ABSL_GUARDED_BY(mu_);
  std::list<Key> used_ ABSL_GUARDED_BY(mu_);  // least recently first; made blocks only
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hub::fanout
