// When memory that readers may still look at can be freed: each reader says before every look which generation it has seen, and what was
// replaced is kept until all of them have seen a later one, or look at nothing. Private to this library.
//
// Bound: kReadersMax at a time; retired bytes are counted, and who retires stops at a bound of its own (LayeredTable).
// Thread safety: Slots from any thread, each used by one at a time; Retire, Collect by one writer.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

namespace hub::replica {

class alignas(64) ReaderSlot {
  friend class Readers;
  std::atomic<uint64_t> seen_{0};  // 0: looks at nothing
  std::atomic<bool> taken_{false};
};

class Readers {
 public:
  static constexpr size_t kReadersMax = 64;

  // A free slot, or nullptr.
  ReaderSlot* Claim() {
    for (ReaderSlot& slot : slots_) {
      if (!slot.taken_.exchange(true, std::memory_order_acq_rel)) return &slot;
    }
    return nullptr;
  }
  void Release(ReaderSlot* slot) {
    Idle(slot);
    slot->taken_.store(false, std::memory_order_release);
  }

  // Before the first look, or the first after Idle. The store and the load that follows are in one order with the writer's (seq_cst): either it
  // sees that we look, or we see what it has put in place.
  void Enter(ReaderSlot* slot) {
    slot->seen_.store(generation_.load(std::memory_order_acquire), std::memory_order_seq_cst);
    slot->seen_.store(generation_.load(std::memory_order_seq_cst), std::memory_order_release);
  }
  // Before every further look: all looks before it are over, all after it see at least that generation. No fence, no waiting.
  void Next(ReaderSlot* slot) {
    slot->seen_.store(generation_.load(std::memory_order_acquire), std::memory_order_release);
  }
  void Idle(ReaderSlot* slot) { slot->seen_.store(0, std::memory_order_release); }

  // REQUIRES: nothing points to it any more.
  template <class T>
  void Retire(std::unique_ptr<T> old, size_t bytes) {
    if (old == nullptr) return;
    const uint64_t after = generation_.fetch_add(1, std::memory_order_seq_cst) + 1;
    retired_.push_back({after, std::shared_ptr<const void>(std::move(old)), bytes});
    retired_bytes_ += bytes;
  }
  void Collect() {
    if (retired_.empty()) return;
    uint64_t oldest = UINT64_MAX;
    for (const ReaderSlot& slot : slots_) {
      const uint64_t seen = slot.seen_.load(std::memory_order_seq_cst);
      if (seen != 0 && seen < oldest) oldest = seen;
    }
    while (!retired_.empty() && retired_.front().after <= oldest) {
      retired_bytes_ -= retired_.front().bytes;
      retired_.pop_front();
    }
  }
  size_t retired_bytes() const { return retired_bytes_; }

 private:
  struct Retired {
    uint64_t after;
    std::shared_ptr<const void> what;
    size_t bytes;
  };
  std::atomic<uint64_t> generation_{1};
  std::array<ReaderSlot, kReadersMax> slots_;
  std::deque<Retired> retired_;
  size_t retired_bytes_ = 0;
};

}  // namespace hub::replica
