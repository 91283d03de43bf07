#include "bench/fanout/load_event.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bench/swarm/wire_scan.h"
#include "libs/base/hash.h"
#include "libs/model/event.h"
#include "libs/model/records.h"
#include "libs/wire/wire.h"

namespace hub::bench {
namespace {

constexpr uint64_t kTerm = 1;

model::Event MakeEvent(uint64_t number, absl::Time stamp, Lane lane) {
  model::Event event;
  event.kind = lane == Lane::kUrgent ? model::EventKind::kRetracted : model::EventKind::kFlagged;
  model::IndicatorState& state = event.state;
  // Tokens and numbers that tell nothing of their neighbours', times that are not each other's: who packs them finds what real ones would give.
  const uint64_t mixed[] = {base::Mix64("load", 2 * number), base::Mix64("load", 2 * number + 1)};
  for (size_t i = 0; i < state.key.token.size(); ++i) {
    state.key.token[i] = static_cast<uint8_t>(mixed[i / 8 % 2] >> (8 * (i % 8)));
  }
  const auto drawn = [&mixed](int at, uint64_t below) { return static_cast<int64_t>((mixed[0] >> at) % below); };
  state.identifier = {model::IdentifierType::kMobile, absl::StrCat("+91555", 1'000'000 + drawn(0, 9'000'000))};
  state.version = 1;
  state.standing = event.kind;
  state.attributes.type = model::IdentifierType::kMobile;
  // The subscriber's rows begin at MEDIUM: both kinds of event stay in view.
  state.attributes.level = lane == Lane::kUrgent ? model::Level::kMedium : model::Level::kHigh;
  state.attributes.reasons = {model::Reason::kFinancialInstitution};
  state.attributes.categories = {10 + static_cast<int>(drawn(8, 6))};
  state.report_count = static_cast<uint32_t>(1 + drawn(16, 5));
  state.independent_sources = static_cast<uint32_t>(1 + drawn(24, 2));
  state.first_seen = stamp - absl::Microseconds(drawn(0, 36'000'000'000));
  state.last_seen = stamp - absl::Microseconds(drawn(4, 5'000));
  event.urgent = lane == Lane::kUrgent;
  event.reports_offset = static_cast<int64_t>(number);
  event.rules_version = 1;
  event.decided_at = stamp + absl::Microseconds(drawn(12, 3'000));
  event.received_at = stamp;
  return event;
}

}  // namespace

LoadRecord MakeRecord(uint64_t number, absl::Time stamp, Lane lane) {
  const model::Event event = MakeEvent(number, stamp, lane);
  return {model::ToBytes(event.state.key), wire::EncodeRecord({kTerm, number + 1}, event)};
}

LoadRecord MakeCopy(uint64_t number, absl::Time stamp, int64_t twin_offset) {
  const model::Event event = MakeEvent(number, stamp, Lane::kUrgent);
  return {model::ToBytes(event.state.key),
          wire::EncodeRecord({kTerm, number + 1}, model::UrgentCopy{event, twin_offset, kTerm})};
}

std::string MakePublicSlice(uint64_t number, absl::Time stamp) {
  return wire::EncodeEventSlice(MakeEvent(number, stamp, Lane::kOrdinary), wire::AudienceSet(), /*left_view=*/false);
}

std::string MakePublicEvent(uint64_t number, absl::Time stamp) {
  const std::string slice = MakePublicSlice(number, stamp);
  std::string event;
  swarm::ScanFields(slice, [&](int, uint64_t, absl::string_view bytes) { event.assign(bytes.data(), bytes.size()); });
  return event;
}

}  // namespace hub::bench
