// The rows of one partition in the processor's tables: their keys and values. Private to this library.
//
// Stored: formats only grow. Keys start with the partition (4 bytes), numbers are big-endian, so that numbers sort as numbers do.
//   states   token (16)                  -> Group
//   ids      report (24): stakeholder and identifier hashed, then the id -> body hash (16) | reports offset (8); of ACTION_TAKEN one more
//            with an id made of event and action
//   due      time (8, micros) token (16) -> nothing: when the RISK facet must be looked at again
//   dirty    token (16)                  -> nothing: counters changed that the log of events doesn't know yet
//   outbox   lane (1) sequence (8)       -> OutboxRow (outbox.h)
//   meta     name                        -> PartitionState, rules
//   ages     reports offset (8)          -> tick (8, micros), about one an hour: how old an id is (R15)
// Thread safety: plain functions and values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/model/report.h"
#include "libs/model/rules.h"
#include "libs/model/token.h"
#include "libs/registry/decide.h"
#include "libs/store/database.h"

namespace hub::registry {

// Table ids in the processor's database.
struct Tables {
  explicit Tables(store::TableId first)
      : states(first),
        ids(first + 1),
        due(first + 2),
        dirty(first + 3),
        outbox(first + 4),
        meta(first + 5),
        ages(first + 6) {}
  store::TableId states, ids, due, dirty, outbox, meta, ages;
  std::array<store::TableId, 7> all() const { return {states, ids, due, dirty, outbox, meta, ages}; }
};

// All facets of one identifier, each with where it comes from.
struct Group {
  struct Origin {
    uint64_t term = 0;            // of the record that told it; 0 = decided here
    int64_t reports_offset = -1;  // of the last report or tick in it
    uint64_t rules_version = 0;
  };
  FacetStates states;
  std::array<Origin, 3> origins;
};

inline constexpr std::array<model::Facet, 3> kFacets = {model::Facet::kRisk, model::Facet::kConnection,
                                                        model::Facet::kTrace};
std::optional<model::IndicatorState>& StateOf(FacetStates* states, model::Facet facet);
const std::optional<model::IndicatorState>& StateOf(const FacetStates& states, model::Facet facet);
Group::Origin& OriginOf(Group* group, model::Facet facet);

std::string EncodeGroup(const Group& group);
absl::StatusOr<Group> DecodeGroup(absl::string_view bytes);

// What the owner knows about its partition besides the indicators; one row, part of every commit.
struct PartitionState {
  uint64_t term = 0;
  int64_t reports_next = 0;
  int64_t events_next = 0;  // how far its own `events` have been read back
  absl::Time clock = absl::InfinitePast();
  uint64_t tick_term = 0;
  uint64_t in_force = 0;           // term in force on `events` at events_next
  uint64_t accepted_sequence = 0;  // highest accepted on `events`
  friend bool operator==(const PartitionState&, const PartitionState&) = default;
};
std::string EncodePartitionState(const PartitionState& state);
absl::StatusOr<PartitionState> DecodePartitionState(absl::string_view bytes);

// Makes the keys of one partition.
class RowKeys {
 public:
  explicit RowKeys(int32_t partition);
  const std::string& prefix() const { return prefix_; }
  std::string State(const model::RoutingToken& token) const;
  std::string Id(const model::RoutingToken& token, const model::Report& report) const;
  // ACTION_TAKEN: a second row of the same form, by event and action: whoever reports the same again with another id within the dedupe window
  // is told so.
  std::string ActionId(const model::RoutingToken& token, const model::Report& report) const;
  std::string Due(absl::Time at, const model::RoutingToken& token) const;
  // Everything due at or before `until` is below this key.
  std::string DueEnd(absl::Time until) const;
  std::string Dirty(const model::RoutingToken& token) const { return State(token); }
  std::string Outbox(uint8_t lane, uint64_t sequence) const;
  std::string Meta(absl::string_view name) const;
  std::string Age(int64_t reports_offset) const;

 private:
  std::string prefix_;
};

// Whose partition a report belongs to: its identifier's, or that of the event it answers.
model::RoutingToken TokenOf(const model::Report& report, const model::Tokeniser& tokeniser);

// The token at the end of a state's, due or dirty key. REQUIRES: `key` is one.
model::RoutingToken TokenIn(absl::string_view key);
// REQUIRES: `key` is a due key.
absl::Time DueIn(absl::string_view key);

std::string EncodeIdRow(const std::string& body_hash, int64_t reports_offset);
// REQUIRES: `row` is one.
absl::string_view BodyHashIn(absl::string_view row);
int64_t OffsetIn(absl::string_view row);

}  // namespace hub::registry
