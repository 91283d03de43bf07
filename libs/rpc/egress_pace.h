// How long news gathers before all streams of a thread are passed over, from what writing was measured to cost.
//
// Private to libs/rpc. No clock, no threads; one owner.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "libs/rpc/egress.h"

namespace hub::rpc {

// CPU time that the calling thread has spent.
absl::Duration ThreadCpu();

class EgressPace {
 public:
  explicit EgressPace(const EgressOptions& options);

  // CPU time of the thread and messages written since the last call. Few messages are kept until there are enough to tell.
  void Measured(absl::Duration cpu, int64_t writes);
  // From the start of a pass to that of the next: `writes` of the last one, `streams` on the thread; `shared`: streams that read the log
  // want the thread as well.
  absl::Duration Linger(int64_t writes, int64_t streams, bool shared) const;
  // CPU per write with all that goes with it.
  absl::Duration write_cost() const { return write_cost_; }

 private:
  const absl::Duration linger_min_, linger_max_, linger_crowded_max_;
  const double core_share_, catchup_share_;
  absl::Duration write_cost_;
  absl::Duration cpu_;
  int64_t writes_ = 0;
  bool measured_ = false;
};

}  // namespace hub::rpc
