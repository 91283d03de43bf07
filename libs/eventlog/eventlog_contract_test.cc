// The contract of log.h, C1 to C6, over every log (contract_log.h).
#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/eventlog/contract_log.h"
#include "libs/eventlog/contract_suite_test.h"
#include "libs/eventlog/log.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

TEST_CASE("C1 what was appended is read back, byte for byte, at the offset that was told", "[eventlog][contract]") {
  EACH_LOG(log);
  CHECK(log->Offsets(kAt)->first == 0);
  CHECK(log->Offsets(kAt)->end == 0);
  const std::vector<Record> records = {{"k1", "one"},
                                       {"", "no key"},
                                       {"k2", ""},
                                       {std::string("\0k", 2), std::string("\0\xff", 2)},
                                       {"k1", base::RandomBytes(kRecordBytesMax)},
                                       {std::string(kKeyBytesMax, 'k'), "long key"}};
  std::vector<Offset> offsets;
  for (const Record& record : records) offsets.push_back(MustAppend(log.log(), kAt, record.key, record.value));
  const std::vector<StoredRecord> stored = ReadTo(log.log(), kAt, 0, offsets.back() + 1);
  REQUIRE(stored.size() == records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    CHECK(stored[i].offset == offsets[i]);
    CHECK(stored[i].key == records[i].key);
    CHECK((stored[i].value == records[i].value));
    CHECK(stored[i].appended_at > absl::FromUnixSeconds(1000000000));
  }
  CHECK(log->Offsets(kAt)->end == offsets.back() + 1);
  CHECK(log->Health().ok());
}

TEST_CASE("C1 records handed over together are answered together, each for itself", "[eventlog][contract]") {
  EACH_LOG(log);
  std::vector<Log::Addressed> records;
  for (int i = 0; i < 60; ++i) records.push_back({i % 3, {"k", absl::StrCat("v", i)}});
  records[7].partition = 3;                                        // none
  records[8].record.value = std::string(kRecordBytesMax + 1, 'x');  // too large
  struct Answered {
    base::Mutex mu;
    base::CondVar changed;
    int times ABSL_GUARDED_BY(mu) = 0;
    std::vector<absl::StatusOr<Offset>> answers ABSL_GUARDED_BY(mu);
  };
  const auto ask = [&](std::vector<Log::Addressed> asked) {
    const auto answered = std::make_shared<Answered>();
    log->AppendAll("plain", std::move(asked), [answered](std::vector<absl::StatusOr<Offset>> answers) {
      base::MutexLock lock(&answered->mu);
      ++answered->times;
      answered->answers = std::move(answers);
      answered->changed.NotifyAll();
    });
    base::MutexLock lock(&answered->mu);
    while (answered->times == 0) REQUIRE(answered->changed.WaitFor(&answered->mu, kPatience));
    CHECK(answered->times == 1);
    return answered->answers;
  };
  const std::vector<absl::StatusOr<Offset>> answers = ask(std::move(records));
  REQUIRE(answers.size() == 60);
  std::map<Offset, std::string> told[3];
  for (int i = 0; i < 60; ++i) {
    const absl::StatusOr<Offset>& answer = answers[static_cast<size_t>(i)];
    if (i == 7) {
      CHECK(absl::IsNotFound(answer.status()));
    } else if (i == 8) {
      CHECK(absl::IsInvalidArgument(answer.status()));
    } else {
      INFO("record " << i << ": " << answer.status());
      REQUIRE(answer.ok());
      CHECK(told[i % 3].emplace(*answer, absl::StrCat("v", i)).second);
    }
  }
  for (int32_t p = 0; p < 3; ++p) {
    const TopicPartition at{"plain", p};
    const std::vector<StoredRecord> stored = ReadTo(log.log(), at, 0, told[p].rbegin()->first + 1);
    std::map<Offset, std::string> read;
    for (const StoredRecord& record : stored) read[record.offset] = record.value;
    CHECK(read == told[p]);
    std::vector<std::string> in_order;
    for (int i = p; i < 60; i += 3) {
      if (i != 7 && i != 8) in_order.push_back(absl::StrCat("v", i));
    }
    CHECK(Values(stored) == in_order);  // C2
  }
  CHECK(ask({}).empty());
  const auto refused = ask({{9, {"k", "v"}}});
  REQUIRE(refused.size() == 1);
  CHECK(absl::IsNotFound(refused[0].status()));
}

TEST_CASE("C1 what can't be stored is refused, and nothing of it is written", "[eventlog][contract]") {
  EACH_LOG(log);
  const auto code = [&](const TopicPartition& at, const Record& record) {
    return AppendSync(log.log(), at, record, kPatience).status().code();
  };
  CHECK(code(kAt, {"k", std::string(kRecordBytesMax + 1, 'x')}) == absl::StatusCode::kInvalidArgument);
  CHECK(code(kAt, {std::string(kKeyBytesMax + 1, 'x'), "v"}) == absl::StatusCode::kInvalidArgument);
  CHECK(code(kCompactAt, {"", "v"}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({"plain", 3}, {"k", "v"}) == absl::StatusCode::kNotFound);
  CHECK(code({"plain", -1}, {"k", "v"}) == absl::StatusCode::kNotFound);
  CHECK(code({"none", 0}, {"k", "v"}) == absl::StatusCode::kNotFound);
  CHECK(log->Offsets(kAt)->end == 0);
  CHECK(log->Offsets(kCompactAt)->end == 0);
  CHECK(absl::IsNotFound(log->Offsets({"none", 0}).status()));
  CHECK(absl::IsNotFound(log->Read({"plain", 3}, 0, {}).status()));
}

TEST_CASE("reading outside of the log is OutOfRange, reading at its end is empty", "[eventlog][contract]") {
  EACH_LOG(log);
  const auto nothing = ReadPatiently(log.log(), kAt, 0);
  REQUIRE(nothing.ok());
  CHECK(nothing->records.empty());
  CHECK(absl::IsOutOfRange(ReadStatus(log.log(), kAt, 1)));
  CHECK(absl::IsOutOfRange(ReadStatus(log.log(), kAt, -1)));
  const Offset last = MustAppend(log.log(), kAt, "k", "v");
  const auto at_end = ReadPatiently(log.log(), kAt, last + 1);
  REQUIRE(at_end.ok());
  CHECK(at_end->records.empty());
  CHECK(at_end->next == last + 1);
  CHECK(absl::IsOutOfRange(ReadStatus(log.log(), kAt, last + 2)));
  CHECK(ReadTo(log.log(), kAt, 0, last + 1).size() == 1);  // a refused read spoils nothing
}

TEST_CASE("a read returns no more than its limits, but at least one record", "[eventlog][contract]") {
  EACH_LOG(log);
  Callbacks callbacks(20);
  for (int i = 0; i < 20; ++i)
    log->Append(kAt, {"", std::string(1000, 'a' + i)}, callbacks.For(static_cast<size_t>(i)));
  REQUIRE(callbacks.WaitForAll());
  const Offset end = log->Offsets(kAt)->end;
  ReadLimits limits;
  SECTION("records") { limits.records_max = 7; }
  SECTION("one record") { limits.records_max = 1; }
  SECTION("bytes") { limits.bytes_max = 3500; }
  SECTION("fewer bytes than a record") { limits.bytes_max = 10; }
  const auto records = ReadTo(log.log(), kAt, 0, end, limits);  // checks the limits
  REQUIRE(records.size() == 20);
  for (size_t i = 0; i < 20; ++i) CHECK(records[i].value[0] == static_cast<char>('a' + i));
}

TEST_CASE("readers at different positions of one partition do not disturb each other", "[eventlog][contract]") {
  EACH_LOG(log);
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back(absl::StrCat(i));
    MustAppend(log.log(), kAt, "", expected.back());
  }
  const auto all = ReadTo(log.log(), kAt, 0, log->Offsets(kAt)->end);
  REQUIRE(Values(all) == expected);
  // Forth and back, in steps: each read is checked against what was read at once.
  ReadLimits limits;
  limits.records_max = 3;
  for (const size_t start : {size_t{40}, size_t{3}, size_t{25}, size_t{3}, size_t{0}, size_t{49}}) {
    const auto some = ReadSome(log.log(), kAt, all[start].offset, limits);
    REQUIRE(start + some.size() <= all.size());
    for (size_t i = 0; i < some.size(); ++i) CHECK(some[i].value == expected[start + i]);
  }
}

// Four threads append at once; what each appended carries its number and place.
class Appenders {
 public:
  static constexpr int kThreads = 4;
  static constexpr int kEach = 500;
  static std::string Value(int thread, int i) { return absl::StrCat(thread, ":", i); }

  explicit Appenders(Log* log) : callbacks_(kThreads * kEach) {
    for (int t = 0; t < kThreads; ++t) {
      threads_.emplace_back("appender", [this, log, t](std::stop_token) {
        for (int i = 0; i < kEach; ++i) log->Append(kAt, {"", Value(t, i)}, callbacks_.For(Index(t, i)));
      });
    }
  }
  bool WaitForAll() {
    threads_.clear();  // joins
    return callbacks_.WaitForAll();
  }
  absl::StatusOr<Offset> offset(int thread, int i) { return callbacks_.offset(Index(thread, i)); }

 private:
  static size_t Index(int thread, int i) { return static_cast<size_t>(thread * kEach + i); }
  Callbacks callbacks_;
  std::vector<base::Thread> threads_;
};

TEST_CASE("C2 appends of one thread land in call order, whoever else appends", "[eventlog][contract]") {
  EACH_LOG(log);
  Appenders appenders(log.log());
  REQUIRE(appenders.WaitForAll());
  std::map<Offset, std::string> by_offset;
  for (const StoredRecord& record : ReadTo(log.log(), kAt, 0, log->Offsets(kAt)->end))
    by_offset[record.offset] = record.value;
  REQUIRE(by_offset.size() == Appenders::kThreads * Appenders::kEach);
  for (int t = 0; t < Appenders::kThreads; ++t) {
    Offset previous = -1;
    for (int i = 0; i < Appenders::kEach; ++i) {
      const auto offset = appenders.offset(t, i);
      REQUIRE(offset.ok());
      REQUIRE(*offset > previous);
      REQUIRE(by_offset[*offset] == Appenders::Value(t, i));
      previous = *offset;
    }
  }
}

TEST_CASE("C4 a reader at the tail misses nothing and sees nothing twice", "[eventlog][contract]") {
  EACH_LOG(log);
  constexpr size_t kAll = Appenders::kThreads * Appenders::kEach;
  Appenders appenders(log.log());
  std::vector<StoredRecord> seen;
  Offset from = 0;
  const absl::Duration start = base::RealClock().Monotonic();
  while (seen.size() < kAll) {
    REQUIRE(!Expired(start));
    const auto result = log->Read(kAt, from, {});
    if (absl::IsUnavailable(result.status())) continue;
    REQUIRE(result.ok());
    seen.insert(seen.end(), result->records.begin(), result->records.end());
    from = result->next;
    if (result->records.empty()) log->Wait({{kAt, from}}, absl::Seconds(5));
  }
  REQUIRE(appenders.WaitForAll());
  const auto stored = ReadTo(log.log(), kAt, 0, log->Offsets(kAt)->end);
  CHECK(Values(stored) == Values(seen));
}

TEST_CASE("a callback may append", "[eventlog][contract]") {
  EACH_LOG(log);
  Callbacks second(1);
  log->Append(kAt, {"", "first"}, [&](absl::StatusOr<Offset> offset) {
    if (offset.ok()) log->Append(kAt, {"", "second"}, second.For(0));
  });
  REQUIRE(second.WaitForAll());
  REQUIRE(second.offset(0).ok());
  CHECK(Values(ReadTo(log.log(), kAt, 0, *second.offset(0) + 1)) == std::vector<std::string>{"first", "second"});
}

TEST_CASE("partitions have offsets of their own", "[eventlog][contract]") {
  EACH_LOG(log);
  CHECK(MustAppend(log.log(), kAt, "", "a") == 0);
  CHECK(MustAppend(log.log(), {"plain", 2}, "", "b") == 0);
  CHECK(MustAppend(log.log(), kCompactAt, "k", "c") == 0);
  CHECK(MustAppend(log.log(), kAt, "", "d") == 1);
  CHECK(log->Offsets({"plain", 1})->end == 0);
  CHECK(Values(ReadTo(log.log(), {"plain", 2}, 0, 1)) == std::vector<std::string>{"b"});
}

TEST_CASE("C1 every callback runs exactly once, also when the log is closed at once", "[eventlog][contract]") {
  EACH_LOG(log);
  constexpr size_t kAppends = 2000;
  Callbacks callbacks(kAppends);
  for (size_t i = 0; i < kAppends; ++i) log->Append(kAt, {"", absl::StrCat(i)}, callbacks.For(i));
  log.Close();
  for (size_t i = 0; i < kAppends; ++i) REQUIRE(callbacks.calls(i) == 1);
  if (!log.survives_restart()) return;
  log.Restart();
  REQUIRE(log->EnsureTopics(Topics(log.lag())).ok());
  // What was acknowledged is there; what was not may be.
  std::map<std::string, Offset> stored;
  for (const StoredRecord& record : ReadTo(log.log(), kAt, 0, log->Offsets(kAt)->end))
    stored[record.value] = record.offset;
  for (size_t i = 0; i < kAppends; ++i) {
    const auto offset = callbacks.offset(i);
    if (offset.ok()) REQUIRE((stored.count(absl::StrCat(i)) == 1 && stored[absl::StrCat(i)] == *offset));
  }
}

TEST_CASE("C3 after a restart the records, the offsets and the identity are the same, and offsets go on",
          "[eventlog][contract]") {
  EACH_LOG(log);
  if (!log.survives_restart()) return;
  const std::string id = log->log_id();
  for (int i = 0; i < 10; ++i) MustAppend(log.log(), kAt, "", absl::StrCat(i));
  const auto before = ReadTo(log.log(), kAt, 0, log->Offsets(kAt)->end);
  for (int restart = 0; restart < 2; ++restart) {
    log.Restart();
    CHECK(log->log_id() == id);
    if (log.forgets_topics()) CHECK(absl::IsNotFound(log->Offsets(kAt).status()));  // not ensured yet
    REQUIRE(log->EnsureTopics(Topics(log.lag())).ok());
    CHECK(log->log_id() == id);
    const auto after = ReadTo(log.log(), kAt, 0, before.back().offset + 1);
    REQUIRE(Values(after) == Values(before));
    CHECK(after.back().offset == before.back().offset);
    CHECK(after.back().appended_at == before.back().appended_at);
  }
  CHECK(MustAppend(log.log(), kAt, "", "later") > before.back().offset);
}

TEST_CASE("C6 two logs have two identities", "[eventlog][contract]") {
  EACH_LOG(log);
  const std::unique_ptr<ContractLog> other = MakeContractLog(kind);
  REQUIRE((*other)->EnsureTopics(Topics(other->lag())).ok());
  CHECK(log->log_id().size() == 16);
  CHECK(log->log_id() != (*other)->log_id());
}

TEST_CASE("EnsureTopics accepts what is there, adds what is new and refuses what differs", "[eventlog][contract]") {
  EACH_LOG(log);
  const Offset offset = MustAppend(log.log(), kAt, "", "kept");
  std::vector<TopicSpec> topics = Topics(log.lag());
  topics.push_back(topics[0]);
  topics.back().name = "added";
  REQUIRE(log->EnsureTopics(topics).ok());
  CHECK(Values(ReadTo(log.log(), kAt, 0, offset + 1)) == std::vector<std::string>{"kept"});
  MustAppend(log.log(), {"added", 2}, "", "v");

  const auto refused = [&](const std::function<void(TopicSpec*)>& change, absl::StatusCode code,
                           absl::string_view word) {
    TopicSpec topic = Topics(log.lag())[0];
    change(&topic);
    const absl::Status status = log->EnsureTopics({topic});
    INFO(status);
    CHECK(status.code() == code);
    CHECK(absl::StrContains(status.message(), word));
  };
  refused([](TopicSpec* topic) { topic->partitions = 4; }, absl::StatusCode::kFailedPrecondition, "partitions");
  refused([](TopicSpec* topic) { topic->cleanup = Cleanup::kCompact; }, absl::StatusCode::kFailedPrecondition,
          "cleanup");
  refused([](TopicSpec* topic) { topic->name = "not a name"; }, absl::StatusCode::kInvalidArgument, "name");
  refused([](TopicSpec* topic) { topic->partitions = 0; }, absl::StatusCode::kInvalidArgument, "partitions");
  MustAppend(log.log(), kAt, "", "still works");
}

TEST_CASE("Wait ends when there is something to read, or after its time", "[eventlog][contract]") {
  EACH_LOG(log);
  const base::RealClock real;
  const absl::Duration start = real.Monotonic();
  log->Wait({{kAt, 0}, {{"plain", 1}, 0}}, absl::Milliseconds(30));
  CHECK(real.Monotonic() - start < kPatience);

  // The second of two partitions wakes it up: it is reached far earlier than the timeout.
  base::Thread appender("appender", [&](std::stop_token) {
    AppendSync(log.log(), {"plain", 1}, {"", "v"}, kPatience).IgnoreError();
  });
  Offset end = 0;
  while (end == 0 && !Expired(start)) {
    log->Wait({{kAt, 0}, {{"plain", 1}, 0}}, kPatience);
    end = log->Offsets({"plain", 1})->end;
  }
  CHECK(end == 1);
  log->Wait({{{"plain", 1}, 0}}, kPatience);  // at once: there is a record already
  CHECK(real.Monotonic() - start < kPatience);
}

}  // namespace
}  // namespace hub::eventlog
