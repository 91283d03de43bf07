#include "libs/access/quota.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/thread.h"
#include "tests/catch.h"

namespace hub::access {
namespace {

constexpr Rate kTenBurst{.per_second = 10, .burst = 100};

struct Fixture {
  base::ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  Quota quota{&clock};

  absl::Duration Take(double cost, const Rate& rate = kTenBurst) { return quota.Take("bank-1", "reports", cost, rate); }
  bool Granted(double cost, const Rate& rate = kTenBurst) { return Take(cost, rate) == absl::ZeroDuration(); }
};

TEST_CASE("a full bucket grants its burst at once and no more", "[access][quota]") {
  Fixture f;
  CHECK(f.Granted(60));
  CHECK(f.Granted(40));
  CHECK_FALSE(f.Granted(1));
}

TEST_CASE("a refusal says how long to wait, and takes nothing", "[access][quota]") {
  Fixture f;
  REQUIRE(f.Granted(100));
  CHECK(f.Take(5) == absl::Milliseconds(500));
  CHECK(f.Take(5) == absl::Milliseconds(500));
  f.clock.Advance(absl::Milliseconds(499));
  CHECK(f.Take(5) == absl::Milliseconds(1));
  f.clock.Advance(absl::Milliseconds(1));
  CHECK(f.Granted(5));
  CHECK_FALSE(f.Granted(1));
}

TEST_CASE("a bucket never holds more than its burst", "[access][quota]") {
  Fixture f;
  REQUIRE(f.Granted(100));
  f.clock.Advance(absl::Hours(24));
  CHECK(f.Granted(100));
  CHECK_FALSE(f.Granted(1));
}

TEST_CASE("more than the burst is refused for ever, and costs nothing", "[access][quota]") {
  Fixture f;
  CHECK(f.Take(101) == absl::InfiniteDuration());
  CHECK(f.Granted(100));
}

TEST_CASE("what costs nothing is granted from an empty bucket too", "[access][quota]") {
  Fixture f;
  REQUIRE(f.Granted(100));
  CHECK(f.Granted(0));
}

TEST_CASE("stakeholders and classes have buckets of their own", "[access][quota]") {
  Fixture f;
  REQUIRE(f.Granted(100));
  CHECK(f.quota.Take("bank-2", "reports", 100, kTenBurst) == absl::ZeroDuration());
  CHECK(f.quota.Take("bank-1", "lookups", 100, kTenBurst) == absl::ZeroDuration());
  // Where one name ends and the other begins matters.
  CHECK(f.quota.Take("bank-1r", "eports", 100, kTenBurst) == absl::ZeroDuration());
  CHECK_FALSE(f.Granted(1));
}

TEST_CASE("a rate that a new policy raised counts at once", "[access][quota]") {
  Fixture f;
  REQUIRE(f.Granted(100));
  CHECK_FALSE(f.Granted(50));
  CHECK(f.Granted(50, {.per_second = 1000, .burst = 100'000}));
}

TEST_CASE("the quota is a token bucket: the same answers over random requests", "[access][quota][property]") {
  const auto seed = GENERATE(1u, 2u, 3u);
  CAPTURE(seed);
  std::mt19937 random(seed);
  Fixture f;
  // Intervals are whole nanoseconds, so that the bucket can be kept in integers: a token is a quarter of a second.
  const Rate rate{.per_second = 4, .burst = 20};
  constexpr int64_t kToken = 250'000'000;
  int64_t level = 20 * kToken;
  int granted = 0;
  for (int i = 0; i < 20'000; ++i) {
    const int64_t passed = std::uniform_int_distribution<int64_t>(0, kToken * 8)(random);
    f.clock.Advance(absl::Nanoseconds(passed));
    level = std::min(level + passed, 20 * kToken);
    const int cost = std::uniform_int_distribution<int>(0, 22)(random);
    const absl::Duration wait = f.Take(cost, rate);
    if (cost > 20) {
      REQUIRE(wait == absl::InfiniteDuration());
    } else if (cost * kToken <= level) {
      REQUIRE(wait == absl::ZeroDuration());
      level -= cost * kToken;
      ++granted;
    } else {
      REQUIRE(wait == absl::Nanoseconds(cost * kToken - level));
    }
  }
  CHECK(granted > 1000);
}

TEST_CASE("many threads together get no more than the burst", "[access][quota][threads]") {
  Fixture f;
  std::atomic<int> granted = 0;
  std::vector<base::Thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back("taker", [&](const std::stop_token&) {
      for (int k = 0; k < 100; ++k) granted += f.Granted(1) ? 1 : 0;
    });
  }
  for (base::Thread& thread : threads) thread.Stop();
  CHECK(granted == 100);
}

}  // namespace
}  // namespace hub::access
