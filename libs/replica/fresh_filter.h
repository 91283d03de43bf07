// A bit for each key that may be fresh: nearly always 0 for one that isn't, a branch that the processor foresees, which it can't in a hash table that is
// half full. Private to this library.
//
// Thread safety: MayHold beside one writer, wait-free. Who finds no bit sees all that was stored before the bit was taken away.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hub::replica {

class FreshFilter {
 public:
  bool MayHold(uint64_t key) const {
    const uint64_t bit = BitOf(key);
    return (words_.data()[bit / 64].load(std::memory_order_acquire) >> bit % 64 & 1) != 0;
  }

  void Add(uint64_t key) {
    const uint64_t bit = BitOf(key);
    std::atomic<uint64_t>& word = words_[bit / 64];  // we alone write
    word.store(word.load(std::memory_order_relaxed) | uint64_t{1} << bit % 64, std::memory_order_release);
  }
  // From here on it may hold anything.
  void AddAll() {
    for (auto& word : words_) word.store(~uint64_t{0}, std::memory_order_release);
  }
  // These and nothing else.
  void Reset(const std::vector<uint64_t>& keys) {
    std::array<uint64_t, kWords> words{};
    for (const uint64_t key : keys) words[BitOf(key) / 64] |= uint64_t{1} << BitOf(key) % 64;
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
  }

 private:
  static constexpr int kBits = 17;  // 16 KB: half a cache of the first level; one key in 32 when 4,096 are fresh
  static constexpr size_t kWords = (size_t{1} << kBits) / 64;
  static uint64_t BitOf(uint64_t key) { return (key * 0xC2B2AE3D27D4EB4Fu) >> (64 - kBits); }

  std::array<std::atomic<uint64_t>, kWords> words_{};
};

}  // namespace hub::replica
