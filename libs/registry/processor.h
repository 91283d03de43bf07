// The owner of one partition: reads `reports`, decides, commits state and outbox in one synced batch, publishes the outbox.
//
// A single-threaded state machine: call Step from one thread (the partition's, or the simulation). It never blocks except in the
// database; log callbacks only post to an inbox. Rules R1 to R16 of DESIGN.md 5 are named where they are kept.
//
// Life: TAKING_OVER (find the highest mark, append TERM to urgent then events, read events back; rebuild from events when the local
// tables belong to another owner's past) -> RUNNING -> DEPOSED (a higher mark was read; the object is of no further use).
//
//   Processor processor(options, clock, log, database, tables, tokeniser, metrics);
//   while (!stop) { StepResult r = processor.Step();  if (!r.progressed) log->Wait(r.wait_for, r.wait_at_most); }
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/model/token.h"
#include "libs/store/database.h"

namespace hub::registry {

struct ProcessorOptions {
  int32_t partition = 0;
  int batch_records_max = 512;  // per commit
  absl::Duration tick_interval = absl::Seconds(1);
  absl::Duration state_flush_interval = absl::Seconds(30);  // changed counters go out as STATE at most this much later
  absl::Duration mark_interval = absl::Minutes(1);          // complete marks
  absl::Duration dedupe_window = absl::Hours(24 * 35);
  absl::Duration tick_step_max =
      absl::Hours(1);  // a greater step of the machine's clock while running stops the ticks: an operator's case
  int outbox_in_flight_max = 2048;    // records sent and not acknowledged; further ones wait in the table
  int urgent_copies_max = 64;         // a second; urgent events beyond it go in their order only
  int64_t outbox_rows_max = 200'000;  // beyond this the processor stops reading reports until it has drained
};

// The processor's tables in its database. One set serves all partitions of a process: keys start with the partition.
std::vector<store::TableSpec> ProcessorTables();

struct StepResult {
  bool progressed = false;
  size_t records = 0;                            // of `reports`, decided on and committed
  std::vector<eventlog::Log::WaitFor> wait_for;  // when !progressed
  absl::Duration wait_at_most = absl::Seconds(1);
  absl::Status status;  // not OK: nothing was lost; call Step again after a pause (the reason is logged)
};

enum class ProcessorPhase { kTakingOver, kRunning, kDeposed };

struct ProcessorStatus {
  ProcessorPhase phase = ProcessorPhase::kTakingOver;
  uint64_t term = 0;
  int64_t reports_next = 0;                 // next offset to read
  int64_t reports_end = 0;                  // end when last looked
  absl::Time clock = absl::InfinitePast();  // last tick applied
  uint64_t rules_version = 0;
  int64_t outbox_rows = 0;
  bool rebuilt = false;  // the local tables were set aside at takeover
};

class Processor {
 public:
  // `first_table`: index of ProcessorTables()[0] among the database's tables. All pointers outlive the processor.
  Processor(const ProcessorOptions& options, const base::Clock* clock, eventlog::Log* log, store::Database* database,
            store::TableId first_table, const model::Tokeniser* tokeniser, base::Metrics* metrics);
  ~Processor();

  StepResult Step();
  // Thread safety: Status may be called from any thread.
  ProcessorStatus Status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hub::registry
