// Keys of 16 + 8 * sizeof(Suffix) bits, each with a byte (or with none): sorted suffixes under their 16-bit prefix, in 1,024 pieces, with a
// FreshSet of newer words in front. Private to this library.
//
// A word is key << kPayloadBits | payload. When the fresh set is half full it is frozen, another takes its place, and the pieces are built
// anew one by one, a piece every kPutsPerStep puts: no step is longer than a piece (some 10,000 keys of ten million, 50 us).
// Memory: the table, one piece twice, two fresh sets, and what readers may still look at: an eighth of the table and 4 MB. Past that no piece is built
// until the fresh set is full; then as much as the table once more; then the table is not complete any more and says so: load it again.
// While it is loaded, changes are noted (8 bytes each, `noted_max` of them; beyond: not complete).
// Thread safety: Find beside one writer, wait-free; the reader has entered Readers.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "libs/replica/fresh_set.h"
#include "libs/replica/readers.h"

namespace hub::replica {

// Traits: Suffix; kHasByte; static bool Gone(payload); static uint8_t Byte(payload, context).
template <class Traits>
class LayeredTable {
 public:
  using Suffix = typename Traits::Suffix;
  static constexpr int kSuffixBits = 8 * sizeof(Suffix);
  static constexpr int kPayloadBits = 64 - 16 - kSuffixBits;

  struct Found {
    enum class Where { kNowhere, kFresh, kTable } where = Where::kNowhere;
    uint64_t payload = 0;  // kFresh
    uint8_t byte = 0;      // kTable
  };

  LayeredTable(Readers* readers, size_t fresh_slots, size_t noted_max)
      : readers_(readers), fresh_slots_(fresh_slots), noted_max_(noted_max), active_(NewSet()) {}
  ~LayeredTable() {
    delete active_.load();
    delete frozen_.load();
    for (auto& piece : pieces_) delete piece.load();
  }

  // Odd while it is not complete. A reader whose look began and ended in the same even era has seen everything.
  uint64_t era() const { return era_.load(std::memory_order_acquire); }
  bool complete() const { return era() % 2 == 0; }

  // Order matters: a word moves from active to frozen to its piece, and is put in the next place before it leaves the one before.
  Found Find(uint64_t key) const {
    Found found;
    const FreshSet* active = active_.load(std::memory_order_acquire);
    const FreshSet* frozen = frozen_.load(std::memory_order_acquire);
    if (active->MayHold(key) || (frozen != nullptr && frozen->MayHold(key))) [[unlikely]] {
      found.payload = FindFresh(active, frozen, key);
      if (found.payload != 0) {
        if (!Traits::Gone(found.payload)) found.where = Found::Where::kFresh;
        return found;
      }
    }
    const auto prefix = static_cast<uint32_t>(key >> kSuffixBits);
    const Piece* piece = pieces_.data()[prefix / kPrefixes].load(std::memory_order_acquire);
    if (piece == nullptr) return found;
    const uint32_t first = piece->starts[prefix % kPrefixes], end = piece->starts[prefix % kPrefixes + 1];
    const int64_t at = Search(piece, first, end, static_cast<Suffix>(key));
    if (at < 0) return found;
    found.where = Found::Where::kTable;
    if constexpr (Traits::kHasByte) found.byte = piece->bytes()[at];
    return found;
  }

  // Writer from here on. `context`: as for Traits::Byte.
  void Put(uint64_t word, int64_t context) {
    if (loading_) {
      if (noted_.size() < noted_max_) {
        noted_.push_back(word);
      } else {
        overflowed_ = true;
      }
      return;
    }
    if (!complete()) return;
    if (merging_ && ++puts_ % kPutsPerStep == 0) MergeStep(context, RetiredMax());
    FreshSet* active = active_.load(std::memory_order_relaxed);
    if (!active->Put(word)) {
      while (merging_ && MergeStep(context, kRetiredBytes + bytes_)) {
      }
      if (merging_) {
        SetComplete(false);  // readers hold too much; it is to be loaded again
        return;
      }
      Freeze();
      active_.load(std::memory_order_relaxed)->Put(word);
    } else if (!merging_ && active->size() >= fresh_slots_ / 2) {
      Freeze();
    }
  }

  // Everything from the store, in ascending order of keys: readers are told that it is not complete until FinishLoad. A store that is read
  // as of a moment after BeginLoad, with every change after that moment Put here, comes out whole.
  void BeginLoad() {
    SetComplete(false);
    loading_ = true;
    overflowed_ = merging_ = false;
    incoming_.clear();
    noted_.clear();
    draft_.Clear();
    building_at_ = 0;
    Replace(&frozen_, nullptr);
    Replace(&active_, NewSet());
    size_ = 0;
    bytes_ = 0;
    for (auto& piece : pieces_) Publish(&piece, nullptr);
    readers_->Collect();
  }
  // REQUIRES: greater than every key before. Equal ones are taken once.
  void Load(uint64_t word, int64_t context) {
    const auto piece = static_cast<size_t>(word >> kPayloadBits >> kSuffixBits) / kPrefixes;
    if (piece != building_at_) {
      PublishDraft(building_at_);
      building_at_ = piece;
    }
    Append(word, context, &draft_);
  }
  // False: more changes came meanwhile than could be noted; load it again.
  bool FinishLoad(int64_t context) {
    PublishDraft(building_at_);
    loading_ = false;
    if (overflowed_) return false;
    std::stable_sort(noted_.begin(), noted_.end(),
                     [](uint64_t a, uint64_t b) { return a >> kPayloadBits < b >> kPayloadBits; });
    for (size_t i = 0; i < noted_.size(); ++i) {  // of several about one key the last
      if (i + 1 == noted_.size() || noted_[i] >> kPayloadBits != noted_[i + 1] >> kPayloadBits)
        incoming_.push_back(noted_[i]);
    }
    std::vector<uint64_t>().swap(noted_);
    incoming_at_ = 0;
    while (incoming_at_ < incoming_.size()) MergePiece(context);
    std::vector<uint64_t>().swap(incoming_);
    readers_->Collect();
    SetComplete(true);
    return true;
  }
  bool loading() const { return loading_; }
  // Writer: of the table alone, without what is fresh.
  size_t size() const { return size_; }
  size_t bytes() const {
    return bytes_ + sizeof(*this) + active_.load(std::memory_order_relaxed)->bytes() * (merging_ ? 2 : 1) +
           incoming_.capacity() * sizeof(uint64_t) + draft_.suffixes.capacity() * sizeof(Suffix) +
           draft_.bytes.capacity();
  }

 private:
  static constexpr uint32_t kPrefixes = 64;  // per piece
  static constexpr size_t kPieces = 65536 / kPrefixes;
  static constexpr int kPutsPerStep = 4;
  static constexpr size_t kRetiredBytes = size_t{4} << 20;
  static constexpr uint32_t kWindow = 64 / sizeof(Suffix);  // looked at at once, a cache line of them

  // In one block of memory with what it holds: the suffixes, then the bytes.
  struct Piece {
    uint32_t starts[kPrefixes + 1];  // of each prefix; the last is the count
    const Suffix* suffixes() const { return reinterpret_cast<const Suffix*>(this + 1); }
    const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(suffixes() + count()); }
    uint32_t count() const { return starts[kPrefixes]; }
    static size_t Memory(size_t count) { return sizeof(Piece) + count * (sizeof(Suffix) + (Traits::kHasByte ? 1 : 0)); }
    static void operator delete(void* piece) { ::operator delete(piece); }
  };
  struct Draft {
    std::array<uint32_t, kPrefixes> counts{};
    std::vector<Suffix> suffixes;
    std::vector<uint8_t> bytes;
    void Clear() {
      counts = {};
      suffixes.clear();
      bytes.clear();
    }
  };

  static std::unique_ptr<const Piece> Cast(const Draft& draft) {
    auto* piece = new (::operator new(Piece::Memory(draft.suffixes.size()))) Piece();
    for (uint32_t i = 0; i < kPrefixes; ++i) piece->starts[i + 1] = piece->starts[i] + draft.counts[i];
    std::copy(draft.suffixes.begin(), draft.suffixes.end(), const_cast<Suffix*>(piece->suffixes()));
    std::copy(draft.bytes.begin(), draft.bytes.end(), const_cast<uint8_t*>(piece->bytes()));
    return std::unique_ptr<const Piece>(piece);
  }

  [[gnu::noinline]] static uint64_t FindFresh(const FreshSet* active, const FreshSet* frozen, uint64_t key) {
    const uint64_t payload = active->Find(key);
    return payload != 0 || frozen == nullptr ? payload : frozen->Find(key);
  }

  // A bit for each of kWindow suffixes that is the wanted one.
  static uint32_t Equal(const Suffix* window, Suffix wanted) {
#ifdef __SSE2__
    if constexpr (sizeof(Suffix) == 2) {
      const __m128i all = _mm_set1_epi16(static_cast<int16_t>(wanted));
      const auto* four = reinterpret_cast<const __m128i*>(window);
      const auto equal = [&](int i) { return _mm_cmpeq_epi16(_mm_loadu_si128(four + i), all); };
      return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(equal(0), equal(1)))) |
             static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(equal(2), equal(3)))) << 16;
    }
#endif
    uint32_t found = 0;
    for (uint32_t i = 0; i < kWindow; ++i) found |= static_cast<uint32_t>(window[i] == wanted) << i;
    return found;
  }

  // Where a suffix must be if they are spread evenly, and kWindow / 2 to either side: nearly always that decides, in branches that the processor
  // foresees, so that the next lookup's misses overlap with this one's. The place in the piece; -1: not from `first` to before `end`.
  static int64_t Search(const Piece* piece, uint32_t first, uint32_t end, Suffix wanted) {
    const Suffix* const all = piece->suffixes();
    const uint32_t count = end - first;
    if (count >= kWindow) [[likely]] {
      const uint32_t guess = first + static_cast<uint32_t>((uint64_t{wanted} * count) >> kSuffixBits);
      // Its byte is most likely here: fetched along with the suffixes instead of after them.
      if constexpr (Traits::kHasByte) __builtin_prefetch(piece->bytes() + guess);
      const uint32_t window = std::min(std::max(guess, first + kWindow / 2) - kWindow / 2, end - kWindow);
      if (const uint32_t found = Equal(all + window, wanted); found != 0)
        return window + static_cast<uint32_t>(std::countr_zero(found));
      if (all[window] < wanted && wanted < all[window + kWindow - 1]) [[likely]]
        return -1;
    }
    return SearchByHalves(all, first, end, wanted);
  }
  [[gnu::noinline]] static int64_t SearchByHalves(const Suffix* all, uint32_t first, uint32_t end, Suffix wanted) {
    const Suffix* at = std::lower_bound(all + first, all + end, wanted);
    return at != all + end && *at == wanted ? at - all : -1;
  }

  void SetComplete(bool complete) {
    if (this->complete() != complete) era_.fetch_add(1, std::memory_order_acq_rel);
  }

  FreshSet* NewSet() const { return new FreshSet(fresh_slots_, kPayloadBits); }

  void Replace(std::atomic<FreshSet*>* place, FreshSet* with) {
    std::unique_ptr<FreshSet> old(place->exchange(with, std::memory_order_acq_rel));
    const size_t bytes = old == nullptr ? 0 : old->bytes();
    readers_->Retire(std::move(old), bytes);
  }
  void Publish(std::atomic<const Piece*>* place, std::unique_ptr<const Piece> piece) {
    if (piece != nullptr) {
      size_ += piece->count();
      bytes_ += Piece::Memory(piece->count());
    }
    std::unique_ptr<const Piece> old(place->exchange(piece.release(), std::memory_order_acq_rel));
    if (old == nullptr) return;
    const size_t memory = Piece::Memory(old->count());
    if (!loading_) {
      size_ -= old->count();
      bytes_ -= memory;
    }
    readers_->Retire(std::move(old), memory);
  }

  static void Append(uint64_t word, int64_t context, Draft* draft) {
    const uint64_t key = word >> kPayloadBits;
    const auto suffix = static_cast<Suffix>(key);
    uint32_t& count = draft->counts[static_cast<uint32_t>(key >> kSuffixBits) % kPrefixes];
    if (count > 0 && draft->suffixes.back() == suffix) return;
    ++count;
    draft->suffixes.push_back(suffix);
    if constexpr (Traits::kHasByte)
      draft->bytes.push_back(Traits::Byte(word & ((uint64_t{1} << kPayloadBits) - 1), context));
  }
  void PublishDraft(size_t at) {
    Publish(&pieces_[at], draft_.suffixes.empty() ? nullptr : Cast(draft_));
    draft_.Clear();
  }

  void Freeze() {
    if (readers_->retired_bytes() > RetiredMax()) readers_->Collect();
    FreshSet* active = active_.load(std::memory_order_relaxed);
    incoming_ = active->Sorted();
    incoming_at_ = 0;
    frozen_.store(active, std::memory_order_release);
    active_.store(NewSet(), std::memory_order_release);  // who sees it sees the frozen one, too
    merging_ = true;
  }
  size_t RetiredMax() const { return kRetiredBytes + bytes_ / 8; }

  // False: no step is possible, readers hold too much.
  bool MergeStep(int64_t context, size_t retired_max) {
    readers_->Collect();
    if (readers_->retired_bytes() > retired_max) return false;
    if (incoming_at_ < incoming_.size()) MergePiece(context);
    if (incoming_at_ < incoming_.size()) return true;
    merging_ = false;
    std::vector<uint64_t>().swap(incoming_);
    Replace(&frozen_, nullptr);
    readers_->Collect();
    return true;
  }

  // The piece of the next word of incoming_, built anew with all that are in it.
  void MergePiece(int64_t context) {
    const auto piece_of = [](uint64_t word) {
      return static_cast<size_t>(word >> kPayloadBits >> kSuffixBits) / kPrefixes;
    };
    const size_t at = piece_of(incoming_[incoming_at_]);
    size_t end = incoming_at_;
    while (end < incoming_.size() && piece_of(incoming_[end]) == at) ++end;
    const Piece* old = pieces_[at].load(std::memory_order_relaxed);
    for (uint32_t prefix = 0; prefix < kPrefixes; ++prefix) {
      const uint64_t base = at * kPrefixes + prefix;
      uint32_t from = old == nullptr ? 0 : old->starts[prefix];
      const uint32_t to = old == nullptr ? 0 : old->starts[prefix + 1];
      const auto keep_until = [&](uint32_t until) {
        if (until == from) return;
        draft_.suffixes.insert(draft_.suffixes.end(), old->suffixes() + from, old->suffixes() + until);
        if constexpr (Traits::kHasByte)
          draft_.bytes.insert(draft_.bytes.end(), old->bytes() + from, old->bytes() + until);
        draft_.counts[prefix] += until - from;
        from = until;
      };
      for (; incoming_at_ < end && incoming_[incoming_at_] >> kPayloadBits >> kSuffixBits == base; ++incoming_at_) {
        const uint64_t word = incoming_[incoming_at_];
        const auto suffix = static_cast<Suffix>(word >> kPayloadBits);
        uint32_t until = from;
        while (until < to && old->suffixes()[until] < suffix) ++until;
        keep_until(until);
        if (from < to && old->suffixes()[from] == suffix) ++from;
        if (!Traits::Gone(word & ((uint64_t{1} << kPayloadBits) - 1))) Append(word, context, &draft_);
      }
      keep_until(to);
    }
    PublishDraft(at);
  }

  Readers* const readers_;
  const size_t fresh_slots_;
  const size_t noted_max_;
  std::atomic<uint64_t> era_{
      0};  // changed before something is taken away that isn't put elsewhere, and after all is there again
  // Owned. Stored with release once whole, loaded with acquire.
  std::atomic<FreshSet*> active_;
  std::atomic<FreshSet*> frozen_{nullptr};
  std::array<std::atomic<const Piece*>, kPieces> pieces_{};
  // The writer's.
  bool merging_ = false, loading_ = false, overflowed_ = false;
  uint32_t puts_ = 0;
  std::vector<uint64_t> incoming_;  // sorted, of the frozen set; those before incoming_at_ are in their pieces
  size_t incoming_at_ = 0;
  std::vector<uint64_t> noted_;  // while it is loaded
  Draft draft_;                  // of the piece that is built; empty between two
  size_t building_at_ = 0;
  size_t size_ = 0, bytes_ = 0;
};

}  // namespace hub::replica
