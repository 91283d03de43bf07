#include <cctype>

#include "absl/strings/ascii.h"
#include "libs/model/refusal.h"
#include "libs/model/report.h"
#include "libs/model/report_id.h"
#include "libs/model/token.h"
#include "libs/model/vocabulary.h"
#include "tests/catch.h"

namespace hub::model {
namespace {

TEST_CASE("report ids read back as written, and carry their time", "[model][ids]") {
  const ReportId id = MakeTimeBasedId(absl::FromUnixMillis(1'800'000'000'123), "0123456789");
  CHECK(*ParseReportId(ToText(id)) == id);
  CHECK(*TimeOf(id) == absl::FromUnixMillis(1'800'000'000'123));
  CHECK(MakeNameBasedId("list", "row 1") == MakeNameBasedId("list", "row 1"));
  CHECK_FALSE(MakeNameBasedId("list", "row 1") == MakeNameBasedId("list", "row 2"));
  CHECK_FALSE(TimeOf(MakeNameBasedId("list", "row 1")).has_value());
  for (const char* bad : {"", "x", "00000000-0000-0000-0000-000000000000", "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
                          "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5g", "{190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}"}) {
    CHECK(RefusalOf(ParseReportId(bad).status())->code == RefusalCode::kBadReportId);
  }
}

TEST_CASE("a report id is hexadecimal digits of either case and four dashes, wherever one looks", "[model][ids]") {
  const std::string good = "01234567-89ab-7def-8ABC-DEF012345678";
  REQUIRE(ParseReportId(good).ok());
  for (size_t at = 0; at < good.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string text = good;
      text[at] = static_cast<char>(c);
      const bool want = good[at] == '-' ? c == '-' : std::isxdigit(c) != 0;
      if (ParseReportId(text).ok() != want) FAIL("character " << c << " at " << at);
      if (want) CHECK(ToText(*ParseReportId(text)) == absl::AsciiStrToLower(text));
    }
  }
}

TEST_CASE("ids of indicators and events read back and nothing else does", "[model][ids]") {
  const Tokeniser tokeniser(base::HmacKey("routing"), base::HmacKey("logs"));
  const IndicatorKey key{tokeniser.Routing({IdentifierType::kMobile, "+915551234567"}), Facet::kTrace};
  CHECK(*ParseIndicatorId(IndicatorIdText(key)) == key);
  const auto event = ParseEventId(EventIdText(key, 77));
  REQUIRE(event.ok());
  CHECK(event->key == key);
  CHECK(event->version == 77);
  std::string altered = EventIdText(key, 77);
  altered.back() = '1';
  CHECK_FALSE(ParseEventId(altered).ok());
  for (const char* bad : {"", "evt_", "ind_abc", "evt_abc", "evt_!!!!"}) CHECK_FALSE(ParseEventId(bad).ok());
}

TEST_CASE("tokens depend on type, text and key", "[model][token]") {
  const Tokeniser a(base::HmacKey("routing"), base::HmacKey("logs"));
  const Tokeniser b(base::HmacKey("other"), base::HmacKey("logs"));
  const Identifier mobile{IdentifierType::kMobile, "+915551234567"};
  const Identifier whatsapp{IdentifierType::kWhatsApp, "+915551234567"};
  CHECK(a.Routing(mobile) == a.Routing(mobile));
  CHECK(a.Routing(mobile) != a.Routing(whatsapp));
  CHECK(a.Routing(mobile) != b.Routing(mobile));
  CHECK(a.ForLogs(mobile).substr(0, 2) == "t:");
  CHECK(a.ForLogs(mobile).find("555") == std::string::npos);
}

TEST_CASE("every field that the reporter sends changes the body's hash, and what ingest adds does not", "[model][report]") {
  const Report plain;
  const std::string hash = BodyHash(plain);
  const auto differs = [&](auto change) {
    Report report;
    change(&report);
    return BodyHash(report) != hash;
  };
  CHECK(differs([](Report* r) { r->kind = InputKind::kReverified; }));
  CHECK(differs([](Report* r) { r->identifier.canonical = "x"; }));
  CHECK(differs([](Report* r) { r->identifier.type = IdentifierType::kUrl; }));
  CHECK(differs([](Report* r) { r->line_kind = LineKind::kFixed; }));
  CHECK(differs([](Report* r) { r->citizen_pseudonym = "x"; }));
  CHECK(differs([](Report* r) { r->list_id = "x"; }));
  CHECK(differs([](Report* r) { r->reason = Reason::kSurrendered; }));
  CHECK(differs([](Report* r) { r->category = 10; }));
  CHECK(differs([](Report* r) { r->victim_state = "MH"; }));
  CHECK(differs([](Report* r) { r->suspect_state = "MH"; }));
  CHECK(differs([](Report* r) { r->case_ref = "x"; }));
  CHECK(differs([](Report* r) { r->traced_with = "x"; }));
  CHECK(differs([](Report* r) { r->amount_paise = 1; }));
  CHECK(differs([](Report* r) { r->observed_at = absl::UnixEpoch(); }));
  CHECK(differs([](Report* r) { r->correction.level = Level::kHigh; }));
  CHECK(differs([](Report* r) { r->action.action = Action::kAccountFrozen; }));
  CHECK_FALSE(differs([](Report* r) { r->received_at = absl::UnixEpoch(); }));
  CHECK_FALSE(differs([](Report* r) { r->reporter.ownership_group = "x"; }));
}

TEST_CASE("names and parsing are each other's reverse", "[model][vocabulary]") {
  for (int number = 1; number <= kIdentifierTypeMax; ++number) {
    IdentifierType type;
    REQUIRE(Parse(Name(static_cast<IdentifierType>(number)), &type));
    CHECK(static_cast<int>(type) == number);
  }
  for (int number = 1; number <= kInputKindMax; ++number) {
    InputKind kind;
    REQUIRE(Parse(Name(static_cast<InputKind>(number)), &kind));
    CHECK(static_cast<int>(kind) == number);
  }
  Level level;
  CHECK(Parse("very_high", &level));
  CHECK_FALSE(Parse("UNSPECIFIED", &level));
  CHECK(Name(static_cast<Level>(99)) == "UNSPECIFIED");
}

}  // namespace
}  // namespace hub::model
