#include "services/hubctl/stream_cells.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/wire/board_line.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {

namespace v1 = ::fraudhub::v1;

std::vector<Cell> StreamCells(const v1::SubscriptionState& stream, const Environment& env) {
  const bool csv = env.settings.output == "csv";
  const std::string acked = csv                     ? ForMachines(stream.acked_at())
                            : stream.has_acked_at() ? wire::RoughAge(env.clock->TimeNow() - ToTime(stream.acked_at()))
                                                    : "never";
  std::string lag;
  if (stream.has_lag()) {
    const absl::Duration age = absl::Seconds(stream.lag().seconds()) + absl::Nanoseconds(stream.lag().nanos());
    lag = csv ? absl::StrFormat("%.3f", absl::ToDoubleSeconds(age)) : wire::RoughAge(age);
  }
  return {{stream.cursor()},
          {stream.client_id()},
          {stream.connected() ? "yes" : "no", stream.connected() ? Tone::kPlain : Tone::kWarn},
          {stream.mode() == v1::STREAM_MODE_UNSPECIFIED ? "" : Word(v1::StreamMode_descriptor(), stream.mode())},
          {absl::StrCat(stream.records_behind())},
          {lag},
          {acked},
          {absl::StrCat(stream.events_sent())}};
}

}  // namespace hub::hubctl
