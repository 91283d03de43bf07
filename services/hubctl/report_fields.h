// The fields of a report by the names that people use on the command line and in map files, and how each is read.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace fraudhub::v1 {
class Report;
}

namespace hub::hubctl {

enum class ReportField {
  kKind,
  kType,
  kIdentifier,
  kLineKind,
  kObservedAt,
  kReason,
  kCategory,
  kCitizen,
  kState,
  kSuspectState,
  kCircle,
  kUnit,
  kCase,
  kVictimPhone,
  kOperator,
  kAmountRupees,
  kAmountPaise,
  kTracedWith,
  kReportId,
  kIfsc,
};

// "observed_at"; InvalidArgument lists the names.
absl::StatusOr<ReportField> ParseReportField(absl::string_view name);
absl::string_view NameOf(ReportField field);
const std::vector<ReportField>& AllReportFields();

// How texts become times: `format` as strptime writes it, empty for the usual forms; texts without an offset are of `zone`.
struct TimeReading {
  std::string format;
  absl::TimeZone zone = absl::UTCTimeZone();
};

// Sets one field from text; empty text leaves it unset. kType sets the identifier's type, kIdentifier its value, kIfsc is not for
// this function. Refusals (code, field, message) never repeat the text.
absl::Status SetReportField(ReportField field, absl::string_view text, const TimeReading& times,
                            fraudhub::v1::Report* report);

}  // namespace hub::hubctl
