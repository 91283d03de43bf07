#include "libs/model/refusal.h"

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hub::model {
namespace {

using absl::StatusCode;

struct Row {
  RefusalCode code;
  absl::string_view name;
  StatusCode status = StatusCode::kInvalidArgument;
};

constexpr Row kRows[] = {
    {RefusalCode::kEmpty, "EMPTY"},
    {RefusalCode::kTooShort, "TOO_SHORT"},
    {RefusalCode::kTooLong, "TOO_LONG"},
    {RefusalCode::kBadCharacter, "BAD_CHARACTER"},
    {RefusalCode::kBadLeadingDigit, "BAD_LEADING_DIGIT"},
    {RefusalCode::kBadCheckDigit, "BAD_CHECK_DIGIT"},
    {RefusalCode::kBadFormat, "BAD_FORMAT"},
    {RefusalCode::kAmbiguousIdentifier, "AMBIGUOUS_IDENTIFIER"},
    {RefusalCode::kSensitiveIdentifierRefused, "SENSITIVE_IDENTIFIER_REFUSED"},
    {RefusalCode::kTestRangeRefused, "TEST_RANGE_REFUSED"},
    {RefusalCode::kUnknownType, "UNKNOWN_TYPE"},
    {RefusalCode::kMissing, "MISSING"},
    {RefusalCode::kOutOfRange, "OUT_OF_RANGE"},
    {RefusalCode::kBadReportId, "BAD_REPORT_ID"},
    {RefusalCode::kFromTheFuture, "FROM_THE_FUTURE"},
    {RefusalCode::kTooOld, "TOO_OLD"},
    {RefusalCode::kKindNotForType, "KIND_NOT_FOR_TYPE"},
    {RefusalCode::kNotEntitled, "NOT_ENTITLED", StatusCode::kPermissionDenied},
    {RefusalCode::kTooManyItems, "TOO_MANY_ITEMS"},
    {RefusalCode::kUnknownEvent, "UNKNOWN_EVENT"},
    {RefusalCode::kMessageTooLarge, "MESSAGE_TOO_LARGE"},  // not ResourceExhausted: trying again won't help
    {RefusalCode::kQuotaExceeded, "QUOTA_EXCEEDED", StatusCode::kResourceExhausted},
    {RefusalCode::kOverloaded, "OVERLOADED", StatusCode::kResourceExhausted},
    {RefusalCode::kStorageFull, "STORAGE_FULL", StatusCode::kResourceExhausted},
    {RefusalCode::kCursorInvalid, "CURSOR_INVALID"},
    {RefusalCode::kCursorTooOld, "CURSOR_TOO_OLD", StatusCode::kFailedPrecondition},
    {RefusalCode::kLogChanged, "LOG_CHANGED", StatusCode::kFailedPrecondition},
    {RefusalCode::kFilterChanged, "FILTER_CHANGED", StatusCode::kFailedPrecondition},
    {RefusalCode::kFilterTooLarge, "FILTER_TOO_LARGE"},
    {RefusalCode::kFilterMatchesNothing, "FILTER_MATCHES_NOTHING"},
    {RefusalCode::kUnauthenticated, "UNAUTHENTICATED", StatusCode::kUnauthenticated},
    {RefusalCode::kCursorTaken, "CURSOR_TAKEN", StatusCode::kAborted},
};

constexpr Row kNoRow = {RefusalCode::kUnspecified, "UNSPECIFIED"};

const Row& RowOf(RefusalCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return kNoRow;
}

// The payload: "<code> <length of field> <field><message>". It never leaves the process.
constexpr absl::string_view kPayloadUrl = "fraudhub.model/refusal";

bool TakeNumber(absl::string_view* text, uint32_t* number) {
  const size_t space = text->find(' ');
  if (space == absl::string_view::npos || !absl::SimpleAtoi(text->substr(0, space), number)) return false;
  text->remove_prefix(space + 1);
  return true;
}

}  // namespace

absl::string_view Name(RefusalCode code) { return RowOf(code).name; }

absl::Status Refuse(RefusalCode code, absl::string_view field, absl::string_view message) {
  const Row& row = RowOf(code);
  absl::Status status(row.status, field.empty() ? absl::StrCat(row.name, ": ", message)
                                                : absl::StrCat(row.name, ": ", field, ": ", message));
  status.SetPayload(kPayloadUrl, absl::Cord(absl::StrCat(static_cast<uint32_t>(code), " ", field.size(), " ", field, message)));
  return status;
}

std::optional<Refusal> RefusalOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::string bytes(*payload);
  absl::string_view rest = bytes;
  uint32_t code = 0;
  uint32_t field_size = 0;
  if (!TakeNumber(&rest, &code) || !TakeNumber(&rest, &field_size) || field_size > rest.size()) return std::nullopt;
  return Refusal{static_cast<RefusalCode>(code), std::string(rest.substr(0, field_size)), std::string(rest.substr(field_size))};
}

absl::Status WithFieldPrefix(const absl::Status& status, absl::string_view prefix) {
  const std::optional<Refusal> refusal = RefusalOf(status);
  if (!refusal.has_value() || prefix.empty()) return status;
  if (refusal->field.empty()) return Refuse(refusal->code, prefix, refusal->message);
  // "items" + "[3]" needs no dot.
  const absl::string_view dot = refusal->field.front() == '[' ? "" : ".";
  return Refuse(refusal->code, absl::StrCat(prefix, dot, refusal->field), refusal->message);
}

}  // namespace hub::model
