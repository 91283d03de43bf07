// What one stakeholder says about one identifier: a plain value, already canonical and authorised.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/model/identifier.h"
#include "libs/model/report_id.h"
#include "libs/model/token.h"
#include "libs/model/vocabulary.h"

namespace hub::model {

// Who said it, as ingest saw it when it accepted the report (later changes of the policy don't rewrite history).
struct Reporter {
  std::string stakeholder;      // "bank-psb-01"
  std::string principal;        // one mTLS identity of it
  std::string ownership_group;  // independent sources are counted by this
  Role role = Role::kUnspecified;
  friend bool operator==(const Reporter&, const Reporter&) = default;
};

struct Correction {
  CorrectionKind kind = CorrectionKind::kUnspecified;
  Level level = Level::kUnspecified;  // kSetLevel only
  bool override_protected = false;    // kSetLevel on a protected identifier: counts once two analysts asked for it
  std::string note_code;              // why, a short code without personal data, <= 64 bytes
  friend bool operator==(const Correction&, const Correction&) = default;
};

struct ActionReport {
  EventId in_reply_to;
  Action action = Action::kUnspecified;
  int64_t amount_paise = 0;  // >= 0
  absl::Time acted_at = absl::InfinitePast();
};

// Bounds: strings <= 64 bytes except where said; longer ones are refused by libs/wire with their field path.
struct Report {
  ReportId id;
  InputKind kind = InputKind::kUnspecified;
  Identifier identifier;  // empty for kActionTaken (the event id routes it)
  LineKind line_kind = LineKind::kUnspecified;
  std::vector<Link> links;  // what the identifier tells by itself
  Reporter reporter;
  std::string citizen_pseudonym;  // keyed by the portal; <= 64 bytes; counts independent citizens
  std::string list_id;            // the list or file this row came from; empty for single reports
  Reason reason = Reason::kUnspecified;
  int category = 0;               // FraudCategory number, research/domain.md section 11; 0 = not given
  std::string circle_of_issue;    // LSA code, "DL"
  std::string victim_state;       // ISO 3166-2:IN without "IN-", "MH"
  std::string suspect_state;      // likewise
  std::string handling_unit;      // police unit, "police-mh"
  std::string case_ref;           // law enforcement only
  std::string victim_phone;       // canonical; law enforcement's view only
  std::string operator_id;        // stakeholder id of the subscriber's operator
  int64_t amount_paise = 0;       // the victim's loss
  std::string traced_with;        // kHandsetTraced: canonical number seen in the handset
  absl::Time observed_at = absl::InfinitePast();  // when the fraud happened or the fact became true
  absl::Time received_at = absl::InfinitePast();  // ingest's clock
  Correction correction;          // kCorrection
  ActionReport action;            // kActionTaken
};

// Dedupe compares this of the body (everything the reporter sent, nothing ingest added): 16 bytes.
std::string BodyHash(const Report& report);

}  // namespace hub::model
