// The contract of log.h, C5: what cleanup removes and what it keeps, over every log (contract_log.h).
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

TEST_CASE("C5 retention removes the oldest records only, and a reader below is told", "[eventlog][contract]") {
  EACH_LOG(log);
  for (int i = 0; i < 5; ++i) MustAppend(log.log(), kAt, "", absl::StrCat("old", i));
  const Offset young = log->Offsets(kAt)->end;
  log.Age();
  for (int i = 0; i < 5; ++i) MustAppend(log.log(), kAt, "", absl::StrCat("young", i));
  const Offset end = log->Offsets(kAt)->end;
  log.Expire(kAt, young);
  REQUIRE(log.CleansUntil([&] { return log->Offsets(kAt)->first == young; }));
  CHECK(log->Offsets(kAt)->end == end);
  CHECK(absl::IsOutOfRange(ReadStatus(log.log(), kAt, 0)));
  CHECK(absl::IsOutOfRange(ReadStatus(log.log(), kAt, young - 1)));
  CHECK(ReadTo(log.log(), kAt, young, end).size() == 5);

  // All gone: no offset is given twice, neither now nor after a restart.
  log.Age();
  log.Expire(kAt, end);
  REQUIRE(log.CleansUntil([&] { return log->Offsets(kAt)->first == end; }));
  CHECK(log->Offsets(kAt)->end == end);
  if (log.survives_restart()) {
    log.Restart();
    REQUIRE(log->EnsureTopics(Topics(log.lag())).ok());
    CHECK(log->Offsets(kAt)->first == end);
  }
  CHECK(MustAppend(log.log(), kAt, "", "again") == end);
  CHECK(absl::IsOutOfRange(ReadStatus(log.log(), kAt, end - 1)));
}

TEST_CASE("C5 a reader whose next record goes while it pauses is told", "[eventlog][contract]") {
  EACH_LOG(log);
  for (int i = 0; i < 20; ++i) MustAppend(log.log(), kAt, "", absl::StrCat(i));
  ReadLimits one, two;
  one.records_max = 1;  // a log that is still catching up may answer with fewer than two
  two.records_max = 2;
  ReadTo(log.log(), kAt, 0, 2, one);
  log.Age();
  const Offset end = log->Offsets(kAt)->end;
  log.Expire(kAt, end);
  REQUIRE(log.CleansUntil([&] { return log->Offsets(kAt)->first == end; }));
  // A log may still hold what it fetched before; then it goes on with record 2, and never jumps.
  Offset from = 2;
  const absl::Duration start = base::RealClock().Monotonic();
  while (!Expired(start)) {
    const auto result = log->Read(kAt, from, two);
    if (absl::IsOutOfRange(result.status()) || from == end) break;
    if (!result.ok()) continue;
    for (const StoredRecord& record : result->records) REQUIRE(record.offset == from++);
    REQUIRE(result->next == from);
  }
  CHECK(!Expired(start));
}

TEST_CASE("C5 compaction keeps the last record of each key and all that is younger than the lag",
          "[eventlog][contract]") {
  EACH_LOG(log);
  const auto append = [&](const char* key, const char* value) { return MustAppend(log.log(), kCompactAt, key, value); };
  const Offset superseded = append("a", "a1");
  const Offset only = append("b", "b1");
  append("a", "a2");
  append("c", "c1");
  append("c", "c2");
  append("a", "a3");
  log.Age();
  const Offset young = append("a", "a4");
  append("a", "a5");
  append("d", "d1");
  append("d", "d2");
  const Offset end = log->Offsets(kCompactAt)->end;
  const auto values = [&] { return Values(ReadTo(log.log(), kCompactAt, 0, end)); };
  REQUIRE(log.CleansUntil([&] {
    const auto now = values();
    return std::count(now.begin(), now.end(), "a1") + std::count(now.begin(), now.end(), "a2") +
               std::count(now.begin(), now.end(), "c1") ==
           0;
  }));
  // "a3" stays: its successor is younger than the lag.
  CHECK(values() == std::vector<std::string>{"b1", "c2", "a3", "a4", "a5", "d1", "d2"});

  // Holes: `first` stays, a read from within one goes on at the next record, and offsets keep their bytes.
  CHECK(log->Offsets(kCompactAt)->first == 0);
  CHECK(ReadTo(log.log(), kCompactAt, superseded, end).front().offset == only);
  CHECK(ReadTo(log.log(), kCompactAt, young, end).front().value == "a4");
  if (!log.survives_restart()) return;
  log.Restart();
  REQUIRE(log->EnsureTopics(Topics(log.lag())).ok());
  const auto stored = ReadTo(log.log(), kCompactAt, 0, end);
  std::set<std::string> now;
  for (const std::string& value : Values(stored)) now.insert(value);
  for (const char* value : {"b1", "c2", "a5", "d2"}) CHECK(now.count(value) == 1);
  CHECK(append("a", "a6") == end);
}

}  // namespace
}  // namespace hub::eventlog
