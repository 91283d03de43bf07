// How the embedded log lies in its database: tables, keys, rows. All of it is stored: frozen; kFormat counts changes.
//
// Private to local_log. Plain functions. Numbers are big-endian (store/tables.h).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/eventlog/log.h"
#include "libs/store/batch.h"
#include "libs/store/tables.h"

namespace hub::eventlog::local {

inline constexpr char kFormat[] = "1";

// In the order of Tables().
inline constexpr int kMeta = 0;     // "format", "log_id", "topic/NAME" -> TopicRow
inline constexpr int kEnds = 1;     // partition -> EndRow; written by the writer, with each group
inline constexpr int kStarts = 2;   // partition -> StartRow; written by the cleaner
inline constexpr int kRecords = 3;  // partition, offset -> record
inline constexpr int kKeys = 4;     // partition, record key -> offset: the last record of that key below StartRow::clean_from
std::vector<store::TableSpec> Tables();

// A partition's place in every table: topic id and partition, 8 bytes.
using PartitionKey = std::string;
PartitionKey MakePartitionKey(uint32_t topic_id, int32_t partition);
std::string RecordKey(const PartitionKey& partition, Offset offset);
Offset OffsetOfRecordKey(absl::string_view key);

struct TopicRow {
  uint32_t id = 0;
  int32_t partitions = 0;
  Cleanup cleanup = Cleanup::kDelete;
};
std::string Encode(const TopicRow& row);

struct EndRow {
  Offset end = 0;              // next offset to give; survives the deletion of the records, so none is given twice
  int64_t bytes_appended = 0;  // ever
};
std::string Encode(const EndRow& row);

struct StartRow {
  Offset first = 0;
  int64_t bytes_dropped = 0;  // by retention, ever
  Offset clean_from = 0;      // compaction has looked at all records below
};
std::string Encode(const StartRow& row);

// `row`: its RecordKey.
void PutRecord(store::TableId table, absl::string_view row, absl::Time appended_at, absl::string_view key,
               absl::string_view value, store::Batch* batch);

// All: DataLoss when the bytes are not what Encode made.
absl::StatusOr<TopicRow> DecodeTopicRow(absl::string_view bytes);
absl::StatusOr<EndRow> DecodeEndRow(absl::string_view bytes);
absl::StatusOr<StartRow> DecodeStartRow(absl::string_view bytes);
absl::StatusOr<StoredRecord> DecodeRecord(absl::string_view key, absl::string_view bytes);

// What a record counts towards ReadLimits, retention_bytes and pending bytes.
inline int64_t SizeOf(const StoredRecord& record) { return static_cast<int64_t>(record.key.size() + record.value.size()); }
inline int64_t SizeOf(const Record& record) { return static_cast<int64_t>(record.key.size() + record.value.size()); }

}  // namespace hub::eventlog::local
