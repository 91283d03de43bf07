// Shares and pace, without a server.
#include "libs/rpc/egress_lanes.h"

#include <algorithm>
#include <map>
#include <vector>

#include "libs/rpc/egress_pace.h"
#include "tests/catch.h"

namespace hub::rpc {
namespace {

struct Item {
  LaneTurn turn;
  absl::Duration had;
};

// Every item comes back to its lane after its turn: both kinds always want the thread.
void Contend(std::vector<Item>* live, absl::Duration live_turn, std::vector<Item>* catchup, absl::Duration catchup_turn,
             bool urgent, int turns) {
  Lanes<Item> lanes(0.3);
  for (Item& item : *live) lanes.Push(&item, Lane::kLive);
  for (Item& item : *catchup) lanes.Push(&item, Lane::kCatchup);
  for (int i = 0; i < turns; ++i) {
    Item* const item = lanes.Pop(urgent);
    REQUIRE(item != nullptr);
    const Lane lane = item->turn.lane;
    const absl::Duration took = lane == Lane::kLive ? live_turn : catchup_turn;
    item->had += took;
    lanes.Charge(item, lane, took);
    lanes.Push(item, lane);
  }
}

absl::Duration Sum(const std::vector<Item>& items) {
  absl::Duration sum;
  for (const Item& item : items) sum += item.had;
  return sum;
}

}  // namespace

TEST_CASE("the shares of live and catch-up hold both ways, whatever their turns cost", "[rpc][egress]") {
  const bool urgent = GENERATE(false, true);  // news that is, all the time
  for (const auto& [live_turn, catchup_turn] : {std::pair(absl::Microseconds(10), absl::Milliseconds(3)),
                                               std::pair(absl::Microseconds(10), absl::Microseconds(10)),
                                               std::pair(absl::Microseconds(500), absl::Microseconds(20))}) {
    std::vector<Item> live(600), catchup(60);
    Contend(&live, live_turn, &catchup, catchup_turn, urgent, 200'000);
    const double share = absl::FDivDuration(Sum(catchup), Sum(live) + Sum(catchup));
    INFO(live_turn << " " << catchup_turn << " " << urgent);
    CHECK(share > 0.25);
    CHECK(share < 0.35);
  }
}

TEST_CASE("a pass is over when who waited at its start has had a turn", "[rpc][egress]") {
  Lanes<Item> lanes(0.3);
  std::vector<Item> items(3);
  CHECK(lanes.PassIsOver());
  for (Item& item : items) lanes.Push(&item, Lane::kLive);
  lanes.StartPass();
  for (int i = 0; i < 3; ++i) {
    CHECK(!lanes.PassIsOver());
    lanes.Push(lanes.Pop(false), Lane::kLive);  // it has more to say
  }
  CHECK(lanes.PassIsOver());
  CHECK(!lanes.Empty(Lane::kLive));
  lanes.Pop(false);  // of nobody's pass
  CHECK(lanes.PassIsOver());
}

// As when the thread is made to wait for a processor in the middle of it.
TEST_CASE("a turn that took long costs a current stream none of its next ones", "[rpc][egress]") {
  Lanes<Item> lanes(0.3);
  std::vector<Item> items(3);
  for (Item& item : items) lanes.Push(&item, Lane::kLive);
  for (int i = 0; i < 30; ++i) {
    Item* const item = lanes.Pop(false);
    CHECK(item == &items[static_cast<size_t>(i) % items.size()]);
    lanes.Charge(item, Lane::kLive, i == 0 ? absl::Milliseconds(20) : absl::Microseconds(50));
    lanes.Push(item, Lane::kLive);
  }
}

TEST_CASE("one dear stream among those that catch up has no more than its neighbours", "[rpc][egress]") {
  Lanes<Item> lanes(0.3);
  std::vector<Item> items(10);
  for (Item& item : items) lanes.Push(&item, Lane::kCatchup);
  for (int i = 0; i < 20'000; ++i) {
    Item* const item = lanes.Pop(false);
    const absl::Duration took = item == &items[0] ? absl::Milliseconds(4) : absl::Microseconds(400);
    item->had += took;
    lanes.Charge(item, Lane::kCatchup, took);
    lanes.Push(item, Lane::kCatchup);
  }
  CHECK(items[0].had < 1.5 * items[1].had);
  CHECK(items[0].had > 0.5 * items[1].had);
}

TEST_CASE("those that read the log come together: who is furthest behind has every other turn", "[rpc][egress]") {
  struct Reader : Item {
    int64_t place = 0;
  };
  constexpr int kTurns = 60'000;
  Lanes<Reader> lanes(0.3);
  std::vector<Reader> readers(12);
  for (size_t i = 0; i < readers.size(); ++i) {
    readers[i].place = static_cast<int64_t>(i) * 400;
    lanes.Push(&readers[i], Lane::kCatchup, readers[i].place);
  }
  const int64_t ahead_at_first = readers.back().place;
  for (int turn = 0; turn < kTurns; ++turn) {
    Reader* const reader = lanes.Pop(false);
    ++reader->place;
    lanes.Charge(reader, Lane::kCatchup, absl::Microseconds(300));
    lanes.Push(reader, Lane::kCatchup, reader->place);
  }
  const auto [furthest, foremost] = std::minmax_element(
      readers.begin(), readers.end(), [](const Reader& a, const Reader& b) { return a.place < b.place; });
  CHECK(foremost->place - furthest->place <= 2);
  CHECK(foremost->place - ahead_at_first >= kTurns / 12 / 2 - 1);  // at most half as fast as without
}

TEST_CASE("who has no place in the log, or a client that takes nothing, holds nobody up", "[rpc][egress]") {
  Lanes<Item> lanes(0.3);
  Item opening, behind, ahead;
  lanes.Push(&opening, Lane::kCatchup);
  lanes.Push(&ahead, Lane::kCatchup, 1000);
  lanes.Push(&behind, Lane::kCatchup, 10);
  std::map<Item*, int> turns;
  for (int i = 0; i < 300; ++i) {
    Item* const item = lanes.Pop(false);
    ++turns[item];
    if (item == &behind && turns[item] == 50) continue;  // what it was sent last stays on its way
    lanes.Push(item, Lane::kCatchup, item == &opening ? lanes.kNowhere : item == &ahead ? 1000 : 10);
  }
  CHECK(turns[&behind] == 50);
  CHECK(turns[&opening] > 90);
  CHECK(turns[&ahead] > 90);
}

TEST_CASE("a kind that is alone has all, and owes little for it later", "[rpc][egress]") {
  Lanes<Item> lanes(0.3);
  Item live, catchup;
  lanes.Push(&catchup, Lane::kCatchup);
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(lanes.Pop(false) == &catchup);
    lanes.Charge(&catchup, Lane::kCatchup, absl::Milliseconds(10));
    lanes.Push(&catchup, Lane::kCatchup);
  }
  lanes.Push(&live, Lane::kLive);
  absl::Duration waited;
  while (true) {
    Item* const item = lanes.Pop(false);
    if (item == &catchup) break;
    lanes.Charge(&live, Lane::kLive, absl::Milliseconds(1));
    waited += absl::Milliseconds(1);
    lanes.Push(&live, Lane::kLive);
  }
  CHECK(waited <= absl::Milliseconds(80));
}

TEST_CASE("what is urgent goes before catch-up, until that is owed too much", "[rpc][egress]") {
  Lanes<Item> lanes(0.3);
  Item live, catchup;
  lanes.Push(&live, Lane::kLive);
  lanes.Push(&catchup, Lane::kCatchup);
  lanes.Charge(&live, Lane::kLive, absl::Milliseconds(2));
  REQUIRE(lanes.Pop(/*live_first=*/true) == &live);
  lanes.Push(&live, Lane::kLive);
  CHECK(lanes.Pop(false) == &catchup);
  lanes.Push(&catchup, Lane::kCatchup);
  lanes.Charge(&live, Lane::kLive, absl::Seconds(1));
  CHECK(lanes.Pop(/*live_first=*/true) == &catchup);
}

// A pass of so many writes to streams that are current, then the linger until the next.
absl::Duration LingerAfter(EgressPace* pace, int writes, int64_t streams, bool shared = false) {
  for (int i = 0; i < writes; ++i) pace->OnLiveWrite();
  return pace->Linger(streams, shared);
}

TEST_CASE("the linger grows with what writing costs, within its bounds", "[rpc][egress]") {
  EgressOptions options;
  options.core_share = 0.5;
  options.linger_max = absl::Milliseconds(20);
  options.linger_crowded_max = absl::Milliseconds(100);
  EgressPace pace(options);
  CHECK(LingerAfter(&pace, 0, 600) == absl::ZeroDuration());
  CHECK(LingerAfter(&pace, 300, 300) == absl::Microseconds(6600));  // 300 x 11 us at half a core
  CHECK(LingerAfter(&pace, 600, 600) == absl::Microseconds(13'200));
  CHECK(LingerAfter(&pace, 1000, 1000) == absl::Milliseconds(20));
  // The sizing rule: 2,500 x 11 us / 50 ms is half a core.
  CHECK(LingerAfter(&pace, 2500, 2500) == absl::Milliseconds(50));
  CHECK(LingerAfter(&pace, 9000, 9000) == absl::Milliseconds(100));
  CHECK(LingerAfter(&pace, 300, 300, true) == LingerAfter(&pace, 300, 300));  // catch-up's 30 % are in the half that is left
  pace.Measured(absl::Milliseconds(1), 10);  // too few to tell
  CHECK(pace.write_cost() == absl::Microseconds(11));
  pace.Measured(absl::Milliseconds(5), 990);
  CHECK(pace.write_cost() == absl::Microseconds(6));
  CHECK(LingerAfter(&pace, 300, 300) == absl::Microseconds(3600));
}

TEST_CASE("passes leave catch-up its share and no more", "[rpc][egress]") {
  EgressOptions options;
  options.core_share = 0.8;
  options.catchup_share = 0.5;
  EgressPace pace(options);
  CHECK(LingerAfter(&pace, 400, 400) == absl::Microseconds(5500));
  CHECK(LingerAfter(&pace, 400, 400, true) == absl::Microseconds(8800));
}

TEST_CASE("where cores are short passes become rarer, and catch-up is not in the price", "[rpc][egress]") {
  EgressPace pace({});
  LingerAfter(&pace, 400, 400);
  pace.OnTurn(Lane::kLive, absl::Milliseconds(8));
  pace.OnTurn(Lane::kCatchup, absl::Milliseconds(24));
  pace.OnSweep(absl::Milliseconds(40));  // the rest is reading, timers, gRPC
  CHECK(pace.write_cost() == absl::Microseconds(25));
  EgressPace starved({});
  LingerAfter(&starved, 400, 400);
  starved.OnTurn(Lane::kLive, absl::Milliseconds(40));  // of which it ran for 10
  starved.OnSweep(absl::Milliseconds(10));
  CHECK(starved.write_cost() == absl::Microseconds(100));
  starved.OnSweep(absl::Milliseconds(11));  // nothing was written
  CHECK(starved.write_cost() == absl::Microseconds(100));
}

TEST_CASE("who is current is not asked between two passes", "[rpc][egress]") {
  EgressOptions options;
  options.linger_min = options.linger_max = absl::Milliseconds(20);
  EgressPace brisk(options);
  LingerAfter(&brisk, 0, 10);
  CHECK(brisk.AskInterval(Lane::kLive) == absl::Milliseconds(100));
  options.linger_min = options.linger_max = absl::Milliseconds(250);
  EgressPace pace(options);
  LingerAfter(&pace, 0, 10);
  CHECK(pace.AskInterval(Lane::kLive) == absl::Milliseconds(500));
  CHECK(pace.AskInterval(Lane::kCatchup) == absl::Milliseconds(100));
}

TEST_CASE("a linger whose bounds are equal is not adaptive", "[rpc][egress]") {
  EgressOptions options;
  options.linger_min = options.linger_max = absl::Milliseconds(20);
  EgressPace pace(options);
  CHECK(LingerAfter(&pace, 0, 10) == absl::Milliseconds(20));
  CHECK(LingerAfter(&pace, 900, 900) == absl::Milliseconds(20));
}

}  // namespace hub::rpc
