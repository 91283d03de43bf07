// One atomic write in the making: what a run of `reports` does to the partition, its tables and its outbox. Private to this library.
//
// Not thread-safe; lives for one write. Nothing of it counts unless Write succeeded.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/eventlog/log.h"
#include "libs/model/records.h"
#include "libs/model/rules.h"
#include "libs/model/token.h"
#include "libs/registry/group_edits.h"
#include "libs/registry/outbox.h"
#include "libs/registry/processor_probe.h"
#include "libs/registry/rows.h"
#include "libs/registry/urgent_budget.h"
#include "libs/store/batch.h"
#include "libs/store/database.h"

namespace hub::registry {

inline constexpr char kTickKey[] = "tick";  // of the records on `events` that have no indicator
inline constexpr char kMarkKey[] = "mark";
inline constexpr char kRulesKey[] = "rules";

struct CommitContext {
  const model::Rules* rules = nullptr;  // in force before
  const model::Tokeniser* tokeniser = nullptr;
  UrgentBudget* urgent_budget = nullptr;
  absl::Time wall_now = absl::InfinitePast();  // for metrics only
};

class Commit {
 public:
  Commit(const RowKeys& keys, const Tables& tables, store::Database* database, Outbox* outbox,
         const PartitionState& before)
      : groups(keys, tables, database),
        state(before),
        keys_(keys),
        tables_(tables),
        database_(database),
        outbox_(outbox) {}

  // Takes in records of `reports`, which begin at state.reports_next: up to the next tick that moves the clock, or that tick alone, or a
  // part of what lapses at it. True when a tick was taken in wholly. Errors are the database's; the commit is of no use then.
  absl::StatusOr<bool> Apply(const CommitContext& context, const eventlog::ReadResult& read);
  absl::Status Write();
  void Tell(ProcessorProbe* probe) const;

  store::Batch batch;
  GroupEdits groups;
  PartitionState state;               // after
  std::optional<model::Rules> rules;  // after, when they changed
  bool repair = false;                // something was set right that must not wait

 private:
  struct Incoming {
    eventlog::Offset offset = 0;
    model::Report report;
    model::RoutingToken token{};
    std::string id_key;
    std::string action_key;  // ACTION_TAKEN only
  };
  absl::StatusOr<bool> ApplyTick(const CommitContext& context, const model::Tick& tick, eventlog::Offset offset);
  void ApplyRules(const model::RulesUpdate& update);
  void Quarantine(const eventlog::StoredRecord& record, absl::string_view reason);
  absl::Status ApplyReports(const CommitContext& context, const std::vector<Incoming>& reports);
  void ApplyReport(const DecisionContext& context, const Incoming& incoming, UrgentBudget* urgent_budget);
  // `urgent_budget`: null when nothing of it can be urgent.
  void Settle(const DecisionContext& context, const model::RoutingToken& token, const Decision& decision,
              UrgentBudget* urgent_budget);
  void Remember(const Incoming& incoming, const Decision& decision);
  void AddHistory(const model::HistoryEntry& entry);

  const RowKeys& keys_;
  const Tables& tables_;
  store::Database* const database_;
  Outbox* const outbox_;
  std::map<std::string, std::string> ids_;  // rows of this run's reports, old and new, by key
  std::map<model::Outcome, int> outcomes_;
  std::map<model::EventKind, int> events_;
  int urgent_ = 0, without_copy_ = 0;
  int quarantined_ = 0;
  absl::Duration oldest_ = absl::ZeroDuration();
};

}  // namespace hub::registry
