// Records of the log and stored states: they come back as they went in, and what was bent is refused.
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/wire/cursor_token.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::wire {
namespace {

const absl::Time kNow = absl::FromUnixMicros(1'800'000'000'123'456);

model::IndicatorKey Key(model::Facet facet) {
  model::IndicatorKey key;
  for (size_t i = 0; i < key.token.size(); ++i) key.token[i] = static_cast<uint8_t>(17 * i + 3);
  key.facet = facet;
  return key;
}

model::Reporter Somebody() { return {"bank-psb-01", "main", "group-1", model::Role::kFinancialInstitution}; }

// Every field set, each to a value of its own.
model::IndicatorState FullState() {
  model::IndicatorState state;
  state.key = Key(model::Facet::kRisk);
  state.identifier = {model::IdentifierType::kUpiAddress, "5551234567@testpsp"};
  state.line_kind = model::LineKind::kMobile;
  state.links = {{model::Relation::kUpiAddressOf, {model::IdentifierType::kMobile, "+915551234567"}}};
  state.version = 42;
  state.standing = model::EventKind::kLevelRaised;
  state.attributes = {model::Facet::kRisk,
                      model::IdentifierType::kUpiAddress,
                      model::Level::kHigh,
                      {model::Reason::kCitizenReports, model::Reason::kFinancialInstitution},
                      {10, 20},
                      "DL",
                      {"MH", "UP"},
                      {"police-mh"},
                      {"FIR-1"},
                      "tsp-01"};
  state.tenure = 3;
  state.tenure_started_at = kNow - absl::Hours(1000);
  state.closed_tenures = {{2, kNow - absl::Hours(1000), model::Level::kMedium}};
  state.report_count = 7;
  state.independent_sources = 5;
  state.independent_citizens = 6;
  state.first_seen = kNow - absl::Hours(5);
  state.last_seen = kNow - absl::Hours(4);
  state.expires_at = kNow + absl::Hours(24);
  state.next_check_at = kNow + absl::Hours(12);
  state.review_due = kNow + absl::Hours(36);
  state.ceiling = model::Level::kMedium;
  state.ceiling_at = kNow - absl::Hours(9);
  state.protected_identifier = true;
  state.override_votes = {"dot-diu/analyst-1"};
  state.registered_by = "police-ka";
  state.traced_with = "+915550000777";
  state.traced_at = kNow - absl::Hours(2);
  state.suspect_state = "JH";
  state.victim_phone = "+915550000888";
  state.loss_paise = 123'456;
  model::Contribution contribution;
  contribution.reporter = Somebody();
  contribution.kind = model::InputKind::kFinancialFraud;
  contribution.list_id = "2026-11";
  contribution.reason = model::Reason::kFinancialInstitution;
  contribution.level = model::Level::kMedium;
  contribution.count = 9;
  contribution.citizens = {11, 22, ~uint64_t{0}};
  contribution.first_observed = kNow - absl::Hours(3);
  contribution.last_observed = kNow - absl::Hours(2);
  contribution.last_received = kNow - absl::Hours(1);
  contribution.lapses_at = kNow + absl::Hours(90);
  contribution.withdrawn = true;
  state.contributions = {contribution};
  return state;
}

model::Report FullReport() {
  model::Report report;
  report.id = model::MakeNameBasedId("test", "row 1");
  report.kind = model::InputKind::kCorrection;
  report.identifier = {model::IdentifierType::kMobile, "+915551234567"};
  report.line_kind = model::LineKind::kMobile;
  report.links = {{model::Relation::kHostOf, {model::IdentifierType::kUrl, "kyc-update.example"}}};
  report.reporter = Somebody();
  report.citizen_pseudonym = "p-1";
  report.list_id = "list";
  report.reason = model::Reason::kForgedDocuments;
  report.category = 10;
  report.circle_of_issue = "DL";
  report.victim_state = "MH";
  report.suspect_state = "JH";
  report.handling_unit = "police-mh";
  report.case_ref = "FIR-2";
  report.victim_phone = "+915550000888";
  report.operator_id = "tsp-01";
  report.amount_paise = 500;
  report.traced_with = "+915550000777";
  report.observed_at = kNow - absl::Hours(1);
  report.received_at = kNow;
  report.correction = {model::CorrectionKind::kSetLevel, model::Level::kHigh, true, "WRONG"};
  return report;
}

std::vector<model::LogBody> Bodies() {
  model::Event event;
  event.kind = model::EventKind::kLevelRaised;
  event.state = FullState();
  event.previous = FullState().attributes;
  event.reports_offset = 77;
  event.rules_version = 5;
  event.decided_at = kNow;
  event.received_at = kNow - absl::Seconds(1);
  event.urgent = true;
  model::Report action;
  action.id = model::MakeNameBasedId("test", "row 2");
  action.kind = model::InputKind::kActionTaken;
  action.reporter = Somebody();
  action.observed_at = kNow;
  action.received_at = kNow;
  action.action = {{Key(model::Facet::kRisk), 9}, model::Action::kAccountFrozen, 700, kNow - absl::Hours(1)};
  model::RulesUpdate rules;
  rules.rules.version = 4;
  rules.rules.sources = {{model::InputKind::kDisconnected, model::Role::kTelecomOperator,
                          model::Reason::kForgedDocuments, model::Level::kHigh, model::Reason::kForgedDocuments,
                          absl::Hours(24 * 30)}};
  rules.rules.corroboration = {
      {model::InputKind::kFinancialFraud, model::Role::kUnspecified, 3, 2, model::Level::kHigh}};
  rules.rules.sole_source_very_high = {model::Role::kLawEnforcement};
  rules.rules.protected_identifiers = {{model::IdentifierType::kMobile, "+915550000199"}};
  rules.rules.protected_domain_suffixes = {".bank.in"};
  model::HistoryEntry history;
  history.report_id = model::MakeNameBasedId("test", "row 3");
  history.key = Key(model::Facet::kConnection);
  history.outcome = model::Outcome::kHeld;
  history.held_reason = model::HeldReason::kClosedTenure;
  history.report_kind = model::InputKind::kNotMyConnection;
  history.reporter = Somebody();
  history.event_kind = model::EventKind::kReverificationRequested;
  history.level_after = model::Level::kNone;
  history.version_after = 8;
  history.tenure = 2;
  history.decided_at = kNow;
  history.action = model::Action::kDisconnected;
  history.amount_paise = 9;
  history.action_version = 6;
  history.correction = true;
  history.reports_offset = 55;
  history.list_id = "list";
  model::CursorUpdate cursor;
  cursor.stakeholder = "bank-psb-01";
  cursor.name = "core";
  cursor.cursor = {"log-1", 0x1234567890abcdef, {{0, 15, 2}, {1, 1'000'000, 7}}, kNow, {3, 4}, 5, 16};
  cursor.generation = 12;
  cursor.node = "fanout-a";
  cursor.attached_at = kNow - absl::Seconds(9);
  cursor.acked_at = kNow;
  cursor.client_id = "server 7";
  model::ReceiptUpdate receipts{"fanout-a", 3, 99, Key(model::Facet::kTrace), 8, kNow};
  receipts.receipts = {{"bank-psb-01", kNow, kNow + absl::Seconds(1)}, {"bank-psb-02", kNow}};
  return {FullReport(),
          action,
          rules,
          model::Tick{kNow, 7},
          event,
          model::StateUpdate{FullState(), 66, 5},
          model::TermMark{7, 88, kNow, 5, 6, true},
          history,
          model::Quarantined{"hub.reports.v1", 1, 99, "not a record", std::string("\0\xff rubbish", 10)},
          model::UrgentCopy{event, 1'234, 6},
          cursor,
          receipts};
}

TEST_CASE("every kind of record comes back as it went in", "[wire][records]") {
  for (const model::LogBody& body : Bodies()) {
    INFO("body " << body.index());
    const std::string bytes = EncodeRecord({3, 1234567890123}, body);
    const auto decoded = DecodeRecord(bytes);
    REQUIRE(decoded.ok());
    CHECK(decoded->header.term == 3);
    CHECK(decoded->header.sequence == 1234567890123);
    REQUIRE(decoded->body.index() == body.index());
    // Nothing was lost on the way: encoding again gives the same bytes.
    CHECK(EncodeRecord(decoded->header, decoded->body) == bytes);
  }
  const auto state = DecodeState(EncodeState(FullState()));
  REQUIRE(state.ok());
  CHECK(EncodeState(*state) == EncodeState(FullState()));
  CHECK(state->attributes == FullState().attributes);
  CHECK(state->contributions[0].citizens == FullState().contributions[0].citizens);
  CHECK(state->contributions[0].withdrawn);
  CHECK(state->expires_at == FullState().expires_at);
  CHECK(state->victim_phone == FullState().victim_phone);
}

TEST_CASE("named cursors and receipts come back field by field", "[wire][records]") {
  for (const model::LogBody& body : Bodies()) {
    const auto decoded = DecodeRecord(EncodeRecord({}, body));
    REQUIRE(decoded.ok());
    if (const auto* cursor = std::get_if<model::CursorUpdate>(&body)) {
      CHECK(std::get<model::CursorUpdate>(decoded->body) == *cursor);
    }
    if (const auto* receipts = std::get_if<model::ReceiptUpdate>(&body)) {
      CHECK(std::get<model::ReceiptUpdate>(decoded->body) == *receipts);
    }
  }
  // One that has no place yet, and one that was never acknowledged.
  model::CursorUpdate attach;
  attach.stakeholder = "s";
  CHECK(std::get<model::CursorUpdate>(DecodeRecord(EncodeRecord({}, attach))->body) == attach);
}

TEST_CASE("infinite times survive", "[wire][records]") {
  model::IndicatorState state = FullState();
  state.expires_at = absl::InfiniteFuture();
  state.ceiling_at = absl::InfinitePast();
  const auto decoded = DecodeState(EncodeState(state));
  REQUIRE(decoded.ok());
  CHECK(decoded->expires_at == absl::InfiniteFuture());
  CHECK(decoded->ceiling_at == absl::InfinitePast());
}

TEST_CASE("a record that was bent or cut is refused as data loss", "[wire][records]") {
  for (const model::LogBody& body : Bodies()) {
    const std::string bytes = EncodeRecord({3, 9}, body);
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string bent = bytes;
      bent[i] = static_cast<char>(bent[i] ^ (1 << (i % 8)));
      REQUIRE(absl::IsDataLoss(DecodeRecord(bent).status()));
      REQUIRE(absl::IsDataLoss(DecodeRecord(bytes.substr(0, i)).status()));
    }
  }
}

TEST_CASE("a new term changes the term and nothing else", "[wire][records]") {
  for (const model::LogBody& body : Bodies()) {
    const std::string bytes = EncodeRecord({0, 9}, body);
    const std::string stamped = Restamp(bytes, 31);
    CHECK(stamped == EncodeRecord({31, 9}, body));
    CHECK(DecodeHeader(stamped)->term == 31);
    CHECK(DecodeHeader(stamped)->sequence == 9);
  }
}

TEST_CASE("the same record has the same bytes in every run", "[wire][records]") {
  // Stored for years: whoever changes this changes what is on disks.
  CHECK(EncodeRecord({2, 3}, model::Tick{absl::FromUnixSeconds(1'800'000'000), 2}).size() == 34);
  CHECK(base::Crc32c(EncodeRecord({2, 3}, model::Tick{absl::FromUnixSeconds(1'800'000'000), 2})) == 0x77333dc9);
  CHECK(base::Crc32c(EncodeState(FullState())) == 0xf183a1b6);
  CHECK(base::Crc32c(EncodeRecord({2, 3}, FullReport())) == 0x4e0a0b28);
}

TEST_CASE("a copy of an urgent event carries its twin's term inside, the sender's outside", "[wire][records]") {
  model::UrgentCopy copy;
  copy.event.state = FullState();
  copy.event.urgent = true;
  copy.twin_offset = 77;
  copy.twin_term = 6;
  const auto decoded = DecodeRecord(Restamp(EncodeRecord({0, 3}, copy), 9));
  REQUIRE(decoded.ok());
  CHECK(decoded->header.term == 9);
  const auto& back = std::get<model::UrgentCopy>(decoded->body);
  CHECK(back.event.term == 6);
  CHECK(back.event.urgent);
  CHECK(back.twin_offset == 77);
}

TEST_CASE("a resume token holds the place in the urgent lane, and one without it opens as well", "[wire][token]") {
  const CursorSealer sealer(base::HmacKey("one key of thirty-two bytes......"), 1);
  Cursor cursor{"log", 7, {{0, 15, 2}, {1, 16, 2}}, kNow};
  CHECK(sealer.Open(sealer.Seal(cursor, "bank"), "bank")->urgent_offsets.empty());
  cursor.urgent_offsets = {3, 1'000'000'000'000};
  CHECK(sealer.Open(sealer.Seal(cursor, "bank"), "bank")->urgent_offsets == cursor.urgent_offsets);
  cursor.urgent_offsets = {3};  // not one per partition
  CHECK_FALSE(sealer.Open(sealer.Seal(cursor, "bank"), "bank").ok());
}

TEST_CASE("a resume token opens for its stakeholder and key only", "[wire][token]") {
  const CursorSealer sealer(base::HmacKey("one key of thirty-two bytes......"), 1);
  const CursorSealer other(base::HmacKey("another key of thirty-two bytes.."), 1);
  Cursor cursor;
  cursor.log_id = "log-1";
  cursor.filter_fingerprint = 0x1234567890abcdef;
  cursor.positions = {{0, 15, 2}, {1, 1'000'000'000'000, 7}};
  cursor.issued_at = kNow;
  const std::string token = sealer.Seal(cursor, "bank-psb-01");
  const auto opened = sealer.Open(token, "bank-psb-01");
  REQUIRE(opened.ok());
  CHECK(opened->log_id == cursor.log_id);
  CHECK(opened->filter_fingerprint == cursor.filter_fingerprint);
  CHECK(opened->positions == cursor.positions);
  Cursor inside = cursor;
  inside.urgent_offsets = {7, 8};
  inside.snapshot_part = 3;
  inside.snapshot_parts = 16;
  CHECK(*sealer.Open(sealer.Seal(inside, "bank-psb-01"), "bank-psb-01") == inside);
  // As releases before the urgent lane and snapshots made it.
  CHECK(base::Crc32c(token) == 0xcb82bdbe);
  CHECK(opened->urgent_offsets.empty());
  CHECK(opened->snapshot_parts == 0);
  CHECK_FALSE(sealer.Open(token, "bank-psb-02").ok());
  CHECK_FALSE(other.Open(token, "bank-psb-01").ok());
  CHECK_FALSE(sealer.Open("", "bank-psb-01").ok());
  CHECK_FALSE(sealer.Open(std::string(100'000, 'A'), "bank-psb-01").ok());
  for (size_t i = 0; i < token.size(); ++i) {
    std::string forged = token;
    forged[i] = forged[i] == 'A' ? 'B' : 'A';
    if (forged != token) REQUIRE_FALSE(sealer.Open(forged, "bank-psb-01").ok());
    REQUIRE_FALSE(sealer.Open(token.substr(0, i), "bank-psb-01").ok());
  }
}

TEST_CASE("Cursor keys change without losing a token: accept first, then seal", "[wire][cursor]") {
  const auto key = [](const std::string& name) { return base::HmacKey(name + " of thirty-two bytes and more......"); };
  const auto ring = [&](std::initializer_list<uint32_t> ids) {
    std::map<uint32_t, base::HmacKey> keys;
    for (const uint32_t id : ids) keys.emplace(id, key(std::to_string(id)));
    return keys;
  };
  const Cursor cursor{"log", 7, {{0, 1, 2}}, absl::FromUnixSeconds(1700000000)};
  CursorSealer first(ring({1})), second(ring({1}));
  const std::string old_token = first.Seal(cursor, "bank");
  CHECK(second.Open(old_token, "bank").ok());

  first.SetKeys(ring({1, 2}));
  CHECK(first.Seal(cursor, "bank") == old_token);  // accepts both, seals with the one before
  REQUIRE(first.SignWith(2));
  const std::string token = first.Seal(cursor, "bank");
  CHECK(first.Open(old_token, "bank").ok());
  CHECK(absl::IsUnavailable(second.Open(token, "bank").status()));  // not lost: another process may know the key
  CHECK_FALSE(second.SignWith(2));
  second.SetKeys(ring({1, 2}));
  CHECK(second.Open(token, "bank").ok());
  CHECK_FALSE(second.Open(token, "police").ok());
  second.SetKeys(ring({2}));
  CHECK(absl::IsUnavailable(second.Open(old_token, "bank").status()));
  CHECK(second.Open(second.Seal(cursor, "bank"), "bank").ok());
}

}  // namespace
}  // namespace hub::wire
