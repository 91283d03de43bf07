#include "libs/fanout/filter_class.h"

#include <random>

#include "libs/fanout/fanout_kit_test.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::EventOf;
using kit::Row;
using model::Level;

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }
  template <typename T>
  std::vector<T> Some(int count_max, int first, int last) {
    std::vector<T> values;
    for (int n = Below(count_max + 1); n > 0; --n) values.push_back(static_cast<T>(first + Below(last - first + 1)));
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    return values;
  }
  model::Attributes Attributes() {
    model::Attributes row;
    row.facet = static_cast<model::Facet>(1 + Below(3));
    row.type = static_cast<model::IdentifierType>(1 + Below(model::kIdentifierTypeMax));
    row.level = static_cast<Level>(1 + Below(4));
    row.reasons = Some<model::Reason>(3, 1, model::kReasonMax);
    row.categories = Some<int>(2, 1, 4);
    return row;
  }
  model::Filter Filter() {
    std::vector<model::FilterClause> clauses;
    for (int n = 1 + Below(3); n > 0; --n) {
      model::FilterClause clause;
      clause.facets = Some<model::Facet>(2, 1, 3);
      clause.types = Some<model::IdentifierType>(4, 1, model::kIdentifierTypeMax);
      clause.level_min = static_cast<Level>(1 + Below(4));
      clause.reasons = Some<model::Reason>(3, 1, model::kReasonMax);
      clause.categories = Some<int>(1, 1, 4);
      clauses.push_back(clause);
    }
    const model::Filter filter = model::Filter::AnyOf(clauses);
    return Below(3) == 0 ? filter.And(model::Filter::AnyOf(
                               {model::FilterClause{.reasons = {model::Reason{2}, model::Reason{5}}}}))
                         : filter;
  }

 private:
  std::mt19937_64 random_;
};

std::shared_ptr<std::atomic<int64_t>> NoMemory() { return std::make_shared<std::atomic<int64_t>>(0); }

FilterClass::Match MatchOf(eventlog::Offset offset, absl::string_view bytes) { return {offset, bytes}; }

TEST_CASE("A class judges as its filter does: new state, else previous, else nothing", "[fanout][class]") {
  Dice dice(20261124);
  int left = 0;
  int matched = 0;
  for (int round = 0; round < 300; ++round) {
    const model::Filter filter = dice.Filter();
    const FilterClass filter_class(1, filter, kit::Everyone(), 1, NoMemory());
    for (int i = 0; i < 50; ++i) {
      const model::Attributes now = dice.Attributes();
      std::optional<model::Attributes> previous;
      if (dice.Below(4) != 0) previous = dice.Attributes();
      const Verdict verdict = filter_class.Judge(PendingEvent(0, EventOf(1, 2, now, previous)));
      const bool after = filter.Matches(now);
      const bool before = previous.has_value() && filter.Matches(*previous);
      REQUIRE(verdict == (after ? Verdict::kEvent : before ? Verdict::kLeftView : Verdict::kNothing));
      left += verdict == Verdict::kLeftView ? 1 : 0;
      matched += verdict == Verdict::kEvent ? 1 : 0;
    }
  }
  CHECK(left > 100);
  CHECK(matched > 100);
}

TEST_CASE("An event is encoded once for equal audiences and forms", "[fanout][class]") {
  PendingEvent event(7, EventOf(1, 3, Row(Level::kHigh)));
  const absl::string_view first = event.Encoded(kit::Everyone(), false);
  CHECK(event.Encoded(kit::Everyone(), false).data() == first.data());
  CHECK(event.encodings() == 1);
  const absl::string_view police = event.Encoded(wire::AudienceSet({model::FieldAudience::kLawEnforcement}), false);
  CHECK(police.size() > first.size());
  const absl::string_view left = event.Encoded(kit::Everyone(), true);
  CHECK(event.encodings() == 3);
  CHECK(event.Encoded(kit::Everyone(), false).data() == first.data());
  const kit::Received row = kit::Parse(first);
  CHECK(row.events.at(0).level == Level::kHigh);
  CHECK(!row.events.at(0).left_view);
  const kit::Received gone = kit::Parse(left);
  CHECK(gone.events.at(0).left_view);
  CHECK(gone.events.at(0).id == row.events.at(0).id);
  CHECK(gone.events.at(0).stamp == row.events.at(0).stamp);
  CHECK(gone.events.at(0).level == Level::kUnspecified);
}

TEST_CASE("A segment gives sub-slices by offset, within bytes, one event at least", "[fanout][segment]") {
  auto segment = std::make_shared<Segment>(10, 100);
  CHECK(segment->Fits(5000));
  segment->Append(10, "aaaa");
  segment->Append(12, "bbbbbb");
  segment->Append(20, "cc");
  CHECK(segment->end() == 21);
  CHECK(!segment->Fits(100));
  CHECK(segment->Fits(88));
  eventlog::Offset next = 0;
  int events = 0;
  CHECK(Segment::Read(segment, 10, 30, 100, &next, &events).bytes == "aaaabbbbbbcc");
  CHECK(next == 30);
  CHECK(events == 3);
  CHECK(Segment::Read(segment, 11, 20, 100, &next, &events).bytes == "bbbbbb");
  CHECK(next == 20);
  CHECK(Segment::Read(segment, 0, 30, 10, &next, &events).bytes == "aaaabbbbbb");
  CHECK(next == 20);
  CHECK(events == 2);
  CHECK(Segment::Read(segment, 0, 30, 1, &next, &events).bytes == "aaaa");
  CHECK(next == 12);
  CHECK(Segment::Read(segment, 13, 20, 100, &next, &events).bytes.empty());
  CHECK(next == 20);
  CHECK(events == 0);
  const Slice held = Segment::Read(segment, 20, 21, 100, &next, &events);
  segment.reset();
  CHECK(held.bytes == "cc");
}

TEST_CASE("An event larger than a segment gets one of its own", "[fanout][segment]") {
  auto segment = std::make_shared<Segment>(0, 16);
  const std::string large(5000, 'x');
  segment->Append(0, large);
  CHECK(!segment->Fits(1));
  CHECK(segment->memory() >= large.size());
  eventlog::Offset next = 0;
  int events = 0;
  CHECK(Segment::Read(segment, 0, 1, 10, &next, &events).bytes == large);
}

TEST_CASE("Memory answers from its base on, in order, over segments", "[fanout][class]") {
  auto memory = NoMemory();
  uint64_t births = 0;
  {
    FilterClass filter_class(1, model::Filter::Everything(), kit::Everyone(), 2, memory);
    CHECK(!filter_class.Read(0, 5, 100, 1000).has_value());  // not active: everything is in the log
    filter_class.Activate({5, 0});
    CHECK(!filter_class.Read(0, 4, 100, 1000).has_value());
    const auto nothing = filter_class.Read(0, 5, 100, 1000);
    REQUIRE(nothing.has_value());
    CHECK(nothing->events == 0);
    CHECK(nothing->next == 100);

    const std::string event(1500, 'e');
    std::vector<FilterClass::Match> matches;
    for (eventlog::Offset offset = 10; offset < 40; offset += 3) matches.push_back(MatchOf(offset, event));
    filter_class.Append(0, matches, kSegmentBytes, &births);
    CHECK(births == 3);  // 4, 8 and 16 KiB
    CHECK(memory->load() >= 10 * 1500);

    eventlog::Offset from = 5;
    int events = 0;
    int reads = 0;
    while (from < 100) {
      const auto read = filter_class.Read(0, from, 100, 100'000);
      REQUIRE(read.has_value());
      REQUIRE(read->next > from);
      CHECK(read->slice.bytes.size() == static_cast<size_t>(read->events) * 1500);
      events += read->events;
      from = read->next;
      ++reads;
    }
    CHECK(events == 10);
    CHECK(reads == 3);

    // Runs count as memory.
    const int64_t plain = memory->load();
    CHECK(filter_class.ReadRuns({{14, 0}}, {{100, 0}}, ArrivalOrder::kNowhere, 100'000)->events == 8);
    CHECK(memory->load() > plain);

    // The oldest goes; what was read of it stays.
    const auto held = filter_class.Read(0, 10, 100, 1500);
    filter_class.DropOldest(0);
    CHECK(held->slice.bytes == event);
    CHECK(!filter_class.Read(0, 10, 100, 1500).has_value());
    CHECK(filter_class.Read(0, 14, 100, 1500)->events == 1);
    std::vector<FilterClass::SegmentRef> listed;
    filter_class.ListSegments(&listed);
    CHECK(listed.size() == 2);
    CHECK(listed.at(0).birth == 1);

    filter_class.Restart(0, 70);
    CHECK(!filter_class.Read(0, 69, 100, 1500).has_value());
    CHECK(filter_class.Read(0, 70, 100, 1500)->events == 0);
    CHECK(memory->load() == 0);
    filter_class.Append(1, {{MatchOf(3, "x")}}, kSegmentBytes, &births);
    CHECK(memory->load() > 0);
  }
  CHECK(memory->load() == 0);
}

TEST_CASE("An old event of a quiet partition doesn't hold what came after it", "[fanout][class]") {
  const auto memory = NoMemory();
  FilterClass filter_class(1, model::Filter(), {}, 2, memory);
  filter_class.Activate({0, 0});
  uint64_t births = 1;
  const std::string event(100, 'e');
  filter_class.Append(1, {{MatchOf(0, event)}}, kSegmentBytes, &births);
  eventlog::Offset offset = 0;
  const auto come = [&](int events) {
    for (int i = 0; i < events; ++i) filter_class.Append(0, {{MatchOf(offset++, event)}}, kSegmentBytes, &births);
    return filter_class.ReadRuns({{offset - events, 1}}, {{offset, 1}}, ArrivalOrder::kNowhere, 1 << 20)->events;
  };
  CHECK(come(1200) > 0);
  const int64_t held = memory->load();
  for (int i = 0; i < 10; ++i) {
    const uint64_t mark = births;
    CHECK(come(1200) > 0);
    filter_class.DropBefore(mark);
  }
  CHECK(memory->load() < 2 * held);
  CHECK(!filter_class.ReadRuns({{offset, 0}}, {{offset, 1}}, ArrivalOrder::kNowhere, 1 << 20).has_value());
}

TEST_CASE("Nor does a partition with an event now and then", "[fanout][class]") {
  const auto memory = NoMemory();
  FilterClass filter_class(1, model::Filter(), {}, 2, memory);
  filter_class.Activate({0, 0});
  uint64_t births = 1;
  const std::string event(100, 'e');
  int64_t held = 0;
  for (eventlog::Offset round = 0; round < 24; ++round) {
    const uint64_t mark = births;
    filter_class.Append(1, {{MatchOf(round, event)}}, kSegmentBytes, &births);
    for (int i = 0; i < 1200; ++i) filter_class.Append(0, {{MatchOf(round * 1200 + i, event)}}, kSegmentBytes, &births);
    filter_class.DropBefore(mark);
    if (round == 2) held = memory->load();
  }
  CHECK(memory->load() < held + held / 2);
  std::vector<FilterClass::SegmentRef> segments;
  filter_class.ListSegments(&segments);
  for (const FilterClass::SegmentRef& segment : segments) {
    if (segment.partition == 1) CHECK(segment.memory < 3 * FilterClass::kFirstSegmentBytes);  // and what is quiet stays small
  }
}

TEST_CASE("A class forgets all partitions when one begins anew", "[fanout][class]") {
  const auto memory = NoMemory();
  FilterClass filter_class(1, model::Filter(), {}, 2, memory);
  filter_class.Activate({0, 0});
  uint64_t births = 0;
  const std::string event(50, 'e');
  for (int32_t p = 0; p < 2; ++p) filter_class.Append(p, {{MatchOf(5, event)}}, kSegmentBytes, &births);
  const auto read = [&](eventlog::Offset first, eventlog::Offset second) {
    return filter_class.ReadRuns({{first, second}}, {{9, 100}}, ArrivalOrder::kNowhere, 100'000);
  };
  REQUIRE(read(5, 5).has_value());
  CHECK(read(5, 5)->events == 2);
  filter_class.Restart(1, 70);
  CHECK(!read(5, 70).has_value());
  CHECK(!read(6, 69).has_value());
  REQUIRE(read(6, 70).has_value());
  CHECK(read(6, 70)->events == 0);
  filter_class.Append(1, {{MatchOf(71, event)}}, kSegmentBytes, &births);
  CHECK(read(6, 70)->events == 1);
}

}  // namespace
}  // namespace hub::fanout
