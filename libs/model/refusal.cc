#include "libs/model/refusal.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hub::model {
namespace {

constexpr char kPayload[] = "type.fraudhub.v1/Refusal";  // "code\nfield"

struct Entry {
  RefusalCode code;
  absl::string_view name;
  absl::StatusCode status;
};

constexpr absl::StatusCode kBad = absl::StatusCode::kInvalidArgument;
constexpr Entry kTable[] = {
    {RefusalCode::kEmpty, "EMPTY", kBad},
    {RefusalCode::kTooShort, "TOO_SHORT", kBad},
    {RefusalCode::kTooLong, "TOO_LONG", kBad},
    {RefusalCode::kBadCharacter, "BAD_CHARACTER", kBad},
    {RefusalCode::kBadLeadingDigit, "BAD_LEADING_DIGIT", kBad},
    {RefusalCode::kBadCheckDigit, "BAD_CHECK_DIGIT", kBad},
    {RefusalCode::kBadFormat, "BAD_FORMAT", kBad},
    {RefusalCode::kAmbiguousIdentifier, "AMBIGUOUS_IDENTIFIER", kBad},
    {RefusalCode::kSensitiveIdentifierRefused, "SENSITIVE_IDENTIFIER_REFUSED", kBad},
    {RefusalCode::kTestRangeRefused, "TEST_RANGE_REFUSED", kBad},
    {RefusalCode::kUnknownType, "UNKNOWN_TYPE", kBad},
    {RefusalCode::kMissing, "MISSING", kBad},
    {RefusalCode::kOutOfRange, "OUT_OF_RANGE", kBad},
    {RefusalCode::kBadReportId, "BAD_REPORT_ID", kBad},
    {RefusalCode::kFromTheFuture, "FROM_THE_FUTURE", kBad},
    {RefusalCode::kTooOld, "TOO_OLD", kBad},
    {RefusalCode::kKindNotForType, "KIND_NOT_FOR_TYPE", kBad},
    {RefusalCode::kNotEntitled, "NOT_ENTITLED", absl::StatusCode::kPermissionDenied},
    {RefusalCode::kTooManyItems, "TOO_MANY_ITEMS", kBad},
    {RefusalCode::kUnknownEvent, "UNKNOWN_EVENT", kBad},
    {RefusalCode::kMessageTooLarge, "MESSAGE_TOO_LARGE", kBad},
    {RefusalCode::kQuotaExceeded, "QUOTA_EXCEEDED", absl::StatusCode::kResourceExhausted},
    {RefusalCode::kOverloaded, "OVERLOADED", absl::StatusCode::kResourceExhausted},
    {RefusalCode::kStorageFull, "STORAGE_FULL", absl::StatusCode::kResourceExhausted},
    {RefusalCode::kCursorInvalid, "CURSOR_INVALID", kBad},
    {RefusalCode::kCursorTooOld, "CURSOR_TOO_OLD", absl::StatusCode::kFailedPrecondition},
    {RefusalCode::kLogChanged, "LOG_CHANGED", absl::StatusCode::kFailedPrecondition},
    {RefusalCode::kFilterChanged, "FILTER_CHANGED", absl::StatusCode::kFailedPrecondition},
    {RefusalCode::kFilterTooLarge, "FILTER_TOO_LARGE", kBad},
    {RefusalCode::kFilterMatchesNothing, "FILTER_MATCHES_NOTHING", absl::StatusCode::kPermissionDenied},
    {RefusalCode::kUnauthenticated, "UNAUTHENTICATED", absl::StatusCode::kUnauthenticated},
};

const Entry* Find(RefusalCode code) {
  for (const Entry& entry : kTable) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

}  // namespace

absl::string_view Name(RefusalCode code) {
  const Entry* entry = Find(code);
  return entry == nullptr ? "UNSPECIFIED" : entry->name;
}

absl::Status Refuse(RefusalCode code, absl::string_view field, absl::string_view message) {
  const Entry* entry = Find(code);
  absl::Status status(entry == nullptr ? absl::StatusCode::kInvalidArgument : entry->status,
                      field.empty() ? std::string(message) : absl::StrCat(field, ": ", message));
  status.SetPayload(kPayload, absl::Cord(absl::StrCat(static_cast<int>(code), "\n", field, "\n", message)));
  return status;
}

std::optional<Refusal> RefusalOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('\n', 2));
  int code = 0;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &code)) return std::nullopt;
  return Refusal{static_cast<RefusalCode>(code), parts[1], parts[2]};
}

absl::Status WithFieldPrefix(const absl::Status& status, absl::string_view prefix) {
  const std::optional<Refusal> refusal = RefusalOf(status);
  if (!refusal.has_value()) return status;
  return Refuse(refusal->code, refusal->field.empty() ? std::string(prefix) : absl::StrCat(prefix, ".", refusal->field),
                refusal->message);
}

}  // namespace hub::model
