// Receipts: told when a stream was given it, confirmed when it was acknowledged, by whichever stream and in whichever life.
#include "libs/fanout/receipt_board.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/model/records.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using model::ReceiptUpdate;

model::Event Urgent(int number, uint64_t version, model::Level level, model::Level before) {
  model::Event event = kit::EventOf(number, version, kit::Row(level), kit::Row(before));
  event.urgent = true;
  event.decided_at = kit::kStart;
  return event;
}

class Kit {
 public:
  Kit() : log_(&clock, Manual()) { REQUIRE(log_.EnsureTopics(eventlog::HubTopics(2)).ok()); }
  ReceiptBoard* board() {
    if (board_ == nullptr) board_ = std::make_unique<ReceiptBoard>(options, &clock, &log_, &metrics);
    return board_.get();
  }
  std::unique_ptr<ReceiptBoard::Reader> Stream(const std::string& stakeholder,
                                               std::vector<eventlog::Offset> since = {0, 0},
                                               model::Level level = model::Level::kMedium) {
    return board()->Add(stakeholder, kit::LevelFrom(level), std::move(since));
  }
  void Write(bool hurry = false) {
    board()->Step(hurry);
    log_.Pump();
  }
  std::vector<ReceiptUpdate> Written() {
    std::vector<ReceiptUpdate> updates;
    const auto read = log_.Read({eventlog::kReceiptsTopic, 0}, 0, {});
    REQUIRE(read.ok());
    for (const eventlog::StoredRecord& record : read->records) {
      const auto decoded = wire::DecodeRecord(record.value);
      REQUIRE(decoded.ok());
      updates.push_back(std::get<ReceiptUpdate>(decoded->body));
    }
    return updates;
  }
  // "bank:told,confirmed" of an event, over all records.
  std::string Have(uint64_t version) {
    std::map<std::string, std::pair<bool, bool>> have;
    for (const ReceiptUpdate& update : Written()) {
      if (update.version != version) continue;
      for (const ReceiptUpdate::Receipt& receipt : update.receipts) {
        have[receipt.stakeholder].first |= receipt.sent_at != absl::InfiniteFuture();
        have[receipt.stakeholder].second |= receipt.confirmed_at != absl::InfiniteFuture();
      }
    }
    std::string text;
    for (const auto& [stakeholder, what] : have) {
      absl::StrAppend(&text, text.empty() ? "" : " ", stakeholder, what.first ? " told" : "",
                      what.second ? " confirmed" : "");
    }
    return text;
  }
  void SetFault(absl::Status fault) { log_.SetFault(std::move(fault)); }

  base::ManualClock clock{kit::kStart};
  base::Metrics metrics;
  ReceiptBoardOptions options;

 private:
  static eventlog::MemoryLogOptions Manual() {
    eventlog::MemoryLogOptions options;
    options.manual_pump = true;
    return options;
  }
  eventlog::MemoryLog log_;
  std::unique_ptr<ReceiptBoard> board_;
};

void Note(ReceiptBoard::Reader* reader, const std::vector<eventlog::Offset>& sent, const std::vector<eventlog::Offset>& acked) {
  reader->Note([&](int32_t partition) -> ReceiptBoard::Reader::Reach {
    const auto p = static_cast<size_t>(partition);
    return {sent[p], acked[p]};
  });
}

TEST_CASE("Told is what was given to a stream that may see it, confirmed what it acknowledged", "[fanout][receipts]") {
  Kit kit;
  kit.options.node = "fanout-a";
  const auto bank = kit.Stream("bank");
  const auto high = kit.Stream("high", {0, 0}, model::Level::kHigh);
  CHECK_FALSE(bank->curious());
  kit.board()->OnEvent(1, 10, Urgent(1, 7, model::Level::kNone, model::Level::kMedium));
  CHECK(bank->curious());
  Note(bank.get(), {50, 10}, {50, 0});  // the other partition is none of its business
  Note(high.get(), {50, 11}, {50, 11});
  kit.Write(/*hurry=*/true);
  CHECK(kit.Written().empty());
  Note(bank.get(), {50, 11}, {50, 10});
  kit.Write(true);
  CHECK(kit.Have(7) == "bank told");
  Note(bank.get(), {50, 12}, {50, 11});
  kit.clock.Advance(absl::Seconds(1));
  kit.Write();
  CHECK(kit.Have(7) == "bank told confirmed");
  const ReceiptUpdate update = kit.Written().front();
  CHECK(update.node == "fanout-a");
  CHECK(update.partition == 1);
  CHECK(update.offset == 10);
  CHECK(update.decided_at == kit::kStart);
  CHECK(update.receipts.front().sent_at == kit::kStart);
  CHECK_FALSE(bank->curious());
  CHECK_FALSE(high->curious());
  CHECK(kit.board()->idle());
}

TEST_CASE("What is not urgent has no receipts, and nothing has them twice", "[fanout][receipts]") {
  Kit kit;
  const auto bank = kit.Stream("bank");
  model::Event event = Urgent(1, 7, model::Level::kNone, model::Level::kMedium);
  event.urgent = false;
  kit.board()->OnEvent(0, 3, event);
  CHECK_FALSE(bank->curious());
  event.urgent = true;
  kit.board()->OnEvent(0, 4, event);
  Note(bank.get(), {5, 0}, {5, 0});
  kit.Write(true);
  kit.board()->OnEvent(0, 4, event);   // passed in catch-up
  kit.board()->OnEvent(0, 90, event);  // sent again by its owner
  CHECK_FALSE(bank->curious());
  kit.Write(true);
  CHECK(kit.Written().size() == 1);
}

TEST_CASE("One stream of a stakeholder is enough, and one that resumes beyond the event confirms it", "[fanout][receipts]") {
  Kit kit;
  kit.board()->OnEvent(0, 10, Urgent(1, 7, model::Level::kNone, model::Level::kHigh));
  const auto slow = kit.Stream("bank");
  const auto quick = kit.Stream("bank");
  Note(slow.get(), {5, 0}, {5, 0});
  Note(quick.get(), {11, 0}, {11, 0});
  const auto back = kit.Stream("police");  // its token says 20: what lies before is safe with it
  Note(back.get(), {20, 0}, {20, 0});
  const auto newcomer = kit.Stream("portal", {20, 0});  // from NOW: it was never told
  Note(newcomer.get(), {20, 0}, {20, 0});
  kit.Write(true);
  CHECK(kit.Have(7) == "bank told confirmed police told confirmed");
  Note(slow.get(), {11, 0}, {11, 0});
  kit.Write(true);
  CHECK(kit.Written().size() == 1);
}

TEST_CASE("Receipts are gathered: at once when all have confirmed, else after a while, then again", "[fanout][receipts]") {
  Kit kit;
  const auto one = kit.Stream("one");
  auto two = kit.Stream("two");
  kit.board()->OnEvent(0, 10, Urgent(1, 7, model::Level::kNone, model::Level::kHigh));
  Note(two.get(), {0, 0}, {0, 0});
  Note(one.get(), {11, 0}, {11, 0});
  kit.clock.Advance(absl::Seconds(1));
  kit.Write();
  CHECK(kit.Written().empty());  // `two` may be about to
  kit.clock.Advance(absl::Seconds(1));
  kit.Write();
  CHECK(kit.Have(7) == "one told confirmed");
  Note(two.get(), {11, 0}, {11, 0});
  kit.clock.Advance(absl::Milliseconds(200));
  kit.Write();
  CHECK(kit.Have(7) == "one told confirmed two told confirmed");
  // A stream that ends is not waited for.
  const auto three = kit.Stream("three");
  kit.board()->OnEvent(0, 20, Urgent(2, 8, model::Level::kNone, model::Level::kHigh));
  Note(two.get(), {21, 0}, {11, 0});
  Note(three.get(), {21, 0}, {21, 0});
  two.reset();
  kit.clock.Advance(absl::Milliseconds(200));
  kit.Write();
  CHECK(kit.Have(8) == "three told confirmed two told");
}

TEST_CASE("Receipts that could not be written are written later", "[fanout][receipts]") {
  Kit kit;
  const auto bank = kit.Stream("bank");
  kit.board()->OnEvent(0, 10, Urgent(1, 7, model::Level::kNone, model::Level::kHigh));
  Note(bank.get(), {11, 0}, {0, 0});
  kit.SetFault(absl::UnavailableError("away"));
  kit.Write(true);
  CHECK_FALSE(kit.board()->idle());
  kit.SetFault(absl::OkStatus());
  kit.clock.Advance(absl::Seconds(3));
  Note(bank.get(), {11, 0}, {11, 0});
  kit.Write(true);
  CHECK(kit.Have(7) == "bank told confirmed");
  CHECK(kit.Written().front().receipts.front().sent_at == kit::kStart);
  CHECK(kit.board()->idle());
}

TEST_CASE("The board is bounded: the newest events, and so many a second", "[fanout][receipts]") {
  Kit kit;
  kit.options.events_max = 3;
  kit.options.events_per_second = 5;
  const auto bank = kit.Stream("bank");
  for (int i = 0; i < 8; ++i) kit.board()->OnEvent(0, i, Urgent(i, 1, model::Level::kNone, model::Level::kHigh));
  Note(bank.get(), {100, 0}, {100, 0});
  kit.Write(true);
  std::vector<eventlog::Offset> kept;
  for (const ReceiptUpdate& update : kit.Written()) kept.push_back(update.offset);
  CHECK(kept == std::vector<eventlog::Offset>{2, 3, 4});  // five came through, three were kept
  kit.clock.Advance(absl::Seconds(1));
  kit.board()->OnEvent(0, 9, Urgent(9, 1, model::Level::kNone, model::Level::kHigh));
  CHECK(bank->curious());
}

TEST_CASE("The dispatcher tells of events near the end at its start, as they come, and in catch-up", "[fanout][receipts]") {
  kit::Feed feed(1);
  std::vector<std::pair<eventlog::Offset, uint64_t>> told;
  DispatcherOptions options = feed.Options();
  options.on_event = [&](int32_t, eventlog::Offset offset, const model::Event& event) {
    told.emplace_back(offset, event.state.version);
  };
  const eventlog::Offset old = feed.Change(0, 1, kit::Row(model::Level::kHigh));
  auto dispatcher = feed.Open(options);
  CHECK(told == std::vector<std::pair<eventlog::Offset, uint64_t>>{{old, 1}});
  told.clear();
  const eventlog::Offset live = feed.Change(0, 1, kit::Row(model::Level::kNone));
  kit::Drain(dispatcher.get());
  CHECK(told == std::vector<std::pair<eventlog::Offset, uint64_t>>{{live, 2}});
  told.clear();
  auto session = feed.Start(dispatcher.get(), kit::LevelFrom(model::Level::kMedium), SessionStart::kEarliest);
  kit::All(session.get());
  CHECK(told == std::vector<std::pair<eventlog::Offset, uint64_t>>{{old, 1}, {live, 2}});
}

}  // namespace
}  // namespace hub::fanout
