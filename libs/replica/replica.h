// A local view of everything known, built from `events` (states) and `history` (what became of reports): what lookups,
// explanations, timelines and statuses are answered from, and where snapshots come from.
//
// Step is called from one thread; reads from any thread see whole commits. Position and data are committed together, so it goes on where
// it stopped after a crash. It is rebuildable: another log id, or tables that don't decode, and it starts afresh.
// Fencing and order as everywhere: records of a lower term after a mark are dropped; of two versions the greater VersionStamp wins.
// Data age: the oldest partition's last tick; a replica cut off from its log says so.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/model/event.h"
#include "libs/model/identifier.h"
#include "libs/model/records.h"
#include "libs/model/token.h"
#include "libs/store/database.h"

namespace hub::replica {

std::vector<store::TableSpec> ReplicaTables();

struct Answer {
  model::IndicatorState state;
  model::VersionStamp stamp;
  uint64_t rules_version = 0;
};

// What the feeder hands over: one decoded record of `events` or `history`. (replica knows no log; services feed it.)
struct FedRecord {
  int32_t partition = 0;
  int64_t offset = 0;
  uint64_t term = 0;
  model::LogBody body;
};

struct Namers {
  std::vector<Answer> answers;
  std::string next;  // to go on after; empty: that was all
};

struct StateDigest {
  uint64_t indicators = 0;
  uint64_t flagged = 0;
  uint64_t reports = 0;
  std::array<uint64_t, 5> by_level{};  // index = Level number
  std::array<uint64_t, 2> digest{};    // sum over indicators of two Mix64 of (key, version, level), modulo 2^64 each
};

struct ReportOutcome {
  model::HistoryEntry entry;
};

// How far a partition of `events` has been applied.
struct EventsPlace {
  int64_t offset = 0;                      // next to feed
  uint64_t term = 0;                       // in force there
  absl::Time tick = absl::InfinitePast();  // the last before it
};

class Replica {
 public:
  // `first_table`: index of ReplicaTables()[0]. `log_id`: when the stored one differs, everything stored is dropped first.
  static absl::StatusOr<std::unique_ptr<Replica>> Open(store::Database* database, store::TableId first_table,
                                                       int32_t partitions, const std::string& log_id,
                                                       const base::Clock* clock, base::Metrics* metrics);
  virtual ~Replica() = default;

  // Next offsets to feed, per partition.
  virtual std::vector<int64_t> EventsNext() const = 0;
  virtual std::vector<int64_t> HistoryNext() const = 0;
  // Applies a run of records, in order per partition; `next` positions are committed with them. `caught_up`: these reach the
  // log's end as it was when read (R9: before the first time, complete_until stays infinitely past).
  virtual absl::Status ApplyEvents(const std::vector<FedRecord>& records, int32_t partition, int64_t next,
                                   bool caught_up) = 0;
  // What comes next may lack records that compaction took, or the log's end of them: not complete until caught up again (R9).
  virtual absl::Status NoteGap(int32_t partition) = 0;
  virtual absl::Status ApplyHistory(const std::vector<FedRecord>& records, int32_t partition, int64_t next) = 0;

  virtual absl::StatusOr<std::optional<Answer>> Get(const model::IndicatorKey& key) const = 0;
  // What became of a report of this stakeholder.
  virtual absl::StatusOr<std::optional<model::HistoryEntry>> GetReport(const std::string& stakeholder,
                                                                       const model::ReportId& id) const = 0;
  // History of one identifier, all facets, newest first. `before` = the reports_offset to go on below, max to start.
  virtual absl::StatusOr<std::vector<model::HistoryEntry>> ListHistory(const model::RoutingToken& token, int64_t before,
                                                                       size_t limit) const = 0;
  // Those that name this identifier among their links, by their keys; `limit` of them are looked at, those after `after` (empty: from the
  // first).
  virtual absl::StatusOr<Namers> ListNamers(const model::Identifier& named, absl::string_view after,
                                            size_t limit) const = 0;
  // Everything accepted before this time is in the answers; InfinitePast until caught up once.
  virtual absl::Time CompleteUntil() const = 0;
  // Where it stands now, per partition: whatever is read after the call holds everything before. Unavailable until caught up once (R9).
  virtual absl::StatusOr<std::vector<EventsPlace>> Places() const = 0;
  // The states whose keys lie in one of `parts` equal ranges, as of one moment. Tokens are spread evenly, so the ranges are alike.
  // Returns, per partition, an offset that what was visited lies wholly before. REQUIRES: part < parts; parts is a power of two.
  virtual absl::StatusOr<std::vector<int64_t>> VisitPart(uint32_t part, uint32_t parts,
                                                         const std::function<void(const Answer&)>& visit) const = 0;
  // How many states there are, about: judged by how close together the first ones lie.
  virtual absl::StatusOr<uint64_t> CountAbout() const = 0;
  // Walks every state (seconds for millions).
  virtual absl::StatusOr<StateDigest> Digest() const = 0;
  virtual absl::Status ForEachState(const std::function<void(const Answer&)>& visit) const = 0;
};

}  // namespace hub::replica
