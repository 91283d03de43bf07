// What the tail keeps of a partition: everything once, in order, within its bounds, and it says when its readers are too slow.
#include "libs/eventlog/kafka_stretch.h"

#include "absl/strings/str_cat.h"
#include "tests/catch.h"

namespace hub::eventlog::kafka {
namespace {

constexpr absl::Duration kNow = absl::Seconds(100);

void Add(Stretch* stretch, Offset offset, size_t bytes = 10, absl::Duration now = kNow) {
  stretch->Add({offset, absl::UnixEpoch(), "", std::string(bytes, 'x')}, now);
}

std::vector<Offset> Offsets(const ReadResult& read) {
  std::vector<Offset> offsets;
  for (const StoredRecord& record : read.records) offsets.push_back(record.offset);
  return offsets;
}

TEST_CASE("A stretch holds from the end it began at to the end it has seen, holes included", "[kafka][tail]") {
  Stretch stretch(5, kNow);
  CHECK(!stretch.Holds(5));  // nothing has been heard of it
  stretch.SkipTo(5);
  CHECK(stretch.Holds(5));
  CHECK(!stretch.Holds(4));
  CHECK(!stretch.Holds(6));
  CHECK(stretch.Read(5, {}, kNow).next == 5);
  Add(&stretch, 5);
  Add(&stretch, 8);  // 6 and 7 are gone
  Add(&stretch, 5);  // sent twice
  Add(&stretch, 8);
  stretch.SkipTo(11);
  stretch.SkipTo(9);
  CHECK(Offsets(stretch.Read(5, {}, kNow)) == std::vector<Offset>{5, 8});
  CHECK(Offsets(stretch.Read(6, {}, kNow)) == std::vector<Offset>{8});
  CHECK(stretch.Read(6, {}, kNow).next == 11);
  CHECK(stretch.Read(11, {}, kNow).records.empty());
  CHECK(stretch.Holds(11));
  CHECK(!stretch.Holds(12));
}

TEST_CASE("A stretch that does not begin, or not reach a known end, is stuck after a while", "[kafka][tail]") {
  const absl::Duration kLate = kNow + Stretch::kSilenceMax + absl::Milliseconds(1);
  Stretch stretch(5, kNow);
  CHECK(!stretch.IsStuck(kNow));
  CHECK(stretch.IsStuck(kLate));
  stretch.SkipTo(5);
  CHECK(!stretch.IsStuck(kLate));
  stretch.NoteEnd(5, kNow);
  CHECK(!stretch.IsStuck(kLate));
  stretch.NoteEnd(8, kNow);
  CHECK(stretch.IsStuck(kLate));
  Add(&stretch, 5, 10, kLate);  // it comes, if late
  CHECK(!stretch.IsStuck(kLate));
  CHECK(stretch.IsStuck(kLate + Stretch::kSilenceMax + absl::Milliseconds(1)));
  stretch.SkipTo(8);
  CHECK(!stretch.IsStuck(kLate + absl::Hours(1)));
}

TEST_CASE("A read of a stretch keeps its limits and goes on where it ended", "[kafka][tail]") {
  Stretch stretch(0, kNow);
  for (Offset i = 0; i < 10; ++i) Add(&stretch, i, 10);
  const ReadResult three = stretch.Read(0, {3, 1000}, kNow);
  CHECK(Offsets(three) == std::vector<Offset>{0, 1, 2});
  CHECK(three.next == 3);
  CHECK(Offsets(stretch.Read(3, {100, 25}, kNow)) == std::vector<Offset>{3, 4});
  CHECK(Offsets(stretch.Read(5, {100, 1}, kNow)) == std::vector<Offset>{5});
}

TEST_CASE("What leaves a stretch by size or age was read, or it says so", "[kafka][tail]") {
  Stretch stretch(0, kNow);
  constexpr size_t kHalf = Stretch::kBytesMax / 2;
  SECTION("size, read") {
    Add(&stretch, 0, kHalf);
    Add(&stretch, 1, kHalf);
    CHECK(stretch.Trim(kNow));
    CHECK(stretch.Holds(0));
    stretch.Read(0, {1, 1}, kNow);
    Add(&stretch, 2, kHalf);
    CHECK(stretch.Trim(kNow));
    CHECK(!stretch.Holds(0));
    CHECK(stretch.Holds(1));
  }
  SECTION("size, not read") {
    for (Offset i = 0; i < 3; ++i) Add(&stretch, i, kHalf);
    CHECK(!stretch.Trim(kNow));
  }
  SECTION("age") {
    Add(&stretch, 0);
    Add(&stretch, 1, 10, kNow + absl::Seconds(1));
    stretch.Read(0, {1, 1}, kNow);
    CHECK(stretch.Trim(kNow + Stretch::kAgeMax + absl::Milliseconds(1)));
    CHECK(!stretch.Holds(0));
    CHECK(!stretch.Trim(kNow + Stretch::kAgeMax + absl::Milliseconds(1001)));
  }
}

}  // namespace
}  // namespace hub::eventlog::kafka
