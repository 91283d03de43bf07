// One scan for all of a class, also where they are not equally fast and the cache does not hold everything.
#include "libs/fanout/snapshot_source.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/fanout/snapshot_walk.h"
#include "libs/replica/replica.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

constexpr uint32_t kParts = 256;
constexpr int kOfPart = 8;

// Eight numbers in each part; nothing else is asked for.
class States final : public replica::Replica {
 public:
  absl::StatusOr<std::vector<replica::EventsPlace>> Places() const override {
    return std::vector<replica::EventsPlace>{{.offset = 1, .term = 1, .tick = kit::kStart}};
  }
  absl::StatusOr<std::vector<int64_t>> VisitPart(
      uint32_t part, uint32_t /*parts*/, const std::function<void(const replica::Answer&)>& visit) const override {
    for (int i = 0; i < kOfPart; ++i) {
      replica::Answer answer;
      answer.state = kit::EventOf(static_cast<int>(part) * kOfPart + i, 1, kit::Row(model::Level::kHigh)).state;
      visit(answer);
    }
    return std::vector<int64_t>{1};
  }
  absl::StatusOr<uint64_t> CountAbout() const override { return kParts * kOfPart; }

  std::vector<int64_t> EventsNext() const override { return {1}; }
  std::vector<int64_t> HistoryNext() const override { return {}; }
  absl::Status ApplyEvents(const std::vector<replica::FedRecord>&, int32_t, int64_t, bool) override { return None(); }
  absl::Status NoteGap(int32_t) override { return None(); }
  absl::Status ApplyHistory(const std::vector<replica::FedRecord>&, int32_t, int64_t) override { return None(); }
  absl::StatusOr<std::optional<replica::Answer>> Get(const model::IndicatorKey&) const override { return None(); }
  absl::StatusOr<std::optional<model::HistoryEntry>> GetReport(const std::string&,
                                                               const model::ReportId&) const override {
    return None();
  }
  absl::StatusOr<std::vector<model::HistoryEntry>> ListHistory(const model::RoutingToken&, int64_t,
                                                               size_t) const override {
    return None();
  }
  absl::StatusOr<replica::Namers> ListNamers(const model::Identifier&, absl::string_view, size_t) const override {
    return None();
  }
  absl::Time CompleteUntil() const override { return kit::kStart; }
  absl::StatusOr<replica::StateDigest> Digest() const override { return None(); }
  absl::Status ForEachState(const std::function<void(const replica::Answer&)>&) const override { return None(); }

 private:
  static absl::Status None() { return absl::UnimplementedError("the test asks for parts only"); }
};

TEST_CASE("Who is a third as fast finds what the first had made", "[fanout][snapshot]") {
  kit::Feed feed(1);
  feed.PutMark(0, 1);
  const auto dispatcher = feed.Open();
  kit::Drain(dispatcher.get());
  const auto filter_class = dispatcher->Join(kit::LevelFrom(model::Level::kMedium), kit::Everyone());
  REQUIRE(filter_class.ok());
  const States states;
  SnapshotOptions options;
  options.part_states = kOfPart;
  options.cache_bytes_max = 60'000;
  SnapshotSource source(options, &states, dispatcher.get(), &feed.clock, &feed.metrics);
  std::vector<std::unique_ptr<SnapshotWalk>> walks;
  for (int i = 0; i < 2; ++i) {
    auto run = source.Begin(*filter_class);
    REQUIRE(run.ok());
    REQUIRE((*run)->parts == kParts);
    walks.push_back(std::make_unique<SnapshotWalk>(&source, *std::move(run), 0, kParts, std::vector<eventlog::Offset>{0}));
  }
  int events[2] = {};
  double kept_most = 0;
  for (int turn = 0; !walks[0]->done() || !walks[1]->done(); ++turn) {
    REQUIRE(turn < 1000);
    for (int reader = 0; reader < 2; ++reader) {
      for (int i = reader == 0 ? 3 : 1; i > 0 && !walks[static_cast<size_t>(reader)]->done(); --i) {
        events[reader] += walks[static_cast<size_t>(reader)]->Next(1 << 20, EventForm::kRuns).events;
      }
    }
    while (source.Step()) {
    }
    feed.clock.Advance(absl::Milliseconds(100));
    kept_most = std::max(kept_most, feed.metrics.AddGauge("fraudhub_fanout_snapshot_bytes", "").Value());
  }
  const auto parts = [&feed](const char* how) {
    return feed.metrics.AddCounter("fraudhub_fanout_snapshot_parts_total", "", {{"how", how}}).Value();
  };
  CHECK((events[0] == kParts * kOfPart && events[1] == kParts * kOfPart));
  CHECK(parts("first") == kParts);
  CHECK(parts("again") == 0);
  CHECK(kept_most > 0.9 * static_cast<double>(options.cache_bytes_max));  // there was not room for all
}

}  // namespace
}  // namespace hub::fanout
