// Ingest's encoder of reports gives the bytes that protobuf gives, for any report.
#include <random>
#include <string>

#include "fraudhub/internal/v1/record.pb.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::wire {
namespace {

class ReportDice {
 public:
  explicit ReportDice(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  // Mostly short, often empty, now and then longer than a length of one byte holds.
  std::string Text() {
    const uint64_t kind = Below(8);
    return kind < 3 ? std::string()
                    : std::string(kind == 7 ? 100 + Below(2000) : Below(20), static_cast<char>('a' + Below(26)));
  }
  template <typename E>
  E Enum(uint64_t last) {
    return static_cast<E>(Below(last + 1));
  }
  int64_t Number() { return Below(3) == 0 ? 0 : static_cast<int64_t>(random_() >> Below(64)); }
  absl::Time Time() {
    switch (Below(4)) {
      case 0:
        return absl::InfinitePast();
      case 1:
        return absl::UnixEpoch();
      case 2:
        return absl::InfiniteFuture();
      default:
        return absl::FromUnixMicros(static_cast<int64_t>(Below(4'000'000'000'000'000)));
    }
  }
  model::Identifier Identifier() { return {Enum<model::IdentifierType>(model::kIdentifierTypeMax), Text()}; }

  model::Report Report() {
    model::Report report;
    for (uint8_t& byte : report.id.bytes) byte = static_cast<uint8_t>(Below(256));
    report.kind = Enum<model::InputKind>(12);
    report.identifier = Identifier();
    report.line_kind = Enum<model::LineKind>(3);
    for (uint64_t n = Below(3); n > 0; --n) report.links.push_back({Enum<model::Relation>(6), Identifier()});
    report.reporter = {Text(), Text(), Text(), Enum<model::Role>(9)};
    report.reason = Enum<model::Reason>(model::kReasonMax);
    report.category = static_cast<int>(Below(10000));
    for (std::string* text : {&report.citizen_pseudonym, &report.list_id, &report.circle_of_issue, &report.victim_state,
                              &report.suspect_state, &report.handling_unit, &report.case_ref, &report.victim_phone,
                              &report.operator_id, &report.traced_with, &report.correction.note_code}) {
      *text = Text();
    }
    report.amount_paise = Number();
    report.observed_at = Time();
    report.received_at = Time();
    report.correction.kind = Enum<model::CorrectionKind>(5);
    report.correction.level = Enum<model::Level>(4);
    report.correction.override_protected = Below(2) == 1;
    for (uint8_t& byte : report.action.in_reply_to.key.token) byte = static_cast<uint8_t>(Below(256));
    report.action.in_reply_to.key.facet = model::Facet::kRisk;
    report.action.in_reply_to.version = static_cast<uint64_t>(Number());
    report.action.action = Enum<model::Action>(9);
    report.action.amount_paise = Number();
    report.action.acted_at = Time();
    return report;
  }

 private:
  std::mt19937_64 random_;
};

TEST_CASE("a report's bytes are those of its stored message, whatever it holds", "[wire][records]") {
  ReportDice dice(25);
  size_t actions = 0;
  for (int i = 0; i < 5000; ++i) {
    const model::Report report = dice.Report();
    INFO("report " << i);
    const RecordHeader header{dice.Below(100), dice.Below(1'000'000)};
    REQUIRE(EncodeReport(header, report) == EncodeRecord(header, report));
    actions += report.kind == model::InputKind::kActionTaken ? 1 : 0;
  }
  CHECK(actions > 100);
  CHECK(EncodeReport({}, model::Report()) == EncodeRecord({}, model::Report()));
}

TEST_CASE("a stored report that grew has grown in ingest's encoder, too", "[wire][records]") {
  // Add the field to report_record.cc and to the dice above, then count it here.
  CHECK(fraudhub::internal::v1::StoredReport::descriptor()->field_count() == 30);
  CHECK(fraudhub::internal::v1::StoredReporter::descriptor()->field_count() == 4);
  CHECK(fraudhub::internal::v1::StoredIdentifier::descriptor()->field_count() == 2);
  CHECK(fraudhub::internal::v1::StoredLink::descriptor()->field_count() == 2);
}

}  // namespace
}  // namespace hub::wire
