// Why an input was refused: a stable code, the field, and a sentence for a person. Carried as an absl::Status.
//
//   return Refuse(RefusalCode::kTooShort, "identifier.value", "want ten digits");
//   RefusalOf(status)->code  // kTooShort
// Messages never repeat the input: it may be an identifier.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hub::model {

// Numbers are frozen and equal to fraudhub.v1.ErrorReason.
enum class RefusalCode : uint16_t {
  kUnspecified = 0,
  // identifiers
  kEmpty = 1,
  kTooShort = 2,
  kTooLong = 3,
  kBadCharacter = 4,       // NUL, controls, invalid UTF-8, foreign digits
  kBadLeadingDigit = 5,
  kBadCheckDigit = 6,
  kBadFormat = 7,
  kAmbiguousIdentifier = 8,      // ten digits that fit several types, and no line_kind
  kSensitiveIdentifierRefused = 9,  // Aadhaar, PAN or card number
  kTestRangeRefused = 10,        // +91 555 ... where the test range is switched off
  kUnknownType = 11,
  // reports
  kMissing = 20,           // a required field is not set
  kOutOfRange = 21,
  kBadReportId = 22,       // not a UUID
  kFromTheFuture = 23,     // observed_at more than 5 minutes ahead
  kTooOld = 24,            // older than the dedupe window
  kKindNotForType = 25,    // e.g. HANDSET_LOST about a phone number
  kNotEntitled = 26,
  kTooManyItems = 27,
  kUnknownEvent = 28,      // ACTION_TAKEN in reply to an id that is none
  kMessageTooLarge = 29,
  // service
  kQuotaExceeded = 40,
  kOverloaded = 41,
  kStorageFull = 42,
  // streams
  kCursorInvalid = 60,
  kCursorTooOld = 61,
  kLogChanged = 62,
  kFilterChanged = 63,
  kFilterTooLarge = 64,
  kFilterMatchesNothing = 65,  // nothing the caller may see can match
  kUnauthenticated = 66,
  kCursorTaken = 67,
};
absl::string_view Name(RefusalCode code);  // "TOO_SHORT"

struct Refusal {
  RefusalCode code = RefusalCode::kUnspecified;
  std::string field;    // path from the request's root, "items[3].identifier.value"; empty when about the whole
  std::string message;
};

// The canonical code follows the refusal code (InvalidArgument for most, PermissionDenied for kNotEntitled,
// ResourceExhausted for quota and load, FailedPrecondition for stale cursors, ...).
absl::Status Refuse(RefusalCode code, absl::string_view field, absl::string_view message);
// nullopt: not a status made by Refuse.
std::optional<Refusal> RefusalOf(const absl::Status& status);
// The same refusal with `prefix` in front of its field path ("items[3]" + "identifier" = "items[3].identifier").
absl::Status WithFieldPrefix(const absl::Status& status, absl::string_view prefix);

}  // namespace hub::model
