// Keys of 16 + 8 * sizeof(Suffix) bits, each with a byte (or with none): sorted suffixes under their 16-bit prefix, in 1,024 pieces, with a
// FreshSet of newer words in front. Private to this library.
//
// A word is key << kPayloadBits | payload. When the fresh set is half full it is frozen, another takes its place, and the pieces are built
// anew one by one, a piece every kPutsPerStep puts: no step is longer than a piece (some 10,000 keys of ten million, 50 us).
// Memory: the table, one piece twice, what readers may still look at (retired, at most an eighth of the table and 4 MB), two fresh sets. Past that
// bound no piece is built; when the fresh set is full then, the table is not complete any more and says so: load it again.
// While it is loaded, changes are noted (8 bytes each, `noted_max` of them; beyond: not complete).
// Thread safety: Find beside one writer, wait-free; the reader has entered Readers.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

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
    found.payload = active_.load(std::memory_order_acquire)->Find(key);
    if (found.payload == 0) {
      if (const FreshSet* frozen = frozen_.load(std::memory_order_acquire)) found.payload = frozen->Find(key);
    }
    if (found.payload != 0) {
      if (!Traits::Gone(found.payload)) found.where = Found::Where::kFresh;
      return found;
    }
    const auto prefix = static_cast<uint32_t>(key >> kSuffixBits);
    const Piece* piece = pieces_[prefix / kPrefixes].load(std::memory_order_acquire);
    if (piece == nullptr) return found;
    const uint32_t first = piece->starts[prefix % kPrefixes], end = piece->starts[prefix % kPrefixes + 1];
    const int64_t at = Search(piece->suffixes.data() + first, end - first, static_cast<Suffix>(key));
    if (at < 0) return found;
    found.where = Found::Where::kTable;
    if constexpr (Traits::kHasByte) found.byte = piece->bytes[first + static_cast<size_t>(at)];
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
    if (merging_ && ++puts_ % kPutsPerStep == 0) MergeStep(context);
    FreshSet* active = active_.load(std::memory_order_relaxed);
    if (!active->Put(word)) {
      while (merging_ && MergeStep(context)) {
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
    building_ = std::make_unique<Piece>();
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
      FinishPiece();
      building_at_ = piece;
    }
    Append(word, context, building_.get());
  }
  // False: more changes came meanwhile than could be noted; load it again.
  bool FinishLoad(int64_t context) {
    FinishPiece();
    building_.reset();
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
    SetComplete(true);
    return true;
  }
  bool loading() const { return loading_; }
  // Writer: of the table alone, without what is fresh.
  size_t size() const { return size_; }
  size_t bytes() const {
    return bytes_ + sizeof(*this) + active_.load(std::memory_order_relaxed)->bytes() * (merging_ ? 2 : 1) +
           incoming_.capacity() * sizeof(uint64_t);
  }

 private:
  static constexpr uint32_t kPrefixes = 64;  // per piece
  static constexpr size_t kPieces = 65536 / kPrefixes;
  static constexpr int kPutsPerStep = 4;
  static constexpr size_t kRetiredBytes = size_t{4} << 20;
  static constexpr uint32_t kWindow = 32;  // suffixes compared at once

  struct Piece {
    std::array<uint32_t, kPrefixes + 1> starts{};  // of each prefix in `suffixes`
    std::vector<Suffix> suffixes;
    std::vector<uint8_t> bytes;
    size_t memory() const { return sizeof(*this) + suffixes.capacity() * sizeof(Suffix) + bytes.capacity(); }
  };

  // Where a suffix must be if they are spread evenly, then around there; -1: not among them.
  static int64_t Search(const Suffix* suffixes, uint32_t count, Suffix wanted) {
    const Suffix* window = suffixes;
    uint32_t rank = 0;
    if (count >= kWindow) {
      const auto guess = static_cast<uint32_t>((uint64_t{wanted} * count) >> kSuffixBits);
      const uint32_t begin = std::min(guess < kWindow / 2 ? 0 : guess - kWindow / 2, count - kWindow);
      window += begin;
      if (window[0] <= wanted && wanted <= window[kWindow - 1]) {
        Suffix below = 0;
        for (uint32_t i = 0; i < kWindow; ++i)
          below = static_cast<Suffix>(below + static_cast<Suffix>(window[i] < wanted));
        rank = below;
      } else if (wanted < window[0]) {
        window = std::lower_bound(suffixes, window, wanted);
        if (*window != wanted) return -1;
      } else {
        const Suffix* end = suffixes + count;
        window = std::lower_bound(window + kWindow, end, wanted);
        if (window == end) return -1;
      }
    } else {
      while (rank < count && window[rank] < wanted) ++rank;
      if (rank == count) return -1;
    }
    return window[rank] == wanted ? window - suffixes + rank : -1;
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
      size_ += piece->suffixes.size();
      bytes_ += piece->memory();
    }
    std::unique_ptr<const Piece> old(place->exchange(piece.release(), std::memory_order_acq_rel));
    if (old == nullptr) return;
    if (!loading_) {
      size_ -= old->suffixes.size();
      bytes_ -= old->memory();
    }
    const size_t memory = old->memory();
    readers_->Retire(std::move(old), memory);
  }

  static void Append(uint64_t word, int64_t context, Piece* piece) {
    const uint64_t key = word >> kPayloadBits;
    const auto prefix = static_cast<uint32_t>(key >> kSuffixBits) % kPrefixes;
    const auto suffix = static_cast<Suffix>(key);
    uint32_t& count = piece->starts[prefix + 1];  // counts until Seal
    if (count > 0 && piece->suffixes.back() == suffix) return;
    ++count;
    piece->suffixes.push_back(suffix);
    if constexpr (Traits::kHasByte)
      piece->bytes.push_back(Traits::Byte(word & ((uint64_t{1} << kPayloadBits) - 1), context));
  }
  static void Seal(Piece* piece) {
    for (uint32_t i = 0; i < kPrefixes; ++i) piece->starts[i + 1] += piece->starts[i];
    piece->suffixes.shrink_to_fit();
    piece->bytes.shrink_to_fit();
  }
  void FinishPiece() {
    if (building_->suffixes.empty()) return;
    Seal(building_.get());
    Publish(&pieces_[building_at_], std::move(building_));
    building_ = std::make_unique<Piece>();
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
  bool MergeStep(int64_t context) {
    readers_->Collect();
    if (readers_->retired_bytes() > RetiredMax()) return false;
    if (incoming_at_ < incoming_.size()) MergePiece(context);
    if (incoming_at_ < incoming_.size()) return true;
    merging_ = false;
    std::vector<uint64_t>().swap(incoming_);
    Replace(&frozen_, nullptr);
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
    auto built = std::make_unique<Piece>();
    built->suffixes.reserve((old == nullptr ? 0 : old->suffixes.size()) + end - incoming_at_);
    if (Traits::kHasByte) built->bytes.reserve(built->suffixes.capacity());
    for (uint32_t prefix = 0; prefix < kPrefixes; ++prefix) {
      const uint64_t base = at * kPrefixes + prefix;
      uint32_t from = old == nullptr ? 0 : old->starts[prefix];
      const uint32_t to = old == nullptr ? 0 : old->starts[prefix + 1];
      const auto keep_below = [&](uint64_t key) {
        uint32_t until = from;
        while (until < to && (base << kSuffixBits | old->suffixes[until]) < key) ++until;
        if (until == from) return;
        built->suffixes.insert(built->suffixes.end(), old->suffixes.begin() + from, old->suffixes.begin() + until);
        if constexpr (Traits::kHasByte)
          built->bytes.insert(built->bytes.end(), old->bytes.begin() + from, old->bytes.begin() + until);
        built->starts[prefix + 1] += until - from;
        from = until;
      };
      for (; incoming_at_ < end && incoming_[incoming_at_] >> kPayloadBits >> kSuffixBits == base; ++incoming_at_) {
        const uint64_t word = incoming_[incoming_at_], key = word >> kPayloadBits;
        keep_below(key);
        if (from < to && old->suffixes[from] == static_cast<Suffix>(key)) ++from;
        if (!Traits::Gone(word & ((uint64_t{1} << kPayloadBits) - 1))) Append(word, context, built.get());
      }
      keep_below((base + 1) << kSuffixBits);
    }
    if (built->suffixes.empty()) {
      Publish(&pieces_[at], nullptr);
    } else {
      Seal(built.get());
      Publish(&pieces_[at], std::move(built));
    }
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
  int puts_ = 0;
  std::vector<uint64_t> incoming_;  // sorted, of the frozen set; those before incoming_at_ are in their pieces
  size_t incoming_at_ = 0;
  std::vector<uint64_t> noted_;  // while it is loaded
  std::unique_ptr<Piece> building_;
  size_t building_at_ = 0;
  size_t size_ = 0, bytes_ = 0;
};

}  // namespace hub::replica
