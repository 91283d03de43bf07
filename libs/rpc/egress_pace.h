// How long news gathers before all streams of a thread are passed over, from what writing was measured to cost.
//
// Private to libs/rpc. No clock, no threads; one owner.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/egress_lanes.h"

namespace hub::rpc {

// CPU time that the calling thread has spent.
absl::Duration ThreadCpu();

class EgressPace {
 public:
  explicit EgressPace(const EgressOptions& options);

  // A turn took so long; a message was written to a stream that is current.
  void OnTurn(Lane lane, absl::Duration took);
  void OnLiveWrite() { ++pass_writes_, ++live_writes_; }
  // Now and then: ThreadCpu() of now. What writing costs is the live streams' part of the thread's time. A thread that has to wait for a core
  // takes longer for its turns than it computes: then the longer time counts, so that passes become rarer where cores are short.
  void OnSweep(absl::Duration cpu);
  // Time of the thread for streams that are current, and messages written to them. Few messages are kept until there are enough to tell.
  void Measured(absl::Duration spent, int64_t writes);
  // From the start of the pass that begins now to that of the next. `shared`: streams that read the log want the thread as well, and passes
  // leave them their share.
  absl::Duration Linger(int64_t streams, bool shared);
  // An idle stream's source is asked so often (progress, timers). One that is current waits for the next pass: asked before, it would have its
  // news in smaller messages than the linger is there for, and passes would never end.
  absl::Duration AskInterval(Lane lane) const;
  // Time per write with all that goes with it.
  absl::Duration write_cost() const { return write_cost_; }

 private:
  const absl::Duration linger_min_, linger_max_, linger_crowded_max_;
  const double core_share_, catchup_share_;
  absl::Duration write_cost_, linger_;
  absl::Duration spent_;
  int64_t writes_ = 0;
  bool measured_ = false;
  int64_t pass_writes_ = 0;  // since the last pass began
  // Since the last sweep.
  absl::Duration turns_, live_turns_, cpu_seen_;
  int64_t live_writes_ = 0;
};

}  // namespace hub::rpc
