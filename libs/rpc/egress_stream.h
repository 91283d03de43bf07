// What a shard keeps of one stream.
//
// Private to libs/rpc. A plain struct of the shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/egress_call.h"
#include "libs/rpc/egress_lanes.h"

namespace hub::rpc {

inline constexpr int kEgressReadsInBurst = 16;

// One stream. It is freed when its call can go and no line holds it.
struct EgressStream {
  const std::unique_ptr<EgressCall> call = EgressCall::Create(this);
  std::unique_ptr<EgressSource> source;  // null: refused
  size_t index = 0;                      // in the shard's list
  uint64_t serial = 0;                   // the newest has the greatest
  LaneTurn turn;
  std::string first_message;  // waits for a turn
  bool has_first_message = false, heard = false;
  bool read_delayed = false, asking_again = false;  // in a line
  bool ask_when_written = false;                    // what it waited for came while it wrote
  bool cancelled = false;
  int reads_left = kEgressReadsInBurst;
  uint64_t news_seen = 0;
  absl::Duration read_at, write_since, recheck_at, ask_at;
  absl::Duration leave_at = absl::InfiniteDuration();
  EgressEnd leave_why = EgressEnd::kAge;
  std::optional<absl::Status> ending;  // ends with this as soon as no write is pending
  absl::Duration ending_since;

  // The first reason counts.
  void End(absl::Duration now, absl::Status why);
  // Tells the client why, if the stream is ending and nothing is pending that would have to come first.
  void FinishIfIdle(absl::Duration retry_after);
  // Ends it for `leave_why`. REQUIRES: call->CanFinish.
  void SayFarewell(absl::Duration now, absl::Duration retry_after);
};

absl::Status WhyEgressEnded(EgressEnd why);
// At most `count` to end for want of memory, in this order: those that catch up, newest first, then the newest of those that lag; never
// one that is current.
std::vector<EgressStream*> StreamsToShed(const std::vector<EgressStream*>& streams, int count);

}  // namespace hub::rpc
