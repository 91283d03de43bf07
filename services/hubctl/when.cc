#include "services/hubctl/when.h"

#include <google/protobuf/timestamp.pb.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "services/hubctl/failure.h"

namespace hub::hubctl {
namespace {
constexpr char kRfc3339Utc[] = "%Y-%m-%dT%H:%M:%E*SZ";
}

absl::StatusOr<absl::Time> ParseWhen(absl::string_view text, absl::TimeZone zone) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  absl::Time time;
  for (const char* format :
       {absl::RFC3339_full, "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%dT%H:%M:%E*S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    // Infinite times parse too, and are none of ours.
    if (absl::ParseTime(format, trimmed, zone, &time, nullptr) && time > absl::InfinitePast() &&
        time < absl::InfiniteFuture()) {
      return time;
    }
  }
  return Usage("want a time such as 2026-03-08T14:30:00+05:30, 2026-03-08 14:30 or 2026-03-08");
}

absl::StatusOr<absl::TimeZone> ParseZone(absl::string_view text) {
  if (absl::EqualsIgnoreCase(text, "UTC")) return absl::UTCTimeZone();
  if (absl::EqualsIgnoreCase(text, "IST") || text == "Asia/Kolkata") return IndianTime();
  int hours;
  int minutes;
  if (text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':' &&
      absl::SimpleAtoi(text.substr(1, 2), &hours) && absl::SimpleAtoi(text.substr(4), &minutes) && hours <= 14 &&
      minutes < 60) {
    return absl::FixedTimeZone((text[0] == '-' ? -1 : 1) * (hours * 60 + minutes) * 60);
  }
  return Usage("want UTC, IST or an offset such as +05:30");
}

absl::TimeZone IndianTime() { return absl::FixedTimeZone(5 * 3600 + 1800); }

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

absl::Time ToTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

std::string ForPeople(const google::protobuf::Timestamp& timestamp) {
  if (timestamp.seconds() == 0 && timestamp.nanos() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", ToTime(timestamp), IndianTime());
}

std::string ForMachines(const google::protobuf::Timestamp& timestamp) {
  if (timestamp.seconds() == 0 && timestamp.nanos() == 0) return "";
  return absl::FormatTime(kRfc3339Utc, ToTime(timestamp), absl::UTCTimeZone());
}

}  // namespace hub::hubctl
