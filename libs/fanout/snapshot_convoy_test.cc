// Who is waited for in a snapshot, and who is not.
#include "libs/fanout/snapshot_convoy.h"

#include <memory>

#include "tests/catch.h"

namespace hub::fanout {
namespace {

constexpr uint32_t kRoom = 100;

struct Run {
  std::shared_ptr<SnapshotReader> Enter(uint32_t part = 0) { return convoy.Enter(part, now); }
  static void Move(const std::shared_ptr<SnapshotReader>& reader, uint32_t part) { reader->part = part; }
  bool MayGoOn(uint32_t part) { return convoy.MayGoOn(part, kRoom, now); }
  void Pass(absl::Duration time = absl::Milliseconds(100)) { now += time; }
  absl::Duration now = absl::Seconds(1000);
  SnapshotConvoy convoy{now};
};

TEST_CASE("The first goes no further ahead of the last than what is kept reaches", "[fanout][snapshot][convoy]") {
  Run run;
  const auto quick = run.Enter(), slow = run.Enter();
  run.Move(quick, 50);
  run.Move(slow, 40);
  run.Pass();
  CHECK((run.MayGoOn(140) && !run.MayGoOn(141) && run.convoy.last(run.now) == 40));
  run.Move(quick, 140);
  run.Move(slow, 41);
  run.Pass();
  CHECK((run.MayGoOn(141) && !run.MayGoOn(142)));
}

// As a client that asks for single events beside one that takes runs: a third as fast.
TEST_CASE("One that is a third as fast finds all that the first has had", "[fanout][snapshot][convoy]") {
  Run run;
  const auto quick = run.Enter(), slow = run.Enter();
  uint32_t made = 0;
  for (int turn = 0; slow->part < 2000; ++turn) {
    for (int i = 0; i < 3 && quick->part < 2000 && run.MayGoOn(quick->part); ++i) {
      made = quick->part;
      run.Move(quick, quick->part + 1);
    }
    run.Move(slow, slow->part + 1);
    REQUIRE(made <= slow->part + kRoom + 2);
    REQUIRE(turn < 4000);
    run.Pass();
  }
  CHECK(quick->part == 2000);
}

TEST_CASE("Who is far behind or gone is not waited for", "[fanout][snapshot][convoy]") {
  Run run;
  const auto quick = run.Enter();
  auto other = run.Enter();
  run.Move(quick, 400);
  run.Move(other, 99);
  run.Pass();
  CHECK((run.MayGoOn(400) && run.convoy.last(run.now) == 400));
  run.Move(other, 100);
  run.Pass();
  CHECK(!run.MayGoOn(400));
  other.reset();
  run.Pass();
  CHECK(run.MayGoOn(400));
}

// Fifty parts a second until one has a tenth of that; then it stops; then it is quick again.
TEST_CASE("Who becomes far slower is not waited for as long as that lasts", "[fanout][snapshot][convoy]") {
  Run run;
  const auto quick = run.Enter(), other = run.Enter();
  const auto pass = [&](int turns, uint32_t parts_of_other, int every) {
    int refused = 0;
    for (int turn = 1; turn <= turns; ++turn) {
      for (int i = 0; i < 5 && run.MayGoOn(quick->part); ++i) ++quick->part;
      refused += run.MayGoOn(quick->part) ? 0 : 1;
      if (turn % every == 0) other->part += parts_of_other;
      run.Pass();
    }
    return refused;
  };
  CHECK(pass(90, 4, 1) == 0);
  CHECK(pass(150, 1, 2) > 10);  // until it has been seen so for five seconds
  CHECK(pass(100, 1, 2) == 0);  // and then it is left behind
  CHECK(pass(100, 0, 1) == 0);
  int turns = 0;
  for (; quick->part > other->part + kRoom; ++turns) pass(1, 12, 1);
  CHECK(turns < 500);
  CHECK(pass(200, 2, 1) > 0);  // and is one of them
}

}  // namespace
}  // namespace hub::fanout
