#include "libs/audit/audit.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/audit/audit_record.h"
#include "libs/base/clock.h"
#include "libs/base/thread.h"
#include "libs/store/database.h"
#include "tests/catch.h"

namespace hub::audit {
namespace {

constexpr store::TableId kTable = 0;

std::string Key(uint64_t sequence) {
  std::string key;
  store::AppendKey64(sequence, &key);
  return key;
}

Entry Lookup(int i) {
  return {.principal = "fraudhub://dev.hub.example/bank-psb-01/main",
          .action = "LookupService.Lookup",
          .subject = absl::StrCat("t:token", i),
          .purpose = "ONBOARDING",
          .case_ref = "",
          .decision = "granted",
          .policy_version = 7};
}

struct Fixture {
  base::ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  store::MemoryDatabase database{1};
  std::unique_ptr<AuditLog> log = *AuditLog::Open(&database, kTable, &clock);

  void Write(int count) {
    for (int i = 0; i < count; ++i) REQUIRE(log->Append(Lookup(i)).ok());
  }
  std::string Stored(uint64_t sequence) { return (*database.Get(kTable, Key(sequence))).value(); }
  void Store(uint64_t sequence, const std::string& bytes) {
    store::Batch batch;
    batch.Put(kTable, Key(sequence), bytes);
    REQUIRE(database.Commit(batch, store::Durability::kSynced).ok());
  }
  void Remove(uint64_t sequence) {
    store::Batch batch;
    batch.Delete(kTable, Key(sequence));
    REQUIRE(database.Commit(batch, store::Durability::kSynced).ok());
  }
};

// A database that can be told to fail, before or after it wrote, and that counts.
class FaultyDatabase final : public store::Database {
 public:
  enum class Fault { kNone, kBeforeWriting, kAfterWriting };

  absl::Status Commit(const store::Batch& batch, store::Durability durability) override {
    ++commits;
    records += batch.operations().size();
    CHECK(durability == store::Durability::kSynced);
    if (fault == Fault::kBeforeWriting) return absl::UnavailableError("injected");
    const absl::Status status = memory.Commit(batch, durability);
    return fault == Fault::kAfterWriting ? absl::UnavailableError("injected") : status;
  }
  absl::StatusOr<std::optional<std::string>> Get(store::TableId table, absl::string_view key) const override {
    return memory.Get(table, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(store::TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    return memory.MultiGet(table, keys);
  }
  std::unique_ptr<store::Cursor> Scan(store::TableId table, absl::string_view begin,
                                      absl::string_view end) const override {
    return memory.Scan(table, begin, end);
  }
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(store::TableId table, absl::string_view begin,
                                                                          absl::string_view end) const override {
    return memory.Last(table, begin, end);
  }

  store::MemoryDatabase memory{1};
  std::atomic<Fault> fault = Fault::kNone;
  std::atomic<size_t> commits = 0;
  std::atomic<size_t> records = 0;
};

TEST_CASE("an audit record decodes to what was written", "[audit][record]") {
  Record record;
  record.previous.fill(0xab);
  record.sequence = 42;
  record.at = absl::FromUnixMicros(1'800'000'000'123'456);
  record.entry = {"uri", "action", std::string("sub\0ject", 8), "", "FIR-1", "refused: NOT_ENTITLED", 9};
  const std::string bytes = EncodeRecord(record);
  const absl::StatusOr<Record> decoded = DecodeRecord(bytes);
  REQUIRE(decoded.ok());
  CHECK(EncodeRecord(*decoded) == bytes);
  CHECK(decoded->sequence == 42);
  CHECK(decoded->at == record.at);
  CHECK(decoded->entry.subject == record.entry.subject);
  CHECK(decoded->entry.decision == "refused: NOT_ENTITLED");
  CHECK(decoded->entry.policy_version == 9);
}

TEST_CASE("every flipped bit and every cut of an audit record shows", "[audit][record]") {
  const std::string bytes = EncodeRecord({.sequence = 1, .at = absl::FromUnixSeconds(5), .entry = Lookup(1)});
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    REQUIRE_FALSE(DecodeRecord(flipped).ok());
    REQUIRE_FALSE(DecodeRecord(bytes.substr(0, i)).ok());
  }
}

TEST_CASE("an empty audit log verifies", "[audit]") {
  Fixture fixture;
  CHECK(fixture.log->Verify().ok());
  CHECK(fixture.log->head().next_sequence == 0);
}

TEST_CASE("an audit log goes on where it stopped", "[audit]") {
  Fixture fixture;
  fixture.Write(3);
  const Head before = fixture.log->head();
  fixture.log = *AuditLog::Open(&fixture.database, kTable, &fixture.clock);
  CHECK(fixture.log->head().next_sequence == before.next_sequence);
  CHECK(fixture.log->head().hash == before.hash);
  fixture.Write(2);
  CHECK(fixture.log->head().next_sequence == 5);
  CHECK(fixture.log->Verify().ok());
}

TEST_CASE("an appended record survives a power loss", "[audit]") {
  Fixture fixture;
  fixture.Write(4);
  fixture.database.Crash();
  fixture.log = *AuditLog::Open(&fixture.database, kTable, &fixture.clock);
  CHECK(fixture.log->head().next_sequence == 4);
  CHECK(fixture.log->Verify().ok());
}

TEST_CASE("Verify names the first record that was tampered with", "[audit][tamper]") {
  Fixture fixture;
  fixture.Write(10);
  absl::string_view named;
  SECTION("a byte is flipped") {
    std::string bytes = fixture.Stored(4);
    bytes[60] = static_cast<char>(bytes[60] ^ 1);
    fixture.Store(4, bytes);
    named = "audit record 4:";
  }
  SECTION("a record is written anew with a hash that fits itself") {
    Record record = *DecodeRecord(fixture.Stored(4));
    record.entry.principal = "fraudhub://dev.hub.example/somebody-else/main";
    fixture.Store(4, EncodeRecord(record));
    named = "audit record 5:";  // whose anchor no longer fits
  }
  SECTION("a record is deleted") {
    fixture.Remove(6);
    named = "audit record 6:";
  }
  SECTION("the first record is deleted") {
    fixture.Remove(0);
    named = "audit record 0:";
  }
  SECTION("two records are swapped") {
    const std::string third = fixture.Stored(3);
    fixture.Store(3, fixture.Stored(7));
    fixture.Store(7, third);
    named = "audit record 3:";
  }
  SECTION("a record is put in twice") {
    fixture.Store(5, fixture.Stored(4));
    named = "audit record 5:";
  }
  SECTION("the last record is cut off while the log is open") {
    fixture.Remove(9);
    named = "audit record 9:";
  }
  SECTION("the last record is replaced by another that follows as well") {
    Record record = *DecodeRecord(fixture.Stored(9));
    record.entry.decision = "refused: NOT_ENTITLED";
    fixture.Store(9, EncodeRecord(record));
    named = "audit record 9:";
  }
  const absl::Status status = fixture.log->Verify();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(absl::StartsWith(status.message(), named));
}

TEST_CASE("a cut tail shows against a head kept elsewhere", "[audit][tamper]") {
  Fixture fixture;
  fixture.Write(10);
  const Head kept = fixture.log->head();
  fixture.Remove(9);
  fixture.Remove(8);
  fixture.log = *AuditLog::Open(&fixture.database, kTable, &fixture.clock);
  CHECK(fixture.log->Verify().ok());  // the chain alone cannot tell
  CHECK(fixture.log->head().next_sequence < kept.next_sequence);
}

TEST_CASE("an audit log whose last record does not decode is not opened", "[audit][tamper]") {
  Fixture fixture;
  fixture.Write(3);
  fixture.Store(2, "garbage");
  CHECK(AuditLog::Open(&fixture.database, kTable, &fixture.clock).status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("an append that the disk refuses fails and leaves the chain whole", "[audit][fault]") {
  FaultyDatabase database;
  const base::ManualClock clock(absl::FromUnixSeconds(1'800'000'000));
  auto log = *AuditLog::Open(&database, kTable, &clock);
  REQUIRE(log->Append(Lookup(0)).ok());
  const auto fault = GENERATE(FaultyDatabase::Fault::kBeforeWriting, FaultyDatabase::Fault::kAfterWriting);
  database.fault = fault;
  CHECK(log->Append(Lookup(1)).code() == absl::StatusCode::kUnavailable);
  CHECK(log->Append(Lookup(2)).code() == absl::StatusCode::kUnavailable);
  CHECK(log->head().next_sequence == 1);
  database.fault = FaultyDatabase::Fault::kNone;
  CHECK(log->Append(Lookup(3)).ok());
  CHECK(log->head().next_sequence == 2);
  CHECK(log->Verify().ok());
}

// What a failed group of several left behind would break the chain behind the next record.
TEST_CASE("records of a group that failed after writing do not stay", "[audit][fault]") {
  FaultyDatabase database;
  const base::ManualClock clock(absl::FromUnixSeconds(1'800'000'000));
  auto log = *AuditLog::Open(&database, kTable, &clock);
  database.fault = FaultyDatabase::Fault::kAfterWriting;
  REQUIRE_FALSE(log->Append(Lookup(0)).ok());
  store::Batch leftovers;  // as if the group had been of three
  leftovers.Put(kTable, Key(1), "left over");
  leftovers.Put(kTable, Key(2), "left over");
  REQUIRE(database.memory.Commit(leftovers, store::Durability::kSynced).ok());
  database.fault = FaultyDatabase::Fault::kNone;
  REQUIRE(log->Append(Lookup(1)).ok());
  CHECK(log->Verify().ok());
  CHECK(log->head().next_sequence == 1);
}

TEST_CASE("appends of many threads make one whole chain and share commits", "[audit][threads]") {
  constexpr int kThreads = 8;
  constexpr int kAppends = 25;
  FaultyDatabase database;
  const base::ManualClock clock(absl::FromUnixSeconds(1'800'000'000));
  auto log = *AuditLog::Open(&database, kTable, &clock);
  std::atomic<int> failures = 0;
  int rounds = 0;
  // Who meets whom is the scheduler's choice: go on until some commit was shared.
  for (; rounds < 200 && database.records == database.commits; ++rounds) {
    std::vector<base::Thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back("appender", [&](const std::stop_token&) {
        for (int k = 0; k < kAppends; ++k) failures += log->Append(Lookup(k)).ok() ? 0 : 1;
      });
    }
    for (base::Thread& thread : threads) thread.Stop();
  }
  CHECK(failures == 0);
  CHECK(database.commits < database.records);
  CHECK(log->head().next_sequence == static_cast<uint64_t>(rounds * kThreads * kAppends));
  CHECK(log->Verify().ok());
}

}  // namespace
}  // namespace hub::audit
