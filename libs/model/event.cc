#include "libs/model/event.h"

namespace hub::model {

bool IsUrgent(const Event& event, bool from_list) {
  if (from_list || event.kind == EventKind::kExpired) return false;
  if (IsCorrection(event.kind)) return true;
  return event.state.attributes.level == Level::kVeryHigh &&
         (event.kind == EventKind::kFlagged || event.kind == EventKind::kLevelRaised);
}

}  // namespace hub::model
