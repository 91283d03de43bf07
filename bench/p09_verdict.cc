// P9: nanoseconds of CPU for one local verdict ("is this number flagged, and how?") among ten million numbers, present and absent, while another
// thread applies 10,000 changes a second; beside absl::flat_hash_map (without changes: it could not stand them) and RocksDB's Get of a row as
// hub-edge has them, in the same run. And bytes per mobile number: table, what is fresh, and all that belongs to it.
//
// Numbers are drawn at run time and never leave memory, but for the keys of the RocksDB, whose folder is removed at the end.
//
//   bench_p09_verdict [PAIRS] [NUMBERS]     at least 5, default 5; default 10,000,000; a table on stderr, one JSON line on stdout
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "bench/figures.h"
#include "libs/base/clock.h"
#include "libs/base/thread.h"
#include "libs/replica/verdict_index.h"
#include "libs/store/database.h"
#include "libs/store/temp_dir.h"

namespace {

using hub::bench::Machine;
using hub::bench::Median;
using hub::bench::PrintRow;
using hub::bench::ThreadCpuNanos;
using hub::model::Level;
using hub::replica::IndexVerdict;
using hub::replica::VerdictIndex;

constexpr double kGoalPresent = 100, kGoalAbsent = 40, kGoalBytes = 3.1;
constexpr int kPairsMin = 5;
constexpr size_t kCalls = 4'000'000;
constexpr size_t kStoreCalls = 100'000;
constexpr double kUpdatesPerSecond = 10'000;
constexpr uint64_t kBegin = 6'000'000'000, kCount = 4'000'000'000;
constexpr size_t kRowBytes = 250;  // about an answer in a row of hub-edge
const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

volatile uint64_t sink;

hub::model::Identifier Mobile(uint64_t digits) {
  return {hub::model::IdentifierType::kMobile, absl::StrCat("+91", digits)};
}

template <class Call>
double NanosPerCall(const std::vector<uint64_t>& asked, size_t calls, Call&& call) {
  uint64_t sum = 0;
  const double start = ThreadCpuNanos();
  for (size_t i = 0; i < calls; ++i) sum += call(asked[i % asked.size()]);
  const double took = ThreadCpuNanos() - start;
  sink = sum;
  return took / static_cast<double>(calls);
}

// Changes the level of numbers that are there, and takes some out and puts them in again, at the rate.
void Update(VerdictIndex* index, const std::vector<uint64_t>& numbers, std::atomic<uint64_t>* updates,
            std::stop_token stop) {
  const hub::base::RealClock clock;
  std::mt19937_64 random(99);
  const absl::Duration began = clock.Monotonic();
  uint64_t done = 0;
  uint64_t out = 0;
  while (!stop.stop_requested()) {
    const auto due = static_cast<uint64_t>(absl::ToDoubleSeconds(clock.Monotonic() - began) * kUpdatesPerSecond);
    for (; done < due; ++done) {
      const uint64_t number = out != 0 ? std::exchange(out, 0) : numbers[random() % numbers.size()];
      if (random() % 16 == 0) {
        index->Remove(Mobile(number));
        out = number;
      } else {
        index->Put(Mobile(number), random() % 2 == 0 ? Level::kHigh : Level::kMedium,
                   kStart + absl::Hours(24 * (30 + random() % 60)));
      }
    }
    updates->store(done, std::memory_order_relaxed);
    timespec pause{0, 1'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
  }
}

void FillStore(hub::store::Database* store, const std::vector<uint64_t>& numbers) {
  std::mt19937_64 random(5);
  std::string row(kRowBytes, 'x');
  hub::store::Batch batch;
  for (size_t i = 0; i < numbers.size(); ++i) {
    for (size_t at = 0; at + 8 <= row.size(); at += 16) {  // half of it is like any other row
      const uint64_t bits = random();
      std::copy_n(reinterpret_cast<const char*>(&bits), 8, row.begin() + static_cast<std::ptrdiff_t>(at));
    }
    batch.Put(0, Mobile(numbers[i]).canonical, row);
    if (batch.bytes() > (size_t{4} << 20) || i + 1 == numbers.size()) {
      if (!store->Commit(batch, hub::store::Durability::kBuffered).ok()) std::abort();
      batch.Clear();
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = std::max(kPairsMin, argc > 1 ? std::atoi(argv[1]) : kPairsMin);
  const size_t count = argc > 2 ? static_cast<size_t>(std::atoll(argv[2])) : 10'000'000;
  std::mt19937_64 random(9);
  std::vector<uint64_t> numbers;
  numbers.reserve(count + count / 64);
  while (numbers.size() < count + count / 128) numbers.push_back(kBegin + random() % kCount);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  VerdictIndex index;
  const double load_began = ThreadCpuNanos();
  index.BeginLoad(kStart);
  for (const uint64_t number : numbers) {
    index.Load(Mobile(number), number % 3 == 0 ? Level::kVeryHigh : Level::kHigh,
               kStart + absl::Hours(24 * (1 + number % 90)));
  }
  if (!index.FinishLoad()) return 1;
  const double load_seconds = (ThreadCpuNanos() - load_began) / 1e9;
  absl::flat_hash_map<uint64_t, uint64_t> map;
  map.reserve(numbers.size());
  for (const uint64_t number : numbers) map[number] = number % 5;

  std::vector<uint64_t> present, absent;
  for (size_t i = 0; i < 1'000'000; ++i) present.push_back(numbers[random() % numbers.size()]);
  while (absent.size() < 1'000'000) {
    if (const uint64_t number = kBegin + random() % kCount; !map.contains(number)) absent.push_back(number);
  }

  std::atomic<uint64_t> updates{0};
  std::vector<double> ours_present, ours_absent, map_present, map_absent, store_present, store_absent;
  double seconds = 0;
  {
    hub::base::Thread updater("updater", [&](std::stop_token stop) { Update(&index, numbers, &updates, stop); });
    const hub::base::RealClock clock;
    const absl::Duration began = clock.Monotonic();
    const auto reader = index.NewReader();
    const int64_t now = absl::ToUnixSeconds(kStart + absl::Hours(1));
    const auto ours = [&](uint64_t number) { return static_cast<uint64_t>(reader->GetMobile(number, now).kind); };
    const auto peer = [&](uint64_t number) {
      const auto found = map.find(number);
      return found == map.end() ? uint64_t{0} : found->second;
    };
    for (int pair = -1; pair < pairs; ++pair) {  // the first warms up
      const double measured[] = {NanosPerCall(present, kCalls, ours), NanosPerCall(present, kCalls, peer),
                                 NanosPerCall(absent, kCalls, ours), NanosPerCall(absent, kCalls, peer)};
      reader->Idle();
      if (pair < 0) continue;
      std::vector<double>* const to[] = {&ours_present, &map_present, &ours_absent, &map_absent};
      for (size_t i = 0; i < std::size(to); ++i) to[i]->push_back(measured[i]);
    }
    seconds = absl::ToDoubleSeconds(clock.Monotonic() - began);
  }
  // After the others: while it compacts what it was given, it takes their caches.
  const hub::store::TempDir folder;
  auto store = hub::store::OpenDatabase(folder.path() + "/db", {{"rows"}}, {});
  if (!store.ok()) return 1;
  FillStore(store->get(), numbers);
  const auto disk = [&](uint64_t number) {
    return static_cast<uint64_t>((*store)->Get(0, Mobile(number).canonical)->has_value());
  };
  for (int pair = 0; pair < pairs; ++pair) {
    store_present.push_back(NanosPerCall(present, kStoreCalls, disk));
    store_absent.push_back(NanosPerCall(absent, kStoreCalls, disk));
  }
  const double bytes = static_cast<double>(index.mobile_bytes()) / static_cast<double>(index.mobiles());
  PrintRow("verdict, present", ours_present);
  PrintRow("verdict, absent", ours_absent);
  PrintRow("flat_hash_map, present", map_present);
  PrintRow("flat_hash_map, absent", map_absent);
  PrintRow("RocksDB Get, present", store_present);
  PrintRow("RocksDB Get, absent", store_absent);
  const double rate = static_cast<double>(updates.load()) / seconds;
  std::fprintf(stderr, "%zu mobiles, %.3f bytes each; loaded in %.2f s of CPU; %.0f updates/s\n", index.mobiles(),
               bytes, load_seconds, rate);
  const double a = Median(ours_present), b = Median(ours_absent);
  const auto [min, max] = std::minmax_element(ours_present.begin(), ours_present.end());
  const bool pass = a <= kGoalPresent && b <= kGoalAbsent && bytes <= kGoalBytes && rate > kUpdatesPerSecond * 0.99;
  std::printf(
      "{\"id\":\"P9\",\"unit\":\"ns\",\"ours\":%.1f,\"peer\":%.1f,\"ratio\":%.4f,\"goal\":%.0f,\"pass\":%s,\"pairs\":%"
      "d,\"spread\":[%.1f,%.1f],"
      "\"machine\":\"%s\",\"absent\":%.1f,\"absent_goal\":%.0f,\"bytes_per_mobile\":%.3f,\"bytes_goal\":%.1f,"
      "\"numbers\":%zu,"
      "\"updates_per_second\":%.0f,\"map_present\":%.1f,\"map_absent\":%.1f,\"rocksdb_present\":%.1f,\"rocksdb_"
      "absent\":%.1f}\n",
      a, Median(store_present), a / Median(store_present), kGoalPresent, pass ? "true" : "false", pairs, *min, *max,
      Machine().c_str(), b, kGoalAbsent, bytes, kGoalBytes, index.mobiles(), rate, Median(map_present),
      Median(map_absent), Median(store_present), Median(store_absent));
  return 0;
}
