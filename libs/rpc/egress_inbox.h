// What other threads want of a shard: news for its streams, and orders.
//
// Private to libs/rpc. Thread safety: what says so may be called by any thread; the rest is the shard's own thread's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/rpc/egress.h"

namespace hub::rpc {

class EgressInbox {
 public:
  struct Orders {
    std::optional<absl::Duration> drain_window;
    int shed = 0;
    bool closing = false;  // stays
  };

  // `kick`: ends the shard's wait, or the next one.
  explicit EgressInbox(std::function<void()> kick) : kick_(std::move(kick)) {}

  // Any thread.
  void Put(EgressNews news) {
    if (news == EgressNews::kUrgent) urgent_.store(true);
    if (news == EgressNews::kForReaders) {
      for_readers_.store(true);
    } else {
      news_.fetch_add(1);
    }
    // The thread stores how it waits before it looks at the news for the last time, so one of the two sees the other.
    const Wait wait = wait_.load();
    if (wait == Wait::kForNews || (news != EgressNews::kForAll && wait == Wait::kForLinger)) kick_();
  }
  // Any thread. `change` is called with Orders*.
  template <class Change>
  void Order(Change change) {
    {
      base::MutexLock lock(&orders_mu_);
      change(&orders_);
    }
    kick_();
  }

  // How often there was news.
  uint64_t news() const { return news_.load(); }
  bool urgent() const { return urgent_.load(); }
  bool TakeUrgent() { return urgent_.exchange(false); }
  bool TakeForReaders() { return for_readers_.load() && for_readers_.exchange(false); }
  Orders TakeOrders() {
    base::MutexLock lock(&orders_mu_);
    return std::exchange(orders_, {.closing = orders_.closing});
  }

  // Before a wait: for more than `seen` news, or, `lingering`, for what doesn't wait for the linger. False: there is some already.
  bool BeginWait(bool lingering, uint64_t seen) {
    wait_.store(lingering ? Wait::kForLinger : Wait::kForNews);
    return !for_readers_.load() && !(lingering ? urgent_.load() : news_.load() != seen);
  }
  void EndWait() { wait_.store(Wait::kNot); }

 private:
  enum class Wait { kNot, kForLinger, kForNews };

  const std::function<void()> kick_;
  // Sequentially consistent, all of them: see Put.
  std::atomic<uint64_t> news_{0};
  std::atomic<bool> urgent_{false}, for_readers_{false};
  std::atomic<Wait> wait_{Wait::kNot};
  base::Mutex orders_mu_;
  Orders orders_ ABSL_GUARDED_BY(orders_mu_);
};

}  // namespace hub::rpc
