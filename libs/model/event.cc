#include "libs/model/event.h"

namespace hub::model {

bool IsUrgent(const Event& event, bool from_list) {
  if (from_list) return false;
  // A tick's event carries its own time as received_at (event.h).
  const bool lapse = event.received_at == event.decided_at;
  switch (event.kind) {
    case EventKind::kCleared:
    case EventKind::kRetracted:
    case EventKind::kRescinded:
    case EventKind::kHandsetUnblocked:
      return true;
    case EventKind::kLevelLowered:
      return !lapse;
    case EventKind::kTenureClosed:
      // An operator says that the subscriber changed: the new one must not carry the old flag a minute longer. Where nothing was
      // flagged nobody waits for the news.
      return event.previous.has_value() && event.previous->level > Level::kNone;
    case EventKind::kFlagged:
    case EventKind::kLevelRaised:
      return event.state.attributes.level == Level::kVeryHigh;
    default:
      return false;
  }
}

}  // namespace hub::model
