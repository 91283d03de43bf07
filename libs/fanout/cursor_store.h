// Named durable cursors, on the compacted topic hub.cursors.v1: each node follows the whole topic and writes what its own streams acknowledge.
//
// One stream at a time. A stream that opens a cursor appends an attach record; its offset is the cursor's generation from then on. It serves
// only once it has read that record back with no later attach behind it, and its node learns of a later one by reading on: that stream
// ends with kCursorTaken. Two nodes can't both win, because both read the same order.
// Rules of every reader (compaction may have taken any record but the last of a cursor):
//  N1 An attach begins a generation. Its own place counts only where none is known, or where it is newer than what is known (a restart).
//     What is known and further than it says, the attaching node writes at once.
//  N2 What was acknowledged carries its generation. Of a lower one than the highest seen: it counts for nothing, and the node that holds
//     the generation in force writes its state once more, or compaction would keep the stale record.
//  N3 Of a higher one than seen (its attach was compacted away): it replaces what is known. Of the same one: partitions only go forward.
// A place is written when something was acknowledged, at most once in `ack_interval` and cursor. So after a crash of the node up to that
// much comes again; nothing is ever skipped. A name that nobody has opened for `keep` is forgotten.
//
// Step from one thread; everything else from any. Bounds: `per_stakeholder_max` and `cursors_max` (Attach refuses a new name beyond), one
// append in flight per cursor. Leases may outlive the store.
//
//   HUB_ASSIGN_OR_RETURN(auto lease, store.Attach({"bank", "core", "server 7", known->place}));
//   ... until *lease->Poll() ...            // or an error: the stream ends with it
//   session from lease->place(); lease->Acked(place) as its client acknowledges.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/model/cursor.h"

namespace hub::fanout {

struct CursorStoreOptions {
  std::string node;                                    // only told to people
  size_t per_stakeholder_max = 64;
  size_t cursors_max = 50'000;                         // about 1 KB each
  absl::Duration ack_interval = absl::Seconds(1);
  absl::Duration attach_timeout = absl::Seconds(10);   // beyond it the stream is told to try again
  absl::Duration stale_after = absl::Seconds(5);       // a topic not read to its end for so long can't be asked
  absl::Duration keep = absl::Hours(24 * 35);          // five resume windows: long enough to be told kCursorTooOld
};

// What is known of one cursor.
struct NamedCursor {
  std::string name;
  std::optional<model::Cursor> place;  // none: opened, but nothing yet to come back to
  absl::Time attached_at = absl::InfinitePast();
  absl::Time acked_at = absl::InfinitePast();
  std::string client_id;
  std::string node;
};

struct CursorClaim;

class CursorStore {
 public:
  class Core;

  // A stream's hold on its cursor. Destroyed with the stream; what it acknowledged is still written.
  class Lease {
   public:
    Lease(std::shared_ptr<Core> core, std::shared_ptr<CursorClaim> claim)
        : core_(std::move(core)), claim_(std::move(claim)) {}
    ~Lease();
    // True: the cursor is this stream's. False: not known yet. Refuse(kCursorTaken): another's by now. Unavailable: not known to be
    // attached within `attach_timeout`, or the topic is away.
    absl::StatusOr<bool> Poll() const;
    // True once Poll would answer an error though it answered true before; cheap enough to be asked before each message.
    bool lost() const;
    // Where to go on, as of the attach. REQUIRES: Poll answered true.
    std::optional<model::Cursor> place() const;
    // The client has made everything before it safe. Ignored when the cursor is another's.
    void Acked(const model::Cursor& place);

   private:
    const std::shared_ptr<Core> core_;
    const std::shared_ptr<CursorClaim> claim_;
  };

  struct Opening {
    std::string stakeholder;
    std::string name;
    std::string client_id;
    std::optional<model::Cursor> place;  // what is known, or where a new cursor starts
    bool restarts = false;               // `place` counts whatever is known
  };

  // All pointers outlive the store.
  CursorStore(const CursorStoreOptions& options, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics);
  ~CursorStore();

  // Reads what is new and writes what is due; true when an attach was read, so that streams may have to be told. `hurry`: all that is
  // to be written is due. Errors are logged, counted and met again by the next Step.
  bool Step(bool hurry = false);
  void WaitForNews(absl::Duration timeout);
  // Nothing is left to be written, nothing in flight.
  bool idle() const;

  // nullopt: no such cursor. Unavailable: the topic has not been read to its end lately.
  absl::StatusOr<std::optional<NamedCursor>> Find(const std::string& stakeholder, const std::string& name) const;
  absl::StatusOr<std::vector<NamedCursor>> Of(const std::string& stakeholder) const;
  // Begins to attach. Refuse(kQuotaExceeded): a new name, and no room for it.
  absl::StatusOr<std::unique_ptr<Lease>> Attach(const Opening& opening);

 private:
  const std::shared_ptr<Core> core_;
};

}  // namespace hub::fanout
