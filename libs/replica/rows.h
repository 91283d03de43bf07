// Keys and values of the replica's tables. Private to this library.
//
// Rebuildable, all the same stored: another format means another kFormat, and the tables are dropped and fed anew.
//   states   key (17)                                       -> format | term (8) | reports offset (8) | rules version (8) | state
//   reports  hash of the stakeholder (8) | report id (16)   -> history record
//   history  token (16) | last offset - offset (8) | facet (1) -> history record
//   links    link_index.h
//   meta     "log", "format", "links"; "p" | partition (4)           -> PartitionRow
// Thread safety: plain functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/model/records.h"
#include "libs/model/token.h"
#include "libs/replica/replica.h"

namespace hub::replica {

inline constexpr char kFormat = 1;

std::string StateKey(const model::IndicatorKey& key);
std::string EncodeAnswer(const Answer& answer);
absl::StatusOr<Answer> DecodeAnswer(absl::string_view bytes);

std::string ReportKey(absl::string_view stakeholder, const model::ReportId& id);
// Of one token, newest first.
std::string HistoryKey(const model::RoutingToken& token, int64_t reports_offset, model::Facet facet);
std::string HistoryPrefix(const model::RoutingToken& token);
std::string EncodeHistory(const model::HistoryEntry& entry);
absl::StatusOr<model::HistoryEntry> DecodeHistory(absl::string_view bytes);

struct PartitionRow {
  int64_t events_next = 0;
  int64_t history_next = 0;
  uint64_t in_force = 0;  // the term, at events_next
  absl::Time tick = absl::InfinitePast();
  bool caught_up = false;  // since the tables began
};
std::string PartitionKey(int32_t partition);
std::string EncodePartition(const PartitionRow& row);
absl::StatusOr<PartitionRow> DecodePartition(absl::string_view bytes);

}  // namespace hub::replica
