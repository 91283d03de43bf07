// Reports as they must not be: each with the code and the field path it is refused with. Then some that must pass.
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::wire {
namespace {

namespace api = fraudhub::v1;
using R = model::RefusalCode;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

InputContext Context(model::Role role = model::Role::kLawEnforcement) {
  InputContext context;
  context.now = kNow;
  context.allow_test_range = true;
  context.reporter = {"police-mh", "main", "police-mh", role};
  return context;
}

api::Report Good() {
  api::Report report;
  report.set_report_id("01890a5d-ac96-774b-bcce-b302099a8057");
  report.set_report_id("b5c0f8a4-2f5e-4b9f-8f0a-3d7a1d5c9e11");  // version 4: tells no time
  report.set_kind(api::INPUT_KIND_FINANCIAL_FRAUD);
  report.mutable_identifier()->set_type(api::IDENTIFIER_TYPE_MOBILE);
  report.mutable_identifier()->set_value("+91 5551234567");
  report.mutable_observed_at()->set_seconds(absl::ToUnixSeconds(kNow) - 60);
  return report;
}

struct Case {
  std::string name;
  std::function<void(api::Report*)> spoil;
  R code;
  std::string field;
};

void Run(const std::vector<Case>& cases, const InputContext& context = Context()) {
  for (const Case& c : cases) {
    INFO(c.name);
    api::Report report = Good();
    c.spoil(&report);
    const auto result = FromProto(report, context);
    REQUIRE_FALSE(result.ok());
    const auto refusal = model::RefusalOf(result.status());
    REQUIRE(refusal.has_value());
    CHECK(model::Name(refusal->code) == model::Name(c.code));
    CHECK(refusal->field == c.field);
    // Never the value itself in what people read.
    if (report.identifier().value().size() > 6) {
      CHECK(std::string(result.status().message()).find(report.identifier().value()) == std::string::npos);
    }
  }
}

// An identifier of `type` written as `raw`.
Case Id(api::IdentifierType type, const std::string& raw, R code,
        api::InputKind kind = api::INPUT_KIND_FINANCIAL_FRAUD) {
  return {absl::StrCat(api::IdentifierType_Name(type), " of ", raw.size(), " bytes, ", model::Name(code)),
          [=](api::Report* report) {
            report->set_kind(kind);
            report->mutable_identifier()->set_type(type);
            report->mutable_identifier()->set_value(raw);
          },
          code, "identifier.value"};
}

constexpr auto kMobile = api::IDENTIFIER_TYPE_MOBILE;
constexpr auto kImei = api::IDENTIFIER_TYPE_IMEI;
constexpr auto kUpi = api::IDENTIFIER_TYPE_UPI_ADDRESS;
constexpr auto kAccount = api::IDENTIFIER_TYPE_BANK_ACCOUNT;
constexpr auto kUrl = api::IDENTIFIER_TYPE_URL;
constexpr auto kHeader = api::IDENTIFIER_TYPE_SMS_HEADER;
constexpr auto kLost = api::INPUT_KIND_HANDSET_LOST;

const std::string kNul("555\0001234567", 11);

TEST_CASE("malformed phone numbers", "[wire][malformed]") {
  Run({
      Id(kMobile, "", R::kEmpty),
      Id(kMobile, "   ", R::kEmpty),
      Id(kMobile, "+", R::kTooShort),
      Id(kMobile, "12345", R::kTooShort),
      Id(kMobile, "555123456", R::kTooShort),  // 9 digits
      Id(kMobile, "+91 555123456", R::kTooShort),
      Id(kMobile, "55512345678", R::kTooLong),  // 11 digits
      Id(kMobile, "+91 55512345678", R::kTooLong),
      Id(kMobile, "5551234567890123", R::kTooLong),  // 16 digits
      Id(kMobile, std::string(300, '5'), R::kTooLong),
      Id(kMobile, "+91 0000000000", R::kBadLeadingDigit),
      Id(kMobile, "+91 1551234567", R::kBadLeadingDigit),
      Id(kMobile, "1234567890", R::kBadLeadingDigit),
      Id(kMobile, kNul, R::kBadCharacter),
      Id(kMobile, "555\n1234567", R::kBadCharacter),
      Id(kMobile, "555\t1234567", R::kBadCharacter),
      Id(kMobile, "55512345x7", R::kBadCharacter),
      Id(kMobile, "call 5551234567", R::kBadCharacter),
      Id(kMobile, "５５５１２３４５６７", R::kBadCharacter),  // full-width
      Id(kMobile, "५५५१२३४५६७", R::kBadCharacter),            // Devanagari
      Id(kMobile, "\u202e5551234567", R::kBadCharacter),      // right-to-left override
      Id(kMobile, "\u00a05551234567", R::kBadCharacter),      // no-break space
      Id(kMobile, "\U0001F4DE5551234567", R::kBadCharacter),
      Id(kMobile, "5551234567@testpsp", R::kBadCharacter),
      Id(kMobile, "+91+5551234567", R::kBadCharacter),
  });
}

TEST_CASE("malformed handsets and cards of subscribers", "[wire][malformed]") {
  Run({
      Id(kImei, "", R::kEmpty, kLost),
      Id(kImei, "0010170012345", R::kTooShort, kLost),
      Id(kImei, "001017001234561", R::kBadCheckDigit, kLost),
      Id(kImei, "001017001234568", R::kBadCheckDigit, kLost),
      Id(kImei, "00101700123456012", R::kTooLong, kLost),
      Id(kImei, "00101700123456x", R::kBadCharacter, kLost),
      Id(kImei, "००१०१७००१२३४५६९", R::kBadCharacter, kLost),
      Id(kImei, std::string("0010170\00012345", 13), R::kBadCharacter, kLost),
  });
}

TEST_CASE("malformed payment addresses and accounts", "[wire][malformed]") {
  Run({
      Id(kUpi, "", R::kEmpty),
      Id(kUpi, "nobody", R::kBadFormat),
      Id(kUpi, "@testpsp", R::kTooShort),
      Id(kUpi, "somebody@", R::kTooShort),
      Id(kUpi, "a@b@testpsp", R::kBadFormat),
      Id(kUpi, "some body@testpsp", R::kBadCharacter),
      Id(kUpi, "söme@testpsp", R::kBadCharacter),
      Id(kUpi, absl::StrCat(std::string(300, 'a'), "@testpsp"), R::kTooLong),
      Id(kAccount, "", R::kEmpty),
      Id(kAccount, "000123456789", R::kBadFormat),
      Id(kAccount, "TEST1000001:000123456789", R::kBadFormat),  // the fifth character of an IFSC is 0
      Id(kAccount, "TEST0000001:", R::kBadCharacter),
      Id(kAccount, "TEST0000001:12x456789", R::kBadCharacter),
  });
}

TEST_CASE("malformed links and headers", "[wire][malformed]") {
  Run({
      Id(kUrl, "", R::kEmpty),
      Id(kUrl, "https://", R::kBadFormat),
      Id(kUrl, "javascript:alert(1)", R::kBadFormat),
      Id(kUrl, "data:text/html,hello", R::kBadFormat),
      Id(kUrl, "https://user:secret@bank.example/", R::kBadFormat),
      Id(kUrl, "https://exa mple.example/", R::kBadCharacter),
      Id(kUrl, std::string("https://a.example/\0", 19), R::kBadCharacter),
      Id(kUrl, "https://a.example/" + std::string(2100, 'a'), R::kTooLong),
      Id(kUrl, "https://a..example/", R::kBadFormat),
      Id(kUrl, "https://-a.example/", R::kBadFormat),
      Id(kUrl, "https://a.example:99999/", R::kBadFormat),
      Id(kHeader, "", R::kEmpty),
      Id(kHeader, "AB", R::kTooShort),
      Id(kHeader, "VM-THISISFARTOOLONG-S", R::kTooLong),
      Id(kHeader, "VM-TEST BK-S", R::kBadCharacter),
  });
}

TEST_CASE("identifiers that the hub refuses to hold", "[wire][malformed]") {
  // Put together here: no file holds a number that might be somebody's. Verhoeff's and Luhn's digits are right.
  const std::string card = absl::StrCat("4111", "1111", "1111", "1111");
  Run({
      Id(kMobile, card, R::kSensitiveIdentifierRefused),
      Id(kUpi, card, R::kSensitiveIdentifierRefused),
      Id(kAccount, card, R::kSensitiveIdentifierRefused),
      Id(kUrl, card, R::kSensitiveIdentifierRefused),
      Id(kUpi, absl::StrCat("ABCPE", "1234", "F"), R::kSensitiveIdentifierRefused),
      {"a card as pseudonym", [&](api::Report* r) { r->set_citizen_pseudonym(card); }, R::kSensitiveIdentifierRefused,
       "citizen_pseudonym"},
      {"a card as case", [&](api::Report* r) { r->set_case_ref(card); }, R::kSensitiveIdentifierRefused, "case_ref"},
      {"a card as list", [&](api::Report* r) { r->set_list_id(card); }, R::kSensitiveIdentifierRefused, "list_id"},
  });
}

TEST_CASE("the test range is refused where it is switched off", "[wire][malformed]") {
  InputContext context = Context();
  context.allow_test_range = false;
  Run({{"+91 555", [](api::Report*) {}, R::kTestRangeRefused, "identifier.value"}}, context);
}

TEST_CASE("missing and unknown parts", "[wire][malformed]") {
  Run({
      {"no id", [](auto* r) { r->clear_report_id(); }, R::kMissing, "report_id"},
      {"no kind", [](auto* r) { r->clear_kind(); }, R::kMissing, "kind"},
      {"no identifier", [](auto* r) { r->clear_identifier(); }, R::kMissing, "identifier"},
      {"no time", [](auto* r) { r->clear_observed_at(); }, R::kMissing, "observed_at"},
      // Told by its form when the type is not given, and refused when the form tells nothing.
      {"no type",
       [](auto* r) { r->mutable_identifier()->clear_type(), r->mutable_identifier()->set_value("hello world"); },
       R::kBadCharacter, "identifier.value"},
      {"type 99", [](auto* r) { r->mutable_identifier()->set_type(static_cast<api::IdentifierType>(99)); },
       R::kUnknownType, "identifier.type"},
      {"type -1", [](auto* r) { r->mutable_identifier()->set_type(static_cast<api::IdentifierType>(-1)); },
       R::kUnknownType, "identifier.type"},
      {"line kind 77", [](auto* r) { r->mutable_identifier()->set_line_kind(static_cast<api::LineKind>(77)); },
       R::kOutOfRange, "identifier.line_kind"},
      {"kind 99", [](auto* r) { r->set_kind(static_cast<api::InputKind>(99)); }, R::kOutOfRange, "kind"},
      {"kind -1", [](auto* r) { r->set_kind(static_cast<api::InputKind>(-1)); }, R::kOutOfRange, "kind"},
      {"reason 99", [](auto* r) { r->set_reason(static_cast<api::Reason>(99)); }, R::kOutOfRange, "reason"},
      {"category -1", [](auto* r) { r->set_category(static_cast<api::FraudCategory>(-1)); }, R::kOutOfRange,
       "category"},
      {"category 10000", [](auto* r) { r->set_category(static_cast<api::FraudCategory>(10000)); }, R::kOutOfRange,
       "category"},
      {"circle XX", [](auto* r) { r->set_circle_of_issue("XX"); }, R::kOutOfRange, "circle_of_issue"},
      {"state ZZ", [](auto* r) { r->set_victim_state("ZZ"); }, R::kOutOfRange, "victim_state"},
      {"state in words", [](auto* r) { r->set_suspect_state("somewhere"); }, R::kOutOfRange, "suspect_state"},
      {"amount -1", [](auto* r) { r->set_amount_paise(-1); }, R::kOutOfRange, "amount_paise"},
      {"amount of no end", [](auto* r) { r->set_amount_paise(std::numeric_limits<int64_t>::max()); }, R::kOutOfRange,
       "amount_paise"},
      {"victim's phone", [](auto* r) { r->set_victim_phone("12345"); }, R::kTooShort, "victim_phone"},
      {"phone in a handset", [](auto* r) { r->set_traced_with("555123456x"); }, R::kBadCharacter, "traced_with"},
  });
}

TEST_CASE("report ids", "[wire][malformed]") {
  const auto id = [](const std::string& text, R code) {
    return Case{absl::StrCat("id of ", text.size()), [text](api::Report* r) { r->set_report_id(text); }, code,
                "report_id"};
  };
  Run({
      id("x", R::kBadReportId),
      id("00000000-0000-0000-0000-000000000000", R::kBadReportId),
      id("b5c0f8a4-2f5e-4b9f-8f0a-3d7a1d5c9e1", R::kBadReportId),
      id("b5c0f8a4-2f5e-4b9f-8f0a-3d7a1d5c9e111", R::kBadReportId),
      id("b5c0f8a42f5e4b9f8f0a3d7a1d5c9e11", R::kBadReportId),
      id("b5c0f8a4-2f5e-4b9f-8f0a-3d7a1d5c9e1g", R::kBadReportId),
      id("b5c0f8a4_2f5e_4b9f_8f0a_3d7a1d5c9e11", R::kBadReportId),
      id("{b5c0f8a4-2f5e-4b9f-8f0a-3d7a1d5c9e1}", R::kBadReportId),
      id(std::string(5000, 'a'), R::kBadReportId),
      id(model::ToText(model::MakeTimeBasedId(kNow + absl::Hours(1), "0123456789")), R::kFromTheFuture),
      id(model::ToText(model::MakeTimeBasedId(kNow - absl::Hours(24 * 36), "0123456789")), R::kTooOld),
  });
}

TEST_CASE("times", "[wire][malformed]") {
  const auto at = [](int64_t seconds, int32_t nanos, R code) {
    return Case{absl::StrCat(seconds, ".", nanos),
                [=](api::Report* r) {
                  r->mutable_observed_at()->set_seconds(seconds);
                  r->mutable_observed_at()->set_nanos(nanos);
                },
                code, "observed_at"};
  };
  const int64_t now = absl::ToUnixSeconds(kNow);
  Run({
      at(now + 301, 0, R::kFromTheFuture),
      at(now + 86400, 0, R::kFromTheFuture),
      at(253'402'300'799, 0, R::kFromTheFuture),
      at(253'402'300'800, 0, R::kOutOfRange),
      at(-62'135'596'801, 0, R::kOutOfRange),
      at(std::numeric_limits<int64_t>::max(), 0, R::kOutOfRange),
      at(std::numeric_limits<int64_t>::min(), 0, R::kOutOfRange),
      at(now, -1, R::kOutOfRange),
      at(now, 1'000'000'000, R::kOutOfRange),
  });
}

TEST_CASE("texts, field by field", "[wire][malformed]") {
  struct Field {
    std::string name;
    std::function<void(api::Report*, const std::string&)> set;
  };
  const std::vector<Field> texts = {
      {"citizen_pseudonym", [](auto* r, const auto& t) { r->set_citizen_pseudonym(t); }},
      {"list_id", [](auto* r, const auto& t) { r->set_list_id(t); }},
      {"case_ref", [](auto* r, const auto& t) { r->set_case_ref(t); }},
      {"handling_unit", [](auto* r, const auto& t) { r->set_handling_unit(t); }},
      {"operator_id", [](auto* r, const auto& t) { r->set_operator_id(t); }},
      {"correction.note_code",
       [](auto* r, const auto& t) {
         r->set_kind(api::INPUT_KIND_CORRECTION);
         r->mutable_correction()->set_kind(api::CORRECTION_KIND_CLEARED);
         r->mutable_correction()->set_note_code(t);
       }},
  };
  std::vector<Case> cases;
  for (const Field& field : texts) {
    const auto with = [&](const std::string& what, const std::string& text, R code) {
      cases.push_back({absl::StrCat(field.name, ": ", what), [set = field.set, text](api::Report* r) { set(r, text); },
                       code, field.name});
    };
    with("65 bytes", std::string(65, 'a'), R::kTooLong);
    with("1 MiB", std::string(1 << 20, 'a'), R::kTooLong);
    with("NUL", std::string("a\0b", 3), R::kBadCharacter);
    with("new line", "a\nb", R::kBadCharacter);
    with("escape", "a\x1b[31m", R::kBadCharacter);
    with("delete", "a\x7f", R::kBadCharacter);
    with("C1", "a\u0085", R::kBadCharacter);
    with("override", "a\u202eb", R::kBadCharacter);
    with("invalid UTF-8", "a\xff", R::kBadCharacter);
    with("cut off UTF-8", "a\xe0\xa4", R::kBadCharacter);
    with("overlong UTF-8", "a\xc0\x80", R::kBadCharacter);
  }
  for (const char* field : {"handling_unit", "operator_id"}) {
    for (const char* id : {"Police MH", "police_mh", "POLICE-MH", "police/mh"}) {
      cases.push_back({absl::StrCat(field, " ", id),
                       [field = std::string(field), id = std::string(id)](api::Report* r) {
                         field == "operator_id" ? r->set_operator_id(id) : r->set_handling_unit(id);
                       },
                       R::kBadFormat, field});
    }
  }
  Run(cases);
}

TEST_CASE("kinds that can't be about a type, and details that don't go with a kind", "[wire][malformed]") {
  const auto about = [](api::InputKind kind, api::IdentifierType type, const std::string& value) {
    return Case{absl::StrCat(api::InputKind_Name(kind), " about ", api::IdentifierType_Name(type)),
                [=](api::Report* r) {
                  r->set_kind(kind);
                  r->mutable_identifier()->set_type(type);
                  r->mutable_identifier()->set_value(value);
                },
                R::kKindNotForType, "kind"};
  };
  const auto correction = [](const std::string& name, std::function<void(api::CorrectionDetails*)> set, R code,
                             const std::string& field) {
    return Case{name,
                [set](api::Report* r) {
                  r->set_kind(api::INPUT_KIND_CORRECTION);
                  set(r->mutable_correction());
                },
                code, field};
  };
  const auto action = [](const std::string& name, std::function<void(api::Report*)> set, R code,
                         const std::string& field) {
    return Case{name,
                [set](api::Report* r) {
                  r->set_kind(api::INPUT_KIND_ACTION_TAKEN);
                  r->clear_identifier();
                  r->mutable_action()->set_in_reply_to(model::EventIdText({}, 3));
                  r->mutable_action()->set_action(api::ACTION_ACCOUNT_FROZEN);
                  set(r);
                },
                code, field};
  };
  Run({
      about(kLost, kMobile, "5551234567"),
      about(api::INPUT_KIND_HANDSET_FOUND, kUpi, "somebody@testpsp"),
      about(api::INPUT_KIND_HANDSET_TRACED, kMobile, "5551234567"),
      about(api::INPUT_KIND_DISCONNECTED, kUpi, "somebody@testpsp"),
      about(api::INPUT_KIND_REVERIFIED, kImei, "001017001234569"),
      about(api::INPUT_KIND_TENURE_CLOSED, kUrl, "kyc-update.example"),
      about(api::INPUT_KIND_NOT_MY_CONNECTION, kAccount, "TEST0000001:000123456789"),
      about(api::INPUT_KIND_SPOOFED_CLI, kHeader, "TESTBK"),
      about(api::INPUT_KIND_SUSPECTED_COMMUNICATION, kImei, "001017001234569"),
      {"a handset traced with nothing",
       [](auto* r) {
         r->set_kind(api::INPUT_KIND_HANDSET_TRACED);
         r->mutable_identifier()->set_type(kImei);
         r->mutable_identifier()->set_value("001017001234569");
       },
       R::kMissing, "traced_with"},
      {"a correction of nothing", [](auto* r) { r->set_kind(api::INPUT_KIND_CORRECTION); }, R::kMissing, "correction"},
      correction(
          "without its kind", [](auto*) {}, R::kMissing, "correction.kind"),
      correction(
          "of kind 9", [](auto* c) { c->set_kind(static_cast<api::CorrectionKind>(9)); }, R::kOutOfRange,
          "correction.kind"),
      correction(
          "to no level", [](auto* c) { c->set_kind(api::CORRECTION_KIND_SET_LEVEL); }, R::kMissing, "correction.level"),
      correction(
          "cleared to a level",
          [](auto* c) {
            c->set_kind(api::CORRECTION_KIND_CLEARED);
            c->set_level(api::LEVEL_HIGH);
          },
          R::kOutOfRange, "correction.level"),
      correction(
          "to level 17",
          [](auto* c) {
            c->set_kind(api::CORRECTION_KIND_SET_LEVEL);
            c->set_level(static_cast<api::Level>(17));
          },
          R::kOutOfRange, "correction.level"),
      correction(
          "an override that sets nothing",
          [](auto* c) {
            c->set_kind(api::CORRECTION_KIND_CLEARED);
            c->set_override_protected(true);
          },
          R::kOutOfRange, "correction.override_protected"),
      {"a correction with a report of fraud",
       [](auto* r) { r->mutable_correction()->set_kind(api::CORRECTION_KIND_CLEARED); }, R::kOutOfRange, "correction"},
      {"an action with a report of fraud", [](auto* r) { r->mutable_action()->set_action(api::ACTION_DISCONNECTED); },
       R::kOutOfRange, "action"},
      action(
          "nothing was done", [](auto* r) { r->clear_details(); }, R::kMissing, "action"),
      action(
          "an action unset", [](auto* r) { r->mutable_action()->clear_action(); }, R::kMissing, "action.action"),
      action(
          "action 99", [](auto* r) { r->mutable_action()->set_action(static_cast<api::Action>(99)); }, R::kOutOfRange,
          "action.action"),
      action(
          "in reply to nothing", [](auto* r) { r->mutable_action()->clear_in_reply_to(); }, R::kUnknownEvent,
          "action.in_reply_to"),
      action(
          "in reply to rubbish", [](auto* r) { r->mutable_action()->set_in_reply_to("evt_!!!"); }, R::kUnknownEvent,
          "action.in_reply_to"),
      action(
          "in reply to an indicator", [](auto* r) { r->mutable_action()->set_in_reply_to(model::IndicatorIdText({})); },
          R::kUnknownEvent, "action.in_reply_to"),
      action(
          "with a number besides",
          [](auto* r) {
            r->mutable_identifier()->set_type(kMobile);
            r->mutable_identifier()->set_value("5551234567");
          },
          R::kOutOfRange, "identifier"),
      action(
          "an amount below zero", [](auto* r) { r->mutable_action()->set_amount_paise(-5); }, R::kOutOfRange,
          "action.amount_paise"),
      action(
          "to be done tomorrow",
          [](auto* r) { r->mutable_action()->mutable_acted_at()->set_seconds(absl::ToUnixSeconds(kNow) + 86400); },
          R::kFromTheFuture, "action.acted_at"),
  });
  InputContext portal = Context(model::Role::kCitizenPortal);
  Run({{"nobody's report", [](auto* r) { r->set_kind(api::INPUT_KIND_SUSPECTED_COMMUNICATION); }, R::kMissing,
        "citizen_pseudonym"}},
      portal);
}

}  // namespace
}  // namespace hub::wire
