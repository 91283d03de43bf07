// Reads `events`, matches each event once per filter class, redacts and encodes it at most once per class, and keeps the bytes in shared
// segments. Sessions (session.h) read them by position: a slow session is a lagging position, not a queue.
//
// Step is called from one thread (the dispatcher's, or the simulation); everything else from any thread. Fencing (DESIGN.md 5 R7):
// a record whose term is below the term in force at its position is dropped.
// Only EVENT records go out. TICK and TERM records move positions; STATE records are for replicas, and for readers below the compaction
// bound (see Read). Records that an owner sends again pass through: receivers drop what is not greater, and keep the stamp of what left.
// Bounds: `segment_bytes_max` over all classes and `segment_age_max` (oldest segments go first; sessions behind them read the log again), `classes_max`
// classes in memory, `overflow_classes_max` more that are judged as their sessions read the log (Join refuses beyond), and one catch-up
// block cache of `catchup_bytes_max` shared by all classes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/segment.h"
#include "libs/model/filter.h"
#include "libs/wire/wire.h"

namespace hub::fanout {

struct DispatcherOptions {
  int32_t partitions = 1;
  int64_t segment_bytes_max = int64_t{256} << 20;
  // At the rates that the bytes are meant for they last a minute or two; at lower ones memory would grow for an hour to serve nobody.
  absl::Duration segment_age_max = absl::Minutes(2);
  int64_t catchup_bytes_max = int64_t{64} << 20;
  int classes_max = 1024;
  // Each costs a look at every event, by the sessions' own threads; one moves up when a class in memory goes.
  int overflow_classes_max = 256;
  // Told of each event, of any class or none, before a session can be given it: as it is taken in, near the log's end at Open, and again
  // whenever a session of some class passes it in catch-up. On any thread; it must not block. Null: nobody cares.
  std::function<void(int32_t partition, eventlog::Offset offset, const model::Event& event)> on_event;
};

// Where a reader stands in one partition, with what it needs to judge what follows.
struct PartitionPosition {
  eventlog::Offset offset = 0;             // of the next record to look at
  uint64_t term = 0;                       // in force there
  absl::Time tick = absl::InfinitePast();  // of the last tick before it
  // No record at or after the offset was appended before this: what the resume window is judged by, because compaction may have
  // removed the very records that would tell.
  absl::Time since = absl::InfinitePast();
};

class FilterClass;  // one (filter AND entitlement, audiences)

// What a reader got from one partition.
struct Chunk {
  std::vector<Slice> slices;  // empty: nothing matched in the range
  PartitionPosition after;    // where to go on; at the offset of `from` when there was nothing new
  int events = 0;
  bool from_log = false;  // CATCHUP: the caller checks the window (R10)
};

// Copies of urgent events, for a reader that is behind in the order.
struct UrgentCopies {
  std::vector<Slice> slices;  // each one element of SubscribeResponse.urgent
  size_t bytes = 0;
  eventlog::Offset next = 0;  // on `urgent`: where to go on
};

// About a place of the log: what a resume is judged by.
struct LogPlace {
  eventlog::OffsetRange range;
  // The first record at or after the place. `end` and InfiniteFuture when there is none.
  eventlog::Offset next = 0;
  absl::Time next_appended_at = absl::InfiniteFuture();
};

class Dispatcher {
 public:
  Dispatcher(const DispatcherOptions& options, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics);
  ~Dispatcher();

  // Starts at the end of the log (older records are read on demand). The term in force there is the highest that a bounded tail of the
  // log shows: its owner writes a tick every second. Unavailable: the log can't be read.
  absl::Status Open();
  // Takes in what is new; true when there was anything. `urgent` (may be null): set when something of it should not be waited with.
  // Errors are logged, counted and retried by the next Step.
  bool Step(bool* urgent = nullptr);
  // Blocks until there may be something new, at most `timeout`.
  void WaitForNews(absl::Duration timeout);

  // The class of this effective filter; shared with everybody who asks for an equal one, alive as long as somebody holds it.
  // ResourceExhausted: too many classes.
  absl::StatusOr<std::shared_ptr<FilterClass>> Join(const model::Filter& effective, const wire::AudienceSet& audiences);

  // The next matching events of one partition from `from` on, at most about `bytes_max`. LIVE: from segments; CATCHUP: from the log, by
  // way of blocks shared by all sessions of the class. Never beyond what has been taken in. OutOfRange: `from` is older than the log
  // holds. Refuse(kLogChanged): the log became another while this dispatcher was open; make a new one.
  // `with_states`: for a reader below the compaction bound, where a key's last record may be a silent STATE: reads the log in any case,
  // and shows STATE records whose row matches as events. With kRuns what the log gives comes in packed runs, shared as the blocks
  // are, and what memory gives as one plain run.
  absl::StatusOr<Chunk> Read(const std::shared_ptr<FilterClass>& filter_class, int32_t partition,
                             const PartitionPosition& from, size_t bytes_max, bool with_states = false,
                             EventForm form = EventForm::kPlain);
  // The next events of all partitions, in packed runs that all streams of the class share, at most about `bytes_max`. nullopt: there is nothing
  // new, or one of the places is not in memory or not known here; use Read. `at`: what the call before gave, if `from` is its `after`.
  struct Runs {
    std::vector<Slice> slices;             // empty: nothing matched
    size_t bytes = 0;                      // of them
    std::vector<PartitionPosition> after;  // where to go on
    std::optional<uint64_t> at;
    int events = 0;
    bool drained = false;  // that was all
  };
  std::optional<Runs> ReadRuns(const std::shared_ptr<FilterClass>& filter_class,
                               const std::vector<PartitionPosition>& from, std::optional<uint64_t> at, size_t bytes_max);

  // The urgent lane: from `from` (of `urgent`) on what has been copied ahead of `passed`, at most about `bytes_max`. The lane begins where
  // this node started to read and keeps the newest; what it has no copy of comes in its order.
  UrgentCopies ReadUrgent(const std::shared_ptr<FilterClass>& filter_class, int32_t partition, eventlog::Offset from,
                          const PartitionPosition& passed, size_t bytes_max) const;
  eventlog::Offset UrgentHead(int32_t partition) const;

  // What has been taken in so far, per partition.
  std::vector<PartitionPosition> Heads() const;
  PartitionPosition Head(int32_t partition) const;
  eventlog::Offset HeadOffset(int32_t partition) const;  // the same, without a lock
  // First readable position of each partition, with the term in force there unknown (0).
  absl::StatusOr<std::vector<PartitionPosition>> Earliest() const;
  // `next` is filled in only when `offset` lies within `range`.
  absl::StatusOr<LogPlace> Look(int32_t partition, eventlog::Offset offset) const;
  std::string log_id() const;
  int32_t partitions() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hub::fanout
