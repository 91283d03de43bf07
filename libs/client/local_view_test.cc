// What an edge holds after what it was told, in order and out of it, before and after it was killed.
#include "libs/client/local_view.h"

#include <map>
#include <random>

#include "fraudhub/v1/lookup.pb.h"
#include "libs/client/local_kit_test.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

struct Edge {
  Edge() { Open(); }
  void Open() {
    auto opened = LocalView::Open(&database, 0, &clock, &metrics);
    REQUIRE(opened.ok());
    view = *std::move(opened);
  }
  // Killed: what was committed stays, the rest is gone.
  void KillAndStart() {
    view.reset();
    Open();
  }
  void Index() {
    REQUIRE(view->LoadIndex([] { return false; }).ok());
  }
  void Tell(const Told& told) {
    view->OnEvent(Event(told));
    REQUIRE(view->OnBatch().ok());
  }
  void Move(const std::string& token) {
    REQUIRE(view->OnProgress(Progress(token, clock.TimeNow(), clock.TimeNow())).ok());
  }
  void Snapshot(const std::vector<Told>& told, const std::string& token) {
    view->OnSnapshotBegins();
    for (const Told& one : told) Tell(one);
    REQUIRE(view->OnSnapshotEnds().ok());
    Move(token);
  }
  v1::LookupResult Ask(int number) {
    v1::LookupResult result;
    const absl::Time hub_now = view->freshness().hub_now;
    view->Lookup(Number(number), hub_now, LocalView::Verdict(Number(number), hub_now, view->NewReader().get()),
                 &result);
    return result;
  }
  bool Flagged(int number) { return Ask(number).verdict() == v1::LOOKUP_VERDICT_INDICATOR; }

  store::MemoryDatabase database{2};
  base::ManualClock clock{kStart};
  base::Metrics metrics;
  std::unique_ptr<LocalView> view;
};

TEST_CASE("an edge answers with what it was told", "[edge]") {
  Edge edge;
  edge.Snapshot({{.number = 1, .version = 4}}, "t1");
  const v1::LookupResult result = edge.Ask(1);
  CHECK(result.verdict() == v1::LOOKUP_VERDICT_INDICATOR);
  CHECK(result.indicator().level() == v1::LEVEL_HIGH);
  CHECK(result.indicator().identifier().canonical() == Number(1).canonical);
  CHECK(result.version().version() == 4);
  CHECK(result.event_id() == "evt_1_4");
  CHECK(edge.Ask(2).verdict() == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(edge.view->indicators() == 1);
}

TEST_CASE("an older version never replaces a newer one, nor brings back what left the view", "[edge]") {
  Edge edge;
  edge.Snapshot({}, "t1");
  edge.Tell({.version = 5, .level = v1::LEVEL_MEDIUM});
  edge.Tell({.version = 4, .level = v1::LEVEL_VERY_HIGH});
  CHECK(edge.Ask(1).indicator().level() == v1::LEVEL_MEDIUM);
  edge.Tell({.version = 6, .left_view = true});
  edge.Tell({.version = 5, .level = v1::LEVEL_MEDIUM});
  CHECK_FALSE(edge.Flagged(1));
  CHECK(edge.view->indicators() == 0);
  edge.Move("t2");
  edge.KillAndStart();
  edge.Tell({.version = 5, .level = v1::LEVEL_MEDIUM});
  CHECK_FALSE(edge.Flagged(1));
  edge.Tell({.version = 1, .term = 2});  // a greater term
  CHECK(edge.Flagged(1));
}

TEST_CASE("a snapshot's end removes what it did not tell of, and only that", "[edge][snapshot]") {
  Edge edge;
  edge.Snapshot({{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4, .version = 9}}, "t1");
  const bool index = GENERATE(true, false);
  if (index) edge.Index();
  if (GENERATE(true, false)) {
    edge.KillAndStart();
    if (index) edge.Index();
  }
  edge.view->OnSnapshotBegins();
  edge.view->OnUnchanged("ind_3");
  edge.Tell({.number = 1});
  edge.Tell({.number = 4, .version = 8});  // told, though what is held is newer
  CHECK(edge.Flagged(2));
  REQUIRE(edge.view->OnSnapshotEnds().ok());
  CHECK(edge.Flagged(1));
  CHECK_FALSE(edge.Flagged(2));
  CHECK(edge.Flagged(3));
  CHECK(edge.Flagged(4));
  CHECK(edge.Ask(4).version().version() == 9);
}

TEST_CASE("an edge goes on from its own disk, and begins a snapshot again that never ended", "[edge][snapshot]") {
  Edge edge;
  edge.view->OnSnapshotBegins();
  edge.Tell({.number = 1});
  edge.KillAndStart();
  CHECK(edge.view->token().empty());
  CHECK_FALSE(edge.Flagged(1));
  CHECK(edge.view->freshness().age == absl::InfiniteDuration());
  edge.Snapshot({{.number = 1}}, "t1");
  edge.Tell({.number = 2});
  edge.KillAndStart();
  CHECK(edge.view->token() == "t1");
  CHECK(edge.Flagged(1));
  CHECK(edge.Flagged(2));
  edge.Index();
  CHECK(edge.view->indicators() == 2);
}

TEST_CASE("a snapshot that breaks off in the middle, and with it the process, leaves the token before it",
          "[edge][snapshot]") {
  Edge edge;
  edge.Snapshot({{.number = 1}, {.number = 2}}, "t1");
  edge.view->OnSnapshotBegins();
  edge.Tell({.number = 1});
  edge.Move("inside");  // not to be taken at its word
  edge.KillAndStart();
  CHECK(edge.view->token() == "t1");
  edge.Snapshot({{.number = 1}}, "t2");
  CHECK(edge.Flagged(1));
  CHECK_FALSE(edge.Flagged(2));
}

TEST_CASE("a stream that goes on from before a snapshot ends it, and its tokens are kept", "[edge][snapshot]") {
  Edge edge;
  edge.Snapshot({{.number = 1}}, "t1");
  edge.view->OnSnapshotBegins();
  v1::Opened opened;
  opened.set_snapshot_resumed(true);
  REQUIRE(edge.view->OnOpened(opened).ok());
  edge.Move("inside");
  CHECK(edge.view->token() == "t1");
  opened.set_snapshot_resumed(false);
  REQUIRE(edge.view->OnOpened(opened).ok());
  edge.Move("t2");
  CHECK(edge.view->token() == "t2");
  CHECK(edge.Flagged(1));
}

TEST_CASE("an event without an identifier is counted, and harms nothing", "[edge]") {
  Edge edge;
  v1::Event nameless;
  nameless.mutable_indicator()->set_indicator_id("ind_9");
  nameless.mutable_indicator()->set_facet(v1::FACET_RISK);
  edge.Snapshot({{.number = 1}}, "t1");
  edge.view->OnEvent(nameless);
  REQUIRE(edge.view->OnBatch().ok());
  edge.Index();
  CHECK(edge.view->indicators() == 1);
  CHECK(edge.Flagged(1));
}

TEST_CASE("another log: nothing of the first is left", "[edge]") {
  Edge edge;
  edge.Snapshot({{.number = 1, .version = 90, .term = 7}}, "t1");
  edge.Index();
  REQUIRE(edge.view->Forget().ok());
  CHECK(edge.view->token().empty());
  CHECK(edge.view->freshness().age == absl::InfiniteDuration());
  CHECK_FALSE(edge.Flagged(1));
  edge.Snapshot({{.number = 1, .version = 1, .term = 1}}, "u1");
  CHECK(edge.Ask(1).version().version() == 1);
}

TEST_CASE("a flag lapses at its time though nobody says so, and a new tenure starts clean", "[edge]") {
  Edge edge;
  edge.Snapshot({{.number = 1, .lapses_at = kStart + absl::Hours(1)}, {.number = 2}}, "t1");
  if (GENERATE(true, false)) edge.Index();
  v1::Opened opened;
  const bool sees_unflagged = GENERATE(true, false);
  opened.mutable_effective_filter()->add_any_of()->set_level_min(sees_unflagged ? v1::LEVEL_UNSPECIFIED
                                                                                : v1::LEVEL_MEDIUM);
  REQUIRE(edge.view->OnOpened(opened).ok());
  edge.clock.Advance(absl::Minutes(59));
  CHECK(edge.Ask(1).indicator().level() == v1::LEVEL_HIGH);
  edge.clock.Advance(absl::Minutes(1));
  const v1::LookupResult lapsed = edge.Ask(1);
  CHECK(lapsed.verdict() == (sees_unflagged ? v1::LOOKUP_VERDICT_INDICATOR : v1::LOOKUP_VERDICT_NO_INDICATOR));
  CHECK(lapsed.indicator().level() == (sees_unflagged ? v1::LEVEL_NONE : v1::LEVEL_UNSPECIFIED));
  CHECK(lapsed.indicator().reasons().empty());
  edge.Tell({.number = 2, .version = 2, .level = v1::LEVEL_NONE, .tenure = 2});
  CHECK(edge.Ask(2).indicator().tenure() == 2);
  CHECK(edge.Ask(2).indicator().level() == v1::LEVEL_NONE);
}

TEST_CASE("the age runs on while the hub is away, whatever this machine's clock says", "[edge][age]") {
  Edge edge;
  // The hub's clock is an hour ahead of ours.
  const absl::Time hub_time = kStart + absl::Hours(1);
  REQUIRE(edge.view->OnProgress(Progress("t1", hub_time - absl::Seconds(2), hub_time)).ok());
  CHECK(edge.view->freshness().age == absl::Seconds(2));
  CHECK(edge.view->freshness().skew == -absl::Hours(1));
  edge.clock.Advance(absl::Seconds(30));
  CHECK(edge.view->freshness().age == absl::Seconds(32));
  CHECK(edge.view->freshness().hub_now == hub_time + absl::Seconds(30));
  edge.KillAndStart();
  CHECK(edge.view->freshness().age == absl::Seconds(32));
  CHECK(edge.view->freshness().complete_until == hub_time - absl::Seconds(2));
}

TEST_CASE("an edge whose clock was put back does not take old data for new", "[edge][age]") {
  Edge edge;
  REQUIRE(edge.view->OnProgress(Progress("t1", kStart, kStart)).ok());
  edge.view.reset();
  const base::ManualClock back(kStart - absl::Hours(1));
  auto opened = LocalView::Open(&edge.database, 0, &back, &edge.metrics);
  REQUIRE(opened.ok());
  CHECK((*opened)->freshness().age == absl::InfiniteDuration());
}

TEST_CASE("what left the view long ago leaves the disk", "[edge]") {
  Edge edge;
  edge.Snapshot({}, "t1");
  v1::Event event = Event({.number = 1, .version = 2, .left_view = true});
  event.mutable_decided_at()->set_seconds(absl::ToUnixSeconds(kStart));
  edge.view->OnEvent(event);
  REQUIRE(edge.view->OnBatch().ok());
  const auto rows = [&] {
    int count = 0;
    for (auto cursor = edge.database.Scan(0, "", ""); cursor->Valid(); cursor->Next()) ++count;
    return count;
  };
  edge.clock.Advance(absl::Hours(24 * 8));
  edge.Index();
  CHECK(rows() == 1);
  edge.clock.Advance(absl::Hours(24 * 2));
  edge.Index();
  CHECK(rows() == 0);
}

// A disk that is full when it is told to be.
class FullDisk final : public store::Database {
 public:
  absl::Status Commit(const store::Batch& batch, store::Durability durability) override {
    return full ? absl::ResourceExhaustedError("disk full") : inner.Commit(batch, durability);
  }
  absl::StatusOr<std::optional<std::string>> Get(store::TableId table, absl::string_view key) const override {
    if (damaged) return absl::DataLossError("damaged");
    return inner.Get(table, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(store::TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    return inner.MultiGet(table, keys);
  }
  std::unique_ptr<store::Cursor> Scan(store::TableId table, absl::string_view begin,
                                      absl::string_view end) const override {
    return inner.Scan(table, begin, end);
  }
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(store::TableId table, absl::string_view begin,
                                                                          absl::string_view end) const override {
    return inner.Last(table, begin, end);
  }
  store::MemoryDatabase inner{2};
  bool full = false;
  bool damaged = false;
};

TEST_CASE("a full disk: nothing is half stored, lookups go on, and a sweep that failed is made up for",
          "[edge][disk]") {
  FullDisk disk;
  const base::ManualClock clock(kStart);
  base::Metrics metrics;
  auto opened = LocalView::Open(&disk, 0, &clock, &metrics);
  REQUIRE(opened.ok());
  LocalView& view = **opened;
  REQUIRE(view.LoadIndex([] { return false; }).ok());
  const auto verdict = [&](int number) {
    v1::LookupResult result;
    view.Lookup(Number(number), kStart, {}, &result);
    return result.verdict();
  };
  const auto tell = [&](int number) {
    view.OnEvent(Event({.number = number}));
    return view.OnBatch();
  };
  view.OnSnapshotBegins();
  REQUIRE((tell(1).ok() && tell(2).ok() && view.OnSnapshotEnds().ok()));
  REQUIRE(view.OnProgress(Progress("t1", kStart, kStart)).ok());
  disk.full = true;
  CHECK(absl::IsResourceExhausted(tell(3)));
  CHECK(verdict(3) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(verdict(1) == v1::LOOKUP_VERDICT_INDICATOR);
  CHECK_FALSE(view.OnProgress(Progress("t2", kStart, kStart)).ok());
  CHECK(view.token() == "t1");
  disk.full = false;
  CHECK(tell(3).ok());
  CHECK(verdict(3) == v1::LOOKUP_VERDICT_INDICATOR);
  // The same in the middle of a snapshot's end.
  view.OnSnapshotBegins();
  CHECK(tell(1).ok());
  disk.full = true;
  CHECK_FALSE(view.OnSnapshotEnds().ok());
  disk.full = false;
  CHECK(verdict(2) == v1::LOOKUP_VERDICT_INDICATOR);
  CHECK(view.OnProgress(Progress("t3", kStart, kStart)).ok());
  CHECK(verdict(2) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(view.token() == "t3");
}

TEST_CASE("damage is passed on, and what is asked meanwhile is not known", "[edge][disk]") {
  FullDisk disk;
  const base::ManualClock clock(kStart);
  base::Metrics metrics;
  auto opened = LocalView::Open(&disk, 0, &clock, &metrics);
  REQUIRE(opened.ok());
  int told = 0;
  (*opened)->OnDamage([&] { ++told; });
  (*opened)->OnEvent(Event({.number = 1}));
  REQUIRE((*opened)->OnBatch().ok());
  disk.damaged = true;
  v1::LookupResult result;
  (*opened)->Lookup(Number(1), kStart, {}, &result);
  CHECK(result.verdict() == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(told > 0);
}

TEST_CASE("what an edge says is what a plain map says, whatever it was told and however often it was killed",
          "[edge][property]") {
  const uint64_t seed = GENERATE(range(1, 7));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return static_cast<int>(random() % n); };
  Edge edge;
  REQUIRE(edge.view->OnOpened({}).ok());  // sees everything
  edge.Snapshot({}, "t");
  std::map<int, Told> truth;  // the newest of each
  std::map<int, uint64_t> versions;
  for (int step = 0; step < 4000; ++step) {
    const int number = below(60);
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        Told told{.number = number,
                  .version = ++versions[number],
                  .level = static_cast<v1::Level>(1 + below(4)),
                  .left_view = below(4) == 0};
        if (below(2) == 0)
          told.lapses_at = absl::FromUnixSeconds(absl::ToUnixSeconds(edge.clock.TimeNow())) + absl::Hours(below(200));
        truth[number] = told;
        edge.Tell(told);
        break;
      }
      case 4:  // an old one comes again
        if (versions[number] > 1 && truth.contains(number))
          edge.Tell({.number = number, .version = versions[number] - 1, .level = v1::LEVEL_VERY_HIGH});
        break;
      case 5:
        edge.clock.Advance(absl::Seconds(below(20'000)));
        break;
      case 6:
        if (below(20) == 0) edge.KillAndStart();
        break;
      case 7:
        if (below(10) == 0) edge.Index();
        break;
      case 8:
        if (below(100) == 0) {
          std::vector<Told> told;
          for (auto it = truth.begin(); it != truth.end();) {
            if (it->second.left_view || below(5) == 0) {
              it = truth.erase(it);
            } else {
              told.push_back((it++)->second);
            }
          }
          edge.Snapshot(told, "t");
        }
        break;
      default: {
        const auto known = truth.find(number);
        const bool in_view = known != truth.end() && !known->second.left_view;
        const v1::LookupResult result = edge.Ask(number);
        CAPTURE(step, number);
        REQUIRE(result.verdict() == (in_view ? v1::LOOKUP_VERDICT_INDICATOR : v1::LOOKUP_VERDICT_NO_INDICATOR));
        if (!in_view) break;
        const bool lapsed = known->second.lapses_at <= edge.view->freshness().hub_now;
        REQUIRE(result.indicator().level() == (lapsed ? v1::LEVEL_NONE : known->second.level));
        REQUIRE(result.version().version() == known->second.version);
      }
    }
  }
}

}  // namespace
}  // namespace hub::client
