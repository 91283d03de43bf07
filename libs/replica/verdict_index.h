// "Is it flagged, and how?" from memory: the level of each identifier now, or "not there", or "ask the store".
//
// Indian mobiles lie in an exact table, about 3 bytes each (number, level, day on which the flag lapses); of all other kinds 48 bits of a keyed hash
// are kept (4 bytes), which can say for certain only that something is not there. Both have a small set of fresh changes in front. What the index can't
// tell exactly it leaves to the store: other kinds that may be there, and the one day (of a fresh change the minute) in which a flag lapses.
// Memory: 3 or 4 bytes per identifier, 1.4 MB for prefixes and what is fresh (at the default), while changes are built in an eighth and 8 MB more
// (twice the table if readers sit on what they see); while it is loaded 8 bytes per identifier of other kinds, and per change.
//
// Thread safety: everything but Reader from one thread at a time. Readers beside it, wait-free, each used by one thread at a time.
//
//   index.BeginLoad(now);  for (...) index.Load(identifier, level, lapses_at);  index.FinishLoad();
//   index.Put(identifier, Level::kHigh, lapses_at);
//   auto reader = index.NewReader();   reader->Get(identifier, now).kind
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "libs/model/identifier.h"
#include "libs/model/vocabulary.h"

namespace hub::replica {

// The level at `now` of what has `level` until `lapses_at` if nothing new is said.
inline model::Level LevelAt(model::Level level, absl::Time lapses_at, absl::Time now) {
  return lapses_at <= now ? model::Level::kNone : level;
}

class ReaderSlot;

struct IndexVerdict {
  enum class Kind : uint8_t {
    kAbsent,    // not in the store
    kPresent,   // in the store, at `level` now
    kAskStore,  // the store knows
  } kind = Kind::kAskStore;
  model::Level level = model::Level::kNone;
};

struct VerdictIndexOptions {
  uint64_t hash_key = 0;          // secret, or somebody could choose identifiers that collide and cost a read each
  size_t fresh_slots = 1u << 13;  // a power of two; three quarters are filled before they are built in
  size_t noted_max = 2'000'000;   // changes while it is loaded; more: it is to be loaded once more
};

class VerdictIndex {
 public:
  class Reader;
  explicit VerdictIndex(const VerdictIndexOptions& options = {});
  ~VerdictIndex();

  void Put(const model::Identifier& identifier, model::Level level, absl::Time lapses_at);
  // Of other kinds than mobiles: it may still be there, until the next load.
  void Remove(const model::Identifier& identifier);

  // From here to FinishLoad everything is to be asked of the store. What is loaded must be the store as of a moment after BeginLoad, and each
  // change since that moment must be Put or Removed. `now`: days are counted from here.
  void BeginLoad(absl::Time now);
  // Mobiles in ascending order of their canonical text, each once; others in any.
  void Load(const model::Identifier& identifier, model::Level level, absl::Time lapses_at);
  // False: too many changes came meanwhile; load it again.
  bool FinishLoad();
  // It holds not everything any more (readers that sat on old memory, changes that could not be noted), or its days run out.
  bool WantsLoad(absl::Time now) const;

  // nullptr: 64 exist already.
  std::unique_ptr<Reader> NewReader();

  size_t mobiles() const;  // without what is fresh
  size_t others() const;
  size_t mobile_bytes() const;
  size_t bytes() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// A pair of eyes on the index. One that is not used for a while should be idle, or go: replaced memory is kept for it.
class VerdictIndex::Reader {
 public:
  ~Reader();
  // `now`: the hub's.
  IndexVerdict Get(const model::Identifier& identifier, absl::Time now);
  // Of "+91" and these ten digits, at this second of Unix time; kAbsent for a number that is no mobile.
  IndexVerdict GetMobile(uint64_t ten_digits, int64_t now_seconds);
  void Idle();

 private:
  friend class VerdictIndex;
  Reader(Impl* index, ReaderSlot* slot) : index_(index), slot_(slot) {}
  void Enter();
  IndexVerdict GetNumberSlowly(uint64_t number, int64_t now_seconds);
  // Not inlined: the registers it wants would have to be saved for numbers that are absent, too.
  [[gnu::noinline]] IndexVerdict FromGlimpse(uint64_t number, int64_t now_seconds, uint64_t word, uint32_t equal);
  [[gnu::noinline]] IndexVerdict FromUneven(uint64_t number, int64_t now_seconds, uint64_t word);

  Impl* const index_;
  ReaderSlot* const slot_;
  ReaderSlot* looking_ = nullptr;  // slot_ while we look
};

}  // namespace hub::replica
