#include "libs/fanout/catchup.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/eventlog/local_log.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/wire/event_runs.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::LevelFrom;
using kit::Row;
using model::Level;

double Blocks(Feed* feed, const char* how) {
  return feed->metrics.AddCounter("fraudhub_fanout_catchup_blocks_total", "", {{"how", how}}).Value();
}

// The bytes of all events of one partition as they are when unpacked, with where reading ended.
struct Whole {
  std::string bytes;
  size_t read = 0;  // bytes
  int events = 0;
  bool from_log = false;
  PartitionPosition after;
};
Whole ReadAll(Dispatcher* dispatcher, const std::shared_ptr<FilterClass>& filter_class, PartitionPosition from,
              size_t bytes_max, bool with_states = false, EventForm form = EventForm::kPlain) {
  Whole whole;
  while (from.offset < dispatcher->HeadOffset(0)) {
    const auto chunk = dispatcher->Read(filter_class, 0, from, bytes_max, with_states, form);
    REQUIRE(chunk.ok());
    REQUIRE(chunk->after.offset > from.offset);
    const std::string read = kit::Bytes(*chunk);
    REQUIRE((chunk->events > 0) == !read.empty());
    whole.read += read.size();
    if (form == EventForm::kRuns) {
      REQUIRE(wire::UnpackFramedRuns(read, &whole.bytes).ok());
    } else {
      whole.bytes += read;
    }
    whole.events += chunk->events;
    whole.from_log |= chunk->from_log;
    from = chunk->after;
  }
  whole.after = from;
  return whole;
}

TEST_CASE("Memory and the log give the same bytes, positions and terms", "[fanout][catchup]") {
  std::mt19937 random(7);
  const auto draw = [&random](int bound) { return static_cast<int>(random() % static_cast<unsigned>(bound)); };
  Feed feed(1);
  feed.PutMark(0, 1);
  DispatcherOptions options = feed.Options();
  options.segment_age_max = absl::Hours(1);  // memory holds all of it
  auto live = feed.Open(options);
  const std::vector<model::Filter> filters = {
      model::Filter::Everything(), LevelFrom(Level::kMedium), LevelFrom(Level::kVeryHigh),
      model::Filter::AnyOf({{.level_min = Level::kHigh, .categories = {1}}, {.categories = {2}}})};
  std::vector<std::shared_ptr<FilterClass>> classes;
  for (const auto& filter : filters) classes.push_back(*live->Join(filter, kit::Everyone()));
  live->Step();
  const PartitionPosition start = live->Head(0);
  uint64_t owner = 1;
  for (int i = 0; i < 2000; ++i) {
    const int dice = draw(100);
    feed.clock.Advance(absl::Milliseconds(draw(300)));
    if (dice < 2) {
      feed.PutMark(0, ++owner);
    } else if (dice < 8 && owner > 1) {
      feed.term = owner - 1;  // a deposed owner
      feed.Put(0, kit::EventOf(draw(50), 1, Row(Level::kVeryHigh)));
      feed.term = owner;
    } else if (dice < 15) {
      feed.PutTick(0);
    } else if (dice < 20) {
      feed.PutState(0, kit::EventOf(draw(50), 1, Row(Level::kHigh)), 1);
    } else {
      feed.Change(0, draw(50), Row(static_cast<Level>(1 + draw(4)), {draw(3)}));
    }
    if (dice % 7 == 0) live->Step();
  }
  kit::Drain(live.get());
  auto lagging = feed.Open();
  for (size_t i = 0; i < filters.size(); ++i) {
    const Whole memory = ReadAll(live.get(), classes[i], start, 900);
    CHECK(!memory.from_log);
    auto filter_class = *lagging->Join(filters[i], kit::Everyone());
    for (const size_t bytes_max : {size_t{1}, size_t{900}, size_t{1} << 20}) {
      for (const EventForm form : {EventForm::kPlain, EventForm::kRuns}) {
        const Whole log = ReadAll(lagging.get(), filter_class, start, bytes_max, false, form);
        CHECK(log.from_log);
        CHECK(log.events == memory.events);
        CHECK(log.bytes == memory.bytes);
        CHECK(log.after.offset == memory.after.offset);
        CHECK(log.after.term == memory.after.term);
        CHECK(log.after.tick == memory.after.tick);
      }
    }
    CHECK(memory.events > 20);
  }
}

TEST_CASE("Sessions of a class that lag share blocks, wherever they stand", "[fanout][catchup]") {
  Feed feed(1);
  for (int i = 0; i < 2000; ++i) feed.Change(0, i, Row(Level::kHigh));
  auto dispatcher = feed.Open();
  auto filter_class = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  for (int reader = 0; reader < 20; ++reader) {
    CHECK(ReadAll(dispatcher.get(), filter_class, {.offset = reader * 3}, 5000).events == 2000 - reader * 3);
  }
  CHECK(Blocks(&feed, "made") == 8);
  CHECK(feed.metrics.AddCounter("fraudhub_fanout_encoded_total", "", {{"mode", "catchup"}}).Value() == 2000);
  CHECK(Blocks(&feed, "shared") > 20 * 7);
}

// No time passes: what counts is the bytes.
TEST_CASE("Runs of the log are packed once for the class, whoever comes", "[fanout][catchup][runs]") {
  Feed feed(1);
  for (int i = 0; i < 2000; ++i) feed.Change(0, i, Row(Level::kHigh));
  auto dispatcher = feed.Open();
  auto filter_class = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  const auto packed = [&feed] { return feed.metrics.AddCounter("fraudhub_fanout_runs_packed_total", "").Value(); };
  const Whole plain = ReadAll(dispatcher.get(), filter_class, {}, 1 << 20);
  CHECK(packed() == 0);
  double first_packed = 0;
  for (const eventlog::Offset start : {0, 0, 64, 640}) {
    const Whole runs = ReadAll(dispatcher.get(), filter_class, {.offset = start}, 1 << 20, false, EventForm::kRuns);
    CHECK(runs.events == 2000 - start);
    if (first_packed == 0) first_packed = packed();
    CHECK(packed() == first_packed);
    if (start == 0) CHECK(runs.bytes == plain.bytes);
    if (start == 0) CHECK(runs.read < plain.read / 2);
  }
  CHECK(first_packed > 30);
}

TEST_CASE("A line that breaks after every megabyte gets on, however quick it is", "[fanout][catchup]") {
  const bool in_memory = GENERATE(false, true);
  Feed feed(2);
  constexpr int kEvents = 20'000;
  const auto write = [&feed] {
    for (int i = 0; i < kEvents; ++i) feed.Change(i % 2, i, Row(Level::kHigh));
  };
  if (!in_memory) write();
  DispatcherOptions options = feed.Options();
  options.segment_bytes_max = size_t{64} << 20;
  auto dispatcher = feed.Open(options);
  auto session = feed.Start(dispatcher.get(), model::Filter::Everything(), in_memory ? SessionStart::kNow : SessionStart::kEarliest);
  std::string token = session->Token();
  if (in_memory) {
    kit::Drain(dispatcher.get());
    write();
    kit::Drain(dispatcher.get());
  }
  std::set<std::string> told;
  size_t told_again = 0;
  int lines = 1;
  for (size_t of_this_line = 0; session->RecordsBehind() > 0; ) {
    const auto message = session->Next();
    REQUIRE(message.ok());
    const kit::Received batch = kit::Parse(kit::Bytes(*message));
    for (const auto& item : batch.events) told_again += told.insert(item.id).second ? 0 : 1;
    if (!batch.token.empty()) token = batch.token;
    REQUIRE(kit::Ack(session.get(), batch).ok());
    of_this_line += message->bytes;
    if (of_this_line < size_t{1} << 20) continue;
    auto again = feed.Resume(dispatcher.get(), model::Filter::Everything(), token);
    REQUIRE(again.ok());
    session = *std::move(again);
    of_this_line = 0;
    REQUIRE(++lines < 20);
  }
  CHECK(lines > 2);
  CHECK(told.size() == kEvents);
  CHECK(told_again < kEvents / 3);
  CHECK((feed.metrics.AddCounter("fraudhub_fanout_encoded_total", "", {{"mode", "catchup"}}).Value() > 0) != in_memory);
}

TEST_CASE("Classes share what was read of the log, and the forms of equal audiences", "[fanout][catchup]") {
  Feed feed(1);
  for (int i = 0; i < 1000; ++i) feed.Change(0, i, Row(static_cast<Level>(1 + i % 4)));
  auto dispatcher = feed.Open();
  int seen = 0;
  for (const Level least : {Level::kMedium, Level::kHigh, Level::kVeryHigh}) {
    auto filter_class = *dispatcher->Join(LevelFrom(least), kit::Everyone());
    seen += ReadAll(dispatcher.get(), filter_class, {}, 5000).events;
  }
  CHECK(seen == 250 * (1 + 2 + 3));
  CHECK(Blocks(&feed, "read") == 4);
  CHECK(Blocks(&feed, "made") == 12);
  CHECK(feed.metrics.AddCounter("fraudhub_fanout_encoded_total", "", {{"mode", "catchup"}}).Value() == 750);
}

TEST_CASE("Blocks over the bound are dropped, slices of them stay", "[fanout][catchup]") {
  Feed feed(1);
  for (int i = 0; i < 2000; ++i) feed.Change(0, i, Row(Level::kHigh));
  DispatcherOptions options = feed.Options();
  options.catchup_bytes_max = 64 * 1024;  // a block or two
  auto dispatcher = feed.Open(options);
  auto filter_class = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  const auto held = dispatcher->Read(filter_class, 0, {}, 1 << 20);
  REQUIRE(held.ok());
  const std::string bytes = kit::Bytes(*held);
  CHECK(ReadAll(dispatcher.get(), filter_class, {}, 1 << 20).events == 2000);
  CHECK(ReadAll(dispatcher.get(), filter_class, {}, 1 << 20).events == 2000);
  CHECK(Blocks(&feed, "made") >= 14);
  CHECK(kit::Bytes(*held) == bytes);
}

TEST_CASE("A reader goes over the holes that compaction left, and over whole blocks of them", "[fanout][catchup]") {
  Feed feed(1);
  for (int i = 0; i < 1500; ++i) feed.Change(0, i < 3 ? 100 + i : i % 4, Row(Level::kHigh));
  const eventlog::Offset end = feed.Range(0).end;
  feed.clock.Advance(kit::kWindow + absl::Hours(25));
  feed.Change(0, 50, Row(Level::kHigh));
  feed.memory()->Clean();
  auto dispatcher = feed.Open();
  auto filter_class = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  CHECK(ReadAll(dispatcher.get(), filter_class, {}, 1000).events == 3 + 4 + 1);
  CHECK(ReadAll(dispatcher.get(), filter_class, {.offset = 700}, 1000).events == 4 + 1);
  CHECK(ReadAll(dispatcher.get(), filter_class, {.offset = end - 1}, 1000).events == 2);
  CHECK(ReadAll(dispatcher.get(), filter_class, {.offset = end}, 1000).events == 1);
}

TEST_CASE("One block serves readers who bring different terms", "[fanout][catchup]") {
  Feed feed(1);
  feed.term = 1;
  feed.Put(0, kit::EventOf(1, 1, Row(Level::kHigh)));
  feed.term = 2;
  feed.Put(0, kit::EventOf(1, 2, Row(Level::kHigh)));
  feed.term = 1;
  feed.Put(0, kit::EventOf(1, 3, Row(Level::kHigh)));
  feed.term = 2;
  feed.Put(0, kit::EventOf(1, 4, Row(Level::kHigh)));
  auto dispatcher = feed.Open();
  auto filter_class = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  const auto versions = [&](uint64_t term) {
    std::vector<uint64_t> read;
    for (const auto& item : kit::Parse(ReadAll(dispatcher.get(), filter_class, {.term = term}, 10'000).bytes).events) {
      read.push_back(item.stamp.version);
    }
    return read;
  };
  CHECK(versions(1) == std::vector<uint64_t>{1, 2, 3, 4});
  CHECK(versions(2) == std::vector<uint64_t>{2, 4});
  CHECK(versions(3).empty());
  CHECK(Blocks(&feed, "made") == 1);
}

TEST_CASE("Silent states are for readers below the bound, in blocks of their own", "[fanout][catchup]") {
  Feed feed(1);
  const model::Event event = kit::EventOf(1, 1, Row(Level::kHigh));
  feed.Put(0, event);
  feed.PutState(0, event, 9);
  feed.PutState(0, kit::EventOf(2, 1, Row(Level::kNone)), 9);
  auto dispatcher = feed.Open();
  auto filter_class = *dispatcher->Join(LevelFrom(Level::kMedium), kit::Everyone());
  CHECK(ReadAll(dispatcher.get(), filter_class, {}, 1000).events == 1);
  const Whole with_states = ReadAll(dispatcher.get(), filter_class, {}, 1000, true);
  const kit::Received received = kit::Parse(with_states.bytes);
  REQUIRE(received.events.size() == 2);
  CHECK(received.events[1].stamp == model::VersionStamp{1, 1, 9});
  CHECK(ReadAll(dispatcher.get(), filter_class, {}, 1000).events == 1);
  CHECK(Blocks(&feed, "made") == 2);
  // Memory has none: who needs them is not served from there.
  dispatcher->Step();
  feed.PutState(0, event, 10);
  kit::Drain(dispatcher.get());
  const PartitionPosition tail{.offset = 3, .term = 1};
  CHECK(ReadAll(dispatcher.get(), filter_class, tail, 1000).events == 0);
  CHECK(ReadAll(dispatcher.get(), filter_class, tail, 1000, true).events == 1);
}

TEST_CASE("Fan-out over the log on disk: live, lagging, and resumed on another node", "[fanout][catchup]") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() /
                                       absl::StrCat("hub_fanout_", absl::Hex(base::Mix64(base::RandomBytes(8))));
  const base::ManualClock clock(kit::kStart);
  base::Metrics log_metrics;
  {
    auto log = eventlog::OpenLocalLog(folder.string(), &clock, &log_metrics, {});
    REQUIRE(log.ok());
    Feed feed(2, log->get());
    for (int32_t p = 0; p < 2; ++p) feed.PutMark(p, 1);
    auto dispatcher = feed.Open();
    auto session = feed.Start(dispatcher.get(), LevelFrom(Level::kMedium), SessionStart::kNow);
    kit::Drain(dispatcher.get());
    const std::string token = session->Token();
    for (int i = 0; i < 60; ++i) feed.Change(i % 2, i % 10, Row(static_cast<Level>(1 + i % 3)));
    kit::Drain(dispatcher.get());
    kit::View view;
    view.Apply(kit::All(session.get()));
    CHECK(session->mode() == SessionMode::kLive);

    auto node = feed.Open();
    auto resumed = feed.Resume(node.get(), LevelFrom(Level::kMedium), token);
    REQUIRE(resumed.ok());
    kit::View other;
    const kit::Received all = kit::All(resumed->get());
    other.Apply(all);
    CHECK(all.events.size() == session->events_sent());
    CHECK((*resumed)->mode() == SessionMode::kLive);
    CHECK(view.rows() == other.rows());
    CHECK(view.rows().size() > 2);

    feed.PutTick(0);
    dispatcher->WaitForNews(absl::Seconds(60));
    CHECK(dispatcher->Step());
  }
  std::filesystem::remove_all(folder);
}

// What is read and decoded for one of those who stand near each other is kept for the others, not for ever.
TEST_CASE("Who reads the log goes on in small steps, however large its window", "[fanout][session]") {
  Feed feed(1);
  feed.PutMark(0, 1);
  for (int i = 0; i < 4000; ++i) feed.Change(0, i, Row(Level::kHigh));
  DispatcherOptions bounds = feed.Options();
  bounds.segment_bytes_max = 1;  // nothing stays in memory
  auto dispatcher = feed.Open(bounds);
  auto session = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kEarliest);
  kit::Drain(dispatcher.get());
  size_t most = 0;
  while (session->RecordsBehind() > 0) {
    const auto message = session->Next();
    REQUIRE(message.ok());
    REQUIRE(message->events > 0);
    CHECK(session->mode() == SessionMode::kCatchup);
    most = std::max(most, message->bytes);
    feed.clock.Advance(absl::Milliseconds(20));
    REQUIRE(session->OnAck(kit::Parse(kit::Bytes(*message)).positions).ok());
  }
  CHECK(session->window_bytes() > 256 * 1024);
  CHECK(most > 24 * 1024);
  CHECK(most < 34 * 1024);
}

}  // namespace
}  // namespace hub::fanout
