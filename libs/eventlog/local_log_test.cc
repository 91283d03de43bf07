// What only the embedded log has: the moment between written and synced, crashes, its bounds, a full disk.
#include "libs/eventlog/local_log.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
const TopicPartition kAt{"t", 0};

TopicSpec Topic() {
  TopicSpec topic;
  topic.name = "t";
  return topic;
}

// A database that stops a commit after its bytes are written and before it says so; and that fails on order.
class SlowDatabase final : public store::Database {
 public:
  explicit SlowDatabase(store::Database* inner) : inner_(inner) {}

  void Hold() {
    base::MutexLock lock(&mu_);
    hold_ = true;
  }
  void AwaitHeld() {
    base::MutexLock lock(&mu_);
    while (!held_) changed_.Wait(&mu_);
  }
  void LetGo() {
    base::MutexLock lock(&mu_);
    hold_ = false;
    changed_.NotifyAll();
  }
  // The next commit answers this; `written`: though its bytes are there.
  void FailNext(absl::Status status, bool written) {
    base::MutexLock lock(&mu_);
    failure_ = {std::move(status), written};
  }
  size_t largest_batch() {
    base::MutexLock lock(&mu_);
    return largest_batch_;
  }

  absl::Status Commit(const store::Batch& batch, store::Durability durability) override {
    std::optional<std::pair<absl::Status, bool>> failure;
    {
      base::MutexLock lock(&mu_);
      failure.swap(failure_);
      largest_batch_ = std::max(largest_batch_, batch.bytes());
    }
    if (failure.has_value() && !failure->second) return failure->first;
    const absl::Status committed = inner_->Commit(batch, durability);
    base::MutexLock lock(&mu_);
    held_ = hold_;
    changed_.NotifyAll();
    while (hold_) changed_.Wait(&mu_);
    held_ = false;
    return failure.has_value() ? failure->first : committed;
  }
  absl::StatusOr<std::optional<std::string>> Get(store::TableId table, absl::string_view key) const override {
    return inner_->Get(table, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(store::TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    return inner_->MultiGet(table, keys);
  }
  std::unique_ptr<store::Cursor> Scan(store::TableId table, absl::string_view begin, absl::string_view end) const override {
    return inner_->Scan(table, begin, end);
  }
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(store::TableId table, absl::string_view begin,
                                                                        absl::string_view end) const override {
    return inner_->Last(table, begin, end);
  }

 private:
  store::Database* const inner_;
  base::Mutex mu_;
  base::CondVar changed_;
  bool hold_ ABSL_GUARDED_BY(mu_) = false;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<std::pair<absl::Status, bool>> failure_ ABSL_GUARDED_BY(mu_);
  size_t largest_batch_ ABSL_GUARDED_BY(mu_) = 0;
};

// A log on a memory database that can lose power.
struct Fixture {
  explicit Fixture(LocalLogOptions the_options = {}) : options(the_options) { Open(); }
  void Open() {
    auto opened = OpenLocalLogOn(&slow, &clock, &metrics, options);
    REQUIRE(opened.ok());
    log = std::move(opened).value();
    REQUIRE(log->EnsureTopics({Topic()}).ok());
  }
  absl::StatusOr<Offset> Append(const std::string& value) { return AppendSync(log.get(), kAt, {"", value}, kPatience); }

  LocalLogOptions options;
  store::MemoryDatabase disk{LocalLogTables().size()};
  SlowDatabase slow{&disk};
  base::ManualClock clock{absl::FromUnixSeconds(1700000000)};
  base::Metrics metrics;
  std::unique_ptr<Log> log;
};

std::vector<std::string> ReadAll(Log* log) {
  std::vector<std::string> values;
  const auto range = log->Offsets(kAt);
  REQUIRE(range.ok());
  for (Offset from = range->first; from < range->end;) {
    const auto result = log->Read(kAt, from, {});
    REQUIRE(result.ok());
    for (const StoredRecord& record : result->records) values.push_back(record.value);
    from = result->next;
  }
  return values;
}

TEST_CASE("C4 a record that is written but not known to be synced can't be read", "[eventlog][local]") {
  Fixture f;
  REQUIRE(f.Append("durable").ok());
  f.slow.Hold();
  std::atomic<bool> answered{false};
  f.log->Append(kAt, {"", "not yet"}, [&](const absl::StatusOr<Offset>&) { answered = true; });
  f.slow.AwaitHeld();
  CHECK(f.log->Offsets(kAt)->end == 1);
  const auto result = f.log->Read(kAt, 0, {});
  REQUIRE(result.ok());
  CHECK(result->records.size() == 1);
  CHECK(result->next == 1);
  CHECK(absl::IsOutOfRange(f.log->Read(kAt, 2, {}).status()));
  CHECK_FALSE(answered);
  f.slow.LetGo();
  REQUIRE(f.Append("next").ok());
  CHECK(answered);
  CHECK(ReadAll(f.log.get()) == std::vector<std::string>{"durable", "not yet", "next"});
}

TEST_CASE("C1 a power loss takes nothing that was acknowledged", "[eventlog][local]") {
  Fixture f;
  std::vector<std::string> acknowledged;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string value = absl::StrCat(round, ":", i);
      REQUIRE(f.Append(value).ok());
      acknowledged.push_back(value);
    }
    const Offset end = f.log->Offsets(kAt)->end;
    f.log.reset();
    f.disk.Crash();
    f.Open();
    CHECK(f.log->Offsets(kAt)->end == end);
    CHECK(ReadAll(f.log.get()) == acknowledged);
  }
}

TEST_CASE("C3 an offset whose fate is unknown is not given again", "[eventlog][local]") {
  Fixture f;
  REQUIRE(f.Append("a").value() == 0);
  const bool written = GENERATE(false, true);
  f.slow.FailNext(absl::ResourceExhaustedError("disk full"), written);
  CHECK(absl::IsUnavailable(f.Append("b").status()));  // unknown, whatever the reason
  CHECK(absl::IsResourceExhausted(f.log->Health()));
  CHECK(f.log->Offsets(kAt)->end == 1);
  CHECK(f.Append("c").value() == 2);
  CHECK(f.log->Health().ok());
  f.log.reset();
  f.Open();
  const auto values = ReadAll(f.log.get());
  CHECK(values == (written ? std::vector<std::string>{"a", "b", "c"} : std::vector<std::string>{"a", "c"}));
  CHECK(f.Append("d").value() == 3);
}

TEST_CASE("appends beyond the bound are refused at once, and welcome again afterwards", "[eventlog][local]") {
  LocalLogOptions options;
  options.pending_bytes_max = 1000;
  Fixture f(options);
  f.slow.Hold();
  std::atomic<int> accepted{0};
  for (int i = 0; i < 10; ++i) {
    f.log->Append(kAt, {"", std::string(100, 'x')}, [&](const absl::StatusOr<Offset>& offset) { accepted += offset.ok() ? 1 : 0; });
  }
  f.slow.AwaitHeld();
  CHECK(absl::IsResourceExhausted(f.Append("one too many").status()));
  f.slow.LetGo();
  absl::StatusOr<Offset> offset = absl::UnknownError("");
  while (!(offset = f.Append("now")).ok()) CHECK(absl::IsResourceExhausted(offset.status()));
  CHECK(accepted == 10);
  CHECK(*offset == 10);
}

TEST_CASE("a large group is split", "[eventlog][local]") {
  LocalLogOptions options;
  options.group_bytes_max = 10000;
  Fixture f(options);
  f.slow.Hold();
  for (int i = 0; i < 100; ++i) f.log->Append(kAt, {"", std::string(1000, 'x')}, [](const absl::StatusOr<Offset>&) {});
  f.slow.AwaitHeld();
  f.slow.LetGo();
  REQUIRE(f.Append("last").value() == 100);
  CHECK(f.slow.largest_batch() < 2 * options.group_bytes_max);
  CHECK(ReadAll(f.log.get()).size() == 101);
}

TEST_CASE("retention by size keeps the newest, across restarts", "[eventlog][local]") {
  LocalLogOptions options;
  options.clean_interval = absl::Milliseconds(2);
  Fixture f(options);
  TopicSpec bounded = Topic();
  bounded.retention_bytes = 1000;
  for (int round = 0; round < 3; ++round) {
    REQUIRE(f.log->EnsureTopics({bounded}).ok());
    for (int i = 0; i < 20; ++i) REQUIRE(f.Append(std::string(100, 'x')).ok());
    const Offset end = f.log->Offsets(kAt)->end;
    while (f.log->Offsets(kAt)->first < end - 10) f.log->Wait({}, absl::Milliseconds(2));
    CHECK(f.log->Offsets(kAt)->first == end - 10);
    CHECK(ReadAll(f.log.get()).size() == 10);
    f.log.reset();
    f.Open();
    CHECK(f.log->Offsets(kAt)->first == end - 10);
  }
}

TEST_CASE("a reader that retention overtakes is told, never sent past a gap", "[eventlog][local]") {
  LocalLogOptions options;
  options.clean_interval = absl::Milliseconds(1);
  Fixture f(options);
  TopicSpec bounded = Topic();
  bounded.retention_bytes = 2000;
  REQUIRE(f.log->EnsureTopics({bounded}).ok());
  std::atomic<bool> done{false};
  base::Thread appender("appender", [&](std::stop_token) {
    for (int i = 0; i < 3000; ++i) f.Append(absl::StrCat(i, std::string(100, 'x'))).IgnoreError();
    done = true;
  });
  ReadLimits few;
  few.records_max = 3;
  Offset from = 0;
  int told = 0;
  while (!done || from < f.log->Offsets(kAt)->end) {
    const auto result = f.log->Read(kAt, from, few);
    if (absl::IsOutOfRange(result.status())) {
      ++told;
      from = f.log->Offsets(kAt)->first;
      continue;
    }
    REQUIRE(result.ok());
    for (const StoredRecord& record : result->records) REQUIRE(record.offset == from++);
    REQUIRE(result->next == from);
  }
  CHECK(from == 3000);
  INFO("told " << told << " times");
}

TEST_CASE("a log restored from a backup can be given another identity", "[eventlog][local]") {
  Fixture f;
  const std::string before = f.log->log_id();
  REQUIRE(f.Append("kept").ok());
  f.log.reset();
  f.options.new_incarnation = true;
  f.Open();
  const std::string after = f.log->log_id();
  CHECK(after != before);
  CHECK(ReadAll(f.log.get()) == std::vector<std::string>{"kept"});
  f.log.reset();
  f.options.new_incarnation = false;
  f.Open();
  CHECK(f.log->log_id() == after);
}

TEST_CASE("a folder is open once", "[eventlog][local]") {
  store::TempDir folder;
  base::RealClock clock;
  base::Metrics metrics;
  const auto log = OpenLocalLog(folder.path(), &clock, &metrics, {});
  REQUIRE(log.ok());
  CHECK(absl::IsFailedPrecondition(OpenLocalLog(folder.path(), &clock, &metrics, {}).status()));
}

TEST_CASE("a full disk refuses appends, reading goes on, and appending works again without a restart",
          "[eventlog][local][full]") {
  store::SmallDisk disk(size_t{96} << 20);
  if (!disk.ok()) {
    WARN("SKIPPED: mounting a tmpfs is not allowed here");
    return;
  }
  base::RealClock clock;
  base::Metrics metrics;
  LocalLogOptions options;
  const auto open = [&] {
    auto opened = OpenLocalLog(disk.path() + "/log", &clock, &metrics, options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    REQUIRE((*opened)->EnsureTopics({Topic()}).ok());
    return std::move(*opened);
  };
  std::unique_ptr<Log> log = open();
  std::vector<std::string> acknowledged;
  for (int round = 0; round < 3; ++round) {
    INFO("round " << round);
    disk.Fill(int64_t{24 - round} << 20);
    while (true) {
      const std::string value = base::RandomBytes(100000);
      const auto offset = AppendSync(log.get(), kAt, {"", value}, kPatience);
      if (offset.ok()) {
        acknowledged.push_back(value);
        continue;
      }
      INFO(offset.status());
      CHECK((absl::IsResourceExhausted(offset.status()) || absl::IsUnavailable(offset.status())));
      break;
    }
    CHECK(absl::IsResourceExhausted(log->Health()));
    CHECK(absl::IsResourceExhausted(AppendSync(log.get(), kAt, {"", "v"}, kPatience).status()));
    CHECK((ReadAll(log.get()) == acknowledged));
    disk.Free();
    CHECK(log->Health().ok());
    const std::string value = base::RandomBytes(1000);
    const auto offset = AppendSync(log.get(), kAt, {"", value}, kPatience);
    INFO(offset.status());
    REQUIRE(offset.ok());
    acknowledged.push_back(value);
  }
  log.reset();
  log = open();
  CHECK((ReadAll(log.get()) == acknowledged));
}

}  // namespace
}  // namespace hub::eventlog
