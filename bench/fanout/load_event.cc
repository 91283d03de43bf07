#include "bench/fanout/load_event.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bench/swarm/wire_scan.h"
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
  // Multiplied, so that neighbours in time are not neighbours in the space of keys.
  const uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15ull;
  for (size_t i = 0; i < state.key.token.size(); ++i) {
    state.key.token[i] = static_cast<uint8_t>((i < 8 ? mixed : number) >> (8 * (i % 8)));
  }
  state.identifier = {model::IdentifierType::kMobile, absl::StrCat("+91555", 1'000'000 + number % 9'000'000)};
  state.version = 1;
  state.standing = event.kind;
  state.attributes.type = model::IdentifierType::kMobile;
  // The subscriber's rows begin at MEDIUM: both kinds of event stay in view.
  state.attributes.level = lane == Lane::kUrgent ? model::Level::kMedium : model::Level::kHigh;
  state.attributes.reasons = {model::Reason::kFinancialInstitution};
  state.attributes.categories = {10};
  state.report_count = 3;
  state.independent_sources = 2;
  state.first_seen = stamp - absl::Hours(1);
  state.last_seen = stamp;
  event.urgent = lane == Lane::kUrgent;
  event.reports_offset = static_cast<int64_t>(number);
  event.rules_version = 1;
  event.decided_at = stamp;
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
