// The index against a plain map: what it says for certain is what the map says, for random changes, times, loads and rebuilds.
#include "libs/replica/verdict_index.h"

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/thread.h"
#include "tests/catch.h"

namespace hub::replica {
namespace {

using model::Identifier;
using model::IdentifierType;
using model::Level;
using Kind = IndexVerdict::Kind;

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kDay = absl::Hours(24);

// Built here, so that no text of this file is anybody's number.
Identifier Mobile(uint64_t ten_digits) { return {IdentifierType::kMobile, absl::StrCat("+91", ten_digits)}; }
Identifier Other(uint64_t n) { return {IdentifierType::kUpiAddress, absl::StrCat(n, "@testpsp")}; }

struct Entry {
  Level level;
  absl::Time lapses_at;
};
using Store = std::map<Identifier, Entry>;

void LoadAll(const Store& store, absl::Time now, VerdictIndex* index) {
  index->BeginLoad(now);
  for (const auto& [identifier, entry] : store) index->Load(identifier, entry.level, entry.lapses_at);
  REQUIRE(index->FinishLoad());
}

// As whoever looks up does it. `asked` counts what the index left to the store.
std::optional<Level> Answer(const Store& store, VerdictIndex::Reader* reader, const Identifier& identifier,
                            absl::Time now, int* asked) {
  const IndexVerdict verdict = reader->Get(identifier, now);
  if (verdict.kind == Kind::kAbsent) return std::nullopt;
  if (verdict.kind == Kind::kPresent) return verdict.level;
  ++*asked;
  const auto found = store.find(identifier);
  if (found == store.end()) return std::nullopt;
  return LevelAt(found->second.level, found->second.lapses_at, now);
}

std::optional<Level> Truth(const Store& store, const Identifier& identifier, absl::Time now) {
  const auto found = store.find(identifier);
  if (found == store.end()) return std::nullopt;
  return LevelAt(found->second.level, found->second.lapses_at, now);
}

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return random_() % n; }
  Identifier Any() {
    // Close together and far apart, at both ends of the range, and in the test range.
    switch (Below(6)) {
      case 0:
        return Mobile(6'000'000'000 + Below(300));
      case 1:
        return Mobile(9'999'999'999 - Below(300));
      case 2:
        return Mobile(5'550'000'000 + Below(10'000'000) / 50'000 * 50'000);
      case 3:
        return Mobile(6'000'000'000 + Below(4'000'000'000) / 4'000'037 * 4'000'037);
      case 4:
        return {IdentifierType::kMobile, absl::StrCat("+915", Below(20))};  // not of that form
      default:
        return Other(Below(500));
    }
  }
  Entry AnyEntry(absl::Time now) {
    const absl::Time lapses[] = {absl::InfiniteFuture(), now + absl::Seconds(Below(7200)), now + kDay * Below(120),
                                 now - absl::Seconds(Below(100'000)), kStart + kDay * Below(40)};
    return {static_cast<Level>(Below(5)), lapses[Below(5)]};
  }

 private:
  std::mt19937_64 random_;
};

TEST_CASE("the index says what the store says, at any time, after any changes", "[replica][index]") {
  const uint64_t seed = GENERATE(range(1, 9));
  CAPTURE(seed);
  World world(seed);
  VerdictIndex index({.hash_key = seed, .fresh_slots = 64});
  Store store;
  absl::Time now = kStart;
  auto reader = index.NewReader();
  REQUIRE(reader != nullptr);
  int asked = 0, certain = 0;
  for (int step = 0; step < 30'000; ++step) {
    const Identifier identifier = world.Any();
    switch (world.Below(8)) {
      case 0:
      case 1:
      case 2:
        store[identifier] = world.AnyEntry(now);
        index.Put(identifier, store[identifier].level, store[identifier].lapses_at);
        break;
      case 3:
        store.erase(identifier);
        index.Remove(identifier);
        break;
      case 4:
        now += absl::Seconds(world.Below(100));
        if (world.Below(100) == 0) now += kDay * world.Below(5);
        break;
      case 5:
        if (world.Below(300) == 0 || index.WantsLoad(now)) LoadAll(store, now, &index);
        break;
      default: {
        const int asked_before = asked;
        const auto answer = Answer(store, reader.get(), identifier, now, &asked);
        certain += asked == asked_before;
        if (answer != Truth(store, identifier, now)) {
          CAPTURE(step);
          REQUIRE(answer == Truth(store, identifier, now));
        }
      }
    }
  }
  CHECK(certain > 2 * asked);  // or it would be of no use; a third of what is asked about here are other kinds
}

TEST_CASE("numbers that lie densely, in runs or anyhow come through rebuilds whole", "[replica][index]") {
  std::mt19937_64 random(3);
  VerdictIndex index({.fresh_slots = 64});
  Store store;
  const auto put = [&](uint64_t number, Level level) { store[Mobile(number)] = {level, absl::InfiniteFuture()}; };
  const auto any_level = [&] { return static_cast<Level>(random() % 5); };
  constexpr uint64_t kDense = 7'000'027'136, kRuns = 8'000'000'000, kAnyhow = 9'000'000'000;
  for (uint64_t i = 0; i < 66'000; ++i) put(kDense + i, any_level());  // more than there are under one prefix
  for (int run = 0; run < 200; ++run) {
    const uint64_t first = kRuns + random() % 1'000'000;
    for (uint64_t i = 0, end = 1 + random() % 60; i < end; ++i) put(first + i, any_level());
  }
  for (int i = 0; i < 3'000; ++i) put(kAnyhow + random() % 2'000'000, any_level());
  LoadAll(store, kStart, &index);
  auto reader = index.NewReader();
  int asked = 0;
  const auto right = [&](uint64_t number) {
    return Answer(store, reader.get(), Mobile(number), kStart, &asked) == Truth(store, Mobile(number), kStart);
  };
  int wrong = 0;
  for (int change = 0; change < 5'000; ++change) {
    const uint64_t at[] = {kDense + random() % 66'100, kRuns + random() % 1'000'000, kAnyhow + random() % 2'000'000};
    const uint64_t number = at[random() % 3];
    if (random() % 3 == 0) {
      store.erase(Mobile(number));
      index.Remove(Mobile(number));
    } else {
      put(number, any_level());
      index.Put(Mobile(number), store[Mobile(number)].level, absl::InfiniteFuture());
    }
    wrong += !right(number) + !right(number + 1) + !right(kDense + random() % 66'100);
  }
  for (uint64_t number = kDense - 10; number < kDense + 66'110; ++number) wrong += !right(number);
  for (const auto& [identifier, entry] : store)
    wrong += Answer(store, reader.get(), identifier, kStart, &asked) != entry.level;
  CHECK(wrong == 0);
  CHECK(asked == 0);
}

TEST_CASE("a flag lapses at its second: before and after the index knows, within the day it asks", "[replica][index]") {
  VerdictIndex index;
  Store store;
  const absl::Time lapses_at = kStart + kDay * 10 + absl::Hours(3) + absl::Seconds(17);
  store[Mobile(5'551'234'567)] = {Level::kHigh, lapses_at};
  LoadAll(store, kStart, &index);
  auto reader = index.NewReader();
  const auto kind = [&](absl::Time now) { return reader->Get(Mobile(5'551'234'567), now); };
  CHECK(kind(lapses_at - kDay).kind == Kind::kPresent);
  CHECK(kind(lapses_at - kDay).level == Level::kHigh);
  CHECK(kind(lapses_at).kind == Kind::kAskStore);
  CHECK(kind(lapses_at + kDay).kind == Kind::kPresent);
  CHECK(kind(lapses_at + kDay).level == Level::kNone);
  // As a fresh change it is exact to the minute.
  index.Put(Mobile(5'551'234'567), Level::kVeryHigh, lapses_at);
  CHECK(kind(lapses_at - absl::Minutes(1)).level == Level::kVeryHigh);
  CHECK(kind(lapses_at).kind == Kind::kAskStore);
  CHECK(kind(lapses_at + absl::Minutes(1)).level == Level::kNone);
}

TEST_CASE("a new tenure's state replaces the one before at once", "[replica][index]") {
  VerdictIndex index;
  LoadAll({{Mobile(5'551'234'567), {Level::kHigh, absl::InfiniteFuture()}}}, kStart, &index);
  auto reader = index.NewReader();
  index.Put(Mobile(5'551'234'567), Level::kNone, absl::InfiniteFuture());
  CHECK(reader->Get(Mobile(5'551'234'567), kStart).level == Level::kNone);
  index.Remove(Mobile(5'551'234'567));
  CHECK(reader->Get(Mobile(5'551'234'567), kStart).kind == Kind::kAbsent);
}

TEST_CASE("while it is loaded everything is asked, and changes meanwhile are not lost", "[replica][index]") {
  VerdictIndex index({.noted_max = 2});
  auto reader = index.NewReader();
  index.BeginLoad(kStart);
  CHECK(reader->Get(Mobile(5'551'234'567), kStart).kind == Kind::kAskStore);
  CHECK(reader->Get(Other(1), kStart).kind == Kind::kAskStore);
  index.Load(Mobile(5'551'234'567), Level::kHigh, absl::InfiniteFuture());
  index.Load(Mobile(6'000'000'000), Level::kHigh, absl::InfiniteFuture());
  index.Load(Mobile(9'000'000'000), Level::kHigh, absl::InfiniteFuture());  // the one before is in its place now
  CHECK(reader->Get(Mobile(6'000'000'000), kStart).kind == Kind::kAskStore);
  CHECK(reader->Get(Mobile(6'000'000'001), kStart).kind == Kind::kAskStore);
  index.Put(Mobile(5'551'234'567), Level::kMedium, absl::InfiniteFuture());
  index.Put(Mobile(5'551'234'567), Level::kNone, absl::InfiniteFuture());
  SECTION("as many as it can note") {
    CHECK(index.FinishLoad());
    CHECK(reader->Get(Mobile(5'551'234'567), kStart).kind == Kind::kPresent);
    CHECK(reader->Get(Mobile(5'551'234'567), kStart).level == Level::kNone);
    CHECK(reader->Get(Other(1), kStart).kind == Kind::kAbsent);
  }
  SECTION("more: it asks on, and is to be loaded again") {
    index.Put(Mobile(5'551'234'568), Level::kMedium, absl::InfiniteFuture());
    CHECK_FALSE(index.FinishLoad());
    CHECK(reader->Get(Mobile(5'551'234'568), kStart).kind == Kind::kAskStore);
    CHECK(index.WantsLoad(kStart));
  }
}

TEST_CASE("a reader that sits on old memory costs a bounded amount of it, and nobody a wrong answer",
          "[replica][index]") {
  VerdictIndex index({.fresh_slots = 1024});
  Store store;
  for (uint64_t i = 0; i < 50'000; ++i)
    store[Mobile(6'000'000'000 + i * 79'999)] = {Level::kHigh, absl::InfiniteFuture()};
  LoadAll(store, kStart, &index);
  const size_t at_rest = index.bytes();
  auto sitting = index.NewReader(), working = index.NewReader();
  sitting->Get(Mobile(6'000'000'000), kStart);
  int asked = 0;
  for (uint64_t i = 0; i < 300'000; ++i) {
    const Identifier identifier = Mobile(6'000'000'000 + i % 50'000 * 79'999);
    store[identifier].level = i % 2 == 0 ? Level::kMedium : Level::kNone;
    index.Put(identifier, store[identifier].level, store[identifier].lapses_at);
    if (i % 1000 == 0)
      REQUIRE(Answer(store, working.get(), identifier, kStart, &asked) == Truth(store, identifier, kStart));
  }
  CHECK(index.bytes() < 2 * at_rest + (size_t{9} << 20));
  CHECK(asked > 0);
  CHECK(index.WantsLoad(kStart));
  sitting->Idle();
  LoadAll(store, kStart, &index);
  CHECK_FALSE(index.WantsLoad(kStart));
  index.Put(Mobile(6'000'000'000), Level::kMedium, absl::InfiniteFuture());
  CHECK(sitting->Get(Mobile(6'000'000'000), kStart).level == Level::kMedium);
}

TEST_CASE("there are 64 readers at a time", "[replica][index]") {
  VerdictIndex index;
  std::vector<std::unique_ptr<VerdictIndex::Reader>> readers;
  for (int i = 0; i < 64; ++i) readers.push_back(index.NewReader());
  CHECK(index.NewReader() == nullptr);
  readers.pop_back();
  CHECK(index.NewReader() != nullptr);
}

// One number's level only rises, so a reader beside the writer must never see it fall; another never changes; a third is never there.
TEST_CASE("readers beside the writer never see what was before", "[replica][index][threads]") {
  VerdictIndex index({.fresh_slots = 64});
  Store store;
  for (uint64_t i = 0; i < 20'000; ++i)
    store[Mobile(6'000'000'000 + i * 199'999)] = {Level::kHigh, absl::InfiniteFuture()};
  LoadAll(store, kStart, &index);
  std::atomic<uint64_t> newest{0};  // lapse second of what was put last
  std::atomic<int> wrong{0},
      certain{0};  // a reader that was put to sleep by the machine may have it all asked of the store
  std::atomic<bool> done{false};
  const auto read = [&](std::stop_token) {
    auto reader = index.NewReader();
    while (!done) {
      const uint64_t at_least = newest.load(std::memory_order_acquire);
      // Put with a lapse `n` minutes after the start: at minute n - 1 it is still flagged, if what is seen is not older than n.
      const int64_t start = absl::ToUnixSeconds(kStart);
      const IndexVerdict rising = reader->GetMobile(6'000'000'000, start + 60 * (static_cast<int64_t>(at_least) - 1));
      wrong += rising.kind == Kind::kAbsent || (rising.kind == Kind::kPresent && rising.level != Level::kHigh);
      const IndexVerdict still = reader->GetMobile(6'000'000'000 + 199'999, start);
      wrong += still.kind == Kind::kAbsent || (still.kind == Kind::kPresent && still.level != Level::kHigh);
      wrong += reader->GetMobile(6'000'000'001, start).kind == Kind::kPresent;
      certain += still.kind == Kind::kPresent;
    }
  };
  base::Thread first("reader-1", read), second("reader-2", read);
  std::mt19937_64 random(7);
  for (uint64_t n = 1; n < 30'000; ++n) {
    index.Put(Mobile(6'000'000'000), Level::kHigh, kStart + absl::Minutes(static_cast<int64_t>(n)));
    newest.store(n, std::memory_order_release);
    for (int k = 0; k < 5; ++k) {
      index.Put(Mobile(6'000'000'000 + (2 + random() % 19'000) * 199'999), Level::kMedium, absl::InfiniteFuture());
    }
  }
  done = true;
  first.Stop();
  second.Stop();
  CHECK(wrong == 0);
  CHECK(certain > 0);
}

// Each load counts days from another one; who takes a byte of the one by the day of the other sees a flag lapse too early.
TEST_CASE("readers beside loads see all of the one, all of the other, or ask", "[replica][index][threads]") {
  VerdictIndex index;
  Store store;
  for (uint64_t i = 0; i < 300; ++i) store[Mobile(6'000'000'000 + i * 99'999)] = {Level::kHigh, kStart + kDay * 10};
  LoadAll(store, kStart, &index);
  std::atomic<int> wrong{0}, certain{0};
  std::atomic<bool> done{false};
  const auto read = [&](std::stop_token) {
    auto reader = index.NewReader();
    const int64_t now = absl::ToUnixSeconds(kStart + kDay * 9);
    while (!done) {
      for (uint64_t i = 0; i < 300; i += 37) {
        const IndexVerdict there = reader->GetMobile(6'000'000'000 + i * 99'999, now);
        wrong += there.kind == Kind::kAbsent || (there.kind == Kind::kPresent && there.level != Level::kHigh);
        wrong += reader->GetMobile(6'000'000'001 + i * 99'999, now).kind == Kind::kPresent;
        certain += there.kind == Kind::kPresent;
      }
    }
  };
  base::Thread first("reader-1", read), second("reader-2", read);
  for (int n = 0; n < 2'000 || (certain == 0 && n < 20'000); ++n) LoadAll(store, kStart + kDay * (n % 2 * 8), &index);
  done = true;
  first.Stop();
  second.Stop();
  CHECK(wrong == 0);
  CHECK(certain > 0);
}

}  // namespace
}  // namespace hub::replica
