// The events that all servers under comparison send: the same bytes to the hub's subscribers and to those of its peers.
//
// Plain functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace hub::bench {

enum class Lane { kOrdinary, kUrgent };

// Record number `number` of `events`, as a registry writes it: a mobile's first flag, or a correction that overtakes. Mobile numbers are of
// the test range. `stamp` is the time that latency counts from.
struct LoadRecord {
  std::string key;
  std::string value;
};
LoadRecord MakeRecord(uint64_t number, absl::Time stamp, Lane lane = Lane::kOrdinary);
// The record of `urgent` that follows once the event itself has landed at `twin_offset` of `events`.
LoadRecord MakeCopy(uint64_t number, absl::Time stamp, int64_t twin_offset);

// The same event as a subscriber of the hub receives it: a field of SubscribeResponse, and without the field's tag and length.
std::string MakePublicSlice(uint64_t number, absl::Time stamp);
std::string MakePublicEvent(uint64_t number, absl::Time stamp);

}  // namespace hub::bench
