// The replica fed by hand: order, fences, restarts, history, digest.
#include "libs/replica/replica.h"

#include <limits>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::replica {
namespace {

using model::EventKind;
using model::Level;
using model::Outcome;

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

model::IndicatorKey Key(int number) {
  model::IndicatorKey key;
  key.token[15] = static_cast<uint8_t>(number);
  return key;
}

model::IndicatorState State(int number, uint64_t version, Level level, uint64_t reports = 1) {
  model::IndicatorState state;
  state.key = Key(number);
  state.identifier = {model::IdentifierType::kMobile, absl::StrCat("+91555000", 1000 + number)};
  state.version = version;
  state.attributes.type = model::IdentifierType::kMobile;
  state.attributes.level = level;
  state.report_count = reports;
  return state;
}

model::Event EventOf(const model::IndicatorState& state, int64_t reports_offset = 0) {
  model::Event event;
  event.kind = EventKind::kFlagged;
  event.state = state;
  event.reports_offset = reports_offset;
  event.rules_version = 3;
  return event;
}

model::HistoryEntry Entry(int number, const std::string& stakeholder, int id, Outcome outcome, int64_t reports_offset) {
  model::HistoryEntry entry;
  entry.report_id = model::MakeNameBasedId("test", absl::StrCat(id));
  entry.key = Key(number);
  entry.outcome = outcome;
  entry.report_kind = model::InputKind::kFinancialFraud;
  entry.reporter = {stakeholder, "main", stakeholder, model::Role::kFinancialInstitution};
  entry.decided_at = absl::FromUnixSeconds(1'800'000'000);
  entry.reports_offset = reports_offset;
  return entry;
}

class Fed {
 public:
  explicit Fed(store::Database* database) : database_(database) { Open(); }
  void Open(const std::string& log_id = "log-1", int32_t partitions = 1) {
    auto opened = Replica::Open(database_, 0, partitions, log_id, &clock, &metrics);
    REQUIRE(opened.ok());
    replica = *std::move(opened);
  }
  void Events(const std::vector<std::pair<uint64_t, model::LogBody>>& bodies, bool caught_up = true,
              int32_t partition = 0) {
    std::vector<FedRecord> records;
    int64_t next = replica->EventsNext()[static_cast<size_t>(partition)];
    for (const auto& [term, body] : bodies) records.push_back({partition, next++, term, body});
    REQUIRE(replica->ApplyEvents(records, partition, next, caught_up).ok());
  }
  void History(const std::vector<model::HistoryEntry>& entries) {
    std::vector<FedRecord> records;
    int64_t next = replica->HistoryNext()[0];
    for (const auto& entry : entries) records.push_back({0, next++, 0, entry});
    REQUIRE(replica->ApplyHistory(records, 0, next).ok());
  }
  std::optional<Answer> Get(int number) {
    auto answer = replica->Get(Key(number));
    REQUIRE(answer.ok());
    return *answer;
  }

  base::ManualClock clock{absl::FromUnixSeconds(1'800'000'100)};
  base::Metrics metrics;
  std::unique_ptr<Replica> replica;

 private:
  store::Database* const database_;
};

TEST_CASE("the newest accepted version is what a lookup finds", "[replica]") {
  store::MemoryDatabase database(ReplicaTables().size());
  Fed fed(&database);
  CHECK_FALSE(fed.Get(1).has_value());
  fed.Events({{1, EventOf(State(1, 1, Level::kMedium))}, {1, EventOf(State(1, 2, Level::kHigh), 5)}});
  CHECK(fed.Get(1)->state.attributes.level == Level::kHigh);
  CHECK(fed.Get(1)->stamp == model::VersionStamp{1, 2, 5});
  CHECK(fed.Get(1)->rules_version == 3);
  fed.Events({{1, EventOf(State(1, 1, Level::kMedium))}});  // delivered late: changes nothing
  CHECK(fed.Get(1)->state.version == 2);
  // A silent state keeps the version and goes by its reports offset.
  fed.Events({{1, model::StateUpdate{State(1, 2, Level::kHigh, 9), 8, 3}}});
  CHECK(fed.Get(1)->state.report_count == 9);
  fed.Events({{1, model::StateUpdate{State(1, 2, Level::kHigh, 7), 7, 3}}});
  CHECK(fed.Get(1)->state.report_count == 9);
}

TEST_CASE("what a deposed owner writes behind a mark does not count", "[replica]") {
  store::MemoryDatabase database(ReplicaTables().size());
  Fed fed(&database);
  model::TermMark mark;
  mark.term = 2;
  fed.Events({{1, EventOf(State(1, 1, Level::kMedium))}, {2, mark}, {1, EventOf(State(1, 2, Level::kVeryHigh))}});
  CHECK(fed.Get(1)->state.version == 1);
  // Also after a restart: the term in force is stored with the position.
  fed.Open();
  fed.Events({{1, EventOf(State(1, 3, Level::kVeryHigh))}, {2, EventOf(State(1, 2, Level::kNone))}});
  CHECK(fed.Get(1)->stamp.term == 2);
  CHECK(fed.Get(1)->state.attributes.level == Level::kNone);
  fed.Events({{1, mark}, {2, EventOf(State(2, 1, Level::kHigh))}});  // a mark of a lower term is fenced like all else
  CHECK(fed.Get(2).has_value());
}

TEST_CASE("data age is that of the oldest partition, and unknown until all have caught up once", "[replica]") {
  store::MemoryDatabase database(ReplicaTables().size());
  Fed fed(&database);
  fed.Open("log-2", 2);
  const absl::Time now = absl::FromUnixSeconds(1'800'000'090);
  fed.Events({{1, model::Tick{now, 1}}}, /*caught_up=*/true, 0);
  CHECK(fed.replica->CompleteUntil() == absl::InfinitePast());
  fed.Events({{1, model::Tick{now - absl::Seconds(5), 1}}}, /*caught_up=*/false, 1);
  CHECK(fed.replica->CompleteUntil() == absl::InfinitePast());
  fed.Events({}, /*caught_up=*/true, 1);
  CHECK(fed.replica->CompleteUntil() == now - absl::Seconds(5));
  fed.Events({{1, model::Tick{now - absl::Seconds(50), 1}}}, true, 1);  // a tick never moves back
  CHECK(fed.replica->CompleteUntil() == now - absl::Seconds(5));
}

TEST_CASE("a restart goes on at the position of the data, another log starts afresh", "[replica]") {
  store::TempDir folder;
  auto database = store::OpenDatabase(folder.path(), ReplicaTables(), {});
  REQUIRE(database.ok());
  Fed fed(database->get());
  fed.Events({{1, EventOf(State(1, 1, Level::kMedium))}, {1, model::Tick{absl::FromUnixSeconds(1'800'000'000), 1}}});
  fed.History({Entry(1, "bank-1", 1, Outcome::kMerged, 1)});
  fed.Open();
  CHECK(fed.replica->EventsNext() == std::vector<int64_t>{2});
  CHECK(fed.replica->HistoryNext() == std::vector<int64_t>{1});
  CHECK(fed.Get(1).has_value());
  CHECK(fed.replica->CompleteUntil() == absl::FromUnixSeconds(1'800'000'000));
  fed.Open("log-2");
  CHECK(fed.replica->EventsNext() == std::vector<int64_t>{0});
  CHECK_FALSE(fed.Get(1).has_value());
  CHECK(fed.replica->CompleteUntil() == absl::InfinitePast());
}

TEST_CASE("who names an identifier is found by it, also in states of a release that had no such table", "[replica]") {
  store::MemoryDatabase database(ReplicaTables().size());
  Fed fed(&database);
  const model::Identifier number{model::IdentifierType::kMobile, "+915551234567"};
  model::IndicatorState address = State(1, 1, Level::kMedium);
  address.links = {{model::Relation::kUpiAddressOf, number}};
  fed.Events({{1, EventOf(address)}, {1, EventOf(State(2, 1, Level::kHigh))}});
  const auto names = [&](const model::Identifier& named, size_t limit = 10) {
    const auto namers = fed.replica->ListNamers(named, "", limit);
    REQUIRE(namers.ok());
    return namers->answers.size();
  };
  CHECK(names(number) == 1);
  CHECK(fed.replica->ListNamers(number, "", 10)->answers.at(0).state.key == address.key);
  CHECK(fed.replica->ListNamers(number, "", 10)->next.empty());
  const std::string next = fed.replica->ListNamers(number, "", 1)->next;
  CHECK(next == model::ToBytes(address.key));
  CHECK(fed.replica->ListNamers(number, next, 1)->answers.empty());
  CHECK(names(number, 0) == 0);
  CHECK(names({model::IdentifierType::kMobile, "+915551234568"}) == 0);
  CHECK(names({model::IdentifierType::kWhatsApp, "+915551234567"}) == 0);
  // As an earlier release left it.
  constexpr store::TableId kMeta = 3, kLinks = 4;
  store::Batch batch;
  batch.Delete(kMeta, "links");
  batch.DeleteRange(kLinks, "", std::string(64, '\xff'));
  REQUIRE(database.Commit(batch, store::Durability::kSynced).ok());
  CHECK(names(number) == 0);
  fed.Open();
  CHECK(names(number) == 1);
}

TEST_CASE("what became of a report is told to its reporter only, the latest word last", "[replica]") {
  store::MemoryDatabase database(ReplicaTables().size());
  Fed fed(&database);
  const model::ReportId id = model::MakeNameBasedId("test", "1");
  fed.History({Entry(1, "bank-1", 1, Outcome::kMerged, 10), Entry(1, "bank-1", 1, Outcome::kDuplicate, 20)});
  CHECK((*fed.replica->GetReport("bank-1", id))->outcome == Outcome::kDuplicate);
  CHECK_FALSE(fed.replica->GetReport("bank-2", id)->has_value());
  fed.History({Entry(1, "bank-1", 1, Outcome::kMerged, 10)});  // sent again by a new owner
  CHECK((*fed.replica->GetReport("bank-1", id))->outcome == Outcome::kDuplicate);
}

TEST_CASE("history is listed newest first, page by page, of one identifier", "[replica]") {
  store::MemoryDatabase database(ReplicaTables().size());
  Fed fed(&database);
  std::vector<model::HistoryEntry> entries;
  for (int i = 0; i < 25; ++i) entries.push_back(Entry(1 + i % 2, "bank-1", i, Outcome::kMerged, i));
  fed.History(entries);
  std::vector<int64_t> seen;
  for (int64_t before = kEnd;;) {
    const auto page = fed.replica->ListHistory(Key(1).token, before, 4);
    REQUIRE(page.ok());
    if (page->empty()) break;
    for (const auto& entry : *page) seen.push_back(entry.reports_offset);
    before = page->back().reports_offset;
  }
  CHECK(seen == std::vector<int64_t>{24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0});
}

TEST_CASE("history grows old and goes", "[replica]") {
  store::MemoryDatabase database(ReplicaTables().size());
  Fed fed(&database);
  fed.History({Entry(1, "bank-1", 1, Outcome::kMerged, 1)});
  fed.clock.Advance(absl::Hours(24 * 401));
  model::HistoryEntry fresh = Entry(2, "bank-1", 2, Outcome::kMerged, 2);
  fresh.decided_at = fed.clock.TimeNow();
  fed.History({fresh});
  CHECK(fed.replica->ListHistory(Key(1).token, kEnd, 10)->empty());
  CHECK_FALSE(fed.replica->GetReport("bank-1", model::MakeNameBasedId("test", "1"))->has_value());
  CHECK(fed.replica->ListHistory(Key(2).token, kEnd, 10)->size() == 1);
}

TEST_CASE("the digest depends on what is known, not on how it came", "[replica]") {
  store::MemoryDatabase one_database(ReplicaTables().size()), other_database(ReplicaTables().size());
  Fed one(&one_database), other(&other_database);
  one.Events({{1, EventOf(State(1, 1, Level::kMedium))}, {1, EventOf(State(2, 1, Level::kHigh))}});
  model::TermMark mark;
  mark.term = 7;
  other.Events({{7, mark}, {7, EventOf(State(2, 1, Level::kHigh), 3)}});
  other.Events({{7, EventOf(State(1, 1, Level::kMedium), 4)}});
  CHECK(one.replica->Digest()->digest == other.replica->Digest()->digest);
  CHECK(one.replica->Digest()->indicators == 2);
  CHECK(one.replica->Digest()->flagged == 2);
  other.Events({{7, model::StateUpdate{State(1, 1, Level::kMedium, 2), 9, 3}}});
  CHECK(one.replica->Digest()->digest != other.replica->Digest()->digest);
}

}  // namespace
}  // namespace hub::replica
