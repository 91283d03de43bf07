#include "libs/wire/lookup_items.h"

#include "fraudhub/v1/lookup.pb.h"
#include "libs/model/refusal.h"

namespace hub::wire {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;

constexpr int kIdentifiersMax = 1000;

absl::Status CheckLookup(const v1::LookupRequest& request) {
  if (request.identifiers().empty()) {
    return model::Refuse(RefusalCode::kMissing, "identifiers", "want at least one identifier");
  }
  if (request.identifiers_size() > kIdentifiersMax) {
    return model::Refuse(RefusalCode::kTooManyItems, "identifiers", "want at most 1,000 identifiers");
  }
  return absl::OkStatus();
}

void SetInvalid(const absl::Status& refused, v1::LookupResult* result) {
  const model::Refusal why = model::RefusalOf(refused).value_or(model::Refusal{RefusalCode::kBadFormat, "", ""});
  result->set_verdict(v1::LOOKUP_VERDICT_INVALID);
  result->set_error(static_cast<v1::ErrorReason>(why.code));
  result->set_field(why.field);
}

}  // namespace hub::wire
