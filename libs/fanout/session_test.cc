#include "libs/fanout/session.h"

#include "absl/strings/str_cat.h"
#include "libs/fanout/ack_window.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/fanout/unacked.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::kWindow;
using kit::LevelFrom;
using kit::Row;
using model::Level;
using model::RefusalCode;

RefusalCode CodeOf(const absl::Status& status) {
  const auto refusal = model::RefusalOf(status);
  return refusal.has_value() ? refusal->code : RefusalCode::kUnspecified;
}

// A log of one partition with a dispatcher that has opened on it, and sessions in memory.
struct Stage {
  explicit Stage(int32_t partitions = 1) : feed(partitions) {
    for (int32_t p = 0; p < partitions; ++p) feed.PutMark(p, 1);
    dispatcher = feed.Open();
  }
  std::unique_ptr<Session> Start(SessionStart start = SessionStart::kNow,
                                 std::optional<SessionOptions> options = std::nullopt) {
    auto session = feed.Start(dispatcher.get(), filter, start, options);
    kit::Drain(dispatcher.get());
    return session;
  }
  auto Resume(absl::string_view token) { return feed.Resume(dispatcher.get(), filter, token); }
  void Flag(int count, int32_t partition = 0) {
    for (int i = 0; i < count; ++i) feed.Change(partition, number++, Row(Level::kHigh));
    kit::Drain(dispatcher.get());
  }

  Feed feed;
  std::unique_ptr<Dispatcher> dispatcher;
  model::Filter filter = model::Filter::Everything();
  int number = 0;
};

TEST_CASE("A full window parks the session until the client acknowledges", "[fanout][session]") {
  Stage stage;
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 2000;
  options.unacked_bytes_max = 16 * 1024;
  auto session = stage.Start(SessionStart::kNow, options);
  stage.Flag(500);
  std::vector<kit::Received> sent;
  size_t bytes = 0;
  while (!session->paused()) {
    const auto message = session->Next();
    REQUIRE(message.ok());
    REQUIRE(message->events > 0);
    CHECK(message->bytes == kit::Bytes(*message).size());
    CHECK(message->bytes < 3000);
    bytes += message->bytes;
    sent.push_back(kit::Parse(kit::Bytes(*message)));
  }
  CHECK(bytes >= 16 * 1024);
  CHECK(bytes < 16 * 1024 + 3000);
  CHECK(session->mode() == SessionMode::kParked);
  CHECK(session->Next()->empty());
  const uint64_t before = session->events_sent();
  const int64_t behind = session->RecordsBehind();
  CHECK(behind > 0);

  // The first half is safe: so much room there is again.
  REQUIRE(session->OnAck(sent[sent.size() / 2].positions).ok());
  CHECK(!session->paused());
  CHECK(kit::NextOf(session.get()).events.size() > 0);
  kit::All(session.get());
  CHECK(session->events_sent() == 500);
  CHECK(session->events_sent() > before);
  CHECK(session->RecordsBehind() == 0);
  CHECK(session->mode() == SessionMode::kLive);
}

// A message costs about the same whatever is in it, and a window is a second of what its client takes: a pass every quarter of a second then brings each
// stream one.
TEST_CASE("A message holds a quarter of a window that has been measured, and little of the first", "[fanout][session]") {
  Stage stage;
  auto session = stage.Start();
  stage.Flag(1000);
  const auto first = session->Next();
  REQUIRE(first.ok());
  CHECK(first->bytes < 4 * 1024);
  stage.feed.clock.Advance(absl::Milliseconds(50));
  REQUIRE(session->OnAck(kit::Parse(kit::Bytes(*first)).positions).ok());
  const auto next = session->Next();
  REQUIRE(next.ok());
  // Some 3 KB in 50 ms, the horizon twice a second at first.
  CHECK(next->bytes > 12 * 1024);
  CHECK(next->bytes < 36 * 1024);
}

TEST_CASE("A parked session still tells of progress, of what it has sent only", "[fanout][session]") {
  Stage stage;
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 1000;
  options.unacked_bytes_max = 1;
  auto session = stage.Start(SessionStart::kNow, options);
  stage.Flag(50);
  const kit::Received first = kit::NextOf(session.get());
  REQUIRE(session->paused());
  stage.feed.clock.Advance(absl::Seconds(2));
  stage.feed.PutTick(0);
  kit::Drain(stage.dispatcher.get());
  const kit::Received mark = kit::NextOf(session.get());
  CHECK(mark.events.empty());
  REQUIRE(mark.progress);
  CHECK(mark.complete_until == absl::InfinitePast());
  CHECK(mark.records_behind == 51 - static_cast<int64_t>(first.events.size()));
  auto resumed = stage.Resume(mark.token);
  REQUIRE(resumed.ok());
  CHECK(kit::All(resumed->get()).events.size() == 50 - first.events.size());
}

TEST_CASE("Acks ahead of what was sent, or of no partition, are refused, those behind are ignored",
          "[fanout][session]") {
  Stage stage(2);
  auto session = stage.Start();
  stage.Flag(3, 1);
  CHECK(session->OnAck({{1, 1}}).ok());  // where it started
  CHECK(absl::IsInvalidArgument(session->OnAck({{1, 2}})));
  CHECK(absl::IsInvalidArgument(session->OnAck({{2, 0}})));
  CHECK(absl::IsInvalidArgument(session->OnAck({{-1, 0}})));
  const kit::Received batch = kit::NextOf(session.get());
  CHECK(batch.positions == std::map<int32_t, eventlog::Offset>{{1, 4}});
  CHECK(absl::IsInvalidArgument(session->OnAck({{1, 5}})));
  // Nothing of a refused ack counts.
  CHECK(absl::IsInvalidArgument(session->OnAck({{0, 99}, {1, 3}})));
  CHECK(session->acked() == std::map<int32_t, eventlog::Offset>{{1, 1}});
  CHECK(session->OnAck({{1, 4}}).ok());
  CHECK(session->OnAck({{1, 2}}).ok());
  CHECK(session->acked() == std::map<int32_t, eventlog::Offset>{{1, 4}});
  CHECK(session->acked_at() == stage.feed.clock.TimeNow());
}

TEST_CASE("A mark of progress tells the oldest partition's tick at the session's own position", "[fanout][session]") {
  Stage stage(2);
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 1;  // an event at a time
  auto session = stage.Start(SessionStart::kNow, options);
  const absl::Time start = stage.feed.clock.TimeNow();
  stage.feed.PutTick(0);
  stage.feed.PutTick(1);
  stage.Flag(1, 0);
  stage.feed.clock.Advance(absl::Seconds(1));
  stage.feed.PutTick(0);
  stage.feed.PutTick(1);
  stage.Flag(1, 0);
  stage.feed.clock.Advance(absl::Seconds(1));
  stage.feed.PutTick(0);
  kit::Drain(stage.dispatcher.get());

  const kit::Received first = kit::NextOf(session.get());
  REQUIRE(first.events.size() == 1);
  REQUIRE(first.progress);
  CHECK(first.complete_until <= start);  // a later tick lies behind the event that is still to come
  stage.feed.clock.Advance(absl::Seconds(1));
  const kit::Received second = kit::NextOf(session.get());
  REQUIRE(second.events.size() == 1);
  stage.feed.clock.Advance(absl::Seconds(6));
  const kit::Received third = kit::NextOf(session.get());
  REQUIRE(third.progress);
  CHECK(third.events.empty());
  CHECK(third.complete_until == start + absl::Seconds(1));  // partition 1
  CHECK(third.records_behind == 0);
}

TEST_CASE("Progress comes every second while events flow, every five when they don't", "[fanout][session]") {
  Stage stage;
  auto session = stage.Start();
  int marks = 0;
  for (int tenth = 0; tenth < 200; ++tenth) {
    stage.feed.clock.Advance(absl::Milliseconds(100));
    stage.feed.PutTick(0);
    if (tenth < 100) stage.Flag(1);
    kit::Drain(stage.dispatcher.get());
    const kit::Received batch = kit::NextOf(session.get());
    marks += batch.progress ? 1 : 0;
    if (tenth == 99) {
      CHECK(marks >= 9);
      CHECK(marks <= 11);
      marks = 0;
    }
  }
  CHECK(marks >= 2);
  CHECK(marks <= 3);
}

TEST_CASE("A token is refused for what it says", "[fanout][session]") {
  Stage stage;
  auto session = stage.Start();
  stage.Flag(3);
  kit::All(session.get());
  const std::string token = session->Token();
  REQUIRE(stage.Resume(token).ok());
  CHECK(CodeOf(stage.Resume("nonsense").status()) == RefusalCode::kCursorInvalid);

  SessionOptions other = stage.feed.BankOptions();
  other.stakeholder = "another";
  CHECK(CodeOf(stage.feed.Resume(stage.dispatcher.get(), stage.filter, token, other).status()) ==
        RefusalCode::kCursorInvalid);
  CHECK(CodeOf(stage.feed.Resume(stage.dispatcher.get(), LevelFrom(Level::kHigh), token).status()) ==
        RefusalCode::kFilterChanged);

  wire::Cursor cursor = *stage.feed.sealer.Open(token, "bank");
  const auto with = [&](auto change) {
    wire::Cursor changed = cursor;
    change(&changed);
    return CodeOf(stage.Resume(stage.feed.sealer.Seal(changed, "bank")).status());
  };
  CHECK(with([](wire::Cursor* c) { c->positions[0].offset = 5; }) == RefusalCode::kCursorInvalid);
  CHECK(with([](wire::Cursor* c) { c->positions[0].offset = 4; }) == RefusalCode::kUnspecified);
  CHECK(with([](wire::Cursor* c) { c->positions.clear(); }) == RefusalCode::kCursorInvalid);
  CHECK(with([](wire::Cursor* c) { c->positions.push_back({1, 0, 0}); }) == RefusalCode::kCursorInvalid);
  CHECK(with([](wire::Cursor* c) { c->positions[0].partition = 1; }) == RefusalCode::kCursorInvalid);
  CHECK(with([](wire::Cursor* c) { c->log_id = "another"; }) == RefusalCode::kLogChanged);

  stage.feed.clock.Advance(kWindow + absl::Seconds(1));
  CHECK(CodeOf(stage.Resume(token).status()) == RefusalCode::kCursorTooOld);
}

TEST_CASE("A token whose next record is older than the window is refused however fresh its seal", "[fanout][session]") {
  Stage stage;
  auto session = stage.Start();
  const std::string token = session->Token();
  stage.Flag(1);
  stage.feed.clock.Advance(kWindow + absl::Hours(25));
  wire::Cursor cursor = *stage.feed.sealer.Open(token, "bank");
  cursor.issued_at = stage.feed.clock.TimeNow();
  CHECK(CodeOf(stage.Resume(stage.feed.sealer.Seal(cursor, "bank")).status()) == RefusalCode::kCursorTooOld);
}

TEST_CASE("Another log ends the stream and refuses the token", "[fanout][session]") {
  Stage stage;
  auto session = stage.Start();
  const std::string token = session->Token();
  stage.Flag(1);
  stage.feed.memory()->ChangeLogId("restored");
  stage.dispatcher->Step();
  CHECK(CodeOf(session->Next().status()) == RefusalCode::kLogChanged);
  auto next = stage.feed.Open();
  CHECK(CodeOf(stage.feed.Resume(next.get(), stage.filter, token).status()) == RefusalCode::kLogChanged);
}

TEST_CASE("The window is judged at every read of the log", "[fanout][session]") {
  Stage stage;
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 100;
  auto session = stage.Start(SessionStart::kNow, options);
  stage.Flag(10);
  const std::string token = session->Token();
  stage.feed.clock.Advance(absl::Hours(100));
  stage.Flag(10);
  auto node = stage.feed.Open();  // another node: everything comes from the log
  auto resumed = stage.feed.Resume(node.get(), stage.filter, token, options);
  REQUIRE(resumed.ok());
  CHECK(kit::NextOf(resumed->get()).events.size() == 1);
  stage.feed.clock.Advance(absl::Hours(69));
  CHECK((*resumed)->Next().status().ok() == false);
  CHECK(CodeOf((*resumed)->Next().status()) == RefusalCode::kCursorTooOld);
  // From memory nothing can be missing.
  CHECK(kit::All(session.get()).events.size() == 20);
}

TEST_CASE("A stream that stands at the head for weeks stays good, and so does its token", "[fanout][session]") {
  Stage stage;
  auto session = stage.Start();
  std::string token;
  for (int day = 0; day < 30; ++day) {
    stage.feed.clock.Advance(absl::Hours(24));
    stage.dispatcher->Step();
    const kit::Received batch = kit::NextOf(session.get());
    if (batch.progress) token = batch.token;
  }
  REQUIRE(stage.Resume(token).ok());
  stage.Flag(1);
  CHECK(kit::All(session.get()).events.size() == 1);
}

TEST_CASE("Below the compaction bound there is neither progress nor token until the log's end is reached",
          "[fanout][session]") {
  Stage stage;
  stage.Flag(600);
  stage.feed.clock.Advance(kWindow + absl::Hours(25));
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 4000;
  auto session = stage.Start(SessionStart::kEarliest, options);
  CHECK(session->Token().empty());
  size_t events = 0;
  while (events < 600) {
    stage.feed.clock.Advance(absl::Seconds(2));
    if (events < 300) stage.feed.PutTick(0);  // the end moves while the old part is read
    kit::Drain(stage.dispatcher.get());
    const kit::Received batch = kit::NextOf(session.get());
    events += batch.events.size();
    REQUIRE(session->OnAck(batch.positions).ok());
    if (session->RecordsBehind() > 0) {
      CHECK(!batch.progress);
      CHECK(session->Token().empty());
      CHECK(session->AckedToken().empty());
    }
  }
  kit::All(session.get());
  stage.feed.clock.Advance(absl::Seconds(6));
  kit::Drain(stage.dispatcher.get());
  const kit::Received mark = kit::NextOf(session.get());
  REQUIRE(mark.progress);
  REQUIRE(session->OnAck(mark.positions).ok());
  CHECK(stage.Resume(mark.token).ok());
  CHECK(!session->AckedToken().empty());
}

TEST_CASE("The end that a newcomer must reach is the log's as of its last read below the bound", "[fanout][session]") {
  Stage stage;
  stage.Flag(2000);
  stage.feed.clock.Advance(kWindow + absl::Hours(25));
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 50'000;
  auto session = stage.Start(SessionStart::kEarliest, options);
  const eventlog::Offset end_at_start = stage.feed.Range(0).end;
  kit::NextOf(session.get());
  stage.Flag(1500);  // successors of what compaction takes meanwhile may stand among these
  bool between = false;
  while (session->RecordsBehind() > 0) {
    const eventlog::Offset at = session->positions()[0].offset;
    between |= at > end_at_start;
    if (at < stage.feed.Range(0).end) CHECK(session->Token().empty());
    kit::Received batch = kit::NextOf(session.get());
    REQUIRE(session->OnAck(batch.positions).ok());
  }
  CHECK(between);
  CHECK(!session->Token().empty());
}

TEST_CASE("A newcomer who has read all of an old log goes on from the log", "[fanout][session]") {
  Feed feed(1);
  feed.PutMark(0, 1);
  feed.PutTick(0);
  for (int i = 0; i < 5; ++i) feed.Change(0, i, Row(Level::kHigh));
  feed.clock.Advance(kWindow + absl::Hours(25));
  DispatcherOptions bounds = feed.Options();
  bounds.segment_bytes_max = 1;  // nothing stays in memory
  auto dispatcher = feed.Open(bounds);
  auto session = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kEarliest);
  kit::Drain(dispatcher.get());
  CHECK(kit::All(session.get()).events.size() == 5);
  for (int i = 0; i < 3; ++i) {
    feed.Change(0, i, Row(Level::kMedium));
    kit::Drain(dispatcher.get());
    CHECK(kit::All(session.get()).events.size() == 1);
    CHECK(session->mode() != SessionMode::kParked);
  }
}

TEST_CASE("A newcomer reads a log older than the window to its end, however long that takes", "[fanout][session]") {
  Stage stage;
  // Ten days, a tick and an event an hour: the bound moves while it is being passed.
  for (int hour = 0; hour < 240; ++hour) {
    stage.feed.PutTick(0);
    stage.Flag(1);
    stage.feed.clock.Advance(absl::Hours(1));
  }
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 1;
  auto session = stage.Start(SessionStart::kEarliest, options);
  size_t events = 0;
  for (int i = 0; i < 600 && events < 240; ++i) {
    stage.feed.clock.Advance(absl::Minutes(5));
    const auto message = session->Next();
    REQUIRE(message.ok());
    events += static_cast<size_t>(message->events);
    kit::Drain(stage.dispatcher.get());
  }
  CHECK(events == 240);
}

TEST_CASE("What compaction left of a key as a silent state reaches a newcomer, and nobody else", "[fanout][session]") {
  Stage stage;
  stage.filter = LevelFrom(Level::kMedium);
  auto witness = stage.Start();
  const std::string token = witness->Token();
  const model::Event event = kit::EventOf(1, 4, Row(Level::kHigh));
  const model::Event unseen = kit::EventOf(2, 4, Row(Level::kNone));
  for (const model::Event& one : {event, unseen}) {
    stage.feed.Put(0, one);
    stage.feed.PutState(0, one, 77);
  }
  kit::Drain(stage.dispatcher.get());
  auto resumed = stage.feed.Open();
  auto late = stage.feed.Resume(resumed.get(), stage.filter, token);
  REQUIRE(late.ok());
  CHECK(kit::All(late->get()).events.size() == 1);
  CHECK(kit::All(witness.get()).events.size() == 1);

  stage.feed.clock.Advance(kWindow + absl::Hours(25));
  stage.feed.memory()->Clean();
  auto newcomer = stage.Start(SessionStart::kEarliest);
  const kit::Received received = kit::All(newcomer.get());
  REQUIRE(received.events.size() == 1);
  CHECK(received.events[0].id == kit::IdOf(1));
  CHECK(received.events[0].stamp == model::VersionStamp{1, 4, 77});
  CHECK(received.events[0].level == Level::kHigh);
}

TEST_CASE("A stalled session keeps positions and nothing else", "[fanout][session]") {
  Feed feed(4);
  for (int32_t p = 0; p < 4; ++p) feed.PutMark(p, 1);
  DispatcherOptions bounds = feed.Options();
  bounds.segment_bytes_max = 128 * 1024;
  auto dispatcher = feed.Open(bounds);
  SessionOptions options = feed.BankOptions();
  options.message_bytes_max = 4 * 1024;
  options.unacked_bytes_max = 32 * 1024;
  auto stalled = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow, options);
  auto other = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow, options);
  kit::Drain(dispatcher.get());
  const base::Gauge memory = feed.metrics.AddGauge("fraudhub_fanout_segment_bytes", "");
  size_t read = 0;
  for (int i = 0; i < 6000; ++i) {
    feed.Change(i % 4, i, Row(Level::kHigh));
    if (i % 20 != 0) continue;
    kit::Drain(dispatcher.get());
    (void)stalled->Next();  // until its window is full
    read += kit::All(other.get()).events.size();
    REQUIRE(other->mode() == SessionMode::kLive);
    REQUIRE(memory.Value() <= 128 * 1024);
  }
  CHECK(stalled->paused());
  CHECK(stalled->events_sent() * 100 < 32 * 1024 + 2 * 4096);
  CHECK(read > 5900);
  CHECK(feed.metrics.AddCounter("fraudhub_fanout_reads_total", "", {{"mode", "catchup"}}).Value() == 0);
  REQUIRE(stalled
              ->OnAck([&] {
                std::map<int32_t, eventlog::Offset> all;
                for (int32_t p = 0; p < 4; ++p) all[p] = stalled->positions()[static_cast<size_t>(p)].offset;
                return all;
              }())
              .ok());
  kit::Drain(dispatcher.get());
  kit::All(stalled.get());
  CHECK(stalled->events_sent() == 6000);
}

TEST_CASE("One busy partition does not starve the others", "[fanout][session]") {
  Stage stage(3);
  SessionOptions options = stage.feed.BankOptions();
  options.message_bytes_max = 1500;
  auto session = stage.Start(SessionStart::kNow, options);
  stage.Flag(500, 0);
  stage.Flag(1, 2);
  std::map<int32_t, eventlog::Offset> told;
  for (int i = 0; i < 3; ++i) {
    for (const auto& [partition, offset] : kit::NextOf(session.get()).positions) told[partition] = offset;
  }
  CHECK(told.count(2) == 1);
}

TEST_CASE("The list of what is not acknowledged is bounded and gives bytes back in order", "[fanout][session]") {
  const auto at = [](eventlog::Offset offset) {
    wire::Cursor cursor;
    cursor.positions = {{0, offset, 1}, {1, 5, 1}};
    return cursor;
  };
  UnackedWindow window(16'000, at(0));
  for (int i = 1; i <= 200; ++i) window.Sent(900, at(i), absl::Seconds(i));
  CHECK(window.bytes() == 200 * 900);
  CHECK(window.entries() <= UnackedWindow::kEntriesMax);
  window.Acked({1, 4}, absl::Seconds(300));  // not the other partition
  CHECK(window.bytes() == 200 * 900);
  window.Acked({1, 5}, absl::Seconds(300));
  CHECK(window.bytes() == 199 * 900);
  CHECK(window.acked().positions[0].offset == 1);
  window.Sent(0, at(201), absl::Seconds(300));  // a bare mark holds nothing back
  window.Acked({200, 5}, absl::Seconds(300));
  CHECK(window.bytes() == 0);
  CHECK(window.acked().positions[0].offset == 200);
  for (int i = 202; i < 400; ++i) window.Sent(0, at(i), absl::Seconds(300));
  CHECK(window.entries() == 1);
  for (int i = 400; i < 420; ++i) window.Sent(10, at(i), absl::Seconds(300));  // small ones go together
  CHECK(window.entries() <= 2);
  window.Acked({419, 5}, absl::Seconds(300));
  CHECK(window.entries() == 0);
  CHECK(window.bytes() == 0);
}

}  // namespace
}  // namespace hub::fanout
