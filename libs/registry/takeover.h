// How a registry becomes the owner of a partition: finds the highest term, marks the log with its own, reads back what stands before the
// mark, and rebuilds its tables from the log when they are not the partition's latest. Private to this library.
//
// R1 to R4 and R13 to R15 of DESIGN.md 5. A state machine: Step until it says kDone. Nothing is decided or published before.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/eventlog/log.h"
#include "libs/model/records.h"
#include "libs/model/rules.h"
#include "libs/model/token.h"
#include "libs/registry/outbox.h"
#include "libs/registry/rows.h"
#include "libs/store/database.h"
#include "libs/wire/wire.h"

namespace hub::registry {

// A key whose last record on `events` is not its newest accepted one (R13), with what the records in its place said of it.
struct Displaced {
  std::vector<model::Attributes> attributes;
};

class Takeover {
 public:
  // All pointers and references outlive it.
  Takeover(int32_t partition, const RowKeys& keys, const Tables& tables, const base::Clock* clock, eventlog::Log* log,
           store::Database* database, const model::Tokeniser* tokeniser);

  enum class Progress { kAgain, kWaiting, kDone };
  // Errors: nothing is lost, call again after a pause.
  absl::StatusOr<Progress> Step();

  // Once done: where to start from. The tables hold everything before it; the term is not stored yet.
  const PartitionState& state() const { return state_; }
  const model::Rules& rules() const { return rules_; }
  const std::map<model::IndicatorKey, Displaced>& displaced() const { return displaced_; }
  // Sequences of the records on `events` that the tables may still hold as rows to be sent.
  const std::map<uint64_t, OnLog>& sequences_on_log() const { return sequences_on_log_; }
  bool rebuilt() const { return rebuilt_; }
  // Of `urgent`: what was read of it. Valid when done.
  eventlog::Offset urgent_next() const { return urgent_next_; }
  // What to wait for when kWaiting.
  eventlog::Log::WaitFor wait_for() const;

 private:
  enum class Stage { kOpen, kFindTerm, kMarkUrgent, kMarkEvents, kReadBack, kJudgeDisk, kRebuild, kScanIds, kDone };
  struct Mark;  // an append under way

  absl::StatusOr<Progress> StepStage();
  absl::StatusOr<Progress> Open();
  absl::StatusOr<Progress> FindTerm();
  absl::StatusOr<Progress> AppendMark(const char* topic);
  absl::StatusOr<Progress> ReadBack();
  absl::StatusOr<Progress> JudgeDisk();
  absl::StatusOr<Progress> Rebuild();
  absl::StatusOr<Progress> ScanIds();
  absl::StatusOr<bool> ReadUrgent();
  // Takes in records of `events` up to `end` (exclusive); false: there is more.
  absl::StatusOr<bool> ReadEvents(eventlog::Offset end, bool build);
  void Judge(const wire::DecodedRecord& record, eventlog::Offset offset, std::vector<wire::DecodedRecord>* accepted);
  void LearnSequence(const wire::RecordHeader& header, eventlog::Offset offset);
  absl::Status Build(const std::vector<wire::DecodedRecord>& accepted);
  void StartScan(eventlog::Offset from);
  model::Rules RulesAtStart(eventlog::Offset reports_first) const;

  const int32_t partition_;
  const RowKeys& keys_;
  const Tables& tables_;
  const base::Clock* const clock_;
  eventlog::Log* const log_;
  store::Database* const database_;
  const model::Tokeniser* const tokeniser_;

  Stage stage_ = Stage::kOpen;
  std::optional<PartitionState> disk_;
  PartitionState state_;
  model::Rules rules_;
  model::Rules events_rules_, reports_rules_;  // the newest seen on each topic, for a rebuild
  std::map<model::IndicatorKey, Displaced> displaced_;
  std::map<uint64_t, OnLog> sequences_on_log_;
  bool rebuilt_ = false;

  uint64_t highest_mark_ = 0;
  eventlog::Offset urgent_next_ = 0;
  std::shared_ptr<Mark> mark_;
  eventlog::Offset own_mark_ = -1;           // on `events`
  std::optional<model::TermMark> complete_;  // the last accepted complete mark
  eventlog::Offset ids_next_ = 0;
  eventlog::Offset ids_end_ = 0;
  absl::Time last_age_ = absl::InfinitePast();
};

// Whether a tick deserves a row in the table of ages: the first, and then about one an hour.
bool DeservesAge(absl::Time tick, absl::Time last);

}  // namespace hub::registry
