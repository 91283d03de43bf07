// Sessions that begin with a snapshot: whatever changes meanwhile, wherever it goes on.
#include <random>

#include "absl/strings/str_cat.h"
#include "libs/fanout/session.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"
#include "tests/snapshot/snapshot_kit.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::LevelFrom;
using kit::Row;
using model::Level;

constexpr int32_t kPartitions = 2;

struct Stage {
  Stage() : feed(kPartitions) {
    for (int32_t p = 0; p < kPartitions; ++p) feed.PutMark(p, 1);
    options.part_states = 16;
    for (int i = 0; i < 2; ++i) nodes.push_back(std::make_unique<kit::Node>(&feed, kPartitions, options));
  }
  void Set(int number, Level level) {
    feed.Change(number % kPartitions, number, Row(level));
    truth[kit::IdOf(number)] = level;
  }
  // Everybody reads on.
  void Settle() {
    for (const auto& node : nodes) {
      kit::Drain(node->dispatcher.get());
      node->FeedStates();
    }
  }
  std::map<std::string, Level> Expected() const {
    std::map<std::string, Level> rows;
    for (const auto& [id, level] : truth) {
      if (level >= Level::kMedium) rows[id] = level;
    }
    return rows;
  }
  SessionOptions Options(int node) {
    SessionOptions of = nodes[static_cast<size_t>(node)]->BankOptions();
    of.message_bytes_max = 1000;
    if (node == 1) of.form = EventForm::kRuns;
    return of;
  }
  std::unique_ptr<Session> Begin(int node, std::optional<SessionOptions> of = std::nullopt) {
    return feed.Start(nodes[static_cast<size_t>(node)]->dispatcher.get(), filter, SessionStart::kSnapshot,
                      of.value_or(Options(node)));
  }
  auto Resume(int node, absl::string_view token, std::optional<SessionOptions> of = std::nullopt) {
    return feed.Resume(nodes[static_cast<size_t>(node)]->dispatcher.get(), filter, token, of.value_or(Options(node)));
  }
  // The next batch that says anything; blocks are made as they are asked for.
  kit::Received NextOf(int node, Session* session) {
    for (int i = 0; i < 3; ++i) {
      kit::Received batch = kit::NextOf(session);
      if (!batch.events.empty() || !batch.positions.empty() || batch.snapshot.parts > 0 || batch.progress) return batch;
      nodes[static_cast<size_t>(node)]->MakeBlocks();
    }
    return {};
  }

  Feed feed;
  SnapshotOptions options;
  std::vector<std::unique_ptr<kit::Node>> nodes;
  model::Filter filter = LevelFrom(Level::kMedium);
  std::map<std::string, Level> truth;
};

TEST_CASE("A snapshot and its tail make the view, whatever changes between the parts", "[fanout][snapshot]") {
  const auto seed = GENERATE(range(1, 40));
  std::mt19937_64 random(static_cast<uint64_t>(seed));
  const auto draw = [&](int below) { return static_cast<int>(random() % static_cast<uint64_t>(below)); };
  const auto change = [&](Stage* stage) {
    const int number = draw(400);  // raised, lowered, out of the view, withdrawn, new
    stage->Set(number, static_cast<Level>(1 + draw(4)));
  };
  Stage stage;
  kit::View view;
  for (int i = 0; i < 300; ++i) change(&stage);
  stage.Settle();
  {  // what it held before it went away
    auto before = stage.feed.Start(stage.nodes[0]->dispatcher.get(), stage.filter, SessionStart::kEarliest);
    view.Apply(kit::All(before.get()));
    REQUIRE(view.rows() == stage.Expected());
  }
  for (int i = 0; i < 100; ++i) change(&stage);
  stage.Settle();

  int node = 0;
  auto session = stage.Begin(node);
  std::string token;
  bool began = false, ended = false;
  int resumes = 0;
  for (int i = 0; i < 4000 && !ended; ++i) {
    if (draw(3) == 0) change(&stage);
    if (draw(4) == 0) stage.nodes[static_cast<size_t>(node)]->FeedStates(draw(kPartitions));
    if (draw(4) == 0) kit::Drain(stage.nodes[static_cast<size_t>(node)]->dispatcher.get());
    if (draw(20) == 0) stage.feed.clock.Advance(absl::Seconds(2));
    const kit::Received batch = stage.NextOf(node, session.get());
    began |= batch.snapshot.begins;
    REQUIRE((began || batch.events.empty()));
    // R9: nothing counts as complete before the end.
    if (batch.progress) REQUIRE(batch.snapshot.ends);
    view.Apply(batch);
    ended = batch.snapshot.ends;
    if (!batch.snapshot.token.empty()) token = batch.snapshot.token;
    REQUIRE(kit::Ack(session.get(), batch).ok());
    if (!ended && !token.empty() && draw(15) == 0) {
      node = draw(2);
      stage.nodes[static_cast<size_t>(node)]->FeedStates();
      auto resumed = stage.Resume(node, token);
      REQUIRE(resumed.ok());
      session = *std::move(resumed);
      ++resumes;
    }
  }
  REQUIRE(ended);
  stage.Settle();
  view.Apply(kit::All(session.get()));
  CHECK(view.rows() == stage.Expected());
  CHECK(view.swept() + resumes > 0);
}

TEST_CASE("The end of a snapshot forgets what was withdrawn while the client was away", "[fanout][snapshot]") {
  Stage stage;
  for (int i = 0; i < 100; ++i) stage.Set(i, Level::kHigh);
  stage.Settle();
  kit::View view;
  auto before = stage.feed.Start(stage.nodes[0]->dispatcher.get(), stage.filter, SessionStart::kEarliest);
  view.Apply(kit::All(before.get()));
  before.reset();
  stage.Set(7, Level::kNone);
  stage.Set(8, Level::kNone);
  stage.Settle();
  auto session = stage.Begin(0);
  kit::Received batch;
  do {
    batch = stage.NextOf(0, session.get());
    view.Apply(batch);
    CHECK(view.rows().count(kit::IdOf(7)) == (batch.snapshot.ends ? 0 : 1));
  } while (!batch.snapshot.ends);
  CHECK(batch.progress);
  CHECK(view.swept() == 2);
  CHECK(view.rows() == stage.Expected());
  CHECK(session->mode() != SessionMode::kSnapshot);
  CHECK(stage.Resume(1, batch.token).ok());
}

TEST_CASE("A snapshot ends when the tail has passed what its parts may have seen", "[fanout][snapshot]") {
  Stage stage;
  for (int i = 0; i < 100; ++i) stage.Set(i, Level::kHigh);
  stage.Settle();
  auto session = stage.Begin(0);
  stage.NextOf(0, session.get());
  // The states are ahead of the dispatcher: what the parts show has yet to come with the tail.
  for (int i = 0; i < 100; ++i) stage.Set(i, Level::kVeryHigh);
  stage.nodes[0]->FeedStates();
  for (int i = 0; i < 200; ++i) {
    stage.feed.clock.Advance(absl::Seconds(1));
    const kit::Received batch = stage.NextOf(0, session.get());
    REQUIRE(!batch.snapshot.ends);
    REQUIRE(!batch.progress);
    CHECK(kit::Ack(session.get(), batch).ok());
  }
  kit::Drain(stage.nodes[0]->dispatcher.get());
  kit::Received batch;
  for (int i = 0; i < 200 && !batch.snapshot.ends; ++i) batch = stage.NextOf(0, session.get());
  CHECK(batch.snapshot.ends);
  CHECK(batch.progress);
}

TEST_CASE("The window of a snapshot is freed by parts, and positions count once all are safe", "[fanout][snapshot]") {
  Stage stage;
  for (int i = 0; i < 300; ++i) stage.Set(i, Level::kHigh);
  stage.Settle();
  SessionOptions options = stage.Options(0);
  options.unacked_bytes_max = 16 * 1024;
  auto session = stage.Begin(0, options);
  uint32_t parts = 0;
  const auto fill = [&] {
    for (int i = 0; i < 500 && !session->paused(); ++i) {
      const kit::Received batch = stage.NextOf(0, session.get());
      parts = std::max(parts, batch.snapshot.parts_sent);
    }
  };
  fill();
  REQUIRE(session->paused());
  CHECK(session->mode() == SessionMode::kParked);
  REQUIRE(parts > 2);
  CHECK(!session->OnAck({}, {}, parts + 1).ok());
  CHECK(session->OnAck({{0, stage.feed.Range(0).end}}).ok());  // of before the snapshot
  CHECK(session->paused());
  // A named cursor stands where the client is, not where the hub is.
  auto behind = stage.Resume(1, session->AckedToken());
  REQUIRE(behind.ok());
  CHECK(!(*behind)->snapshot_resumed());
  CHECK(session->OnAck({}, {}, parts - 1).ok());
  CHECK(!session->paused());
  auto resumed = stage.Resume(1, session->AckedToken());
  REQUIRE(resumed.ok());
  CHECK((*resumed)->snapshot_resumed());
  for (int i = 0; i < 500; ++i) {
    fill();
    CHECK(session->OnAck({}, {}, parts).ok());
  }
  CHECK(session->mode() == SessionMode::kLive);
  CHECK(session->events_sent() == 300);
}

TEST_CASE("Other fields go out from the next part on, under the same positions", "[fanout][snapshot]") {
  Stage stage;
  for (int i = 0; i < 200; ++i) stage.Set(i, Level::kHigh);
  stage.Settle();
  auto session = stage.Begin(0);
  kit::View view;
  view.Apply(stage.NextOf(0, session.get()));
  view.Apply(stage.NextOf(0, session.get()));
  auto other = stage.nodes[0]->dispatcher->Join(
      stage.filter, wire::AudienceSet({model::FieldAudience::kAll, model::FieldAudience::kAnalyst}));
  REQUIRE(other.ok());
  stage.Set(500, Level::kHigh);
  stage.Settle();
  REQUIRE(session->SwitchClass(*other).ok());
  for (kit::Received batch; !batch.snapshot.ends;) {
    batch = stage.NextOf(0, session.get());
    view.Apply(batch);
  }
  CHECK(view.rows() == stage.Expected());
  stage.Set(501, Level::kHigh);
  stage.Settle();
  view.Apply(kit::All(session.get()));
  CHECK(view.rows() == stage.Expected());
}

TEST_CASE("A token from inside a snapshot needs a node that has states, and read as far", "[fanout][snapshot]") {
  Stage stage;
  for (int i = 0; i < 200; ++i) stage.Set(i, Level::kHigh);
  kit::Drain(stage.nodes[0]->dispatcher.get());
  stage.nodes[0]->FeedStates();
  auto session = stage.Begin(0);
  const std::string token = session->Token();
  SessionOptions bare = stage.feed.BankOptions();
  CHECK(absl::IsUnavailable(stage.Resume(1, token, bare).status()));
  CHECK(absl::IsUnavailable(stage.Resume(1, token).status()));  // not complete
  kit::Drain(stage.nodes[1]->dispatcher.get());
  stage.nodes[1]->FeedStates();
  CHECK(stage.Resume(1, token).ok());
}

}  // namespace
}  // namespace hub::fanout
