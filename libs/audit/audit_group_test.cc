// Appends that meet: who shares a commit shares its fate, and nobody else does.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/audit/audit.h"
#include "libs/audit/audit_record.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/store/database.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::audit {
namespace {

constexpr store::TableId kTable = 0;

// Counts who asks for the time: an append does so once, when it joins a group.
class CountingClock final : public base::Clock {
 public:
  absl::Time TimeNow() const override {
    base::MutexLock lock(&mu_);
    ++asked_;
    changed_.NotifyAll();
    return absl::FromUnixSeconds(1'800'000'000);
  }
  absl::Duration Monotonic() const override { return absl::ZeroDuration(); }
  void WaitUntilAsked(int times) const {
    base::MutexLock lock(&mu_);
    while (asked_ < times) changed_.Wait(&mu_);
  }

 private:
  mutable base::Mutex mu_;
  mutable base::CondVar changed_;
  mutable int asked_ ABSL_GUARDED_BY(mu_) = 0;
};

// A database in which each commit waits until the test says how it ends.
class GatedDatabase final : public store::Database {
 public:
  absl::Status Commit(const store::Batch& batch, store::Durability durability) override {
    absl::Status outcome;
    {
      base::MutexLock lock(&mu_);
      ++entered_;
      changed_.NotifyAll();
      while (outcomes_.empty()) changed_.Wait(&mu_);
      outcome = outcomes_.front();
      outcomes_.erase(outcomes_.begin());
    }
    // A failed commit may have written.
    const absl::Status written = memory_.Commit(batch, durability);
    return outcome.ok() ? written : outcome;
  }
  absl::StatusOr<std::optional<std::string>> Get(store::TableId table, absl::string_view key) const override {
    return memory_.Get(table, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(store::TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    return memory_.MultiGet(table, keys);
  }
  std::unique_ptr<store::Cursor> Scan(store::TableId table, absl::string_view begin,
                                      absl::string_view end) const override {
    return memory_.Scan(table, begin, end);
  }
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(store::TableId table, absl::string_view begin,
                                                                          absl::string_view end) const override {
    return memory_.Last(table, begin, end);
  }

  void EndOne(absl::Status outcome) {
    base::MutexLock lock(&mu_);
    outcomes_.push_back(std::move(outcome));
    changed_.NotifyAll();
  }
  void WaitUntilEntered(int commits) {
    base::MutexLock lock(&mu_);
    while (entered_ < commits) changed_.Wait(&mu_);
  }
  int entered() {
    base::MutexLock lock(&mu_);
    return entered_;
  }

 private:
  store::MemoryDatabase memory_{1};
  base::Mutex mu_;
  base::CondVar changed_;
  int entered_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<absl::Status> outcomes_ ABSL_GUARDED_BY(mu_);
};

// Appends from threads of their own; the answers by subject.
class Appenders {
 public:
  explicit Appenders(AuditLog* log) : log_(log) {}
  void Start(const std::string& subject) {
    threads_.emplace_back("appender", [this, subject](const std::stop_token&) {
      const absl::Status status = log_->Append({.action = "LookupService.Lookup", .subject = subject});
      base::MutexLock lock(&mu_);
      answers_[subject] = status;
    });
  }
  std::map<std::string, absl::Status> Join() {
    for (base::Thread& thread : threads_) thread.Stop();
    base::MutexLock lock(&mu_);
    return answers_;
  }

 private:
  AuditLog* const log_;
  base::Mutex mu_;
  std::map<std::string, absl::Status> answers_ ABSL_GUARDED_BY(mu_);
  std::vector<base::Thread> threads_;
};

std::vector<std::string> Subjects(const store::Database& database) {
  std::vector<std::string> subjects;
  for (const auto cursor = database.Scan(kTable, "", ""); cursor->Valid(); cursor->Next()) {
    subjects.push_back(DecodeRecord(cursor->value())->entry.subject);
  }
  return subjects;
}

TEST_CASE("who comes during a commit shares the next one", "[audit][group]") {
  CountingClock clock;
  GatedDatabase database;
  const auto log = *AuditLog::Open(&database, kTable, &clock);
  Appenders appenders(log.get());
  appenders.Start("first");
  database.WaitUntilEntered(1);
  for (int i = 0; i < 5; ++i) appenders.Start(absl::StrCat("second-", i));
  clock.WaitUntilAsked(6);
  CHECK(log->head().next_sequence == 0);  // nothing is acknowledged yet
  database.EndOne(absl::OkStatus());
  database.EndOne(absl::OkStatus());
  for (const auto& [subject, status] : appenders.Join()) CHECK(status.ok());
  CHECK(database.entered() == 2);
  CHECK(log->head().next_sequence == 6);
  CHECK(log->Verify().ok());
}

TEST_CASE("a failed commit fails exactly the appends that it carried", "[audit][group][fault]") {
  CountingClock clock;
  GatedDatabase database;
  const auto log = *AuditLog::Open(&database, kTable, &clock);
  Appenders appenders(log.get());
  appenders.Start("before");
  database.WaitUntilEntered(1);
  for (int i = 0; i < 3; ++i) appenders.Start(absl::StrCat("lost-", i));
  clock.WaitUntilAsked(4);
  database.EndOne(absl::OkStatus());
  database.WaitUntilEntered(2);
  for (int i = 0; i < 2; ++i) appenders.Start(absl::StrCat("after-", i));
  clock.WaitUntilAsked(6);
  database.EndOne(absl::ResourceExhaustedError("disk full"));
  database.EndOne(absl::OkStatus());

  const auto answers = appenders.Join();
  REQUIRE(answers.size() == 6);
  for (const auto& [subject, status] : answers) {
    CAPTURE(subject, status.ToString());
    CHECK(status.ok() == (subject.rfind("lost-", 0) != 0));
    if (!status.ok()) CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  }
  CHECK(database.entered() == 3);
  CHECK(log->head().next_sequence == 3);
  CHECK(log->Verify().ok());
  // The three that were lost are gone though the database had written them.
  const std::vector<std::string> kept = Subjects(database);
  REQUIRE(kept.size() == 3);
  for (const std::string& subject : kept) CHECK(answers.at(subject).ok());
}

TEST_CASE("an audit log on the disk goes on after it was closed", "[audit][disk]") {
  const store::TempDir folder;
  const base::ManualClock clock(absl::FromUnixSeconds(1'800'000'000));
  Head before;
  {
    const auto database = *store::OpenDatabase(folder.path(), {{"audit", store::TableShape::kScans}}, {});
    const auto log = *AuditLog::Open(database.get(), kTable, &clock);
    for (int i = 0; i < 300; ++i) REQUIRE(log->Append({.action = "a", .subject = absl::StrCat("t:", i)}).ok());
    before = log->head();
  }
  const auto database = *store::OpenDatabase(folder.path(), {{"audit", store::TableShape::kScans}}, {});
  const auto log = *AuditLog::Open(database.get(), kTable, &clock);
  CHECK(log->head().next_sequence == 300);
  CHECK(log->head().hash == before.hash);
  REQUIRE(log->Append({.action = "a", .subject = "t:more"}).ok());
  CHECK(log->Verify().ok());
  // Past the 256th record the order of keys is still the order of appends.
  const std::vector<std::string> subjects = Subjects(*database);
  REQUIRE(subjects.size() == 301);
  CHECK(subjects[299] == "t:299");
  CHECK(subjects[300] == "t:more");
}

}  // namespace
}  // namespace hub::audit
