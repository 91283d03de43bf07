// The state of an indicator: everything the hub knows about one side of one identifier in its current tenure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/model/identifier.h"
#include "libs/model/report.h"
#include "libs/model/token.h"
#include "libs/model/vocabulary.h"

namespace hub::model {

// What filters and entitlements look at. They change only by an event. Lists are sorted, without repeats, and bounded by
// kAttributeValuesMax: further values are kept in history only.
inline constexpr size_t kAttributeValuesMax = 8;
struct Attributes {
  Facet facet = Facet::kRisk;
  IdentifierType type = IdentifierType::kUnspecified;
  Level level = Level::kNone;
  std::vector<Reason> reasons;
  std::vector<int> categories;
  std::string circle_of_issue;
  std::vector<std::string> victim_states;
  std::vector<std::string> handling_units;
  std::vector<std::string> case_refs;
  std::string operator_id;
  friend bool operator==(const Attributes&, const Attributes&) = default;
};

// What one reporter (and one list of it, and one kind) has said. Bounded: per indicator at most kContributionsMax; past that the
// newcomers are folded by ownership group (stakeholder empty).
inline constexpr size_t kContributionsMax = 64;
inline constexpr size_t kCitizensKeptMax = 32;  // per contribution; beyond it `citizens_capped` grows only
struct Contribution {
  Reporter reporter;       // principal kept for analysts only
  InputKind kind = InputKind::kUnspecified;
  std::string list_id;
  Reason reason = Reason::kUnspecified;  // strongest
  Level level = Level::kNone;            // strongest the rules gave it alone
  uint32_t count = 0;
  std::vector<uint64_t> citizens;        // Mix64 of pseudonyms (already keyed by the portal), sorted
  absl::Time first_observed = absl::InfinitePast();
  absl::Time last_observed = absl::InfinitePast();
  absl::Time last_received = absl::InfinitePast();
  absl::Time lapses_at = absl::InfiniteFuture();
  bool withdrawn = false;
};

// A closed tenure, kept so that late reports find their place. At most kTenuresKeptMax, newest last.
inline constexpr size_t kTenuresKeptMax = 8;
struct ClosedTenure {
  uint32_t tenure = 0;
  absl::Time closed_at = absl::InfinitePast();
  Level final_level = Level::kNone;
};

// An expiry that moves less than this doesn't deserve an event of its own.
inline constexpr absl::Duration kExpiryStep = absl::Hours(24);

struct IndicatorState {
  IndicatorKey key;
  Identifier identifier;
  LineKind line_kind = LineKind::kUnspecified;
  std::vector<Link> links;

  uint64_t version = 0;  // of the last event; dense per key from 1
  EventKind standing = EventKind::kUnspecified;  // kind of the last event
  Attributes attributes;
  uint32_t tenure = 1;
  absl::Time tenure_started_at = absl::InfinitePast();
  std::vector<ClosedTenure> closed_tenures;

  uint64_t report_count = 0;        // in this tenure; a duplicate counts once
  uint32_t independent_sources = 0;  // ownership groups that count now
  uint32_t independent_citizens = 0;  // after the cap per portal
  absl::Time first_seen = absl::InfinitePast();
  absl::Time last_seen = absl::InfinitePast();
  // When the flag lapses if nothing new is said, or up to kExpiryStep before: a smaller move is not announced.
  absl::Time expires_at = absl::InfiniteFuture();
  absl::Time next_check_at = absl::InfiniteFuture();  // the next tick time at which Decide must look again
  absl::Time review_due = absl::InfiniteFuture();

  // What a correction fixed: evidence observed up to `ceiling_at` gives at most `ceiling`.
  Level ceiling = Level::kVeryHigh;
  absl::Time ceiling_at = absl::InfinitePast();
  bool protected_identifier = false;
  std::vector<std::string> override_votes;  // analysts' principals who asked to override the protection

  // Handsets: who registered the loss.
  std::string registered_by;  // stakeholder id of the police unit, law enforcement's view
  std::string traced_with;    // canonical number last seen in it (Facet::kTrace)
  absl::Time traced_at = absl::InfinitePast();

  std::string suspect_state;
  std::string victim_phone;    // law enforcement's view only
  int64_t loss_paise = 0;      // sum of the victims' losses reported; law enforcement's view only
  std::vector<Contribution> contributions;
};

}  // namespace hub::model
