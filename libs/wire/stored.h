// Inside libs/wire: model values and the messages of proto/fraudhub/internal/v1, field by field.
//
// Decoding is strict: a number that no enum of this release knows is DataLoss, so that a record of a newer release is set aside
// rather than misread. Thread safety: plain functions.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/model/cursor.h"
#include "libs/model/event.h"
#include "libs/model/indicator.h"
#include "libs/model/report.h"
#include "libs/model/rules.h"

namespace fraudhub::config::v1 {
class Rules;
}
namespace fraudhub::internal::v1 {
class CursorToken;
class StoredAttributes;
class StoredIndicator;
class StoredReport;
class StoredReporter;
}  // namespace fraudhub::internal::v1

namespace hub::wire {

// Microseconds since the Unix epoch; the ends of int64 stand for infinite times. Finer parts are cut off.
int64_t ToMicros(absl::Time time);
absl::Time FromMicros(int64_t micros);

// `number` as an E when it is at most `max`, else DataLoss naming `field`.
absl::Status BadStoredNumber(absl::string_view field);
template <typename E>
absl::Status StoredEnum(int64_t number, E max, absl::string_view field, E* out) {
  if (number < 0 || number > static_cast<int64_t>(max)) return BadStoredNumber(field);
  *out = static_cast<E>(number);
  return absl::OkStatus();
}

// The 17 bytes of an indicator's key, and back; DataLoss when they are none.
absl::Status KeyFromStored(absl::string_view bytes, model::IndicatorKey* out);

void ToStored(const model::Reporter& reporter, fraudhub::internal::v1::StoredReporter* out);
absl::Status FromStored(const fraudhub::internal::v1::StoredReporter& stored, model::Reporter* out);

void ToStored(const model::Attributes& attributes, fraudhub::internal::v1::StoredAttributes* out);
absl::Status FromStored(const fraudhub::internal::v1::StoredAttributes& stored, model::Attributes* out);

void ToStored(const model::IndicatorState& state, fraudhub::internal::v1::StoredIndicator* out);
absl::Status FromStored(const fraudhub::internal::v1::StoredIndicator& stored, model::IndicatorState* out);

// Details of an action are kept for ACTION_TAKEN only.
void ToStored(const model::Report& report, fraudhub::internal::v1::StoredReport* out);
absl::Status FromStored(const fraudhub::internal::v1::StoredReport& stored, model::Report* out);

// All but stakeholder and key id. DataLoss: the lists don't go together.
void ToStored(const model::Cursor& cursor, fraudhub::internal::v1::CursorToken* out);
absl::Status FromStored(const fraudhub::internal::v1::CursorToken& stored, model::Cursor* out);

// Appends field `field` with that message, as protobuf would write it.
void AppendReportBody(int field, const model::Report& report, std::string* out);

// Rules travel in the form of their file, without defaults: every field stands for itself. Lapse and review are whole days.
void ToStored(const model::Rules& rules, fraudhub::config::v1::Rules* out);
absl::Status FromStored(const fraudhub::config::v1::Rules& stored, model::Rules* out);

}  // namespace hub::wire
