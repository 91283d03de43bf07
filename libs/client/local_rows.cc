#include "libs/client/local_rows.h"

#include <limits>

#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/model/indicator.h"
#include "libs/rpc/proto_time.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using store::AppendKey32;
using store::AppendKey64;
using store::DecodeKey32;
using store::DecodeKey64;

constexpr char kRowFormatWithoutTime = 1;
constexpr size_t kHeaderWithoutTime = 3 + 4 + 4 * 8;
constexpr size_t kHeader = kHeaderWithoutTime + 8;
constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();  // and, of a decision, nobody knows when

}  // namespace

std::vector<store::TableSpec> LocalTables() {
  // Frozen: folders of before have them so.
  return {{"edge_rows", store::TableShape::kPointLookups}, {"edge_meta", store::TableShape::kPointLookups}};
}

std::string RowKey(model::Facet facet, const model::Identifier& identifier) {
  std::string key{static_cast<char>(facet), static_cast<char>(identifier.type)};
  return key + identifier.canonical;
}

absl::StatusOr<model::Identifier> IdentifierOfKey(absl::string_view key) {
  if (key.size() < 3) return absl::DataLossError("replica: a row's key is too short");
  return model::Identifier{static_cast<model::IdentifierType>(key[1]), std::string(key.substr(2))};
}

std::string EncodeRow(const Row& row) {
  std::string bytes{kRowFormat, static_cast<char>(row.gone ? 1 : 0), static_cast<char>(row.level)};
  AppendKey32(row.generation, &bytes);
  AppendKey64(
      row.lapses_at == absl::InfiniteFuture() ? kNever : static_cast<uint64_t>(absl::ToUnixMicros(row.lapses_at)),
      &bytes);
  AppendKey64(row.stamp.term, &bytes);
  AppendKey64(row.stamp.version, &bytes);
  AppendKey64(static_cast<uint64_t>(row.stamp.reports_offset), &bytes);
  AppendKey64(
      row.decided_at == absl::InfinitePast() ? kNever : static_cast<uint64_t>(absl::ToUnixMicros(row.decided_at)),
      &bytes);
  return bytes + row.answer;
}

absl::StatusOr<Row> DecodeRow(absl::string_view bytes) {
  const bool timed = !bytes.empty() && bytes[0] == kRowFormat;
  const size_t header = timed ? kHeader : kHeaderWithoutTime;
  if (bytes.size() < header || (!timed && bytes[0] != kRowFormatWithoutTime)) {
    return absl::DataLossError("replica: a row of an unknown format");
  }
  Row row;
  row.gone = bytes[1] != 0;
  row.level = static_cast<model::Level>(bytes[2]);
  row.generation = DecodeKey32(bytes, 3);
  if (const uint64_t micros = DecodeKey64(bytes, 7); micros != kNever) {
    row.lapses_at = absl::FromUnixMicros(static_cast<int64_t>(micros));
  }
  row.stamp.term = DecodeKey64(bytes, 15);
  row.stamp.version = DecodeKey64(bytes, 23);
  row.stamp.reports_offset = static_cast<int64_t>(DecodeKey64(bytes, 31));
  if (const uint64_t micros = timed ? DecodeKey64(bytes, 39) : kNever; micros != kNever) {
    row.decided_at = absl::FromUnixMicros(static_cast<int64_t>(micros));
  }
  row.answer = std::string(bytes.substr(header));
  return row;
}

std::string KeyOf(const v1::Event& event) {
  const v1::Indicator& indicator = event.indicator();
  return RowKey(
      static_cast<model::Facet>(indicator.facet()),
      {static_cast<model::IdentifierType>(indicator.identifier().type()), indicator.identifier().canonical()});
}

Row RowOf(const v1::Event& event, uint32_t generation) {
  Row row;
  row.gone = event.left_view();
  row.level = static_cast<model::Level>(event.indicator().level());
  row.generation = generation;
  // The hub may hold the flag so long without a word; when it lets go earlier, it says so.
  if (event.indicator().has_expires_at())
    row.lapses_at = rpc::FromProto(event.indicator().expires_at()) + model::kExpiryStep;
  if (row.gone && event.has_decided_at()) row.lapses_at = rpc::FromProto(event.decided_at()) + kGoneKept;
  row.stamp = {event.version().term(), event.version().version(), event.version().reports_offset()};
  if (event.has_decided_at()) row.decided_at = rpc::FromProto(event.decided_at());
  v1::LookupResult answer;
  if (row.gone) {
    answer.mutable_indicator()->set_indicator_id(event.indicator().indicator_id());
  } else {
    answer.set_verdict(v1::LOOKUP_VERDICT_INDICATOR);
    *answer.mutable_indicator() = event.indicator();
    *answer.mutable_version() = event.version();
    answer.set_event_id(event.event_id());
  }
  row.answer = answer.SerializeAsString();
  return row;
}

}  // namespace hub::client
