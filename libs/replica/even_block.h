// Sorted suffixes of 64 prefixes, each suffix with a byte (or with none), in one block of memory; and for each prefix a word that says all a lookup
// must know before it looks at the suffixes themselves. Private to this library.
//
//   even    suffixes (10) | where the window of suffix 0 is (48) | places by which the window begins before the even one (5) | 1
//   plain   suffixes (10) | where they are (48) | kPlain
//   node    0 (10) | where the words of its four quarters are (48) | kNode
//   0       nothing
//
// Suffixes are even when each lies at most a window from where it would be if they were spread evenly (random ones are, up to some 200 of a
// prefix): a lookup computes the place, compares one window, and is done, whatever the numbers are. Those that aren't stay plain if they are few, to be
// searched by halves, and are split in four if they are many. Memory: what it holds, 32 bytes a node (of more than kPlainMax suffixes), 100 a block.
//
// Thread safety: nothing of it changes once built.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "libs/base/check.h"

namespace hub::replica {

template <class Suffix, bool kHasByte>
class EvenBlock {
 public:
  static constexpr uint32_t kPrefixes = 64;
  static constexpr int kSuffixBits = 8 * sizeof(Suffix);
  static constexpr uint32_t kWindow = 24;     // suffixes that are compared at once
  static constexpr uint32_t kPlainMax = 256;  // as many as one fetches all at once
  using Words = std::array<uint64_t, kPrefixes>;

  struct Draft {  // suffixes in ascending order under each prefix
    std::array<uint32_t, kPrefixes> counts{};
    std::vector<Suffix> suffixes;
    std::vector<uint8_t> bytes;
    void Clear() {
      counts = {};
      suffixes.clear();
      bytes.clear();
    }
  };

  // The words live as long as the block.
  static std::unique_ptr<const EvenBlock> Build(const Draft& draft, Words* words) {
    Builder builder(draft);
    builder.LayAll(words);
    const size_t memory = sizeof(EvenBlock) + builder.before + std::max(builder.at, builder.reach);
    auto* block = new (::operator new(memory)) EvenBlock(memory);
    builder.memory = reinterpret_cast<uint8_t*>(block + 1) + builder.before;
    HUB_CHECK(reinterpret_cast<uintptr_t>(builder.memory) >> 47 == 0);
    builder.LayAll(words);
    return std::unique_ptr<const EvenBlock>(block);
  }
  static void operator delete(void* block) { ::operator delete(block); }
  size_t memory() const { return memory_; }

  static bool IsEven(uint64_t word) { return (word & 1) != 0; }

  // Looks for it in the window, a bit for each place that is equal; 0: it is not there. REQUIRES: IsEven(word); `bits`: as many lower ones tell the
  // word's suffixes apart.
  static uint32_t Look(uint64_t word, Suffix wanted, int bits) {
    const uint32_t even = EvenPlace(wanted, CountOf(word), bits);
    // Its byte is fetched along with the suffixes instead of after them: most windows begin some 8 places too early.
    if constexpr (kHasByte)
      __builtin_prefetch(reinterpret_cast<const void*>(ShownBytes(word, even) + 8 * sizeof(Suffix)));
    return Equal(AddressOf(word) + even * sizeof(Suffix), wanted);
  }
  // The byte of the first place that Look has found equal. False: a window shows what is beyond the ends of its suffixes, too, which can be equal by chance.
  static bool Take(uint64_t word, Suffix wanted, int bits, uint32_t equal, uint8_t* byte) {
    const uint32_t even = EvenPlace(wanted, CountOf(word), bits);
    const auto shown = static_cast<uint32_t>(std::countr_zero(equal));
    if (even - EvenLowOf(word) + shown >= CountOf(word)) return false;
    if constexpr (kHasByte)
      *byte =
          *reinterpret_cast<const uint8_t*>(ShownBytes(word, even) + EvenLowOf(word) * (sizeof(Suffix) - 1) + shown);
    return true;
  }
  // Both, for any word of a whole prefix.
  static bool Find(uint64_t word, Suffix wanted, uint8_t* byte) {
    int bits = kSuffixBits;
    while (KindOf(word) == kNode) {
      bits -= 2;
      word = reinterpret_cast<const uint64_t*>(AddressOf(word))[wanted >> bits & 3];
    }
    if (IsEven(word)) {
      for (uint32_t equal = Look(word, wanted, bits); equal != 0; equal &= equal - 1) {
        if (Take(word, wanted, bits, equal, byte)) return true;
      }
      return false;
    }
    return word != 0 && FindPlain(SuffixesOf(word), CountOf(word), wanted, byte);
  }

  // All under a prefix's word, in ascending order: f(suffixes, bytes, count), several times, count > 0.
  template <class F>
  static void ForEach(uint64_t word, const F& f) {
    if (word == 0) return;
    if (KindOf(word) == kNode) {
      for (int quarter = 0; quarter < 4; ++quarter) {
        ForEach(reinterpret_cast<const uint64_t*>(AddressOf(word))[quarter], f);
      }
    } else {
      f(SuffixesOf(word), BytesOf(SuffixesOf(word), CountOf(word), 0), CountOf(word));
    }
  }

 private:
  static constexpr int kCountBits = 10, kKindBits = 6;
  static constexpr uint64_t kPlain = 2, kNode = 4;
  static constexpr uint32_t kCountMax = (1u << kCountBits) - 1;

  explicit EvenBlock(size_t memory) : memory_(memory) {}

  static uint64_t KindOf(uint64_t word) { return word & ((1u << kKindBits) - 1); }
  static uintptr_t AddressOf(uint64_t word) { return word << kCountBits >> (kCountBits + kKindBits); }
  static uint32_t CountOf(uint64_t word) { return static_cast<uint32_t>(word >> (64 - kCountBits)); }
  static uint32_t EvenLowOf(uint64_t word) { return word >> 1 & 31; }
  static const Suffix* SuffixesOf(uint64_t word) {
    return reinterpret_cast<const Suffix*>(AddressOf(word) + (IsEven(word) ? EvenLowOf(word) * sizeof(Suffix) : 0));
  }
  static const uint8_t* BytesOf(const Suffix* suffixes, uint32_t count, uint32_t at) {
    return reinterpret_cast<const uint8_t*>(suffixes + count) + at;
  }
  static uint32_t EvenPlace(Suffix suffix, uint32_t count, int bits) {
    return static_cast<uint32_t>((suffix & ((uint64_t{1} << bits) - 1)) * count >> bits);
  }

  // Where the byte of the first suffix in the window is, but for `low`.
  static uintptr_t ShownBytes(uint64_t word, uint32_t even) {
    return AddressOf(word) + CountOf(word) * sizeof(Suffix) + even;
  }

  // A bit for each suffix of the window that is the wanted one.
  static uint32_t Equal(uintptr_t window, Suffix wanted) {
#ifdef __SSE2__
    const auto* vectors = reinterpret_cast<const __m128i*>(window);
    const auto equal = [&](int eight) {
      if constexpr (sizeof(Suffix) == 2) {
        return _mm_cmpeq_epi16(_mm_loadu_si128(vectors + eight), _mm_set1_epi16(static_cast<int16_t>(wanted)));
      } else {
        const __m128i all = _mm_set1_epi32(static_cast<int32_t>(wanted));
        return _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(vectors + 2 * eight), all),
                               _mm_cmpeq_epi32(_mm_loadu_si128(vectors + 2 * eight + 1), all));
      }
    };
    const __m128i first = equal(0), second = equal(1), third = equal(2);
    if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(first, second), third)) == 0) return 0;
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(first, second))) |
           static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(third, _mm_setzero_si128()))) << 16;
#else
    uint32_t equal = 0;
    for (uint32_t i = 0; i < kWindow; ++i) {
      Suffix there;
      std::memcpy(&there, reinterpret_cast<const uint8_t*>(window) + i * sizeof(Suffix), sizeof(Suffix));
      equal |= static_cast<uint32_t>(there == wanted) << i;
    }
    return equal;
#endif
  }

  static bool FindPlain(const Suffix* all, uint32_t count, Suffix wanted, uint8_t* byte) {
    for (uint32_t i = 0; i < count; i += 64 / sizeof(Suffix)) __builtin_prefetch(all + i);
    const Suffix* at = all;
    for (uint32_t left = count; left > 1;) {
      const uint32_t half = left / 2;
      at = at[half - 1] < wanted ? at + half : at;
      left -= half;
    }
    if (*at != wanted) return false;
    if constexpr (kHasByte) *byte = *BytesOf(all, count, static_cast<uint32_t>(at - all));
    return true;
  }

  // Lays out a draft: once to measure, with no memory yet, and once into the memory.
  struct Builder {
    explicit Builder(const Draft& from) : draft(from) {}

    void LayAll(Words* words) {
      at = next = 0;
      uint32_t first = 0;
      for (uint32_t i = 0; i < kPrefixes; ++i) {
        (*words)[i] = Lay(first, first + draft.counts[i], kSuffixBits);
        first += draft.counts[i];
      }
    }

    uint64_t Lay(uint32_t first, uint32_t end, int bits) {
      if (first == end) return 0;
      const uint32_t count = end - first;
      if (memory == nullptr) lows.push_back(MeasureLow(first, count, bits));
      const int low = lows[next++];
      if (low == kUneven && count > kPlainMax) return LayNode(first, end, bits);
      const size_t leaf = at = RoundUp(at, sizeof(Suffix));
      at += count * sizeof(Suffix);
      if (memory != nullptr) {
        std::memcpy(memory + leaf, draft.suffixes.data() + first, count * sizeof(Suffix));
        if constexpr (kHasByte) std::memcpy(memory + at, draft.bytes.data() + first, count);
      }
      if constexpr (kHasByte) at += count;
      if (low == kUneven) return Word(leaf, count) | kPlain;
      const size_t low_bytes = static_cast<size_t>(low) * sizeof(Suffix);
      if (low_bytes > leaf) before = std::max(before, RoundUp(low_bytes - leaf, sizeof(uint64_t)));
      reach = std::max(reach, leaf + (count + kWindow) * sizeof(Suffix));
      return Word(leaf - low_bytes, count) | static_cast<uint64_t>(low) << 1 | 1;
    }

    uint64_t LayNode(uint32_t first, uint32_t end, int bits) {
      const size_t node = at = RoundUp(at, sizeof(uint64_t));
      std::array<uint64_t, 4> words;
      at += sizeof(words);
      const auto quarter_of = [&](Suffix suffix) { return static_cast<uint32_t>(suffix >> (bits - 2)) & 3; };
      for (uint32_t quarter = 0; quarter < 4; ++quarter) {
        const auto from = draft.suffixes.begin() + first, to = draft.suffixes.begin() + end;
        const auto until = std::partition_point(from, to, [&](Suffix suffix) { return quarter_of(suffix) <= quarter; });
        const auto next_first = first + static_cast<uint32_t>(until - from);
        words[quarter] = Lay(first, next_first, bits - 2);
        first = next_first;
      }
      if (memory != nullptr) std::memcpy(memory + node, words.data(), sizeof(words));
      return Word(node, 0) | kNode;
    }

    // By how many places the window must begin before the even place, so that it shows each of them; kUneven: there is no such window.
    int MeasureLow(uint32_t first, uint32_t count, int bits) const {
      if (count > kCountMax) return kUneven;
      int low = 0, high = 0;
      for (uint32_t i = 0; i < count; ++i) {
        const int off = static_cast<int>(i) - static_cast<int>(EvenPlace(draft.suffixes[first + i], count, bits));
        low = std::max(low, -off);
        high = std::max(high, off);
      }
      return low + high < static_cast<int>(kWindow) ? low : kUneven;
    }

    uint64_t Word(size_t place, uint32_t count) const {
      return uint64_t{count} << (64 - kCountBits) | (reinterpret_cast<uintptr_t>(memory) + place) << kKindBits;
    }
    static size_t RoundUp(size_t size, size_t to) { return (size + to - 1) / to * to; }

    static constexpr int kUneven = -1;
    const Draft& draft;
    uint8_t* memory = nullptr;
    size_t at = 0, before = 0, reach = 0;  // `before`, `reach`: what windows show of either side
    std::vector<int> lows;                 // in the order of Lay
    size_t next = 0;
  };

  const uint64_t memory_;
};

}  // namespace hub::replica
