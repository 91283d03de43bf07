#include "libs/registry/rows.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"
#include "libs/store/tables.h"
#include "libs/wire/wire.h"

namespace hub::registry {
namespace {

constexpr size_t kTokenBytes = 16;
constexpr size_t kBodyHashBytes = 16;
constexpr char kFormat = 1;

using store::AppendKey32;
using store::AppendKey64;
using store::DecodeKey32;
using store::DecodeKey64;

// Sorts as the time does, infinite times included.
uint64_t SortableMicros(absl::Time time) {
  int64_t micros = absl::ToUnixMicros(time);
  if (time == absl::InfinitePast()) micros = std::numeric_limits<int64_t>::min();
  if (time == absl::InfiniteFuture()) micros = std::numeric_limits<int64_t>::max();
  return static_cast<uint64_t>(micros) ^ (uint64_t{1} << 63);
}

absl::Time FromSortableMicros(uint64_t sortable) {
  const auto micros = static_cast<int64_t>(sortable ^ (uint64_t{1} << 63));
  if (micros == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
  if (micros == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
  return absl::FromUnixMicros(micros);
}

absl::string_view TokenView(const model::RoutingToken& token) {
  return {reinterpret_cast<const char*>(token.data()), token.size()};
}

}  // namespace

std::optional<model::IndicatorState>& StateOf(FacetStates* states, model::Facet facet) {
  return facet == model::Facet::kRisk         ? states->risk
         : facet == model::Facet::kConnection ? states->connection
                                              : states->trace;
}

const std::optional<model::IndicatorState>& StateOf(const FacetStates& states, model::Facet facet) {
  return facet == model::Facet::kRisk         ? states.risk
         : facet == model::Facet::kConnection ? states.connection
                                              : states.trace;
}

Group::Origin& OriginOf(Group* group, model::Facet facet) { return group->origins[static_cast<size_t>(facet) - 1]; }

// Format | per facet: facet (1) term (8) offset (8) rules version (8) length (4) state.
std::string EncodeGroup(const Group& group) {
  std::string bytes(1, kFormat);
  for (const model::Facet facet : kFacets) {
    const std::optional<model::IndicatorState>& state = StateOf(group.states, facet);
    if (!state.has_value()) continue;
    const Group::Origin& origin = group.origins[static_cast<size_t>(facet) - 1];
    const std::string encoded = wire::EncodeState(*state);
    bytes.push_back(static_cast<char>(facet));
    AppendKey64(origin.term, &bytes);
    AppendKey64(static_cast<uint64_t>(origin.reports_offset), &bytes);
    AppendKey64(origin.rules_version, &bytes);
    AppendKey32(static_cast<uint32_t>(encoded.size()), &bytes);
    bytes += encoded;
  }
  return bytes;
}

absl::StatusOr<Group> DecodeGroup(absl::string_view bytes) {
  if (bytes.empty() || bytes[0] != kFormat) return absl::DataLossError("stored indicator: unknown format");
  bytes.remove_prefix(1);
  Group group;
  while (!bytes.empty()) {
    constexpr size_t kHeader = 1 + 8 + 8 + 8 + 4;
    if (bytes.size() < kHeader) return absl::DataLossError("stored indicator: cut off");
    const auto facet = static_cast<model::Facet>(bytes[0]);
    if (std::find(kFacets.begin(), kFacets.end(), facet) == kFacets.end()) {
      return absl::DataLossError("stored indicator: unknown facet");
    }
    Group::Origin& origin = OriginOf(&group, facet);
    origin.term = DecodeKey64(bytes, 1);
    origin.reports_offset = static_cast<int64_t>(DecodeKey64(bytes, 9));
    origin.rules_version = DecodeKey64(bytes, 17);
    const size_t length = DecodeKey32(bytes, 25);
    bytes.remove_prefix(kHeader);
    if (bytes.size() < length) return absl::DataLossError("stored indicator: cut off");
    HUB_ASSIGN_OR_RETURN(StateOf(&group.states, facet), wire::DecodeState(bytes.substr(0, length)));
    bytes.remove_prefix(length);
  }
  return group;
}

std::string EncodePartitionState(const PartitionState& state) {
  std::string bytes(1, kFormat);
  AppendKey64(state.term, &bytes);
  AppendKey64(static_cast<uint64_t>(state.reports_next), &bytes);
  AppendKey64(static_cast<uint64_t>(state.events_next), &bytes);
  AppendKey64(SortableMicros(state.clock), &bytes);
  AppendKey64(state.tick_term, &bytes);
  AppendKey64(state.in_force, &bytes);
  AppendKey64(state.accepted_sequence, &bytes);
  return bytes;
}

absl::StatusOr<PartitionState> DecodePartitionState(absl::string_view bytes) {
  if (bytes.size() < 1 + 7 * 8 || bytes[0] != kFormat)
    return absl::DataLossError("stored partition state: unknown format");
  PartitionState state;
  state.term = DecodeKey64(bytes, 1);
  state.reports_next = static_cast<int64_t>(DecodeKey64(bytes, 9));
  state.events_next = static_cast<int64_t>(DecodeKey64(bytes, 17));
  state.clock = FromSortableMicros(DecodeKey64(bytes, 25));
  state.tick_term = DecodeKey64(bytes, 33);
  state.in_force = DecodeKey64(bytes, 41);
  state.accepted_sequence = DecodeKey64(bytes, 49);
  return state;
}

RowKeys::RowKeys(int32_t partition) { AppendKey32(static_cast<uint32_t>(partition), &prefix_); }

std::string RowKeys::State(const model::RoutingToken& token) const { return absl::StrCat(prefix_, TokenView(token)); }

std::string RowKeys::Id(const model::RoutingToken& token, const model::Report& report) const {
  std::string key = prefix_;
  AppendKey64(base::Mix64(TokenView(token), base::Mix64(report.reporter.stakeholder)), &key);
  key.append(reinterpret_cast<const char*>(report.id.bytes.data()), report.id.bytes.size());
  return key;
}

std::string RowKeys::ActionId(const model::RoutingToken& token, const model::Report& report) const {
  model::Report named;
  named.reporter.stakeholder = report.reporter.stakeholder;
  const model::EventId& event = report.action.in_reply_to;
  named.id = model::MakeNameBasedId("fraudhub action", absl::StrCat(model::EventIdText(event.key, event.version), " ",
                                                                    static_cast<int>(report.action.action)));
  return Id(token, named);
}

std::string RowKeys::Due(absl::Time at, const model::RoutingToken& token) const {
  std::string key = prefix_;
  AppendKey64(SortableMicros(at), &key);
  absl::StrAppend(&key, TokenView(token));
  return key;
}

std::string RowKeys::DueEnd(absl::Time until) const {
  std::string key = prefix_;
  AppendKey64(SortableMicros(until) + 1, &key);
  return key;
}

std::string RowKeys::Outbox(uint8_t lane, uint64_t sequence) const {
  std::string key = prefix_;
  key.push_back(static_cast<char>(lane));
  AppendKey64(sequence, &key);
  return key;
}

std::string RowKeys::Meta(absl::string_view name) const { return absl::StrCat(prefix_, name); }

std::string RowKeys::Age(int64_t reports_offset) const {
  std::string key = prefix_;
  AppendKey64(static_cast<uint64_t>(reports_offset), &key);
  return key;
}

model::RoutingToken TokenOf(const model::Report& report, const model::Tokeniser& tokeniser) {
  if (report.kind == model::InputKind::kActionTaken) return report.action.in_reply_to.key.token;
  return tokeniser.Routing(report.identifier);
}

model::RoutingToken TokenIn(absl::string_view key) {
  model::RoutingToken token;
  std::copy_n(key.end() - kTokenBytes, kTokenBytes, token.begin());
  return token;
}

absl::Time DueIn(absl::string_view key) { return FromSortableMicros(DecodeKey64(key, sizeof(uint32_t))); }

std::string EncodeIdRow(const std::string& body_hash, int64_t reports_offset) {
  std::string row = body_hash;
  AppendKey64(static_cast<uint64_t>(reports_offset), &row);
  return row;
}

absl::string_view BodyHashIn(absl::string_view row) { return row.substr(0, kBodyHashBytes); }
int64_t OffsetIn(absl::string_view row) { return static_cast<int64_t>(DecodeKey64(row, kBodyHashBytes)); }

}  // namespace hub::registry
