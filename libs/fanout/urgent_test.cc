// The urgent lane: which copies a node believes, which sessions send them, and what acknowledgements and tokens say of them.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/fanout/urgent_lane.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::Received;
using model::Level;

constexpr int kCorrected = 7;

model::Event Urgent(uint64_t version, Level now, Level before) {
  model::Event event = kit::EventOf(kCorrected, version, kit::Row(now), kit::Row(before));
  event.kind = model::EventKind::kLevelLowered;
  event.urgent = true;
  return event;
}

// A dispatcher, and a session in the urgent lane that a small message leaves behind in the order.
class Lagging {
 public:
  explicit Lagging(int backlog = 50, Level from = Level::kNone) : dispatcher(feed.Open()) {
    options = feed.BankOptions();
    options.urgent = true;
    options.message_bytes_max = 300;
    session = feed.Start(dispatcher.get(), kit::LevelFrom(from), SessionStart::kNow, options);
    for (int i = 0; i < backlog; ++i) feed.Change(0, 100 + i, kit::Row(Level::kMedium));
    kit::Drain(dispatcher.get());
  }
  ~Lagging() { session.reset(); }

  // An urgent event in its place, and its copy.
  eventlog::Offset Correct(uint64_t version = 2, Level now = Level::kNone) {
    const model::Event event = Urgent(version, now, Level::kHigh);
    const eventlog::Offset twin = feed.Put(0, event);
    feed.PutCopy(0, event, twin);
    kit::Drain(dispatcher.get());
    return twin;
  }
  // Messages until the session is at the head, acknowledged as they come.
  std::vector<Received> Rest() {
    std::vector<Received> all;
    while (session->RecordsBehind() > 0) {
      all.push_back(kit::NextOf(session.get()));
      REQUIRE(session->OnAck(all.back().positions, all.back().urgent_positions).ok());
    }
    return all;
  }

  Feed feed{1};
  std::unique_ptr<Dispatcher> dispatcher;
  SessionOptions options;
  std::unique_ptr<Session> session;
};

size_t CopiesIn(const std::vector<Received>& messages) {
  size_t copies = 0;
  for (const Received& message : messages) copies += message.copies.size();
  return copies;
}

TEST_CASE("a session that is behind sends the copy first, and the event again in its place", "[fanout][urgent]") {
  Lagging hub;
  const eventlog::Offset twin = hub.Correct();
  const Received first = kit::NextOf(hub.session.get());
  REQUIRE(first.copies.size() == 1);
  CHECK(first.copies[0].id == kit::IdOf(kCorrected));
  CHECK(first.copies[0].position == twin);
  CHECK(first.copies[0].partition == 0);
  CHECK(first.urgent_positions.at(0) == 1);
  REQUIRE(!first.events.empty());
  CHECK(first.events[0].id == kit::IdOf(100));
  const std::vector<Received> rest = hub.Rest();
  CHECK(CopiesIn(rest) == 0);
  CHECK(rest.back().events.back().id == kit::IdOf(kCorrected));
  CHECK(rest.back().events.back().stamp == first.copies[0].stamp);
}

TEST_CASE("a session that has everything, or did not ask, gets no copy", "[fanout][urgent]") {
  Lagging hub(/*backlog=*/0);
  SessionOptions plain = hub.options;
  plain.urgent = false;
  const auto other = hub.feed.Start(hub.dispatcher.get(), kit::LevelFrom(Level::kNone), SessionStart::kNow, plain);
  hub.Correct();
  const Received live = kit::NextOf(hub.session.get());
  CHECK(live.events.size() == 1);
  CHECK(live.copies.empty());
  CHECK(live.urgent_positions.at(0) == 1);  // passed over: nothing of it is sent later
  for (int i = 0; i < 20; ++i) hub.feed.Change(0, 200 + i, kit::Row(Level::kMedium));
  kit::Drain(hub.dispatcher.get());
  CHECK(CopiesIn(hub.Rest()) == 0);
  CHECK(kit::All(other.get()).copies.empty());
}

TEST_CASE("copies whose events the session has passed are left out", "[fanout][urgent]") {
  Lagging hub(/*backlog=*/0);
  const model::Event event = Urgent(2, Level::kNone, Level::kHigh);
  const eventlog::Offset twin = hub.feed.Put(0, event);
  for (int i = 0; i < 30; ++i) hub.feed.Change(0, 100 + i, kit::Row(Level::kMedium));
  kit::Drain(hub.dispatcher.get());
  CHECK(kit::NextOf(hub.session.get()).events[0].id == kit::IdOf(kCorrected));
  hub.feed.PutCopy(0, event, twin);
  kit::Drain(hub.dispatcher.get());
  CHECK(CopiesIn(hub.Rest()) == 0);
}

TEST_CASE("a copy is matched and redacted as its event is", "[fanout][urgent]") {
  Lagging hub(/*backlog=*/50, Level::kMedium);
  hub.Correct(2, Level::kNone);  // below the filter now
  const Received first = kit::NextOf(hub.session.get());
  REQUIRE(first.copies.size() == 1);
  CHECK(first.copies[0].left_view);
  const model::Event unseen = kit::EventOf(8, 2, kit::Row(Level::kNone), kit::Row(Level::kNone));
  hub.feed.PutCopy(0, unseen, hub.feed.Put(0, unseen));
  kit::Drain(hub.dispatcher.get());
  CHECK(CopiesIn(hub.Rest()) == 0);
}

TEST_CASE("a copy is believed only with its event read and in force", "[fanout][urgent]") {
  Lagging hub;
  const model::Event event = Urgent(2, Level::kNone, Level::kHigh);
  SECTION("of an event that is fenced") {
    hub.feed.PutMark(0, 5);
    hub.feed.term = 4;  // a zombie's
    const eventlog::Offset twin = hub.feed.Put(0, event);
    hub.feed.PutCopy(0, event, twin);
    hub.feed.term = 5;
    hub.feed.PutCopy(0, event, twin, 4);  // nor if the next owner sent it
    hub.feed.PutCopy(0, event, twin, 5);
  }
  SECTION("of nothing") { hub.feed.PutCopy(0, event, 3); }
  SECTION("of an event that was not urgent") {
    model::Event plain = event;
    plain.urgent = false;
    hub.feed.PutCopy(0, event, hub.feed.Put(0, plain));
  }
  SECTION("by a sender that is fenced on this topic") {
    const eventlog::Offset twin = hub.feed.Put(0, event);
    hub.feed.PutUrgentMark(0, 5);
    hub.feed.PutCopy(0, event, twin);
  }
  kit::Drain(hub.dispatcher.get());
  CHECK(CopiesIn(hub.Rest()) == 0);
}

TEST_CASE("a copy waits for its event, and not for ever", "[fanout][urgent]") {
  Lagging hub;
  const model::Event event = Urgent(2, Level::kNone, Level::kHigh);
  const eventlog::Offset next = hub.feed.Range(0).end;
  hub.feed.PutCopy(0, event, next);
  hub.feed.clock.Advance(absl::Milliseconds(200));
  kit::Drain(hub.dispatcher.get());
  CHECK(kit::NextOf(hub.session.get()).copies.empty());
  SECTION("it comes") {
    REQUIRE(hub.feed.Put(0, event) == next);
    kit::Drain(hub.dispatcher.get());
    CHECK(kit::NextOf(hub.session.get()).copies.size() == 1);
  }
  SECTION("it does not come: others are not held up") {
    hub.feed.clock.Advance(UrgentLane::kPatience);
    kit::Drain(hub.dispatcher.get());
    const model::Event other = kit::EventOf(8, 2, kit::Row(Level::kHigh));
    model::Event urgent = other;
    urgent.urgent = true;
    REQUIRE(hub.feed.Put(0, urgent) == next);
    hub.feed.PutCopy(0, urgent, next);
    hub.feed.clock.Advance(absl::Milliseconds(200));
    kit::Drain(hub.dispatcher.get());
    const Received message = kit::NextOf(hub.session.get());
    REQUIRE(message.copies.size() == 1);
    CHECK(message.copies[0].id == kit::IdOf(8));
  }
}

TEST_CASE("what a reader's token fences is no copy for it", "[fanout][urgent]") {
  Lagging hub;
  // The client was on a node that had read a mark of term 9; this one started behind the mark.
  const auto opened = hub.feed.sealer.Open(hub.session->Token(), hub.options.stakeholder);
  REQUIRE(opened.ok());
  wire::Cursor cursor = *opened;
  cursor.positions[0].term = 9;
  auto session = hub.feed.Resume(hub.dispatcher.get(), kit::LevelFrom(Level::kNone),
                                 hub.feed.sealer.Seal(cursor, hub.options.stakeholder), hub.options);
  REQUIRE(session.ok());
  hub.Correct();
  CHECK(kit::NextOf(session->get()).copies.empty());
}

TEST_CASE("copies go out although the window is full, so many bytes and no more", "[fanout][urgent]") {
  Lagging hub(/*backlog=*/400);
  SessionOptions options = hub.options;
  options.unacked_bytes_max = 4096;
  const std::string start = hub.session->Token();
  auto session = hub.feed.Resume(hub.dispatcher.get(), kit::LevelFrom(Level::kNone), start, options);
  REQUIRE(session.ok());
  while (!(*session)->paused()) REQUIRE(!kit::NextOf(session->get()).events.empty());
  CHECK((*session)->Next()->empty());
  size_t beyond = 0;
  for (int i = 0; i < 300; ++i) {
    hub.Correct(2 + static_cast<uint64_t>(i));
    const auto message = (*session)->Next();
    REQUIRE(message.ok());
    CHECK(message->events == 0);
    beyond += message->bytes;
  }
  CHECK(beyond > 4096);
  CHECK(beyond <= Session::kUrgentBeyondWindow + Session::kUrgentBytesMax);
}

TEST_CASE("acknowledgements of copies are checked and free the window with the positions", "[fanout][urgent]") {
  Lagging hub;
  hub.Correct();
  const Received first = kit::NextOf(hub.session.get());
  REQUIRE(first.copies.size() == 1);
  CHECK(absl::IsInvalidArgument(hub.session->OnAck({}, {{0, 2}})));
  CHECK(absl::IsInvalidArgument(hub.session->OnAck({}, {{1, 0}})));
  const std::string before = hub.session->AckedToken();
  CHECK(hub.session->OnAck(first.positions).ok());
  CHECK(hub.session->AckedToken() == before);  // the copy is not safe yet
  CHECK(hub.session->OnAck({}, first.urgent_positions).ok());
  CHECK(hub.session->AckedToken() != before);
  CHECK(hub.session->OnAck({}, {{0, 0}}).ok());  // backwards: ignored

  SessionOptions plain = hub.options;
  plain.urgent = false;
  const auto other = hub.feed.Start(hub.dispatcher.get(), kit::LevelFrom(Level::kNone), SessionStart::kNow, plain);
  CHECK(absl::IsInvalidArgument(other->OnAck({}, {{0, 0}})));
}

TEST_CASE("a token goes on in the urgent lane, one without a place in it gets what the node has", "[fanout][urgent]") {
  Lagging hub;
  hub.Correct();
  SessionOptions plain = hub.options;
  plain.urgent = false;
  const std::string old_token = hub.session->Token();
  auto never_asked = hub.feed.Resume(hub.dispatcher.get(), kit::LevelFrom(Level::kNone), old_token, plain);
  REQUIRE(never_asked.ok());
  const std::string without = (*never_asked)->Token();
  REQUIRE(kit::NextOf(hub.session.get()).copies.size() == 1);

  auto went_on = hub.feed.Resume(hub.dispatcher.get(), kit::LevelFrom(Level::kNone), hub.session->Token(), hub.options);
  REQUIRE(went_on.ok());
  CHECK(kit::NextOf(went_on->get()).copies.empty());
  auto asks_now = hub.feed.Resume(hub.dispatcher.get(), kit::LevelFrom(Level::kNone), without, hub.options);
  REQUIRE(asks_now.ok());
  CHECK(kit::NextOf(asks_now->get()).copies.size() == 1);
}

TEST_CASE("a step tells its caller that there is something urgent", "[fanout][urgent]") {
  Lagging hub;
  bool urgent = true;
  hub.feed.Change(0, 1, kit::Row(Level::kMedium));
  CHECK(hub.dispatcher->Step(&urgent));
  CHECK_FALSE(urgent);
  const model::Event event = Urgent(2, Level::kNone, Level::kHigh);
  const eventlog::Offset twin = hub.feed.Put(0, event);
  CHECK(hub.dispatcher->Step(&urgent));
  CHECK(urgent);
  hub.feed.PutCopy(0, event, twin);
  CHECK(hub.dispatcher->Step(&urgent));
  CHECK(urgent);
  CHECK_FALSE(hub.dispatcher->Step(&urgent));
  CHECK_FALSE(urgent);
}

}  // namespace
}  // namespace hub::fanout
