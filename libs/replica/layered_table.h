// Keys of 16 + 8 * sizeof(Suffix) bits, each with a byte (or with none): under each 16-bit prefix sorted suffixes (EvenBlock), 1,024 blocks of 64
// prefixes, with a FreshSet of newer words in front, and a FreshFilter in front of that. Private to this library.
//
// A word is key << kPayloadBits | payload. When the fresh set is three quarters full it is frozen, another takes its place, and the blocks are built
// anew one by one, a block every kPutsPerStep puts: no step is longer than a block (some 10,000 keys of ten million, 100 us).
// Memory: the table, 8 bytes a prefix, one block twice, two fresh sets, and what readers may still look at: an eighth of the table and 4 MB. Past that no
// block is built until the fresh set is full; then as much as the table once more; then the table is not complete any more and says so: load it again.
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

#include "libs/replica/even_block.h"
#include "libs/replica/fresh_filter.h"
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
  using Block = EvenBlock<Suffix, Traits::kHasByte>;
  static constexpr uint64_t kBlockKeys = uint64_t{Block::kPrefixes} << kSuffixBits;

  struct Found {
    enum class Where : uint8_t { kNowhere, kFresh, kTable };
    uint64_t payload = 0;  // kFresh
    uint8_t byte = 0;      // kTable
    Where where = Where::kNowhere;
  };

  LayeredTable(Readers* readers, size_t fresh_slots, size_t noted_max)
      : readers_(readers), fresh_slots_(fresh_slots), noted_max_(noted_max), active_(NewSet()) {}
  ~LayeredTable() {
    delete active_.load();
    delete frozen_.load();
  }

  // Odd while it is not complete. A reader whose look began and ended in the same even era has seen everything.
  uint64_t era() const { return era_.load(std::memory_order_acquire); }
  bool complete() const { return era() % 2 == 0; }

  // Nearly every lookup, in as few instructions as will do: a processor has so many in flight, and the fewer a lookup has, the more lookups wait for
  // memory at the same time. True, and nothing equal: it is nowhere, whatever the era: while a load has taken a block away, its prefixes have no word, so
  // none that is even. False: ask FindIn if there is a word, else Find.
  struct Glimpse {
    uint64_t word = 0;
    uint32_t equal = 0;
  };
  bool Glance(uint64_t key, Glimpse* glimpse) const {
    if (filter_.MayHold(key)) return false;
    glimpse->word = WordOf(key);
    if (!Block::IsEven(glimpse->word)) return false;
    glimpse->equal = Block::Look(glimpse->word, static_cast<Suffix>(key), kSuffixBits);
    return true;
  }
  // The same for words that aren't even.
  static bool FindIn(uint64_t key, uint64_t word, uint8_t* byte) {
    return Block::Find(word, static_cast<Suffix>(key), byte);
  }
  // What is at the first place that was equal. False: not what was wanted; ask Find.
  static bool Resolve(uint64_t key, const Glimpse& glimpse, uint8_t* byte) {
    return Block::Take(glimpse.word, static_cast<Suffix>(key), kSuffixBits, glimpse.equal, byte);
  }
  // Since the glimpse nothing has come into its place: in particular no load has begun.
  bool Stands(uint64_t key, const Glimpse& glimpse) const { return WordOf(key) == glimpse.word; }

  // Order matters: a word moves from active to frozen to its block, and is put in the next place before it leaves the one before.
  Found Find(uint64_t key) const {
    Found found;
    if (filter_.MayHold(key)) {
      const FreshSet* active = active_.load(std::memory_order_acquire);
      const FreshSet* frozen = frozen_.load(std::memory_order_acquire);
      found.payload = active->Find(key);
      if (found.payload == 0 && frozen != nullptr) found.payload = frozen->Find(key);
      if (found.payload != 0) {
        if (!Traits::Gone(found.payload)) found.where = Found::Where::kFresh;
        return found;
      }
    }
    if (Block::Find(WordOf(key), static_cast<Suffix>(key), &found.byte)) found.where = Found::Where::kTable;
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
    if (!PutFresh(word)) {
      while (merging_ && MergeStep(context, kRetiredBytes + bytes_)) {
      }
      if (merging_) {
        SetComplete(false);  // readers hold too much; it is to be loaded again
        return;
      }
      Freeze();
      PutFresh(word);
    } else if (!merging_ && active_.load(std::memory_order_relaxed)->size() >= fresh_slots_ / 4 * 3) {
      Freeze();
    }
  }

  // Everything from the store: readers are told that it is not complete until FinishLoad. A store that is read
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
    for (size_t at = 0; at < kBlocks; ++at) {
      if (blocks_[at] != nullptr) Publish(at, nullptr, {});
    }
    readers_->Collect();
  }
  // REQUIRES: the keys of a block (kBlockKeys from a multiple of it) follow each other, in ascending order. Equal ones are taken once.
  void Load(uint64_t word, int64_t context) {
    if (const size_t at = BlockOf(word); at != building_at_) {
      PublishDraft(building_at_);
      building_at_ = at;
    }
    Append(word, context);
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
    while (incoming_at_ < incoming_.size()) MergeBlock(context);
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
  static constexpr size_t kPrefixes = 65536;
  static constexpr size_t kBlocks = kPrefixes / Block::kPrefixes;
  static constexpr int kPutsPerStep = 4;
  static constexpr size_t kRetiredBytes = size_t{4} << 20;

  static size_t PrefixOf(uint64_t word) { return word >> kPayloadBits >> kSuffixBits; }
  static size_t BlockOf(uint64_t word) { return PrefixOf(word) / Block::kPrefixes; }
  static uint64_t PayloadOf(uint64_t word) { return word & ((uint64_t{1} << kPayloadBits) - 1); }

  uint64_t WordOf(uint64_t key) const { return words_.data()[key >> kSuffixBits].load(std::memory_order_acquire); }

  // Who looks while it is not complete finds a bit for every key, and so its way to the era.
  void SetComplete(bool complete) {
    if (this->complete() == complete) return;
    era_.fetch_add(1, std::memory_order_acq_rel);
    complete ? ResetFilter() : filter_.AddAll();
  }
  void ResetFilter() {
    std::vector<uint64_t> keys = active_.load(std::memory_order_relaxed)->Words();
    for (uint64_t& word : keys) word >>= kPayloadBits;
    filter_.Reset(keys);
  }

  FreshSet* NewSet() const { return new FreshSet(fresh_slots_, kPayloadBits); }
  // False: full.
  bool PutFresh(uint64_t word) {
    if (!active_.load(std::memory_order_relaxed)->Put(word)) return false;
    filter_.Add(word >> kPayloadBits);
    return true;
  }

  void Replace(std::atomic<FreshSet*>* place, FreshSet* with) {
    std::unique_ptr<FreshSet> old(place->exchange(with, std::memory_order_acq_rel));
    const size_t bytes = old == nullptr ? 0 : old->bytes();
    readers_->Retire(std::move(old), bytes);
  }
  void Publish(size_t at, std::unique_ptr<const Block> block, const typename Block::Words& words) {
    for (size_t i = 0; i < Block::kPrefixes; ++i)
      words_[at * Block::kPrefixes + i].store(words[i], std::memory_order_release);
    std::swap(blocks_[at], block);
    if (blocks_[at] != nullptr) bytes_ += blocks_[at]->memory();
    if (block == nullptr) return;
    const size_t memory = block->memory();
    if (!loading_) bytes_ -= memory;
    readers_->Retire(std::move(block), memory);
  }

  void Append(uint64_t word, int64_t context) {
    const auto suffix = static_cast<Suffix>(word >> kPayloadBits);
    uint32_t& count = draft_.counts[PrefixOf(word) % Block::kPrefixes];
    if (count > 0 && draft_.suffixes.back() == suffix) return;
    ++count;
    draft_.suffixes.push_back(suffix);
    if constexpr (Traits::kHasByte) draft_.bytes.push_back(Traits::Byte(PayloadOf(word), context));
  }
  void PublishDraft(size_t at) {
    size_ += draft_.suffixes.size();
    typename Block::Words words{};
    auto block = draft_.suffixes.empty() ? nullptr : Block::Build(draft_, &words);
    Publish(at, std::move(block), words);
    draft_.Clear();
  }

  void Freeze() {
    if (readers_->retired_bytes() > RetiredMax()) readers_->Collect();
    FreshSet* active = active_.load(std::memory_order_relaxed);
    incoming_ = active->Words();
    std::sort(incoming_.begin(), incoming_.end());
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
    if (incoming_at_ < incoming_.size()) MergeBlock(context);
    if (incoming_at_ < incoming_.size()) return true;
    merging_ = false;
    std::vector<uint64_t>().swap(incoming_);
    Replace(&frozen_, nullptr);
    ResetFilter();
    readers_->Collect();
    return true;
  }

  // The block of the next word of incoming_, built anew with all that are in it.
  void MergeBlock(int64_t context) {
    const size_t at = BlockOf(incoming_[incoming_at_]);
    for (size_t prefix = at * Block::kPrefixes; prefix < (at + 1) * Block::kPrefixes; ++prefix) {
      // Those of incoming_ that come next under this prefix, up to this suffix.
      const auto take_until = [&](Suffix last, const auto& before_each) {
        for (; incoming_at_ < incoming_.size() && PrefixOf(incoming_[incoming_at_]) == prefix; ++incoming_at_) {
          const uint64_t word = incoming_[incoming_at_];
          const auto suffix = static_cast<Suffix>(word >> kPayloadBits);
          if (suffix > last) break;
          before_each(suffix);
          if (!Traits::Gone(PayloadOf(word))) Append(word, context);
        }
      };
      Block::ForEach(words_[prefix].load(std::memory_order_relaxed), [&](const Suffix* suffixes, const uint8_t* bytes,
                                                                         uint32_t count) {
        size_ -= count;
        uint32_t from = 0;
        const auto keep_until = [&](uint32_t until) {
          draft_.suffixes.insert(draft_.suffixes.end(), suffixes + from, suffixes + until);
          if constexpr (Traits::kHasByte) draft_.bytes.insert(draft_.bytes.end(), bytes + from, bytes + until);
          draft_.counts[prefix % Block::kPrefixes] += until - from;
          from = until;
        };
        take_until(suffixes[count - 1], [&](Suffix suffix) {
          keep_until(static_cast<uint32_t>(std::lower_bound(suffixes + from, suffixes + count, suffix) - suffixes));
          if (suffixes[from] == suffix) ++from;
        });
        keep_until(count);
      });
      take_until(static_cast<Suffix>(~Suffix{0}), [](Suffix) {});
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
  std::array<std::atomic<uint64_t>, kPrefixes> words_{};  // of blocks_
  FreshFilter filter_;  // of both sets; a key's bit is taken away after it is in its block
  // The writer's.
  bool merging_ = false, loading_ = false, overflowed_ = false;
  uint32_t puts_ = 0;
  std::array<std::unique_ptr<const Block>, kBlocks> blocks_;
  std::vector<uint64_t> incoming_;  // sorted, of the frozen set; those before incoming_at_ are in their blocks
  size_t incoming_at_ = 0;
  std::vector<uint64_t> noted_;  // while it is loaded
  typename Block::Draft draft_;  // of the block that is built; empty between two
  size_t building_at_ = 0;
  size_t size_ = 0, bytes_ = 0;
};

}  // namespace hub::replica
