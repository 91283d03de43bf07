// Planted bugs: wrong implementations of the seams (Log, Database) that the product code runs on. Each must be found by the
// simulation; a simulation that finds no planted bug proves nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/eventlog/log.h"
#include "libs/store/database.h"

namespace hub::simulation {

enum class Bug {
  kNone,
  kDedupeWriteSkipped,    // the registry's ids never reach its table
  kResumeOffByOne,        // a resumed stream starts one record too late
  kWithdrawalDropped,     // a reader that lags never sees withdrawals
  kLeftViewForgotten,     // events lose the attributes before them
  kFencedRecordBelieved,  // readers see a zombie's records under the term in force
  kFencedCopyBelieved,    // a zombie's urgent copy passes for one of an event in force
  kStateNotRepaired,      // silent states never reach the log, so counters and displaced keys stay wrong
};

// A log seen through a filter; borrowed, as everything here.
class LogView : public eventlog::Log {
 public:
  // `alter` may change or drop (return false) each record read; null = as it is. `swallow`: true = tell the writer it is durable and
  // write nothing.
  using Alter = std::function<bool(const eventlog::TopicPartition&, eventlog::StoredRecord*)>;
  using Swallow = std::function<bool(const eventlog::TopicPartition&, const eventlog::Record&)>;
  LogView(eventlog::Log* log, Alter alter, Swallow swallow)
      : log_(log), alter_(std::move(alter)), swallow_(std::move(swallow)) {}

  absl::Status EnsureTopics(const std::vector<eventlog::TopicSpec>& topics) override {
    return log_->EnsureTopics(topics);
  }
  std::string log_id() const override { return log_->log_id(); }
  void Append(const eventlog::TopicPartition& partition, eventlog::Record record, AppendCallback done) override {
    if (swallow_ && swallow_(partition, record)) {
      done(eventlog::Offset{0});
      return;
    }
    log_->Append(partition, std::move(record), std::move(done));
  }
  absl::StatusOr<eventlog::ReadResult> Read(const eventlog::TopicPartition& partition, eventlog::Offset from,
                                            const eventlog::ReadLimits& limits) override {
    auto result = log_->Read(partition, from, limits);
    if (!result.ok() || !alter_) return result;
    std::vector<eventlog::StoredRecord> kept;
    for (eventlog::StoredRecord& record : result->records) {
      if (alter_(partition, &record)) kept.push_back(std::move(record));
    }
    result->records = std::move(kept);
    return result;
  }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { log_->Wait(any_of, timeout); }
  absl::StatusOr<eventlog::OffsetRange> Offsets(const eventlog::TopicPartition& partition) override {
    return log_->Offsets(partition);
  }
  absl::Status Health() const override { return log_->Health(); }

 private:
  eventlog::Log* const log_;
  const Alter alter_;
  const Swallow swallow_;
};

// A database that loses the puts of one table.
class LossyDatabase : public store::Database {
 public:
  LossyDatabase(store::Database* database, store::TableId lost) : database_(database), lost_(lost) {}
  absl::Status Commit(const store::Batch& batch, store::Durability durability) override {
    store::Batch kept;
    for (const auto& operation : batch.operations()) {
      switch (operation.kind) {
        case store::Batch::Operation::Kind::kPut:
          if (operation.table != lost_) kept.Put(operation.table, operation.key, operation.value);
          break;
        case store::Batch::Operation::Kind::kDelete:
          kept.Delete(operation.table, operation.key);
          break;
        case store::Batch::Operation::Kind::kDeleteRange:
          kept.DeleteRange(operation.table, operation.key, operation.value);
          break;
      }
    }
    return database_->Commit(kept, durability);
  }
  absl::StatusOr<std::optional<std::string>> Get(store::TableId table, absl::string_view key) const override {
    return database_->Get(table, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(store::TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    return database_->MultiGet(table, keys);
  }
  std::unique_ptr<store::Cursor> Scan(store::TableId table, absl::string_view begin,
                                      absl::string_view end) const override {
    return database_->Scan(table, begin, end);
  }
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(store::TableId table, absl::string_view begin,
                                                                          absl::string_view end) const override {
    return database_->Last(table, begin, end);
  }

 private:
  store::Database* const database_;
  const store::TableId lost_;
};

}  // namespace hub::simulation
