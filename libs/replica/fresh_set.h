// What has changed since the table behind it was built: key and payload in one word, so that a reader sees both or neither. Private to this
// library.
//
// Bound: seven eighths of the slots; Put then refuses new keys. Nothing is ever taken out.
// Thread safety: Put by one writer; Find beside it, wait-free.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace hub::replica {

class FreshSet {
 public:
  // REQUIRES: slots is a power of two, at least 64. The lower `payload_bits` of a word are the payload.
  FreshSet(size_t slots, int payload_bits)
      : payload_bits_(payload_bits),
        shift_(64 - std::countr_zero(slots)),
        mask_(slots - 1),
        slots_(std::make_unique<std::atomic<uint64_t>[]>(slots)) {}

  // False: full. REQUIRES: the payload is not 0.
  bool Put(uint64_t word) {
    const uint64_t key = word >> payload_bits_;
    size_t at = Home(key);
    for (;; at = (at + 1) & mask_) {
      const uint64_t there = slots_[at].load(std::memory_order_relaxed);  // we alone write
      if (there == 0) break;
      if (there >> payload_bits_ != key) continue;
      slots_[at].store(word, std::memory_order_release);
      return true;
    }
    if (size_ >= (mask_ + 1) / 8 * 7) return false;
    slots_[at].store(word, std::memory_order_release);
    ++size_;
    return true;
  }

  // The payload; 0: not here.
  uint64_t Find(uint64_t key) const {
    for (size_t at = Home(key);; at = (at + 1) & mask_) {
      const uint64_t there = slots_.get()[at].load(std::memory_order_acquire);
      if (there == 0) return 0;
      if (there >> payload_bits_ == key) return there & ((uint64_t{1} << payload_bits_) - 1);
    }
  }

  // In no order.
  std::vector<uint64_t> Words() const {
    std::vector<uint64_t> words;
    words.reserve(size_);
    for (size_t i = 0; i <= mask_; ++i) {
      if (const uint64_t word = slots_[i].load(std::memory_order_relaxed); word != 0) words.push_back(word);
    }
    return words;
  }
  size_t size() const { return size_; }
  size_t bytes() const { return (mask_ + 1) * sizeof(uint64_t); }

 private:
  size_t Home(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }

  const int payload_bits_;
  const int shift_;
  const size_t mask_;
  size_t size_ = 0;
  const std::unique_ptr<std::atomic<uint64_t>[]> slots_;
};

}  // namespace hub::replica
