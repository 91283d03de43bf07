// What the hub's topics hold besides reports and events: ticks, rules, marks, silent states, history.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "libs/model/cursor.h"
#include "libs/model/event.h"
#include "libs/model/report.h"
#include "libs/model/rules.h"

namespace hub::model {

// The partition's clock: appended to `reports` by the partition's owner, forwarded to `events`.
struct Tick {
  absl::Time now = absl::InfinitePast();
  uint64_t term = 0;
};

// Rules in force from this position of `reports` on.
struct RulesUpdate {
  Rules rules;
};

// Counters that changed without an event. Never fanned out.
struct StateUpdate {
  IndicatorState state;
  int64_t reports_offset = -1;
  uint64_t rules_version = 0;
};

// An ownership begins (complete = false), or: every state up to `reports_offset` stands before this mark (complete = true).
struct TermMark {
  uint64_t term = 0;
  int64_t reports_offset = -1;
  absl::Time clock = absl::InfinitePast();
  uint64_t rules_version = 0;
  uint64_t highest_tick_term = 0;
  bool complete = false;
};

// A copy of an urgent event, once the event itself is durable on `events`. The sender's term is in the record's header.
struct UrgentCopy {
  Event event;  // its term is the twin's
  int64_t twin_offset = -1;
  uint64_t twin_term = 0;
};

// What became of one report, or what a tick changed (report_kind kUnspecified).
struct HistoryEntry {
  ReportId report_id;
  IndicatorKey key;
  Outcome outcome = Outcome::kUnspecified;
  HeldReason held_reason = HeldReason::kUnspecified;
  InputKind report_kind = InputKind::kUnspecified;
  Reporter reporter;
  EventKind event_kind = EventKind::kUnspecified;  // kUnspecified: no event came of it
  Level level_after = Level::kNone;
  uint64_t version_after = 0;
  uint32_t tenure = 1;
  absl::Time decided_at = absl::InfinitePast();
  Action action = Action::kUnspecified;
  int64_t amount_paise = 0;
  uint64_t action_version = 0;  // of the event replied to
  bool correction = false;      // the event took something back
  int64_t reports_offset = -1;
  std::string list_id;
};

struct Quarantined {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = 0;
  std::string reason;
  std::string value;
};

// Something of one name that every process must know, on the control topic: the policy as text, which key signs cursors, ...
struct ControlItem {
  std::string name;
  uint64_t version = 0;
  std::string text;
  friend bool operator==(const ControlItem&, const ControlItem&) = default;
};

// Where a named cursor stands, on the cursors topic: an attach, whose offset is the generation from then on, or what was acknowledged since.
struct CursorUpdate {
  std::string stakeholder;
  std::string name;
  Cursor cursor;  // without positions: a stream that has no place yet to come back to
  int64_t generation = kAttaches;
  std::string node;
  absl::Time attached_at = absl::InfinitePast();
  absl::Time acked_at = absl::InfinitePast();  // infinitely past: a start, nothing was acknowledged
  std::string client_id;

  static constexpr int64_t kAttaches = -1;
  friend bool operator==(const CursorUpdate&, const CursorUpdate&) = default;
};

// What one node found out since its last one about who was sent an urgent event and who has confirmed it. Of all records of an event the
// earliest times count.
struct ReceiptUpdate {
  struct Receipt {
    std::string stakeholder;
    absl::Time sent_at = absl::InfiniteFuture();       // infinite: this record doesn't say
    absl::Time confirmed_at = absl::InfiniteFuture();  // likewise
    friend bool operator==(const Receipt&, const Receipt&) = default;
  };
  std::string node;
  int32_t partition = 0;
  int64_t offset = 0;  // of the event
  IndicatorKey key;
  uint64_t version = 0;
  absl::Time decided_at = absl::InfinitePast();
  std::vector<Receipt> receipts;  // ordered by stakeholder
  friend bool operator==(const ReceiptUpdate&, const ReceiptUpdate&) = default;
};

using LogBody = std::variant<Report, RulesUpdate, Tick, Event, StateUpdate, TermMark, HistoryEntry, Quarantined, ControlItem,
                             UrgentCopy, CursorUpdate, ReceiptUpdate>;

}  // namespace hub::model
