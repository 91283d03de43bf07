// A change of one indicator, with its full new state: what goes to `events` and from there to everyone entitled.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "libs/model/indicator.h"

namespace hub::model {

struct Event {
  EventKind kind = EventKind::kUnspecified;
  IndicatorState state;                  // state.version is the event's version
  std::optional<Attributes> previous;    // of the state before; nullopt for an indicator's first event
  uint64_t term = 0;                     // stamped when sent
  int64_t reports_offset = -1;           // of the report or tick that caused it, in the same partition of `reports`
  uint64_t rules_version = 0;
  absl::Time decided_at = absl::InfinitePast();  // the partition's tick clock
  absl::Time received_at = absl::InfinitePast();  // of the causing report; decided_at for ticks
  bool urgent = false;                            // IsUrgent, as found when it was decided
};

// Events that overtake backlogs: corrections by people or law, and flags to VERY_HIGH. Never a lapse, never a row of a list.
bool IsUrgent(const Event& event, bool from_list);

// Order of two versions of one indicator: greater wins. (term, version, reports offset), DESIGN.md 5 R8.
struct VersionStamp {
  uint64_t term = 0;
  uint64_t version = 0;
  int64_t reports_offset = -1;
  friend auto operator<=>(const VersionStamp&, const VersionStamp&) = default;
};

}  // namespace hub::model
