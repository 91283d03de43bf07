// Records that are decided and committed, on their way to the log: a table of rows per lane, and a bounded window of them in memory.
// Private to this library.
//
// R5: everything for `events` passes here, with a dense sequence; bytes never change but for the term, which is stamped when sent.
// R6, sharpened: rows leave one by one, each in the commit that also stores how far `events` was read back past its record. So at a new
// term the rows whose sequences stand behind that place are on the log, and exactly the others are still due. (Dropping all up to the
// highest accepted sequence would lose a row that failed while a later one of another key got through.)
// Order on `events`: of one key only one row is in flight, so that a failure can't turn two of its versions round; a barrier (TICK,
// MARK, RULES) waits for all rows before it and holds back all after it, so that what it says of them is true.
// R11: the copy of an urgent event becomes a row of its own in the commit that drops its twin's row, when it is known where the twin
// stands: a crash loses neither or both. At a new term a twin that is found on the log leaves its copy due in the same way.
//
// Use: Add rows to the batch of a commit; Committed or Discarded by how the commit went; Publish now and then.
// Thread safety: one thread; acknowledgements arrive from the log's threads in an inbox of their own.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/eventlog/log.h"
#include "libs/model/records.h"
#include "libs/registry/rows.h"
#include "libs/store/batch.h"
#include "libs/store/database.h"

namespace hub::registry {

enum class Lane : uint8_t { kEvents = 0, kHistory = 1, kQuarantine = 2, kUrgent = 3 };  // stored

// What stands on the log under a sequence.
struct OnLog {
  eventlog::Offset offset = -1;
  uint64_t term = 0;
};

// How a row is to be sent.
struct RowKind {
  bool barrier = false;
  bool copy_due = false;  // an event of which a copy follows on `urgent`
};

class Outbox {
 public:
  // `in_flight_max`: rows of one lane in memory; the others wait in the table.
  Outbox(const RowKeys& keys, store::TableId table, int32_t partition, const base::Clock* clock, eventlog::Log* log,
         store::Database* database, size_t in_flight_max);

  // A term begins: earlier acknowledgements no longer count. Rows of `events` with sequences `on_log` are there: `batch` drops them, and
  // adds the copies that are due of them.
  // New rows are numbered above `highest`. To be followed by Committed or Discarded.
  absl::Status Open(uint64_t term, const std::map<uint64_t, OnLog>& on_log, uint64_t highest, store::Batch* batch);

  void Add(Lane lane, std::string key, const model::LogBody& body, RowKind kind, store::Batch* batch);
  // A record of `events` with this sequence and the own term was read back: as good as its acknowledgement, or better.
  void OnReadBack(uint64_t sequence, eventlog::Offset offset) { OnAnswer({Lane::kEvents, sequence, true, offset}); }
  // Deletes of what is acknowledged go along with the next commit, and so do the copies that are due then.
  void DropAcknowledged(store::Batch* batch);
  void Committed();
  void Discarded();

  // Takes in acknowledgements and sends what may be sent; true when something happened. Errors are the table's.
  absl::StatusOr<bool> Publish();

  // Twins are acknowledged whose copies wait for the next commit: it should come soon.
  bool copies_wait() const { return !copies_due_.empty(); }
  // Rows that are not acknowledged yet.
  int64_t rows() const;
  bool drained() const { return rows() == 0; }

 private:
  struct Row {
    enum class State { kWaiting, kSent, kAcknowledged };
    uint64_t sequence = 0;
    std::string key;
    std::string value;
    RowKind kind;
    State state = State::kWaiting;
  };
  struct LaneState {
    std::deque<Row> window;                // from the first row that is not acknowledged on, by sequence
    std::vector<Row> added;                // since the last commit
    uint64_t next_sequence = 1;            // of the next Add, when `added` is empty
    uint64_t loaded_next = 1;              // rows from here to next_sequence are in the table only
    std::vector<uint64_t> acknowledged;    // and still in the table
    size_t dropping = 0;                   // how many of them the commit under way deletes
    size_t first_waiting = 0;              // index in `window` from which on rows may be waiting
    std::set<std::string> keys_in_flight;  // `events` only
    int barriers_in_flight = 0;
  };
  struct Answer {
    Lane lane;
    uint64_t sequence;
    bool ok;
    eventlog::Offset offset;  // when ok
  };
  // Of an event whose twin is on the log.
  struct CopyDue {
    std::string key;
    std::string value;  // the twin's record
    OnLog twin;
  };
  struct Inbox;

  LaneState& Of(Lane lane) { return lanes_[static_cast<size_t>(lane)]; }
  uint64_t SequenceIn(absl::string_view key) const;
  absl::Status Load(Lane lane);
  absl::StatusOr<Row> ReadRow(const store::Cursor& cursor) const;
  void AddCopy(const CopyDue& due, store::Batch* batch);
  bool Send(Lane lane);
  void OnAnswer(const Answer& answer);

  const RowKeys keys_;
  const store::TableId table_;
  const int32_t partition_;
  const base::Clock* const clock_;
  eventlog::Log* const log_;
  store::Database* const database_;
  const size_t in_flight_max_;
  uint64_t term_ = 0;
  std::array<LaneState, 4> lanes_;
  std::vector<CopyDue> copies_due_;
  size_t copies_adding_ = 0;      // how many of them the commit under way adds
  std::shared_ptr<Inbox> inbox_;  // of this term
  absl::Duration pause_until_;    // monotonic; after a refusal
};

}  // namespace hub::registry
