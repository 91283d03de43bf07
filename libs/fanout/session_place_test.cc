// Where a token lies in a log whose end this node knows a moment late.
#include <algorithm>

#include "libs/eventlog/memory_log.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/fanout/session.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::Row;

// Tells where the log ended a moment ago, as a node does that asks now and then.
class LateEnd final : public eventlog::Log {
 public:
  explicit LateEnd(eventlog::Log* log) : log_(log) {}
  eventlog::Offset late = 0;
  absl::Status EnsureTopics(const std::vector<eventlog::TopicSpec>& topics) override {
    return log_->EnsureTopics(topics);
  }
  std::string log_id() const override { return log_->log_id(); }
  void Append(const eventlog::TopicPartition& at, eventlog::Record record, AppendCallback done) override {
    log_->Append(at, std::move(record), std::move(done));
  }
  absl::StatusOr<eventlog::ReadResult> Read(const eventlog::TopicPartition& at, eventlog::Offset from,
                                            const eventlog::ReadLimits& limits) override {
    return log_->Read(at, from, limits);
  }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { log_->Wait(any_of, timeout); }
  absl::StatusOr<eventlog::OffsetRange> Offsets(const eventlog::TopicPartition& at) override {
    auto range = log_->Offsets(at);
    if (range.ok()) range->end = std::max(range->first, range->end - late);
    return range;
  }
  absl::Status Health() const override { return log_->Health(); }

 private:
  eventlog::Log* const log_;
};

TEST_CASE("A token of a node that is ahead is good at one whose idea of the log's end is a moment old",
          "[fanout][session]") {
  base::ManualClock clock{absl::FromUnixSeconds(1700000000)};
  eventlog::MemoryLog memory(&clock, {});
  LateEnd log(&memory);
  Feed feed(1, &log);
  feed.PutMark(0, 1);
  auto ahead = feed.Open();
  auto session = feed.Start(ahead.get(), model::Filter::Everything(), SessionStart::kNow);
  for (int i = 0; i < 3; ++i) feed.Change(0, i, Row(model::Level::kHigh));
  kit::Drain(ahead.get());
  kit::All(session.get());
  const std::string token = session->Token();
  log.late = 3;
  auto behind = feed.Open();
  CHECK(feed.Resume(behind.get(), model::Filter::Everything(), token).ok());
  wire::Cursor cursor = *feed.sealer.Open(token, "bank");
  cursor.positions[0].offset += 1;  // beyond what there is at all
  const auto refused = feed.Resume(behind.get(), model::Filter::Everything(), feed.sealer.Seal(cursor, "bank"));
  CHECK(model::RefusalOf(refused.status())->code == model::RefusalCode::kCursorInvalid);
}

}  // namespace
}  // namespace hub::fanout
