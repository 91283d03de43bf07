#include "libs/eventlog/local_format.h"

namespace hub::eventlog::local {
namespace {

using store::AppendKey32;
using store::AppendKey64;
using store::DecodeKey32;
using store::DecodeKey64;

absl::Status Damaged(const char* row) { return absl::DataLossError(std::string("local log: damaged ") + row); }
int64_t Signed64(absl::string_view bytes, size_t at) { return static_cast<int64_t>(DecodeKey64(bytes, at)); }

}  // namespace

std::vector<store::TableSpec> Tables() {
  return {{"meta"},
          {"ends"},
          {"starts"},
          {"records", store::TableShape::kScans},
          {"keys", store::TableShape::kPointLookups}};
}

PartitionKey MakePartitionKey(uint32_t topic_id, int32_t partition) {
  PartitionKey key;
  AppendKey32(topic_id, &key);
  AppendKey32(static_cast<uint32_t>(partition), &key);
  return key;
}

std::string RecordKey(const PartitionKey& partition, Offset offset) {
  std::string key = partition;
  AppendKey64(static_cast<uint64_t>(offset), &key);
  return key;
}

Offset OffsetOfRecordKey(absl::string_view key) { return Signed64(key, 8); }

std::string Encode(const TopicRow& row) {
  std::string bytes;
  AppendKey32(row.id, &bytes);
  AppendKey32(static_cast<uint32_t>(row.partitions), &bytes);
  bytes.push_back(row.cleanup == Cleanup::kCompact ? 'c' : 'd');
  return bytes;
}

std::string Encode(const EndRow& row) {
  std::string bytes;
  AppendKey64(static_cast<uint64_t>(row.end), &bytes);
  AppendKey64(static_cast<uint64_t>(row.bytes_appended), &bytes);
  return bytes;
}

std::string Encode(const StartRow& row) {
  std::string bytes;
  AppendKey64(static_cast<uint64_t>(row.first), &bytes);
  AppendKey64(static_cast<uint64_t>(row.bytes_dropped), &bytes);
  AppendKey64(static_cast<uint64_t>(row.clean_from), &bytes);
  return bytes;
}

void PutRecord(store::TableId table, absl::string_view row, absl::Time appended_at, absl::string_view key,
               absl::string_view value, store::Batch* batch) {
  std::string head;  // short enough to need no memory of its own
  AppendKey64(static_cast<uint64_t>(absl::ToUnixMicros(appended_at)), &head);
  AppendKey32(static_cast<uint32_t>(key.size()), &head);
  batch->Put(table, row, {head, key, value});
}

absl::StatusOr<TopicRow> DecodeTopicRow(absl::string_view bytes) {
  if (bytes.size() != 9 || (bytes[8] != 'c' && bytes[8] != 'd')) return Damaged("topic");
  return TopicRow{DecodeKey32(bytes), static_cast<int32_t>(DecodeKey32(bytes, 4)),
                  bytes[8] == 'c' ? Cleanup::kCompact : Cleanup::kDelete};
}

absl::StatusOr<EndRow> DecodeEndRow(absl::string_view bytes) {
  if (bytes.size() != 16) return Damaged("end");
  return EndRow{Signed64(bytes, 0), Signed64(bytes, 8)};
}

absl::StatusOr<StartRow> DecodeStartRow(absl::string_view bytes) {
  if (bytes.size() != 24) return Damaged("start");
  return StartRow{Signed64(bytes, 0), Signed64(bytes, 8), Signed64(bytes, 16)};
}

absl::StatusOr<StoredRecord> DecodeRecord(absl::string_view key, absl::string_view bytes) {
  if (key.size() != 16 || bytes.size() < 12) return Damaged("record");
  const size_t key_size = DecodeKey32(bytes, 8);
  if (key_size > bytes.size() - 12) return Damaged("record");
  StoredRecord record;
  record.offset = OffsetOfRecordKey(key);
  record.appended_at = absl::FromUnixMicros(Signed64(bytes, 0));
  record.key = std::string(bytes.substr(12, key_size));
  record.value = std::string(bytes.substr(12 + key_size));
  return record;
}

}  // namespace hub::eventlog::local
