#include "libs/wire/board_line.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/operations.pb.h"

namespace hub::wire {
namespace {

absl::Time TimeOf(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
}

}  // namespace

BoardLine ToBoardLine(const std::string& stakeholder, const fraudhub::v1::Standing& standing,
                      const fraudhub::v1::StakeholderStreams& streams) {
  BoardLine line;
  line.stakeholder = stakeholder;
  for (const fraudhub::v1::SubscriptionState& stream : streams.streams()) {
    ++line.streams;
    line.open += stream.connected() ? 1 : 0;
    line.behind = std::max(line.behind, stream.records_behind());
    line.lag = std::max(line.lag, absl::Seconds(stream.lag().seconds()) + absl::Nanoseconds(stream.lag().nanos()));
    line.sent += stream.events_sent();
    if (stream.has_acked_at()) line.acked_at = std::max(line.acked_at, TimeOf(stream.acked_at()));
  }
  line.corrections = standing.corrections();
  line.owes = standing.corrections() - std::min(standing.confirmed(), standing.corrections());
  if (standing.has_oldest_unconfirmed()) line.owes_since = TimeOf(standing.oldest_unconfirmed());
  line.actions = standing.actions();
  return line;
}

bool ComesBefore(const BoardLine& a, const BoardLine& b) {
  return std::tuple(a.owes_since, -a.lag, -a.behind) < std::tuple(b.owes_since, -b.lag, -b.behind);
}

std::string RoughAge(absl::Duration age) {
  age = std::max(age, absl::ZeroDuration());
  if (age < absl::Minutes(2)) return absl::StrCat(absl::ToInt64Seconds(age), " s");
  if (age < absl::Hours(2)) return absl::StrCat(absl::ToInt64Minutes(age), " min");
  if (age < absl::Hours(48)) return absl::StrCat(absl::ToInt64Hours(age), " h");
  return absl::StrCat(absl::ToInt64Hours(age) / 24, " d");
}

}  // namespace hub::wire
