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
    return (words_.data()[WordOf(key)].load(std::memory_order_acquire) & BitOf(key)) != 0;
  }

  void Add(uint64_t key) {
    std::atomic<uint64_t>& word = words_[WordOf(key)];  // we alone write
    word.store(word.load(std::memory_order_relaxed) | BitOf(key), std::memory_order_release);
  }
  // From here on it may hold anything.
  void AddAll() {
    for (auto& word : words_) word.store(~uint64_t{0}, std::memory_order_release);
  }
  // These and nothing else.
  void Reset(const std::vector<uint64_t>& keys) {
    std::vector<uint64_t> words(kWords);
    for (const uint64_t key : keys) words[WordOf(key)] |= BitOf(key);
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
  }

 private:
  // 64 KB, in the cache of the second level; one bit in 128 is set when 4,096 keys are fresh.
  static constexpr size_t kWords = 8192;

  // Numbers and hashes differ in their lower bits as much as in any function of them.
  static size_t WordOf(uint64_t key) { return key / 64 % kWords; }
  static uint64_t BitOf(uint64_t key) { return uint64_t{1} << key % 64; }

  std::array<std::atomic<uint64_t>, kWords> words_{};
};

}  // namespace hub::replica
