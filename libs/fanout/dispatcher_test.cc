#include "libs/fanout/dispatcher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/fanout/filter_class.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::LevelFrom;
using kit::Row;
using model::Level;

double Value(Feed* feed, const std::string& name, const base::MetricLabels& labels) {
  return feed->metrics.AddCounter(name, "", labels).Value();
}
double Encoded(Feed* feed, const char* mode) { return Value(feed, "fraudhub_fanout_encoded_total", {{"mode", mode}}); }
double Records(Feed* feed, const char* kind) { return Value(feed, "fraudhub_fanout_records_total", {{"kind", kind}}); }
double SegmentBytes(Feed* feed) { return feed->metrics.AddGauge("fraudhub_fanout_segment_bytes", "").Value(); }

std::vector<uint64_t> Versions(const kit::Received& received) {
  std::vector<uint64_t> versions;
  for (const auto& item : received.events) versions.push_back(item.stamp.version);
  return versions;
}

// Forwards; its beginning and its answers can be changed.
class BrokenLog final : public eventlog::Log {
 public:
  explicit BrokenLog(eventlog::Log* log) : log_(log) {}
  absl::Status EnsureTopics(const std::vector<eventlog::TopicSpec>& topics) override {
    return log_->EnsureTopics(topics);
  }
  std::string log_id() const override { return log_->log_id(); }
  void Append(const eventlog::TopicPartition& at, eventlog::Record record, AppendCallback done) override {
    log_->Append(at, std::move(record), std::move(done));
  }
  absl::StatusOr<eventlog::ReadResult> Read(const eventlog::TopicPartition& at, eventlog::Offset from,
                                            const eventlog::ReadLimits& limits) override {
    if (!fault.ok()) return fault;
    if (from < first || from > end) return absl::OutOfRangeError("not there");
    auto read = log_->Read(at, from, limits);
    if (!read.ok()) return read;
    std::erase_if(read->records, [this](const auto& record) { return record.offset >= end; });
    read->next = std::min(read->next, end);
    return read;
  }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { log_->Wait(any_of, timeout); }
  absl::StatusOr<eventlog::OffsetRange> Offsets(const eventlog::TopicPartition& at) override {
    auto range = log_->Offsets(at);
    if (range.ok()) *range = {std::max(range->first, first), std::min(range->end, end)};
    return range;
  }
  absl::Status Health() const override { return fault; }

  absl::Status fault;
  eventlog::Offset first = 0;
  eventlog::Offset end = std::numeric_limits<eventlog::Offset>::max();

 private:
  eventlog::Log* const log_;
};

TEST_CASE("Three sessions of one class get the same slices, encoded once", "[fanout][dispatcher]") {
  Feed feed(1);
  feed.PutMark(0, 1);
  auto dispatcher = feed.Open();
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 3; ++i) {
    sessions.push_back(feed.Start(dispatcher.get(), LevelFrom(Level::kMedium), SessionStart::kNow));
  }
  // The same class written in another way.
  model::FilterClause narrow{.level_min = Level::kHigh};
  model::FilterClause wide{.level_min = Level::kMedium};
  CHECK(*dispatcher->Join(LevelFrom(Level::kMedium), kit::Everyone()) ==
        *dispatcher->Join(model::Filter::AnyOf({wide, wide}), kit::Everyone()));
  CHECK(*dispatcher->Join(model::Filter::AnyOf({narrow}), kit::Everyone()) !=
        *dispatcher->Join(LevelFrom(Level::kMedium), kit::Everyone()));
  dispatcher->Step();
  for (int i = 0; i < 100; ++i) feed.Change(0, i, Row(Level::kHigh));
  kit::Drain(dispatcher.get());
  CHECK(Encoded(&feed, "live") == 100);

  std::vector<const char*> first;
  for (const auto& session : sessions) {
    std::vector<const char*> starts;
    for (int events = 0; events < 100;) {
      const auto message = session->Next();
      REQUIRE(message.ok());
      REQUIRE(message->events > 0);
      REQUIRE(message->slices.size() >= 2);
      events += message->events;
      for (const Slice& slice : message->slices) starts.push_back(slice.bytes.data());
      starts.pop_back();  // the trailer, which is the session's own
    }
    if (first.empty()) first = starts;
    CHECK(starts == first);
    CHECK(session->mode() == SessionMode::kLive);
  }
  CHECK(Encoded(&feed, "live") == 100);
  CHECK(Encoded(&feed, "catchup") == 0);
}

TEST_CASE("Classes of equal audiences share the encoding, others have their own", "[fanout][dispatcher]") {
  Feed feed(1);
  auto dispatcher = feed.Open();
  auto a = *dispatcher->Join(LevelFrom(Level::kMedium), kit::Everyone());
  auto b = *dispatcher->Join(LevelFrom(Level::kHigh), kit::Everyone());
  auto police = *dispatcher->Join(LevelFrom(Level::kHigh), wire::AudienceSet({model::FieldAudience::kLawEnforcement}));
  CHECK(b != police);
  dispatcher->Step();
  feed.Change(0, 1, Row(Level::kHigh));
  feed.Change(0, 1, Row(Level::kMedium));  // leaves b and police, stays in a
  kit::Drain(dispatcher.get());
  CHECK(Encoded(&feed, "live") == 5);
  CHECK(Value(&feed, "fraudhub_fanout_matches_total", {{"as", "event"}}) == 4);
  CHECK(Value(&feed, "fraudhub_fanout_matches_total", {{"as", "left_view"}}) == 2);
  const auto chunk = dispatcher->Read(b, 0, {}, 10000);
  const kit::Received received = kit::Parse(kit::Bytes(*chunk));
  REQUIRE(received.events.size() == 2);
  CHECK(!received.events[0].left_view);
  CHECK(received.events[1].left_view);
}

TEST_CASE("Fenced records are dropped at the positions where they stand", "[fanout][dispatcher]") {
  Feed feed(1);
  feed.PutMark(0, 1);
  auto dispatcher = feed.Open();
  auto session = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow);
  dispatcher->Step();
  feed.Put(0, kit::EventOf(1, 1, Row(Level::kHigh)));
  feed.PutMark(0, 3);
  feed.term = 1;
  const eventlog::Offset fenced = feed.Put(0, kit::EventOf(1, 2, Row(Level::kNone)));
  feed.PutTick(0);     // of the deposed owner: tells nothing
  feed.PutMark(0, 2);  // of one that lost the race
  feed.term = 3;
  feed.Put(0, kit::EventOf(1, 3, Row(Level::kMedium)));
  kit::Drain(dispatcher.get());
  CHECK(Versions(kit::All(session.get())) == std::vector<uint64_t>{1, 3});
  CHECK(Records(&feed, "fenced") == 3);
  CHECK(dispatcher->Head(0).term == 3);
  CHECK(dispatcher->Head(0).tick == absl::InfinitePast());

  // The same from the log, by readers who bring the term of where they begin.
  auto lagging =
      *dispatcher->Join(model::Filter::AnyOf({{.types = {model::IdentifierType::kMobile}}}), kit::Everyone());
  const auto read = [&](PartitionPosition from) {
    std::vector<uint64_t> versions;
    while (from.offset < dispatcher->HeadOffset(0)) {
      const auto chunk = dispatcher->Read(lagging, 0, from, 10000);
      REQUIRE(chunk.ok());
      CHECK(chunk->from_log);
      for (const auto& item : kit::Parse(kit::Bytes(*chunk)).events) versions.push_back(item.stamp.version);
      from = chunk->after;
    }
    CHECK(from.term == 3);
    return versions;
  };
  CHECK(read({.offset = 0, .term = 0}) == std::vector<uint64_t>{1, 3});
  CHECK(read({.offset = fenced, .term = 3}) == std::vector<uint64_t>{3});
}

TEST_CASE("A dispatcher that opens learns term and tick from the tail", "[fanout][dispatcher]") {
  Feed feed(2);
  feed.PutMark(0, 4);
  feed.PutTick(0);
  feed.clock.Advance(absl::Seconds(1));
  feed.PutTick(0);
  feed.term = 3;
  feed.clock.Advance(absl::Seconds(1));
  feed.PutTick(0);
  auto dispatcher = feed.Open();
  CHECK(dispatcher->Head(0).term == 4);
  CHECK(dispatcher->Head(0).tick == feed.clock.TimeNow() - absl::Seconds(1));
  CHECK(dispatcher->Head(0).offset == 4);
  CHECK(dispatcher->Head(1).offset == 0);
  CHECK(dispatcher->Heads().size() == 2);
  auto earliest = dispatcher->Earliest();
  REQUIRE(earliest.ok());
  CHECK(earliest->at(0).offset == 0);
}

TEST_CASE("A token's higher term is believed by its session at once and by the node from then on",
          "[fanout][dispatcher]") {
  Feed feed(1);
  feed.PutMark(0, 5);
  feed.term = 2;  // a deposed owner that has filled the tail: the node that opens now can't know
  for (int i = 0; i < 4200; ++i) feed.PutTick(0);
  auto dispatcher = feed.Open();
  CHECK(dispatcher->Head(0).term == 2);
  auto filter_class = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  dispatcher->Step();
  const eventlog::Offset at = dispatcher->HeadOffset(0);
  feed.Put(0, kit::EventOf(1, 1, Row(Level::kHigh)));  // fenced
  kit::Drain(dispatcher.get());
  auto chunk = dispatcher->Read(filter_class, 0, {.offset = at, .term = 5}, 1000);
  REQUIRE(chunk.ok());
  CHECK(chunk->events == 0);
  CHECK(chunk->after.term == 5);
  CHECK(dispatcher->Head(0).term == 2);
  dispatcher->Step();
  CHECK(dispatcher->Head(0).term == 5);
  feed.Put(0, kit::EventOf(1, 2, Row(Level::kHigh)));
  kit::Drain(dispatcher.get());
  chunk = dispatcher->Read(filter_class, 0, chunk->after, 1000);
  CHECK(chunk->events == 0);
  CHECK(chunk->after.offset == dispatcher->HeadOffset(0));
}

TEST_CASE("Undecodable and silent records are passed over", "[fanout][dispatcher]") {
  Feed feed(1);
  auto dispatcher = feed.Open();
  auto session = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow);
  dispatcher->Step();
  feed.PutBytes(0, "key", "not a record");
  const model::Event event = kit::EventOf(1, 1, Row(Level::kHigh));
  feed.Put(0, event);
  feed.PutState(0, event, 10);
  kit::Drain(dispatcher.get());
  CHECK(Versions(kit::All(session.get())) == std::vector<uint64_t>{1});
  CHECK(Records(&feed, "undecodable") == 1);
  CHECK(Records(&feed, "silent") == 1);
}

TEST_CASE("A class dies with its last holder, its memory too, what was read stays", "[fanout][dispatcher]") {
  Feed feed(1);
  DispatcherOptions options = feed.Options();
  options.classes_max = 2;
  options.overflow_classes_max = 0;
  auto dispatcher = feed.Open(options);
  auto filter_class = *dispatcher->Join(LevelFrom(Level::kMedium), kit::Everyone());
  auto other = *dispatcher->Join(LevelFrom(Level::kHigh), kit::Everyone());
  const auto refused = dispatcher->Join(LevelFrom(Level::kVeryHigh), kit::Everyone());
  CHECK(absl::IsResourceExhausted(refused.status()));
  dispatcher->Step();
  feed.Change(0, 1, Row(Level::kHigh));
  kit::Drain(dispatcher.get());
  auto chunk = dispatcher->Read(filter_class, 0, {}, 1000);
  REQUIRE(chunk->events == 1);
  const std::string bytes = kit::Bytes(*chunk);
  CHECK(SegmentBytes(&feed) > 0);
  filter_class.reset();
  other.reset();
  dispatcher->Step();
  CHECK(SegmentBytes(&feed) == 0);
  CHECK(feed.metrics.AddGauge("fraudhub_fanout_classes", "").Value() == 0);
  CHECK(kit::Bytes(*chunk) == bytes);
  CHECK(dispatcher->Join(LevelFrom(Level::kVeryHigh), kit::Everyone()).ok());
}

TEST_CASE("Beyond the classes in memory, sessions judge the log themselves, until there is room", "[fanout][dispatcher]") {
  Feed feed(2);
  DispatcherOptions options = feed.Options();
  options.classes_max = 2;
  options.overflow_classes_max = 2;
  auto dispatcher = feed.Open(options);
  const base::Gauge overflow = feed.metrics.AddGauge("fraudhub_fanout_class_overflow", "");
  const base::Gauge classes = feed.metrics.AddGauge("fraudhub_fanout_classes", "");
  const auto start = [&](const model::Filter& filter) {
    return feed.Start(dispatcher.get(), filter, SessionStart::kNow);
  };
  const auto of_category = [](int category) {
    return model::Filter::AnyOf({model::FilterClause{.categories = {category}}});
  };
  auto first = start(LevelFrom(Level::kMedium));
  auto second = start(LevelFrom(Level::kHigh));
  dispatcher->Step();
  auto third = start(of_category(3));
  auto fourth = start(of_category(4));
  auto twin = start(of_category(4));  // shares the fourth's
  CHECK(absl::IsResourceExhausted(dispatcher->Join(of_category(5), kit::Everyone()).status()));
  CHECK(feed.metrics.AddCounter("fraudhub_fanout_classes_refused_total", "").Value() == 1);
  dispatcher->Step();
  CHECK(classes.Value() == 2);
  CHECK(overflow.Value() == 2);

  std::map<std::string, Level> seen[3];
  kit::View views[3];
  Session* const sessions[] = {first.get(), third.get(), fourth.get()};
  const auto read = [&] {
    kit::Drain(dispatcher.get());
    for (int i = 0; i < 3; ++i) {
      views[i].Apply(kit::All(sessions[i]));
      seen[i] = views[i].rows();
    }
  };
  for (int i = 0; i < 20; ++i) feed.Change(i % 2, i, Row(Level::kHigh, {i % 2 == 0 ? 3 : 4}));
  read();
  CHECK(seen[0].size() == 20);
  CHECK(seen[1].size() == 10);
  CHECK(seen[2].size() == 10);
  CHECK(first->mode() == SessionMode::kLive);
  CHECK(kit::All(twin.get()).events.size() == 10);
  feed.Change(0, 0, Row(Level::kHigh, {4}));  // leaves the third's view, comes into the fourth's
  read();
  CHECK(seen[1].size() == 9);
  CHECK(seen[2].size() == 11);

  // Who leaves makes room: the next class moves into memory, where it has been reading.
  second.reset();
  dispatcher->Step();
  CHECK(classes.Value() == 2);
  CHECK(overflow.Value() == 1);
  for (int i = 20; i < 40; ++i) feed.Change(i % 2, i, Row(Level::kHigh, {i % 2 == 0 ? 3 : 4}));
  read();
  CHECK(seen[1].size() == 19);
  CHECK(seen[2].size() == 21);
  const base::Counter log_reads = feed.metrics.AddCounter("fraudhub_fanout_reads_total", "", {{"mode", "catchup"}});
  const auto reads_the_log = [&](Session* session) {
    const double before = log_reads.Value();
    CHECK(kit::All(session).events.size() == 1);
    return log_reads.Value() > before;
  };
  feed.Change(0, 40, Row(Level::kHigh, {3}));
  feed.Change(0, 41, Row(Level::kHigh, {4}));
  kit::Drain(dispatcher.get());
  CHECK(reads_the_log(third.get()) != reads_the_log(fourth.get()));
}

TEST_CASE("Who comes back before the dispatcher noticed finds the class as it was", "[fanout][dispatcher]") {
  Feed feed(1);
  auto dispatcher = feed.Open();
  auto filter_class = *dispatcher->Join(LevelFrom(Level::kMedium), kit::Everyone());
  dispatcher->Step();
  feed.Change(0, 1, Row(Level::kHigh));
  kit::Drain(dispatcher.get());
  filter_class.reset();
  filter_class = *dispatcher->Join(LevelFrom(Level::kMedium), kit::Everyone());
  dispatcher->Step();
  CHECK(SegmentBytes(&feed) > 0);
  const auto chunk = dispatcher->Read(filter_class, 0, {}, 1000);
  REQUIRE(chunk.ok());
  CHECK(chunk->events == 1);
  CHECK(!chunk->from_log);
}

TEST_CASE("A newcomer's class reads the log until memory begins, without gap or repeat", "[fanout][dispatcher]") {
  Feed feed(1);
  auto dispatcher = feed.Open();
  for (int i = 0; i < 10; ++i) feed.Change(0, 1, Row(Level::kHigh));
  kit::Drain(dispatcher.get());
  auto session = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kEarliest);
  CHECK(kit::NextOf(session.get()).events.size() == 10);
  CHECK(session->mode() == SessionMode::kCatchup);
  feed.Change(0, 1, Row(Level::kMedium));
  kit::Drain(dispatcher.get());  // takes the class in, with the new event
  CHECK(Versions(kit::All(session.get())) == std::vector<uint64_t>{11});
  CHECK(session->mode() == SessionMode::kLive);
}

TEST_CASE("Segments over the bound are dropped, oldest first, who lags reads the log", "[fanout][dispatcher]") {
  Feed feed(2);
  DispatcherOptions options = feed.Options();
  options.segment_bytes_max = 64 * 1024;
  auto dispatcher = feed.Open(options);
  auto slow = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow);
  auto fast = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow);
  auto quiet = feed.Start(dispatcher.get(), LevelFrom(Level::kVeryHigh), SessionStart::kNow);
  dispatcher->Step();
  size_t read_fast = 0;
  double most = 0;
  for (int i = 0; i < 3000; ++i) {
    feed.Change(i % 2, i, Row(Level::kHigh));
    if (i % 10 != 9) continue;
    dispatcher->Step();
    most = std::max(most, SegmentBytes(&feed));
    read_fast += kit::All(fast.get()).events.size();
    REQUIRE(fast->mode() == SessionMode::kLive);
  }
  CHECK(read_fast == 3000);
  CHECK(most <= 64 * 1024);
  CHECK(Value(&feed, "fraudhub_fanout_segments_dropped_total", {}) > 5);
  CHECK(kit::NextOf(slow.get()).events.size() > 0);
  CHECK(slow->mode() == SessionMode::kCatchup);
  kit::All(slow.get());
  CHECK(slow->mode() == SessionMode::kLive);
  CHECK(slow->events_sent() == 3000);
  CHECK(kit::All(quiet.get()).events.empty());
  CHECK(quiet->mode() == SessionMode::kLive);
}

TEST_CASE("Segments that everybody could have read long ago are dropped, though there is room", "[fanout][dispatcher]") {
  Feed feed(2);
  DispatcherOptions options = feed.Options();
  options.segment_age_max = absl::Minutes(2);
  auto dispatcher = feed.Open(options);
  auto slow = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow);
  auto fast = feed.Start(dispatcher.get(), model::Filter::Everything(), SessionStart::kNow);
  dispatcher->Step();
  const auto minutes = [&](int count) {  // two events a second
    for (int i = 0; i < count * 60; ++i) {
      for (int p = 0; p < 2; ++p) feed.Change(p, i * 2 + p, Row(Level::kHigh));
      dispatcher->Step();
      kit::All(fast.get());
      feed.clock.Advance(absl::Seconds(1));
    }
  };
  minutes(2);
  const double held = SegmentBytes(&feed);
  CHECK(Value(&feed, "fraudhub_fanout_segments_dropped_total", {}) == 0);
  minutes(30);
  CHECK(Value(&feed, "fraudhub_fanout_segments_dropped_total", {}) > 5);
  CHECK(SegmentBytes(&feed) < held + 4 * 64 * 1024 + 4 * 1024);  // and an open one and its forerunner, of each partition
  CHECK(fast->mode() == SessionMode::kLive);
  kit::NextOf(slow.get());
  CHECK(slow->mode() == SessionMode::kCatchup);
  kit::All(slow.get());
  CHECK(slow->events_sent() == 2 * 60 * 32);
}

TEST_CASE("Another log ends every read", "[fanout][dispatcher]") {
  Feed feed(1);
  auto dispatcher = feed.Open();
  for (int i = 0; i < 5; ++i) feed.Change(0, i, Row(Level::kHigh));
  kit::Drain(dispatcher.get());
  auto live = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  CHECK(dispatcher->Read(live, 0, {}, 1000).ok());
  feed.memory()->ChangeLogId("restored");
  // Found by a reader of the log before the dispatcher looks, and by the dispatcher.
  const auto chunk = dispatcher->Read(live, 0, {}, 1000);
  REQUIRE(model::RefusalOf(chunk.status()).has_value());
  CHECK(model::RefusalOf(chunk.status())->code == model::RefusalCode::kLogChanged);
  feed.Change(0, 9, Row(Level::kHigh));
  const eventlog::Offset head = dispatcher->HeadOffset(0);
  CHECK(!dispatcher->Step());
  CHECK(dispatcher->HeadOffset(0) == head);
  CHECK(!dispatcher->Read(live, 0, {.offset = 5}, 1000).ok());
}

TEST_CASE("Faults of the log are retried, what is lost ends the sessions that needed it", "[fanout][dispatcher]") {
  Feed feed(1);
  BrokenLog log(feed.log());
  DispatcherOptions options = feed.Options();
  Dispatcher dispatcher(options, &feed.clock, &log, &feed.metrics);
  log.fault = absl::UnavailableError("away");
  CHECK(absl::IsUnavailable(dispatcher.Open()));
  log.fault = absl::OkStatus();
  feed.PutMark(0, 2);
  REQUIRE(dispatcher.Open().ok());
  auto session = feed.Start(&dispatcher, model::Filter::Everything(), SessionStart::kNow);
  auto reader = feed.Start(&dispatcher, model::Filter::Everything(), SessionStart::kNow);
  dispatcher.Step();

  log.fault = absl::UnavailableError("away");
  feed.Change(0, 1, Row(Level::kHigh));
  CHECK(!dispatcher.Step());
  dispatcher.WaitForNews(absl::ZeroDuration());
  log.fault = absl::OkStatus();
  CHECK(dispatcher.Step());
  CHECK(kit::NextOf(reader.get()).events.size() == 1);

  // An end before what was read is a broker that lags: wait for it.
  log.end = 1;
  CHECK(!dispatcher.Step());
  auto other = *dispatcher.Join(LevelFrom(Level::kHigh), kit::Everyone());
  log.end = 0;
  CHECK(absl::IsUnavailable(dispatcher.Read(other, 0, {.offset = 1}, 1000).status()));
  log.end = std::numeric_limits<eventlog::Offset>::max();

  // A beginning past it is a loss: the dispatcher goes on at the end; nobody is moved there silently.
  for (int i = 0; i < 6; ++i) feed.Change(0, 2, Row(Level::kHigh));
  log.first = 5;
  CHECK(dispatcher.Step());
  CHECK(dispatcher.HeadOffset(0) == 8);
  CHECK(dispatcher.Head(0).term == 2);
  for (const auto& stream : {session.get(), reader.get()}) {
    const auto message = stream->Next();
    REQUIRE(model::RefusalOf(message.status()).has_value());
    CHECK(model::RefusalOf(message.status())->code == model::RefusalCode::kCursorTooOld);
  }
  auto fresh = feed.Start(&dispatcher, model::Filter::Everything(), SessionStart::kNow);
  feed.Change(0, 3, Row(Level::kHigh));
  dispatcher.Step();
  CHECK(kit::All(fresh.get()).events.size() == 1);
}

TEST_CASE("Waiting ends when there is news", "[fanout][dispatcher]") {
  Feed feed(2);
  auto dispatcher = feed.Open();
  dispatcher->WaitForNews(absl::ZeroDuration());
  CHECK(!dispatcher->Step());
  feed.PutTick(1);
  dispatcher->WaitForNews(absl::Seconds(60));
  CHECK(dispatcher->Step());
  CHECK(dispatcher->Head(1).tick == feed.clock.TimeNow());
  CHECK(Records(&feed, "tick") == 1);
}

}  // namespace
}  // namespace hub::fanout
