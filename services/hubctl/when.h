// Times as people write and read them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace google::protobuf {
class Timestamp;
}

namespace hub::hubctl {

// RFC 3339, or "2026-03-08", "2026-03-08 14:30", "2026-03-08 14:30:05" in `zone`. A usage error says what is wanted.
absl::StatusOr<absl::Time> ParseWhen(absl::string_view text, absl::TimeZone zone);
// "UTC", "IST", "Asia/Kolkata", "+05:30". Needs no time-zone files.
absl::StatusOr<absl::TimeZone> ParseZone(absl::string_view text);

absl::TimeZone IndianTime();
google::protobuf::Timestamp ToTimestamp(absl::Time time);
absl::Time ToTime(const google::protobuf::Timestamp& timestamp);
// For tables, Indian time: "2026-03-08 14:30:05"; "" when unset.
std::string ForPeople(const google::protobuf::Timestamp& timestamp);
// For CSV: RFC 3339, UTC; "" when unset.
std::string ForMachines(const google::protobuf::Timestamp& timestamp);

}  // namespace hub::hubctl
