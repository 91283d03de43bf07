// The id a reporter gives its report: a UUID (RFC 9562), kept until acknowledged and reused on every retry.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hub::model {

struct ReportId {
  std::array<uint8_t, 16> bytes{};
  friend bool operator==(const ReportId&, const ReportId&) = default;
  friend auto operator<=>(const ReportId&, const ReportId&) = default;
};

// The 36-character form, any case; Refuse(kBadReportId) otherwise, and for the nil UUID.
absl::StatusOr<ReportId> ParseReportId(absl::string_view text);
std::string ToText(const ReportId& id);  // lower case
// The time inside a version 7 id; nullopt for other versions.
std::optional<absl::Time> TimeOf(const ReportId& id);
// Version 7: `now` in milliseconds and 74 bits of `random` (at least 10 bytes).
ReportId MakeTimeBasedId(absl::Time now, absl::string_view random);
// Version 8, from the first 16 bytes of SHA-256(namespace || 0 || name): the same row of the same list always gives the same id.
ReportId MakeNameBasedId(absl::string_view name_space, absl::string_view name);

}  // namespace hub::model
