// 200 seeds of the whole hub under faults, and the planted bugs that the simulation must find.
//
// A failing seed is printed; HUB_SIM_SEED=n replays it alone. HUB_SIM_SEEDS=n goes on to seed n; [.long] runs 5,000.
#include <cstdlib>
#include <map>
#include <string>

#include "tests/catch.h"
#include "tests/simulation/world.h"

namespace hub::simulation {
namespace {

constexpr int kSteps = 1500;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void RunSeeds(uint64_t from, uint64_t to) {
  const uint64_t only = FromEnvironment("HUB_SIM_SEED", 0);
  if (only != 0) {
    from = only;
    to = only;
  }
  std::map<std::string, int> fired, pairs;
  for (uint64_t seed = from; seed <= to; ++seed) {
    World world(seed, Bug::kNone);
    const std::string failure = world.Run(kSteps);
    INFO("HUB_SIM_SEED=" << seed);
    REQUIRE(failure == "");
    for (const auto& [name, count] : world.fired()) fired[name] += count;
    for (const auto& [name, count] : world.pairs()) pairs[name] += count;
  }
  // A run in which nothing went wrong proves nothing.
  if (only == 0) {
    for (const char* name : {"append lost",
                             "append unacknowledged",
                             "append duplicated",
                             "owner crashed",
                             "owner paused",
                             "owner deposed",
                             "second owner",
                             "node crashed",
                             "node drained",
                             "node behind",
                             "rows changed",
                             "fields changed",
                             "moved",
                             "client crashed",
                             "from what was acknowledged",
                             "acknowledged in part",
                             "foreign token",
                             "resumed behind",
                             "compaction",
                             "compaction put off",
                             "rules changed",
                             "reconnect",
                             "stall",
                             "resumed",
                             "message lost",
                             "record fenced",
                             "urgent copy",
                             "urgent copy applied ahead",
                             "fenced copy",
                             "conflict",
                             "snapshot part",
                             "snapshot ended",
                             "snapshot resumed",
                             "snapshot put off",
                             "swept",
                             "view changed",
                             "fields switched",
                             "states with a gap"}) {
      INFO(name);
      CHECK(fired[name] > 0);
    }
    CHECK(pairs.size() >= 40);  // of 91
    CHECK(fired["compaction"] > 4 * fired["compaction put off"]);
  }
}

// The first seed that finds the bug; 0 when none of `seeds` does.
uint64_t FoundBy(Bug bug, uint64_t seeds) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    World world(seed, bug);
    if (!world.Run(kSteps).empty()) return seed;
  }
  return 0;
}

TEST_CASE("the contracts hold under faults, seeds 1 to 50", "[simulation]") { RunSeeds(1, 50); }
TEST_CASE("the contracts hold under faults, seeds 51 to 100", "[simulation]") { RunSeeds(51, 100); }
TEST_CASE("the contracts hold under faults, seeds 101 to 150", "[simulation]") { RunSeeds(101, 150); }
TEST_CASE("the contracts hold under faults, seeds 151 to 200", "[simulation]") {
  RunSeeds(151, FromEnvironment("HUB_SIM_SEEDS", 200));
}

// `hub_simulation_test [.long]`: some minutes.
TEST_CASE("the contracts hold under faults, seeds 201 to 5000", "[.long][simulation]") { RunSeeds(201, 5000); }

TEST_CASE("a skipped dedupe write is found", "[simulation][planted]") {
  CHECK(FoundBy(Bug::kDedupeWriteSkipped, 40) > 0);
}
TEST_CASE("a resume that is off by one is found", "[simulation][planted]") {
  CHECK(FoundBy(Bug::kResumeOffByOne, 40) > 0);
}
TEST_CASE("a withdrawal dropped for a lagging client is found", "[simulation][planted]") {
  CHECK(FoundBy(Bug::kWithdrawalDropped, 40) > 0);
}
TEST_CASE("a forgotten LEFT_VIEW is found", "[simulation][planted]") {
  CHECK(FoundBy(Bug::kLeftViewForgotten, 40) > 0);
}
TEST_CASE("a believed fenced record is found", "[simulation][planted]") {
  CHECK(FoundBy(Bug::kFencedRecordBelieved, 100) > 0);
}
TEST_CASE("a believed fenced urgent copy is found", "[simulation][planted]") {
  CHECK(FoundBy(Bug::kFencedCopyBelieved, 100) > 0);
}
TEST_CASE("states that never reach the log are found", "[simulation][planted]") {
  CHECK(FoundBy(Bug::kStateNotRepaired, 40) > 0);
}

}  // namespace
}  // namespace hub::simulation
