// Who has been told of what could not wait: for each urgent event, whom this node has sent it and who has confirmed it, written to
// hub.receipts.v1. hub-query puts together what the nodes say.
//
// Told: a stream of the stakeholder whose view the event concerns (now or before) was given it. Confirmed: such a stream acknowledged
// beyond it; one stream of a stakeholder is enough. A stream that resumes beyond an event confirms it by that: its token says so. One that
// starts at NOW has nothing to do with what lies before.
// Which events: the dispatcher tells of those it takes in, of those near the log's end at its start, and of those that a stream passes in
// catch-up. So a stakeholder that was away confirms when it comes back, on any node. Not covered: an event that nobody has passed since
// the node started, further back than that; and what was confirmed in the last `gather` before a crash, unless the event is known again.
//
// Bounds: the newest `events_max` events (older ones are forgotten; a bit or two per stakeholder each), `events_per_second` beyond a burst
// of as many (further ones go without receipts, counted), a record per event and `gather`, `kInFlightMax` appends at a time.
// Thread safety: OnEvent and Add from any thread; Step from one; a Reader belongs to its stream's thread, and may outlive the board.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/model/event.h"
#include "libs/model/filter.h"

namespace hub::fanout {

struct ReceiptBoardOptions {
  std::string node;
  size_t events_max = 4096;
  double events_per_second = 100;
  absl::Duration gather = absl::Seconds(2);  // longest wait for more of an event's receipts before they are written
};

class ReceiptBoard {
 public:
  class Core;
  struct Entry;

  // One stream's eye on the board.
  class Reader {
   public:
    Reader(std::shared_ptr<Core> core, std::string stakeholder, model::Filter view, std::vector<eventlog::Offset> since);
    ~Reader();
    // How far a stream has come in a partition: everything before `sent` was given to it, everything before `acked` is safe with its client.
    struct Reach {
      eventlog::Offset sent = 0, acked = 0;
    };
    using ReachOf = absl::FunctionRef<Reach(int32_t partition)>;

    // Worth a Note?
    bool curious() const;
    // Both are cheap, for after each message and each acknowledgement: no lock is taken where nothing has come of them.
    void Note(ReachOf reach_of);

   private:
    struct Waiting {
      std::shared_ptr<Entry> entry;
      bool told = false;
    };
    bool news() const;
    static bool Moves(const Waiting& waiting, ReachOf reach_of);

    const std::shared_ptr<Core> core_;
    const std::string stakeholder_;
    const model::Filter view_;
    const std::vector<eventlog::Offset> since_;
    uint64_t seen_ = 0;  // of the board's events
    std::vector<Waiting> waiting_;
  };

  // All pointers outlive the board.
  ReceiptBoard(const ReceiptBoardOptions& options, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics);
  ~ReceiptBoard();

  // Before any stream can have been given it. Known ones are passed over; so are those that are not urgent.
  void OnEvent(int32_t partition, eventlog::Offset offset, const model::Event& event);
  // `since`: what lies before is none of the stream's business, per partition.
  std::unique_ptr<Reader> Add(std::string stakeholder, model::Filter view, std::vector<eventlog::Offset> since);

  // Writes what is due. `hurry`: everything is.
  void Step(bool hurry = false);
  // Nothing is left to be written, nothing in flight.
  bool idle() const;

 private:
  const std::shared_ptr<Core> core_;
};

}  // namespace hub::fanout
