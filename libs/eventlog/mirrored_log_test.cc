// What the copy is for: it answers while the log behind is slow or away, and never with anything but what that log holds.
#include "libs/eventlog/mirrored_log.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/contract_suite_test.h"
#include "libs/eventlog/memory_log.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

// A log whose every question takes long, or fails, once `slow` is set.
class SlowLog final : public Log {
 public:
  explicit SlowLog(Log* log) : log_(log) {}
  std::atomic<bool> slow{false};
  std::atomic<int> asked{0};  // for its ends
  std::string id = "one";

  absl::Status EnsureTopics(const std::vector<TopicSpec>& topics) override { return log_->EnsureTopics(topics); }
  std::string log_id() const override { return id; }
  absl::Status Health() const override { return log_->Health(); }
  void Append(const TopicPartition& at, Record record, AppendCallback done) override {
    log_->Append(at, std::move(record), std::move(done));
  }
  absl::StatusOr<ReadResult> Read(const TopicPartition& at, Offset from, const ReadLimits& limits) override {
    if (slow) return Late();
    return log_->Read(at, from, limits);
  }
  absl::StatusOr<OffsetRange> Offsets(const TopicPartition& at) override {
    ++asked;
    if (slow) return Late();
    return log_->Offsets(at);
  }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { log_->Wait(any_of, timeout); }

 private:
  absl::Status Late() {
    log_->Wait({}, absl::Milliseconds(100));
    return absl::UnavailableError("slow");
  }
  Log* const log_;
};

class Stage {
 public:
  Stage() { REQUIRE(memory.EnsureTopics(Topics(absl::Hours(1000))).ok()); }

  void Open(const std::string& folder = "copy") {
    mirror.reset();
    auto database = store::OpenDatabase(absl::StrCat(folder_.path(), "/", folder), MirrorTables(), {});
    REQUIRE(database.ok());
    auto opened = MirroredLog::Open(&behind, std::move(database).value(), options, &clock, &metrics);
    REQUIRE(opened.ok());
    mirror = std::move(opened).value();
  }
  void Append(int from, int to) {
    for (int i = from; i < to; ++i) MustAppend(&memory, kAt, "k", absl::StrCat(i));
  }
  void AwaitHeld(Offset end) {
    const absl::Duration start = real.Monotonic();
    while (mirror->Held(0).end < end && !Expired(start)) memory.Wait({}, absl::Milliseconds(5));
    REQUIRE(mirror->Held(0).end == end);
  }

  const base::RealClock real;
  base::ManualClock clock{absl::FromUnixSeconds(1700000000)};
  base::Metrics metrics;
  MemoryLog memory{&clock, MemoryLogOptions()};
  SlowLog behind{&memory};
  MirrorOptions options{"plain", 3};
  store::TempDir folder_;
  std::unique_ptr<MirroredLog> mirror;
};

TEST_CASE("What the copy holds is read at once while the log behind doesn't answer", "[mirror]") {
  Stage stage;
  stage.Open();
  stage.Append(0, 500);
  stage.AwaitHeld(500);
  stage.behind.slow = true;
  const absl::Duration start = stage.real.Monotonic();
  const auto records = ReadTo(stage.mirror.get(), kAt, 0, 500);
  CHECK(records.size() == 500);
  CHECK(records[499].value == "499");
  CHECK(stage.mirror->Offsets(kAt)->end == 500);
  CHECK(stage.real.Monotonic() - start < absl::Milliseconds(50));
  CHECK(absl::IsUnavailable(stage.mirror->Read(kAt, 500, {}).status()));
  stage.clock.Advance(MirroredLog::kOffsetsAge + absl::Seconds(1));
  CHECK(absl::IsUnavailable(stage.mirror->Offsets(kAt).status()));  // too old to be told
}

TEST_CASE("The log behind is not asked for its ends at every record", "[mirror]") {
  Stage stage;
  stage.Open();
  for (int i = 0; i < 100; ++i) {
    stage.Append(i, i + 1);
    stage.AwaitHeld(i + 1);
  }
  CHECK(stage.behind.asked <= 20 * stage.options.partitions);  // a second without anything to read, and it asks
}

TEST_CASE("A copy goes on after a restart, and one of another log starts afresh", "[mirror]") {
  Stage stage;
  stage.Open();
  stage.Append(0, 20);
  stage.AwaitHeld(20);
  stage.mirror.reset();
  stage.Append(20, 30);
  stage.Open();
  stage.AwaitHeld(30);
  CHECK(stage.mirror->Held(0).first == 0);
  CHECK(Values(ReadTo(stage.mirror.get(), kAt, 15, 30)).size() == 15);
  stage.mirror.reset();

  MemoryLog memory(&stage.clock, MemoryLogOptions());
  REQUIRE(memory.EnsureTopics(Topics(absl::Hours(1000))).ok());
  MustAppend(&memory, kAt, "k", "another");
  SlowLog other(&memory);
  other.id = "another";
  auto database = store::OpenDatabase(absl::StrCat(stage.folder_.path(), "/copy"), MirrorTables(), {});
  REQUIRE(database.ok());
  auto opened = MirroredLog::Open(&other, std::move(database).value(), stage.options, &stage.clock, &stage.metrics);
  REQUIRE(opened.ok());
  CHECK(Values(ReadTo(opened->get(), kAt, 0, 1)) == std::vector<std::string>{"another"});
}

TEST_CASE("Age and size bound the copy, and what it gave up is read from the log behind", "[mirror]") {
  Stage stage;
  SECTION("age") { stage.options.age_max = absl::Hours(2); }
  SECTION("size") { stage.options.bytes_max = 3 * 10 * 4; }
  stage.options.trim_interval = absl::ZeroDuration();
  stage.Open();
  stage.Append(100, 150);
  stage.AwaitHeld(50);
  stage.clock.Advance(absl::Hours(3));
  stage.Append(150, 160);
  stage.AwaitHeld(60);
  const absl::Duration start = stage.real.Monotonic();
  while (stage.mirror->Held(0).first == 0 && !Expired(start)) stage.memory.Wait({}, absl::Milliseconds(5));
  CHECK(stage.mirror->Held(0).first > 0);
  CHECK(stage.mirror->Held(0).first <= 60);
  CHECK(ReadTo(stage.mirror.get(), kAt, 0, 60).size() == 60);
}

}  // namespace
}  // namespace hub::eventlog
