// Named cursors: one stream at a time over all nodes, nothing acknowledged is lost but for a moment, whatever compaction took.
#include "libs/fanout/cursor_store.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "libs/base/metrics.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/cursor_place.h"
#include "libs/model/records.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using model::Cursor;
using model::RefusalCode;

Cursor At(int64_t offset) {
  return {"log", 7, {{0, offset, 1}}, absl::FromUnixSeconds(1'800'000'000) + absl::Seconds(offset)};
}
int64_t OffsetOf(const std::optional<Cursor>& place) { return place ? place->positions.at(0).offset : -1; }

// The topic, and any number of nodes on it.
class World {
 public:
  explicit World(eventlog::MemoryLogOptions log_options = {}) : log(&clock, WithPump(std::move(log_options))) {
    REQUIRE(log.EnsureTopics(eventlog::HubTopics(1)).ok());
  }

  CursorStore* Node() {
    clients_.push_back(log.NewClient());
    stores_.push_back(std::make_unique<CursorStore>(options, &clock, clients_.back().get(), &metrics));
    stores_.back()->Step();
    return stores_.back().get();
  }
  ~World() { stores_.clear(); }

  // Everything that is under way arrives, and everybody reads it.
  void Settle() {
    for (int i = 0; i < 4; ++i) {
      log.Pump();
      for (const auto& store : stores_) store->Step();
    }
  }
  std::unique_ptr<CursorStore::Lease> Attach(CursorStore* node, std::optional<Cursor> place,
                                             const std::string& name = "core") {
    auto lease = node->Attach({"bank", name, "client", std::move(place)});
    REQUIRE(lease.ok());
    return *std::move(lease);
  }
  std::unique_ptr<CursorStore::Lease> Serving(CursorStore* node, std::optional<Cursor> place) {
    std::unique_ptr<CursorStore::Lease> lease = Attach(node, std::move(place));
    Settle();
    REQUIRE(*lease->Poll());
    return lease;
  }
  std::optional<NamedCursor> Known(CursorStore* node, const std::string& name = "core") {
    const auto found = node->Find("bank", name);
    REQUIRE(found.ok());
    return *found;
  }
  void PutAck(int64_t generation, int64_t offset) {
    model::CursorUpdate update;
    update.stakeholder = "bank";
    update.name = "core";
    update.cursor = At(offset);
    update.generation = generation;
    update.acked_at = clock.TimeNow();
    log.Append({eventlog::kCursorsTopic, 0}, {"bank/core", wire::EncodeRecord({}, update)}, [](const auto&) {});
    log.Pump();
  }
  int64_t Records() { return log.Offsets({eventlog::kCursorsTopic, 0})->end; }

  base::ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  base::Metrics metrics;
  CursorStoreOptions options;
  eventlog::MemoryLog log;

 private:
  static eventlog::MemoryLogOptions WithPump(eventlog::MemoryLogOptions options) {
    options.manual_pump = true;
    return options;
  }
  std::vector<std::unique_ptr<eventlog::Log>> clients_;
  std::vector<std::unique_ptr<CursorStore>> stores_;
};

bool Taken(const CursorStore::Lease& lease) {
  const auto poll = lease.Poll();
  const auto refusal = model::RefusalOf(poll.status());
  return refusal && refusal->code == RefusalCode::kCursorTaken && absl::IsAborted(poll.status());
}

TEST_CASE("A stream serves once its attach was read back, from where the cursor stands", "[fanout][cursors]") {
  World world;
  CursorStore* node = world.Node();
  CHECK(world.Known(node) == std::nullopt);
  const auto lease = world.Attach(node, At(10));
  CHECK_FALSE(*lease->Poll());
  world.log.Pump();
  CHECK_FALSE(*lease->Poll());  // durable, not read back
  node->Step();
  REQUIRE(*lease->Poll());
  CHECK(OffsetOf(lease->place()) == 10);
  // Whoever comes later goes on there, on any node.
  lease->Acked(At(25));
  world.Settle();
  const auto found = world.Known(world.Node());
  REQUIRE(found);
  CHECK(OffsetOf(found->place) == 25);
  CHECK(found->client_id == "client");
  CHECK(found->place->issued_at == At(25).issued_at);
  CHECK(found->acked_at == world.clock.TimeNow());
}

TEST_CASE("A later attach takes the cursor over, on the same node and on another", "[fanout][cursors]") {
  World world;
  CursorStore* a = world.Node();
  CursorStore* b = world.Node();
  const auto first = world.Serving(a, At(10));
  first->Acked(At(20));
  const auto second = world.Serving(b, world.Known(b)->place);
  CHECK(Taken(*first));
  CHECK(first->lost());
  CHECK_FALSE(second->lost());
  CHECK(OffsetOf(second->place()) == 10);  // what it was told before: the acknowledgement was not written yet
  const auto third = world.Serving(b, world.Known(b)->place);
  CHECK(Taken(*second));
  // What the first acknowledges now is not the cursor's business any more.
  first->Acked(At(99));
  world.clock.Advance(absl::Seconds(2));
  world.Settle();
  CHECK(OffsetOf(world.Known(b)->place) == 10);
  CHECK(OffsetOf(world.Known(world.Node())->place) == 10);
  CHECK(*third->Poll());
}

TEST_CASE("Acknowledgements are written at most once a second, and only when there is something new", "[fanout][cursors]") {
  World world;
  CursorStore* node = world.Node();
  const auto lease = world.Serving(node, At(0));
  const int64_t before = world.Records();
  for (int i = 1; i <= 40; ++i) {
    lease->Acked(At(i));
    world.Settle();
    world.clock.Advance(absl::Milliseconds(100));
  }
  CHECK(world.Records() - before == 4);
  world.clock.Advance(absl::Seconds(10));
  world.Settle();
  const int64_t all_written = world.Records();
  CHECK(all_written - before == 5);
  lease->Acked(At(40));
  world.clock.Advance(absl::Seconds(10));
  world.Settle();
  CHECK(world.Records() == all_written);
  CHECK(node->idle());
  // A node that stops doesn't wait for the second.
  lease->Acked(At(41));
  node->Step();
  lease->Acked(At(42));
  CHECK_FALSE(node->idle());
  node->Step(/*hurry=*/true);
  world.log.Pump();
  node->Step(true);
  world.log.Pump();
  node->Step(true);
  CHECK(node->idle());
  CHECK(OffsetOf(world.Known(world.Node())->place) == 42);
}

TEST_CASE("What a stream acknowledged is written though the stream has ended since", "[fanout][cursors]") {
  World world;
  CursorStore* node = world.Node();
  auto lease = world.Serving(node, At(0));
  lease->Acked(At(5));
  world.Settle();
  lease->Acked(At(8));
  lease.reset();
  world.clock.Advance(absl::Seconds(1));
  world.Settle();
  CHECK(OffsetOf(world.Known(world.Node())->place) == 8);
}

TEST_CASE("A record of an older generation counts for nothing, and is not left as the last one", "[fanout][cursors]") {
  World world;
  CursorStore* node = world.Node();
  const auto first = world.Serving(node, At(10));   // generation 0
  const auto second = world.Serving(node, At(10));  // generation 1
  second->Acked(At(20));
  world.Settle();
  world.PutAck(/*generation=*/0, 500);  // by a node that did not know yet
  node->Step();
  CHECK(OffsetOf(world.Known(node)->place) == 20);
  world.clock.Advance(absl::Seconds(1));
  world.Settle();
  world.log.Clean();  // the last record stays: it has to be the good one
  CHECK(OffsetOf(world.Known(world.Node())->place) == 20);
  CHECK(*second->Poll());
}

TEST_CASE("After compaction took the attach, the generation of what was acknowledged counts", "[fanout][cursors]") {
  World world;
  CursorStore* a = world.Node();
  const auto lease = world.Serving(a, At(10));
  lease->Acked(At(20));
  world.Settle();
  world.log.Clean();
  REQUIRE(world.Records() == 2);
  CursorStore* fresh = world.Node();
  CHECK(OffsetOf(world.Known(fresh)->place) == 20);
  world.PutAck(/*generation=*/-7, 1);  // nonsense of a lower one
  fresh->Step();
  CHECK(OffsetOf(world.Known(fresh)->place) == 20);
  const auto taker = world.Serving(fresh, world.Known(fresh)->place);
  CHECK(OffsetOf(taker->place()) == 20);
  CHECK(Taken(*lease));
}

TEST_CASE("A zombie that never saw the attach learns of it from what its successor acknowledged", "[fanout][cursors]") {
  World world;
  CursorStore* zombie = world.Node();
  const auto old = world.Serving(zombie, At(10));
  {
    auto client = world.log.NewClient();
    CursorStore other(world.options, &world.clock, client.get(), &world.metrics);
    other.Step();
    const auto lease = world.Attach(&other, At(10));
    world.log.Pump();
    other.Step();
    lease->Acked(At(30));
    other.Step();
    world.log.Pump();
    world.log.Clean();
  }
  CHECK(*old->Poll());
  zombie->Step();
  CHECK(Taken(*old));
  CHECK(OffsetOf(world.Known(zombie)->place) == 30);
}

TEST_CASE("Only a restart may put a cursor elsewhere than where it is known to be", "[fanout][cursors]") {
  World world;
  CursorStore* node = world.Node();
  auto lease = world.Serving(node, At(10));
  lease->Acked(At(50));
  world.Settle();
  // Somebody who knew nothing of the cursor and would start it at 70.
  lease = world.Serving(node, At(70));
  CHECK(OffsetOf(lease->place()) == 50);
  Cursor inside = At(60);
  inside.snapshot_part = 0;
  inside.snapshot_parts = 8;
  auto opening = node->Attach({"bank", "core", "client", inside, /*restarts=*/true});
  REQUIRE(opening.ok());
  world.Settle();
  REQUIRE(*(*opening)->Poll());
  CHECK(*(*opening)->place() == inside);
  // Inside a snapshot the later record is the further one.
  inside.snapshot_part = 3;
  (*opening)->Acked(inside);
  world.clock.Advance(absl::Seconds(1));
  world.Settle();
  CHECK(*world.Known(world.Node())->place == inside);
  (*opening)->Acked(At(61));
  world.clock.Advance(absl::Seconds(1));
  world.Settle();
  CHECK(*world.Known(world.Node())->place == At(61));
}

TEST_CASE("There is room for so many names of a stakeholder and so many in all", "[fanout][cursors]") {
  World world;
  world.options.per_stakeholder_max = 2;
  world.options.cursors_max = 3;
  CursorStore* node = world.Node();
  const auto refused = [&](const std::string& stakeholder, const std::string& name) {
    const auto lease = node->Attach({stakeholder, name, "", At(1)});
    world.Settle();
    const auto refusal = model::RefusalOf(lease.status());
    return refusal && refusal->code == RefusalCode::kQuotaExceeded;
  };
  CHECK_FALSE(refused("bank", "a"));
  CHECK_FALSE(refused("bank", "b"));
  CHECK(refused("bank", "c"));
  CHECK_FALSE(refused("bank", "a"));  // it is there already
  CHECK_FALSE(refused("bank-2", "a"));
  CHECK(refused("bank-3", "a"));
  // Forgotten after five windows.
  world.clock.Advance(world.options.keep + absl::Hours(1));
  world.Settle();
  CHECK_FALSE(refused("bank", "c"));
  CHECK(world.Known(node, "a") == std::nullopt);
  CHECK(CheckCursorName("core-1.b_c").ok());
  for (const std::string& bad : {std::string(), std::string("a/b"), std::string("a b"), std::string(65, 'a')}) {
    CHECK_FALSE(CheckCursorName(bad).ok());
  }
}

TEST_CASE("An attach that is not known to stand ends in time, and never serves later", "[fanout][cursors]") {
  eventlog::AppendFate fate;
  World world({.fate = [&](const auto&, const auto&) { return fate; }});
  CursorStore* node = world.Node();
  fate.delay_pumps = 1000;
  auto lease = world.Attach(node, At(1));
  world.Settle();
  CHECK_FALSE(*lease->Poll());
  world.clock.Advance(world.options.attach_timeout + absl::Seconds(1));
  CHECK(absl::IsUnavailable(lease->Poll().status()));
  for (int i = 0; i < 1000; ++i) world.log.Pump();
  node->Step();
  CHECK(absl::IsUnavailable(lease->Poll().status()));
  fate = {eventlog::AppendFate::Kind::kUnacknowledged};
  lease = world.Attach(node, At(1));
  world.Settle();
  CHECK(absl::IsUnavailable(lease->Poll().status()));
  // A node that can't read the topic says so.
  world.clock.Advance(world.options.stale_after + absl::Seconds(1));
  CHECK(absl::IsUnavailable(node->Find("bank", "core").status()));
  CHECK(absl::IsUnavailable(node->Attach({"bank", "core", "", At(1)}).status()));
}

TEST_CASE("The further place is found partition by partition and promises no more than both", "[fanout][cursors]") {
  const absl::Time t = absl::FromUnixSeconds(1000);
  const Cursor a{"log", 7, {{0, 10, 1}, {1, 5, 1}}, t};
  const Cursor b{"log", 7, {{0, 8, 1}, {1, 9, 2}}, t + absl::Seconds(5)};
  const Cursor both = Further(a, b);
  CHECK(both.positions == std::vector<model::CursorPosition>{{0, 10, 1}, {1, 9, 2}});
  CHECK(both.issued_at == t);
  const Cursor ahead{"log", 7, {{0, 10, 1}, {1, 9, 2}}, t + absl::Seconds(7)};
  CHECK(Further(a, ahead) == ahead);
  CHECK(Further(ahead, a) == ahead);
  CHECK_FALSE(Comparable(a, {"log", 8, a.positions, t}));
  CHECK_FALSE(Comparable(a, {"other", 7, a.positions, t}));
}

// Three nodes, streams that come and go, appends that are late, lost, doubled or not answered, compaction at any moment.
TEST_CASE("Whatever the order of things, one stream holds the cursor and its place is what stays", "[fanout][cursors]") {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto chance = [&](int percent) { return static_cast<int>(random() % 100) < percent; };
    bool calm = false;
    World world({.fate = [&](const auto&, const auto&) {
      eventlog::AppendFate fate;
      if (calm) return fate;
      fate.delay_pumps = chance(30) ? static_cast<int>(random() % 8) : 0;
      if (chance(5)) fate.kind = eventlog::AppendFate::Kind::kLost;
      if (chance(5)) fate.kind = eventlog::AppendFate::Kind::kUnacknowledged;
      if (chance(5)) fate.kind = eventlog::AppendFate::Kind::kDuplicated;
      return fate;
    }});
    struct Stream {
      std::unique_ptr<CursorStore::Lease> lease;
      bool started = false;
      int64_t at = 0;
    };
    std::vector<CursorStore*> nodes = {world.Node(), world.Node(), world.Node()};
    std::vector<Stream> streams;
    int64_t acked_max = 100;  // the first one starts there
    for (int step = 0; step < 300; ++step) {
      CursorStore* node = nodes[random() % nodes.size()];
      if (chance(10)) {
        if (const auto known = node->Find("bank", "core"); known.ok()) {
          auto lease = node->Attach({"bank", "core", "", *known ? (*known)->place : At(100)});
          if (lease.ok()) streams.push_back({*std::move(lease)});
        }
      }
      if (chance(5) && !streams.empty()) streams.erase(streams.begin() + static_cast<long>(random() % streams.size()));
      if (chance(50)) node->Step();
      if (chance(50)) world.log.Pump();
      if (chance(5)) world.log.Clean();
      if (chance(30)) world.clock.Advance(absl::Milliseconds(400));
      for (Stream& stream : streams) {
        const auto poll = stream.lease->Poll();
        if (!poll.ok() || !*poll) continue;
        if (!stream.started) {
          stream.started = true;
          stream.at = OffsetOf(stream.lease->place());
          REQUIRE(stream.at >= 100);
          REQUIRE(stream.at <= acked_max);  // nothing is skipped that nobody has acknowledged
        }
        if (!chance(30)) continue;
        stream.at += static_cast<int64_t>(random() % 10);
        acked_max = std::max(acked_max, stream.at);
        stream.lease->Acked(At(stream.at));
      }
    }
    calm = true;
    for (int i = 0; i < 5; ++i) {
      for (int pumps = 0; pumps < 10; ++pumps) world.log.Pump();
      world.clock.Advance(absl::Seconds(1));
      world.Settle();
    }
    world.log.Clean();
    CursorStore* fresh = world.Node();
    int holders = 0;
    for (const Stream& stream : streams) {
      const auto poll = stream.lease->Poll();
      if (!poll.ok() || !*poll || !stream.started) continue;
      ++holders;
      CHECK(OffsetOf(world.Known(fresh)->place) == stream.at);
    }
    REQUIRE(holders <= 1);
    CHECK(OffsetOf(world.Known(fresh)->place) <= acked_max);
  }
}

}  // namespace
}  // namespace hub::fanout
