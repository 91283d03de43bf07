#include "libs/replica/rows.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"
#include "libs/store/tables.h"
#include "libs/wire/wire.h"

namespace hub::replica {
namespace {

using store::AppendKey64;
using store::DecodeKey64;

constexpr int64_t kLastOffset = std::numeric_limits<int64_t>::max();

}  // namespace

std::string StateKey(const model::IndicatorKey& key) { return model::ToBytes(key); }

std::string EncodeAnswer(const Answer& answer) {
  std::string bytes(1, kFormat);
  AppendKey64(answer.stamp.term, &bytes);
  AppendKey64(static_cast<uint64_t>(answer.stamp.reports_offset), &bytes);
  AppendKey64(answer.rules_version, &bytes);
  return bytes + wire::EncodeState(answer.state);
}

absl::StatusOr<Answer> DecodeAnswer(absl::string_view bytes) {
  constexpr size_t kHeader = 1 + 3 * 8;
  if (bytes.size() < kHeader || bytes[0] != kFormat)
    return absl::DataLossError("replica: a state of an unknown format");
  Answer answer;
  answer.stamp.term = DecodeKey64(bytes, 1);
  answer.stamp.reports_offset = static_cast<int64_t>(DecodeKey64(bytes, 9));
  answer.rules_version = DecodeKey64(bytes, 17);
  HUB_ASSIGN_OR_RETURN(answer.state, wire::DecodeState(bytes.substr(kHeader)));
  answer.stamp.version = answer.state.version;
  return answer;
}

std::string ReportKey(absl::string_view stakeholder, const model::ReportId& id) {
  std::string key;
  AppendKey64(base::Mix64(stakeholder), &key);
  key.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  return key;
}

std::string HistoryPrefix(const model::RoutingToken& token) {
  return std::string(reinterpret_cast<const char*>(token.data()), token.size());
}

std::string HistoryKey(const model::RoutingToken& token, int64_t reports_offset, model::Facet facet) {
  std::string key = HistoryPrefix(token);
  // Without sign: an entry out of a log may carry any offset, -1 for none.
  AppendKey64(static_cast<uint64_t>(kLastOffset) - static_cast<uint64_t>(reports_offset), &key);
  key.push_back(static_cast<char>(facet));
  return key;
}

std::string EncodeHistory(const model::HistoryEntry& entry) { return wire::EncodeRecord({}, entry); }

absl::StatusOr<model::HistoryEntry> DecodeHistory(absl::string_view bytes) {
  HUB_ASSIGN_OR_RETURN(wire::DecodedRecord record, wire::DecodeRecord(bytes));
  if (auto* entry = std::get_if<model::HistoryEntry>(&record.body)) return std::move(*entry);
  return absl::DataLossError("replica: a history row that is none");
}

std::string PartitionKey(int32_t partition) {
  std::string key = "p";
  store::AppendKey32(static_cast<uint32_t>(partition), &key);
  return key;
}

std::string EncodePartition(const PartitionRow& row) {
  std::string bytes(1, kFormat);
  AppendKey64(static_cast<uint64_t>(row.events_next), &bytes);
  AppendKey64(static_cast<uint64_t>(row.history_next), &bytes);
  AppendKey64(row.in_force, &bytes);
  AppendKey64(row.tick == absl::InfinitePast() ? 0 : static_cast<uint64_t>(absl::ToUnixMicros(row.tick)), &bytes);
  bytes.push_back(row.caught_up ? 1 : 0);
  return bytes;
}

absl::StatusOr<PartitionRow> DecodePartition(absl::string_view bytes) {
  if (bytes.size() < 2 + 4 * 8 || bytes[0] != kFormat)
    return absl::DataLossError("replica: positions of an unknown format");
  PartitionRow row;
  row.events_next = static_cast<int64_t>(DecodeKey64(bytes, 1));
  row.history_next = static_cast<int64_t>(DecodeKey64(bytes, 9));
  row.in_force = DecodeKey64(bytes, 17);
  const auto micros = static_cast<int64_t>(DecodeKey64(bytes, 25));
  row.tick = micros == 0 ? absl::InfinitePast() : absl::FromUnixMicros(micros);
  row.caught_up = bytes[33] == 1;
  return row;
}

}  // namespace hub::replica
