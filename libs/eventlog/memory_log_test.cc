// What the memory log does beyond the contract: it does what it is told.
#include "libs/eventlog/memory_log.h"

#include <deque>

#include "absl/strings/str_cat.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

using Kind = AppendFate::Kind;
const TopicPartition kAt{"t", 0};

// A log that is pumped by hand; fates are taken from a list, then all is durable.
struct Fixture {
  explicit Fixture(std::deque<AppendFate> the_fates = {}) : fates(std::move(the_fates)) {
    TopicSpec topic;
    topic.name = "t";
    topic.partitions = 2;
    REQUIRE(log.EnsureTopics({topic}).ok());
  }
  Log::AppendCallback Record(const std::string& name) {
    return [this, name](absl::StatusOr<Offset> offset) {
      absl::StrAppend(&answers, name, "=", offset.ok() ? absl::StrCat(*offset) : "unavailable", " ");
      CHECK((offset.ok() || absl::IsUnavailable(offset.status())));
    };
  }
  void Append(Log* through, const std::string& value, const TopicPartition& at = kAt) {
    through->Append(at, {"", value}, Record(value));
  }
  std::string Stored() {
    std::string all;
    const auto result = log.Read(kAt, 0, {});
    REQUIRE(result.ok());
    for (const StoredRecord& record : result->records) absl::StrAppend(&all, record.value, " ");
    return all;
  }

  std::deque<AppendFate> fates;
  std::string answers;
  base::ManualClock clock{absl::FromUnixSeconds(1)};
  MemoryLog log{&clock, {/*manual_pump=*/true, [this](const TopicPartition&, const eventlog::Record&) {
                           if (fates.empty()) return AppendFate();
                           const AppendFate fate = fates.front();
                           fates.pop_front();
                           return fate;
                         }}};
};

TEST_CASE("nothing is durable or acknowledged before the pump", "[eventlog][memory]") {
  Fixture f;
  f.Append(&f.log, "a");
  f.Append(&f.log, "b");
  CHECK(f.answers.empty());
  CHECK(f.log.Offsets(kAt)->end == 0);
  CHECK(f.log.Pump() == 2);
  CHECK(f.answers == "a=0 b=1 ");
  CHECK(f.Stored() == "a b ");
  CHECK(f.log.Pump() == 0);
}

TEST_CASE("each append meets its fate", "[eventlog][memory]") {
  Fixture f({{Kind::kLost}, {Kind::kUnacknowledged}, {Kind::kDuplicated}, {Kind::kDurable}});
  for (const char* value : {"lost", "silent", "twice", "plain"}) f.Append(&f.log, value);
  CHECK(f.log.Pump() == 4);
  CHECK(f.answers == "lost=unavailable silent=unavailable twice=2 plain=3 ");
  CHECK(f.Stored() == "silent twice twice plain ");
}

TEST_CASE("a delayed append holds up its own thread's later ones, and no other partition's", "[eventlog][memory]") {
  Fixture f({{Kind::kDurable, /*delay_pumps=*/2}});
  f.Append(&f.log, "late");
  f.Append(&f.log, "behind");
  f.Append(&f.log, "elsewhere", {"t", 1});
  CHECK(f.log.Pump() == 1);
  CHECK(f.answers == "elsewhere=0 ");
  f.log.Pump();
  CHECK(f.Stored().empty());
  CHECK(f.log.Pump() == 2);
  CHECK(f.Stored() == "late behind ");
}

TEST_CASE("clients overtake each other, and what a dead one had in flight still lands", "[eventlog][memory]") {
  Fixture f({{Kind::kDurable, /*delay_pumps=*/1}});
  auto zombie = f.log.NewClient();
  auto owner = f.log.NewClient();
  f.Append(zombie.get(), "from the dead");
  f.Append(owner.get(), "mark");
  CHECK(f.log.Pump() == 1);
  zombie.reset();
  CHECK(f.answers == "mark=0 from the dead=unavailable ");
  CHECK(f.log.Pump() == 0);  // nobody left to call
  CHECK(f.Stored() == "mark from the dead ");
  CHECK(owner->log_id() == f.log.log_id());
}

TEST_CASE("a fault refuses appends until it is cleared", "[eventlog][memory]") {
  Fixture f;
  f.log.SetFault(absl::UnavailableError("broker away"));
  f.Append(&f.log, "a");
  CHECK(f.answers == "a=unavailable ");
  CHECK(absl::IsUnavailable(f.log.Health()));
  f.log.SetFault(absl::OkStatus());
  CHECK(f.log.Health().ok());
  f.Append(&f.log, "b");
  f.log.Pump();
  CHECK(f.Stored() == "b ");
}

TEST_CASE("another incarnation has another identity and the same contents", "[eventlog][memory]") {
  Fixture f;
  f.Append(&f.log, "a");
  f.log.Pump();
  f.log.ChangeLogId("restored");
  CHECK(f.log.log_id() == "restored");
  CHECK(f.Stored() == "a ");
}

TEST_CASE("retention by size keeps the newest", "[eventlog][memory]") {
  Fixture f;
  TopicSpec bounded;
  bounded.name = "t";
  bounded.partitions = 2;
  bounded.retention_bytes = 5;
  REQUIRE(f.log.EnsureTopics({bounded}).ok());
  for (const char* value : {"aaa", "bbb", "cc"}) f.Append(&f.log, value);
  f.log.Pump();
  f.log.Clean();
  CHECK(f.log.Offsets(kAt)->first == 1);
  CHECK(f.log.Read(kAt, 1, {})->records.size() == 2);
}

}  // namespace
}  // namespace hub::eventlog
