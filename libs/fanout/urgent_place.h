// Where one session stands in the urgent lane. Private to this library.
//
// A session that has come to the head of the order needs no copies: its place just moves on. One that is behind sends them ahead, but for
// those whose twins it has passed. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "libs/fanout/dispatcher.h"
#include "libs/wire/wire.h"

namespace hub::fanout {

class UrgentPlace {
 public:
  // Off: the client did not ask for copies.
  UrgentPlace() = default;
  // `offsets`: a token's, one per partition; empty: from the oldest that the node has.
  UrgentPlace(const Dispatcher* dispatcher, std::vector<eventlog::Offset> offsets);

  bool on() const { return !next_.empty(); }
  void MoveOn();
  // Copies of events that `positions` have not come to, at most about `bytes_max`.
  UrgentCopies Gather(const std::shared_ptr<FilterClass>& filter_class, const std::vector<PartitionPosition>& positions,
                      size_t bytes_max);
  // What changed since the last time, into the trailer.
  void Tell(wire::BatchTrailer* trailer);

  // InvalidArgument: ahead of what was told, or no such partition.
  absl::Status Check(const std::map<int32_t, eventlog::Offset>& acked) const;
  // REQUIRES: Check. Going backwards is ignored.
  void Take(const std::map<int32_t, eventlog::Offset>& acked);

  const std::vector<eventlog::Offset>& next() const { return next_; }
  const std::vector<eventlog::Offset>& acked() const { return acked_; }

 private:
  const Dispatcher* dispatcher_ = nullptr;
  std::vector<eventlog::Offset> next_, told_, acked_;  // one per partition each; empty when off
  size_t first_ = 0;                                   // the partition that is asked first, in turn
};

}  // namespace hub::fanout
