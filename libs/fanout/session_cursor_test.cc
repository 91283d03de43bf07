// Sessions that go on from a place the hub kept: the same checks as for tokens, and no key in it.
#include <string>

#include "libs/fanout/fanout_kit_test.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using model::Level;
using model::RefusalCode;

class Kept {
 public:
  explicit Kept(Feed* feed) : feed_(*feed), dispatcher_(feed->Open()) {}
  Dispatcher* dispatcher() { return dispatcher_.get(); }
  std::unique_ptr<Session> Start(SessionStart start) {
    return feed_.Start(dispatcher_.get(), kit::LevelFrom(Level::kMedium), start);
  }
  absl::StatusOr<std::unique_ptr<Session>> Resume(const wire::Cursor& cursor, Level level = Level::kMedium) {
    const model::Filter filter = kit::LevelFrom(level);
    auto filter_class = dispatcher_->Join(filter, kit::Everyone());
    REQUIRE(filter_class.ok());
    return Session::ResumeAt(dispatcher_.get(), &feed_.clock, &feed_.sealer, feed_.BankOptions(), *filter_class,
                             filter.Fingerprint(), cursor);
  }
  RefusalCode Refused(const wire::Cursor& cursor, Level level = Level::kMedium) {
    const auto session = Resume(cursor, level);
    const auto refusal = model::RefusalOf(session.status());
    return refusal ? refusal->code : RefusalCode::kUnspecified;
  }

 private:
  Feed& feed_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_CASE("What a client acknowledged is where its cursor stands, and from there it goes on", "[fanout][session][cursors]") {
  Feed feed(2);
  Kept kept(&feed);
  const auto session = kept.Start(SessionStart::kNow);
  const wire::Cursor start = *session->AckedCursor();
  feed.Change(0, 1, kit::Row(Level::kHigh));
  feed.Change(1, 2, kit::Row(Level::kHigh));
  kit::Drain(kept.dispatcher());
  const kit::Received batch = kit::NextOf(session.get());
  CHECK(batch.events.size() == 2);
  CHECK(*session->AckedCursor() == start);
  REQUIRE(session->OnAck(batch.positions).ok());
  const wire::Cursor acked = *session->AckedCursor();
  CHECK(acked.positions[0].offset == 1);
  CHECK(acked.log_id == kept.dispatcher()->log_id());
  feed.Change(0, 3, kit::Row(Level::kHigh));
  kit::Drain(kept.dispatcher());
  auto again = kept.Resume(acked);
  REQUIRE(again.ok());
  CHECK(kit::All(again->get()).events.size() == 1);
  auto from_start = kept.Resume(start);
  REQUIRE(from_start.ok());
  CHECK(kit::All(from_start->get()).events.size() == 3);
}

TEST_CASE("A kept place is refused as a token is: filter, log, window, beyond the end", "[fanout][session][cursors]") {
  Feed feed(1);
  feed.Change(0, 1, kit::Row(Level::kHigh));
  Kept kept(&feed);
  const wire::Cursor place = *kept.Start(SessionStart::kNow)->AckedCursor();
  CHECK(kept.Resume(place).ok());
  CHECK(kept.Refused(place, Level::kHigh) == RefusalCode::kFilterChanged);
  wire::Cursor other = place;
  other.log_id = "another";
  CHECK(kept.Refused(other) == RefusalCode::kLogChanged);
  other = place;
  other.positions[0].offset += 100;
  CHECK(kept.Refused(other) == RefusalCode::kCursorInvalid);
  other = place;
  other.positions.push_back(place.positions[0]);
  CHECK(kept.Refused(other) == RefusalCode::kCursorInvalid);
  feed.clock.Advance(kit::kWindow + absl::Hours(1));
  CHECK(kept.Refused(place) == RefusalCode::kCursorTooOld);
}

TEST_CASE("Keys of tokens change, and a kept place is none the wiser", "[fanout][session][cursors]") {
  Feed feed(1);
  Kept kept(&feed);
  const auto session = kept.Start(SessionStart::kNow);
  const wire::Cursor place = *session->AckedCursor();
  const std::string token = session->Token();
  std::map<uint32_t, base::HmacKey> keys;
  keys.emplace(2, base::HmacKey("the next key"));
  feed.sealer.SetKeys(std::move(keys));
  CHECK_FALSE(feed.Resume(kept.dispatcher(), kit::LevelFrom(Level::kMedium), token).ok());
  const auto again = kept.Resume(place);
  REQUIRE(again.ok());
  CHECK(feed.Resume(kept.dispatcher(), kit::LevelFrom(Level::kMedium), (*again)->Token()).ok());
}

}  // namespace
}  // namespace hub::fanout
