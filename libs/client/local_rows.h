// What a local replica stores of an indicator: how it would be answered, and what orders, sweeps and lapses need without parsing that.
//
// Stored:
//   rows   facet (1) | type (1) | canonical -> format | gone (1) | level (1) | generation (4) | lapse (8) | term (8) | version (8) | reports
//          offset (8) | decided at (8) | fraudhub.v1.LookupResult; rows of format 1 lack the last time
//   meta   "format", "token", "until", "skew", "generation", "view"
// An indicator that left the view keeps its row, gone until the end of a snapshot or for kGoneKept: a repeat of an older event
// must not bring it back.
// Thread safety: plain functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/model/event.h"
#include "libs/model/identifier.h"
#include "libs/model/vocabulary.h"
#include "libs/store/tables.h"

namespace fraudhub::v1 {
class Event;
}

namespace hub::client {

inline constexpr char kRowFormat = 2;
// The hub goes on from tokens of the last seven days; from older ones only with a snapshot, which tells of nothing that is gone.
inline constexpr absl::Duration kGoneKept = absl::Hours(24 * 9);

std::vector<store::TableSpec> LocalTables();  // rows, meta

struct Row {
  bool gone = false;
  model::Level level = model::Level::kNone;
  uint32_t generation = 0;                        // the last snapshot that told of it
  absl::Time lapses_at = absl::InfiniteFuture();  // of one that is gone: when the row itself may go
  model::VersionStamp stamp;
  absl::Time decided_at = absl::InfinitePast();  // unknown of what a snapshot told
  std::string answer;                            // LookupResult; of one that is gone its indicator's id only
};

std::string RowKey(model::Facet facet, const model::Identifier& identifier);
// DataLoss: not such a key.
absl::StatusOr<model::Identifier> IdentifierOfKey(absl::string_view key);
std::string EncodeRow(const Row& row);
absl::StatusOr<Row> DecodeRow(absl::string_view bytes);

std::string KeyOf(const fraudhub::v1::Event& event);
Row RowOf(const fraudhub::v1::Event& event, uint32_t generation);

}  // namespace hub::client
