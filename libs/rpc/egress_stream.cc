#include "libs/rpc/egress_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "libs/model/refusal.h"

namespace hub::rpc {

absl::Status WhyEgressEnded(EgressEnd why) {
  switch (why) {
    case EgressEnd::kAge:
      return absl::UnavailableError("the stream has come of age: open it again with the last token");
    case EgressEnd::kShed:
      return model::Refuse(model::RefusalCode::kOverloaded, "", "the node is short of memory; try another, or later");
    case EgressEnd::kDrain:
      break;
  }
  return absl::UnavailableError("the hub is shutting down");
}

std::vector<EgressStream*> StreamsToShed(const std::vector<EgressStream*>& streams, int count) {
  std::vector<EgressStream*> lagging;
  for (EgressStream* stream : streams) {
    if (stream->ending || stream->call->over() || stream->source->Standing() == EgressStanding::kCurrent) continue;
    lagging.push_back(stream);
  }
  std::sort(lagging.begin(), lagging.end(), [](const EgressStream* a, const EgressStream* b) {
    const bool catchup_a = a->source->Standing() == EgressStanding::kCatchup;
    const bool catchup_b = b->source->Standing() == EgressStanding::kCatchup;
    return catchup_a != catchup_b ? catchup_a : a->serial > b->serial;
  });
  lagging.resize(std::min(lagging.size(), static_cast<size_t>(count)));
  return lagging;
}

void EgressStream::End(absl::Duration now, absl::Status why) {
  if (ending) return;
  ending = std::move(why);
  ending_since = now;
}

void EgressStream::FinishIfIdle(absl::Duration retry_after) {
  if (!ending || !call->CanFinish()) return;
  const bool say_when = absl::IsUnavailable(*ending) || absl::IsResourceExhausted(*ending);
  call->Finish(*ending, say_when ? retry_after : absl::ZeroDuration());
}

void EgressStream::SayFarewell(absl::Duration now, absl::Duration retry_after) {
  End(now, WhyEgressEnded(leave_why));
  if (!call->opened()) return FinishIfIdle(retry_after);
  const std::vector<EgressSlice> last = source->Farewell(leave_why);
  if (last.empty()) return FinishIfIdle(retry_after);
  call->WriteAndFinish(last, *ending, leave_why == EgressEnd::kAge ? absl::ZeroDuration() : retry_after);
}

}  // namespace hub::rpc
