#include "libs/fanout/snapshot_source.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/fanout/filter_class.h"
#include "libs/fanout/snapshot_walk.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"
#include "tests/snapshot/snapshot_kit.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::LevelFrom;
using kit::Row;
using model::Level;

struct Stage {
  explicit Stage(SnapshotOptions options = Small(), int states = 512) : feed(1) {
    feed.PutMark(0, 1);
    node = std::make_unique<kit::Node>(&feed, 1, options);
    for (int i = 0; i < states; ++i) feed.Change(0, i, Row(i % 2 == 0 ? Level::kHigh : Level::kNone));
    kit::Drain(node->dispatcher.get());
    node->FeedStates();
  }
  static SnapshotOptions Small() {
    SnapshotOptions options;
    options.part_states = 16;
    return options;
  }
  std::shared_ptr<FilterClass> Class(Level from) { return *node->dispatcher->Join(LevelFrom(from), kit::Everyone()); }
  // As one who is there for this part only.
  std::shared_ptr<const SnapshotBlock> Find(const std::shared_ptr<const SnapshotRun>& run, uint32_t part) {
    return node->snapshots->Find(run, part, node->snapshots->Enter(*run, part).get());
  }
  std::shared_ptr<const SnapshotBlock> Make(const std::shared_ptr<const SnapshotRun>& run, uint32_t part) {
    Find(run, part);
    node->MakeBlocks();
    return Find(run, part);
  }
  double Parts(const std::string& how) {
    return node->metrics.AddCounter("fraudhub_fanout_snapshot_parts_total", "", {{"how", how}}).Value();
  }
  double Bytes() { return node->metrics.AddGauge("fraudhub_fanout_snapshot_bytes", "").Value(); }

  Feed feed;
  std::unique_ptr<kit::Node> node;
};

model::RefusalCode CodeOf(const absl::Status& status) {
  const auto refusal = model::RefusalOf(status);
  return refusal.has_value() ? refusal->code : model::RefusalCode::kUnspecified;
}

TEST_CASE("Sessions of a class that begin close together share one scan", "[fanout][snapshot]") {
  Stage stage;
  auto high = stage.Class(Level::kHigh);
  auto one = stage.node->snapshots->Begin(high);
  REQUIRE(one.ok());
  CHECK((*one)->parts == 32);
  stage.feed.clock.Advance(absl::Seconds(5));
  auto other = stage.node->snapshots->Begin(high);
  REQUIRE(other.ok());
  CHECK(*one == *other);
  auto all = stage.node->snapshots->Begin(stage.Class(Level::kUnspecified));
  REQUIRE(all.ok());
  CHECK(*all != *one);
  size_t events = 0;
  for (uint32_t part = 0; part < 32; ++part) {
    // Both ask before it is there: it is made once.
    stage.Find(*one, part);
    stage.Find(*other, part);
    events += stage.Make(*one, part)->events();
    CHECK(stage.Find(*other, part) == stage.Find(*one, part));
  }
  CHECK(events == 256);
  CHECK(stage.Parts("first") == 32);
  CHECK(stage.Parts("again") == 0);
  stage.feed.clock.Advance(absl::Seconds(15));
  auto late = stage.node->snapshots->Begin(high);
  REQUIRE(late.ok());
  CHECK(*late != *one);
}

TEST_CASE("What does not fit in memory is scanned again for who comes late, and counted", "[fanout][snapshot]") {
  SnapshotOptions options = Stage::Small();
  options.cache_bytes_max = 16 * 1024;
  Stage stage(options);
  auto run = stage.node->snapshots->Begin(stage.Class(Level::kUnspecified));
  REQUIRE(run.ok());
  const std::shared_ptr<const SnapshotBlock> held = stage.Make(*run, 0);
  for (uint32_t part = 1; part < 32; ++part) {
    REQUIRE(stage.Make(*run, part) != nullptr);
    CHECK(stage.Bytes() <= 16 * 1024);
  }
  CHECK(stage.Parts("first") == 32);
  CHECK(stage.Parts("again") == 0);
  CHECK(stage.Find(*run, 0) == nullptr);
  CHECK(held->events() > 0);  // who still sends from it has it
  CHECK(stage.Make(*run, 0)->events() == held->events());
  CHECK(stage.Parts("again") > 0);
}

TEST_CASE("Who is a third as fast finds what the first had made", "[fanout][snapshot]") {
  SnapshotOptions options = Stage::Small();
  options.cache_bytes_max = 20 * 1024;
  Stage stage(options, 4096);
  std::vector<std::unique_ptr<SnapshotWalk>> walks;
  uint32_t parts = 0;
  for (int i = 0; i < 2; ++i) {
    auto run = stage.node->snapshots->Begin(stage.Class(Level::kUnspecified));
    REQUIRE(run.ok());
    parts = (*run)->parts;
    walks.push_back(std::make_unique<SnapshotWalk>(stage.node->snapshots.get(), *std::move(run), 0, parts,
                                                   std::vector<eventlog::Offset>{0}));
  }
  REQUIRE(parts >= 256);
  int events[2] = {};
  double kept_most = 0;
  for (int turn = 0; !walks[0]->done() || !walks[1]->done(); ++turn) {
    REQUIRE(turn < static_cast<int>(4 * parts));
    for (size_t reader = 0; reader < 2; ++reader) {
      for (int i = reader == 0 ? 3 : 1; i > 0 && !walks[reader]->done(); --i) {
        events[reader] += walks[reader]->Next(1 << 20, EventForm::kRuns).events;
      }
    }
    stage.node->MakeBlocks();
    stage.feed.clock.Advance(absl::Milliseconds(100));
    kept_most = std::max(kept_most, stage.Bytes());
  }
  CHECK((events[0] == 4096 && events[1] == 4096));
  CHECK(stage.Parts("first") == parts);
  CHECK(stage.Parts("again") == 0);
  CHECK(kept_most > 0.9 * static_cast<double>(options.cache_bytes_max));  // there was not room for all
}

TEST_CASE("At most so many classes are scanned at a time, and those nobody is in make room", "[fanout][snapshot]") {
  SnapshotOptions options = Stage::Small();
  options.runs_max = 2;
  Stage stage(options);
  auto one = stage.node->snapshots->Begin(stage.Class(Level::kNone));
  auto other = stage.node->snapshots->Begin(stage.Class(Level::kMedium));
  REQUIRE((one.ok() && other.ok()));
  auto third = stage.node->snapshots->Begin(stage.Class(Level::kHigh));
  CHECK(CodeOf(third.status()) == model::RefusalCode::kOverloaded);
  CHECK(stage.node->snapshots->Begin(stage.Class(Level::kMedium)).ok());  // shares
  one->reset();
  CHECK(stage.node->snapshots->Begin(stage.Class(Level::kHigh)).ok());
}

TEST_CASE("Nobody's blocks go", "[fanout][snapshot]") {
  Stage stage;
  auto run = stage.node->snapshots->Begin(stage.Class(Level::kNone));
  REQUIRE(run.ok());
  stage.Make(*run, 3);
  CHECK(stage.Bytes() > 0);
  run->reset();
  stage.feed.clock.Advance(absl::Minutes(1));
  stage.node->snapshots->Step();
  CHECK(stage.Bytes() == 0);
}

TEST_CASE("A node that has not read the log serves no snapshot", "[fanout][snapshot]") {
  SnapshotOptions options = Stage::Small();
  options.behind_max = absl::Minutes(1);
  Stage stage(options);
  auto all = stage.Class(Level::kNone);
  SECTION("never complete (R9)") {
    kit::Node other(&stage.feed, 1, options);
    auto joined = other.dispatcher->Join(LevelFrom(Level::kNone), kit::Everyone());
    CHECK(absl::IsUnavailable(other.snapshots->Begin(*joined).status()));
    other.FeedStates();
    CHECK(other.snapshots->Begin(*joined).ok());
  }
  SECTION("far behind") {
    stage.feed.Change(0, 1000, Row(Level::kHigh));
    stage.feed.clock.Advance(absl::Minutes(1));
    CHECK(stage.node->snapshots->Begin(all).ok());
    stage.feed.clock.Advance(absl::Minutes(1));
    CHECK(absl::IsUnavailable(stage.node->snapshots->Begin(all).status()));
    stage.node->FeedStates();
    CHECK(stage.node->snapshots->Begin(all).ok());
  }
  SECTION("behind what the caller has of it already (R17)") {
    std::vector<PartitionPosition> first = {{stage.feed.Range(0).end + 1, 1, {}, {}}};
    CHECK(absl::IsUnavailable(stage.node->snapshots->GoOn(all, first, 32).status()));
    first[0].offset -= 1;
    auto run = stage.node->snapshots->GoOn(all, first, 8);
    REQUIRE(run.ok());
    CHECK((*run)->parts == 8);
  }
}

TEST_CASE("A block tells how far the log it has seen goes", "[fanout][snapshot]") {
  Stage stage;
  auto run = stage.node->snapshots->Begin(stage.Class(Level::kNone));
  REQUIRE(run.ok());
  const eventlog::Offset first = (*run)->first[0].offset;
  CHECK(first == stage.feed.Range(0).end);
  CHECK(stage.Make(*run, 0)->heads()[0] == first);
  for (int i = 0; i < 10; ++i) stage.feed.Change(0, i, Row(Level::kMedium));
  stage.node->FeedStates();
  CHECK(stage.Make(*run, 5)->heads()[0] == first + 10);
}

}  // namespace
}  // namespace hub::fanout
