// P9: nanoseconds of CPU for one local verdict ("is this number flagged, and how?") among ten million numbers, present and absent, while another
// thread applies 10,000 changes a second; beside absl::flat_hash_map (without changes: it could not stand them) and RocksDB's Get of a row as
// hub-edge has them, in the same run. And bytes per mobile number: table, what is fresh, and all that belongs to it. The same once more for numbers
// as operators hand them out: in series of 100,000, some of them in runs; asked are numbers of the same series.
//
// Numbers are drawn at run time and never leave memory, but for the keys of the RocksDB, whose folder is removed at the end.
//
//   bench_p09_verdict [PAIRS] [NUMBERS]     at least 5, default 5; default 10,000,000; a table on stderr, one JSON line on stdout
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
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
constexpr size_t kAsked = 1'000'000, kTimes = 4;
constexpr size_t kStoreAsked = 100'000;
constexpr double kUpdatesPerSecond = 10'000;
constexpr uint64_t kBegin = 6'000'000'000, kCount = 4'000'000'000;
constexpr uint64_t kSeries = 100'000;
constexpr double kNanosPerSecond = 1e9;
constexpr size_t kRowBytes = 250;  // about an answer in a row of hub-edge
const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

volatile uint64_t sink;

hub::model::Identifier Mobile(uint64_t digits) {
  return {hub::model::IdentifierType::kMobile, absl::StrCat("+91", digits)};
}

template <class Call>
double NanosPerCall(const std::vector<uint64_t>& asked, size_t times, const Call& call) {
  uint64_t sum = 0;
  const double start = ThreadCpuNanos();
  for (size_t i = 0; i < times; ++i) {
    for (const uint64_t number : asked) sum += call(number);
  }
  const double took = ThreadCpuNanos() - start;
  sink = sum;
  return took / static_cast<double>(times * asked.size());
}

// Sorted, each once.
std::vector<uint64_t> Numbers(size_t count, const std::function<void(std::vector<uint64_t>*)>& draw) {
  std::vector<uint64_t> numbers;
  while (numbers.size() < count) {
    for (const size_t want = count + count / 128; numbers.size() < want;) draw(&numbers);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  }
  return numbers;
}

struct Asked {
  std::vector<uint64_t> present, absent;
};

Asked Ask(const std::vector<uint64_t>& numbers, const std::function<uint64_t()>& any) {
  Asked asked;
  std::mt19937_64 random(7);
  while (asked.present.size() < kAsked) asked.present.push_back(numbers[random() % numbers.size()]);
  while (asked.absent.size() < kAsked) {
    if (const uint64_t number = any(); !std::binary_search(numbers.begin(), numbers.end(), number))
      asked.absent.push_back(number);
  }
  return asked;
}

void Load(const std::vector<uint64_t>& numbers, VerdictIndex* index) {
  index->BeginLoad(kStart);
  for (const uint64_t number : numbers) {
    index->Load(Mobile(number), number % 3 == 0 ? Level::kVeryHigh : Level::kHigh,
                kStart + absl::Hours(24 * (1 + number % 90)));
  }
  if (!index->FinishLoad()) std::abort();
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

struct Figures {
  std::vector<double> present, absent, map_present, map_absent;
  double bytes = 0, load_seconds = 0, updates_per_second = 0;
  size_t mobiles = 0;
};

// With changes all the while. `map`: nullptr without.
Figures Measure(const std::vector<uint64_t>& numbers, const Asked& asked, int pairs,
                const absl::flat_hash_map<uint64_t, uint64_t>* map) {
  Figures figures;
  VerdictIndex index;
  const double load_began = ThreadCpuNanos();
  Load(numbers, &index);
  figures.load_seconds = (ThreadCpuNanos() - load_began) / kNanosPerSecond;
  std::atomic<uint64_t> updates{0};
  {
    hub::base::Thread updater("updater", [&](std::stop_token stop) { Update(&index, numbers, &updates, stop); });
    const hub::base::RealClock clock;
    const absl::Duration began = clock.Monotonic();
    const auto reader = index.NewReader();
    const int64_t now = absl::ToUnixSeconds(kStart + absl::Hours(1));
    const auto ours = [&](uint64_t number) { return static_cast<uint64_t>(reader->GetMobile(number, now).kind); };
    const auto peer = [&](uint64_t number) {
      const auto found = map->find(number);
      return found == map->end() ? uint64_t{0} : found->second;
    };
    for (int pair = -1; pair < pairs; ++pair) {  // the first warms up
      const auto measure = [&](const auto& call, const std::vector<uint64_t>& numbers_asked, std::vector<double>* to) {
        const double nanos = NanosPerCall(numbers_asked, kTimes, call);
        if (pair >= 0) to->push_back(nanos);
      };
      measure(ours, asked.present, &figures.present);
      if (map != nullptr) measure(peer, asked.present, &figures.map_present);
      measure(ours, asked.absent, &figures.absent);
      if (map != nullptr) measure(peer, asked.absent, &figures.map_absent);
      reader->Idle();
    }
    figures.updates_per_second = static_cast<double>(updates.load()) / absl::ToDoubleSeconds(clock.Monotonic() - began);
  }
  figures.mobiles = index.mobiles();
  figures.bytes = static_cast<double>(index.mobile_bytes()) / static_cast<double>(index.mobiles());
  return figures;
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = std::max(kPairsMin, argc > 1 ? std::atoi(argv[1]) : kPairsMin);
  const size_t count = argc > 2 ? static_cast<size_t>(std::atoll(argv[2])) : 10'000'000;
  std::mt19937_64 random(9);
  const auto any = [&] { return kBegin + random() % kCount; };
  const std::vector<uint64_t> numbers = Numbers(count, [&](std::vector<uint64_t>* drawn) { drawn->push_back(any()); });
  Figures ours;
  {
    absl::flat_hash_map<uint64_t, uint64_t> map;
    map.reserve(numbers.size());
    for (const uint64_t number : numbers) map[number] = number % 5;
    ours = Measure(numbers, Ask(numbers, any), pairs, &map);
  }
  // A third of the series are in use, the first of them the most; one number in ten begins a run.
  const auto in_series = [&] {
    const double where = static_cast<double>(random() % kCount) / kCount;
    return kBegin + static_cast<uint64_t>(where * where * kCount / kSeries / 3) * 3 * kSeries + random() % kSeries;
  };
  const std::vector<uint64_t> in_runs = Numbers(count, [&](std::vector<uint64_t>* drawn) {
    const uint64_t first = in_series();
    for (uint64_t i = 0, end = random() % 10 == 0 ? 1 + random() % 20 : 1; i < end; ++i) drawn->push_back(first + i);
  });
  const Figures series = Measure(in_runs, Ask(in_runs, in_series), pairs, nullptr);

  // After the others: while it compacts what it was given, it takes their caches.
  std::vector<double> store_present, store_absent;
  const Asked asked = Ask(numbers, any);
  const auto some = [](const std::vector<uint64_t>& all) {
    return std::vector<uint64_t>(all.begin(), all.begin() + kStoreAsked);
  };
  const hub::store::TempDir folder;
  auto store = hub::store::OpenDatabase(folder.path() + "/db", {{"rows"}}, {});
  if (!store.ok()) return 1;
  FillStore(store->get(), numbers);
  const auto disk = [&](uint64_t number) {
    return static_cast<uint64_t>((*store)->Get(0, Mobile(number).canonical)->has_value());
  };
  for (int pair = 0; pair < pairs; ++pair) {
    store_present.push_back(NanosPerCall(some(asked.present), 1, disk));
    store_absent.push_back(NanosPerCall(some(asked.absent), 1, disk));
  }
  PrintRow("verdict, present", ours.present);
  PrintRow("verdict, absent", ours.absent);
  PrintRow("flat_hash_map, present", ours.map_present);
  PrintRow("flat_hash_map, absent", ours.map_absent);
  PrintRow("verdict in series, present", series.present);
  PrintRow("verdict in series, absent", series.absent);
  PrintRow("RocksDB Get, present", store_present);
  PrintRow("RocksDB Get, absent", store_absent);
  for (const Figures* figures : {static_cast<const Figures*>(&ours), &series}) {
    std::fprintf(stderr, "%zu mobiles%s, %.3f bytes each; loaded in %.2f s of CPU; %.0f updates/s\n", figures->mobiles,
                 figures == &series ? " in series" : "", figures->bytes, figures->load_seconds,
                 figures->updates_per_second);
  }
  const double a = Median(ours.present), b = Median(ours.absent);
  const auto [min, max] = std::minmax_element(ours.present.begin(), ours.present.end());
  const bool pass = a <= kGoalPresent && b <= kGoalAbsent && ours.bytes <= kGoalBytes &&
                    std::min(ours.updates_per_second, series.updates_per_second) > kUpdatesPerSecond * 0.99;
  std::printf(
      "{\"id\":\"P9\",\"unit\":\"ns\",\"ours\":%.1f,\"peer\":%.1f,\"ratio\":%.4f,\"goal\":%.0f,\"pass\":%s,\"pairs\":%"
      "d,\"spread\":[%.1f,%.1f],"
      "\"machine\":\"%s\",\"absent\":%.1f,\"absent_goal\":%.0f,\"bytes_per_mobile\":%.3f,\"bytes_goal\":%.1f,"
      "\"numbers\":%zu,"
      "\"updates_per_second\":%.0f,\"map_present\":%.1f,\"map_absent\":%.1f,\"series_present\":%.1f,\"series_"
      "absent\":%.1f,\"series_bytes\":%.3f,\"rocksdb_present\":%.1f,\"rocksdb_absent\":%.1f}\n",
      a, Median(store_present), a / Median(store_present), kGoalPresent, pass ? "true" : "false", pairs, *min, *max,
      Machine().c_str(), b, kGoalAbsent, ours.bytes, kGoalBytes, ours.mobiles, ours.updates_per_second,
      Median(ours.map_present), Median(ours.map_absent), Median(series.present), Median(series.absent), series.bytes,
      Median(store_present), Median(store_absent));
  return 0;
}
