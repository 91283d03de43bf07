#include "libs/model/identifier.h"

#include <phonenumbers/phonenumberutil.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::model {
namespace {

using T = IdentifierType;
using R = RefusalCode;

constexpr CanonicaliseOptions kTest{.allow_test_range = true};

// Numbers that might be somebody's are put together here, at run time: no file holds one.
std::string Digits(std::initializer_list<const char*> parts) {
  std::string digits;
  for (const char* part : parts) digits += part;
  return digits;
}

std::string CanonicalOf(T type, absl::string_view raw, LineKind kind = LineKind::kUnspecified) {
  auto result = Canonicalise(type, raw, kind, kTest);
  return result.ok() ? result->identifier.canonical : absl::StrCat("refused: ", Name(RefusalOf(result.status())->code));
}

TEST_CASE("identifiers written differently have one canonical form", "[model][identifier]") {
  struct Row {
    T type;
    std::string raw;
    std::string canonical;
  };
  const std::vector<Row> rows = {
      {T::kMobile, "0 55512-34567", "+915551234567"},
      {T::kMobile, "+91 5551234567", "+915551234567"},
      {T::kMobile, "915551234567", "+915551234567"},
      {T::kMobile, "00915551234567", "+915551234567"},
      {T::kMobile, "+91 (555) 123.4567", "+915551234567"},
      {T::kMobile, "5551234567", "+915551234567"},
      {T::kWhatsApp, "+91 5551234567", "+915551234567"},
      {T::kImei, "001017001234560", "001017001234569"},
      {T::kImei, "001017001234569", "001017001234569"},
      {T::kImei, "0010170012345601", "001017001234569"},
      {T::kImei, "00-101700-123456", "001017001234569"},
      {T::kIccid, "8991551000000000112", "8991551000000000112"},
      {T::kUpiAddress, "5551234567@TestPSP", "5551234567@testpsp"},
      {T::kUpiAddress, "Some.One-1_x@okTest", "some.one-1_x@oktest"},
      {T::kBankAccount, "TEST0000001:000123456789", "TEST0000001:000123456789"},
      {T::kBankAccount, "test0000001 000123456789", "TEST0000001:000123456789"},
      {T::kSmsHeader, "VM-TESTBK-S", "TESTBK"},
      {T::kSmsHeader, "JX-TESTBK-T", "TESTBK"},
      {T::kSmsHeader, "testbk", "TESTBK"},
      {T::kUrl, "HTTPS://KYC-Update.Example.:443/a?x=1#f", "kyc-update.example/a"},
      {T::kUrl, "kyc-update.example", "kyc-update.example"},
      {T::kUrl, "http://kyc-update.example:8080/", "kyc-update.example:8080"},
      {T::kService1600, "1601000000", "1601000000"},
      {T::kTollFree, "1800 000 0000", "18000000000"},
      {T::kPromotional140, "1400000000", "1400000000"},
      {T::kHelpline, "1930", "1930"},
      {T::kMachine, "5550000000000", "5550000000000"},
      {T::kEmail, "Someone@Example.COM", "Someone@example.com"},
      {T::kTelegram, "https://t.me/Some_Handle", "some_handle"},
      {T::kTelegram, "@some_handle", "some_handle"},
      {T::kApp, "com.example.fake", "com.example.fake"},
      {T::kIpAddress, "2001:DB8::0001", "2001:db8::1"},
      {T::kIpAddress, "192.0.2.7", "192.0.2.7"},
      {T::kPointOfSale, "tsp-01:AB-77", "TSP-01:AB-77"},
      {T::kImsi, "404000000000001", "404000000000001"},
      {T::kUnspecified, "+91 5551234567", "+915551234567"},
      {T::kUnspecified, "5551234567", "+915551234567"},
      {T::kUnspecified, "5551234567@testpsp", "5551234567@testpsp"},
      {T::kUnspecified, "a@mail.example", "a@mail.example"},
      {T::kUnspecified, "https://kyc-update.example/a", "kyc-update.example/a"},
      {T::kUnspecified, "1930", "1930"},
  };
  for (const Row& row : rows) {
    INFO(Name(row.type) << " row " << (&row - rows.data()));
    CHECK(CanonicalOf(row.type, row.raw) == row.canonical);
    // Idempotent: the canonical form is its own.
    auto result = Canonicalise(row.type, row.raw, LineKind::kUnspecified, kTest);
    REQUIRE(result.ok());
    CHECK(CanonicalOf(result->identifier.type, row.canonical) == row.canonical);
  }
}

TEST_CASE("bad identifiers are refused with a code", "[model][identifier]") {
  struct Row {
    T type;
    std::string raw;
    R code;
  };
  const std::string cards = Digits({"4111", "1111", "1111", "1111"});
  std::vector<Row> rows = {
      {T::kMobile, "12345", R::kTooShort},
      {T::kMobile, "+91 0000000000", R::kBadLeadingDigit},
      {T::kMobile, "+91 55512345678", R::kTooLong},
      {T::kMobile, "555123456", R::kTooShort},
      {T::kMobile, "55512345678", R::kTooLong},
      {T::kMobile, "5551234567890123", R::kTooLong},
      {T::kMobile, "+1 5551234567", R::kBadFormat},
      {T::kMobile, "555123456x", R::kBadCharacter},
      {T::kMobile, "0123456789", R::kBadLeadingDigit},
      {T::kMobile, "5441234567", R::kBadLeadingDigit},
      {T::kMobile, "+", R::kTooShort},
      {T::kMobile, "--------------", R::kTooShort},
      {T::kLandline, "5551234567", R::kBadLeadingDigit},
      {T::kLandline, "0912345678", R::kBadLeadingDigit},
      {T::kMachine, "555123", R::kTooShort},
      {T::kMachine, "1234567890123", R::kBadLeadingDigit},
      {T::kForeignPhone, "5551234567", R::kBadFormat},
      {T::kForeignPhone, "+915551234567", R::kBadFormat},
      {T::kForeignPhone, "+1234567890123456", R::kTooLong},
      {T::kForeignPhone, "+999", R::kTooShort},
      {T::kService1600, "1602000000", R::kBadLeadingDigit},
      {T::kService1600, "160100000", R::kTooShort},
      {T::kPromotional140, "1410000000", R::kBadLeadingDigit},
      {T::kTollFree, "19000000000", R::kBadLeadingDigit},
      {T::kHelpline, "113", R::kBadFormat},
      {T::kImei, "0010170012345", R::kTooShort},
      {T::kImei, "00101700123456012", R::kTooLong},
      {T::kImei, "001017001234561", R::kBadCheckDigit},
      {T::kImei, "00101700123456A", R::kBadCharacter},
      {T::kImei, "000000000000000", R::kBadFormat},
      {T::kImsi, "310150000000001", R::kBadLeadingDigit},
      {T::kImsi, "40400000000001", R::kTooShort},
      {T::kIccid, "8991551000000000113", R::kBadCheckDigit},
      {T::kIccid, "8944551000000000112", R::kBadLeadingDigit},
      {T::kUpiAddress, "nobody", R::kBadFormat},
      {T::kUpiAddress, "a@b", R::kTooShort},
      {T::kUpiAddress, "a@b@c", R::kBadFormat},
      {T::kUpiAddress, "so me@testpsp", R::kBadCharacter},
      {T::kUpiAddress, "someone@test_psp", R::kBadCharacter},
      {T::kUpiAddress, "someone@1psp", R::kBadFormat},
      {T::kUpiAddress, absl::StrCat("someone@", std::string(65, 'a')), R::kTooLong},
      {T::kUpiAddress, absl::StrCat(std::string(256, 'a'), "@testpsp"), R::kTooLong},
      {T::kBankAccount, "TEST0000001", R::kBadFormat},
      {T::kBankAccount, "TEST1000001:000123456789", R::kBadFormat},
      {T::kBankAccount, "TEST0000001:12345678", R::kTooShort},
      {T::kBankAccount, "TEST0000001:1234567890123456789", R::kTooLong},
      {T::kBankAccount, "TEST0000001:00012345678X", R::kBadCharacter},
      {T::kSmsHeader, "AB", R::kTooShort},
      {T::kSmsHeader, "TOOLONGHEADER", R::kTooLong},
      {T::kSmsHeader, "VM-TEST_K-S", R::kBadCharacter},
      {T::kSmsHeader, "VM-TESTBK-X", R::kBadFormat},
      {T::kSmsHeader, "A-B-C-D", R::kBadFormat},
      {T::kUrl, "javascript://x.example", R::kBadFormat},
      {T::kUrl, "javascript:alert(1)", R::kBadFormat},
      {T::kUrl, "data:text/html", R::kBadFormat},
      {T::kUrl, "https://user:pw@kyc.example/", R::kBadFormat},
      {T::kUrl, "https://", R::kBadFormat},
      {T::kUrl, "localhost", R::kBadFormat},
      {T::kUrl, "a..example", R::kBadFormat},
      {T::kUrl, "-a.example", R::kBadFormat},
      {T::kUrl, "a.example:99999", R::kBadFormat},
      {T::kUrl, "a b.example", R::kBadCharacter},
      {T::kUrl, absl::StrCat(std::string(64, 'a'), ".example"), R::kBadFormat},
      {T::kUrl, absl::StrCat("a.example/", std::string(2039, 'a')), R::kTooLong},
      {T::kEmail, "nobody", R::kBadFormat},
      {T::kEmail, "@a.example", R::kBadFormat},
      {T::kEmail, "a@b@c.example", R::kBadFormat},
      {T::kEmail, "a@localhost", R::kBadFormat},
      {T::kEmail, absl::StrCat(std::string(65, 'a'), "@a.example"), R::kTooLong},
      {T::kTelegram, "abc", R::kTooShort},
      {T::kTelegram, "has space", R::kBadCharacter},
      {T::kTelegram, std::string(33, 'a'), R::kTooLong},
      {T::kApp, "fake", R::kBadFormat},
      {T::kApp, "com.example:xyz", R::kBadFormat},
      {T::kApp, "com.exa mple", R::kBadCharacter},
      {T::kIpAddress, "256.0.0.1", R::kBadFormat},
      {T::kIpAddress, "1.2.3", R::kBadFormat},
      {T::kPointOfSale, "AB77", R::kBadFormat},
      {T::kPointOfSale, absl::StrCat("TSP:", std::string(64, 'a')), R::kTooLong},
      {T::kUnspecified, "12345", R::kAmbiguousIdentifier},
      {T::kUnspecified, Digits({"80", "2345", "6789"}), R::kAmbiguousIdentifier},
      {T::kUnspecified, Digits({"70", "2345", "6789"}), R::kAmbiguousIdentifier},
      {T::kUnspecified, "hello", R::kBadCharacter},
      {T::kBankAccount, cards, R::kSensitiveIdentifierRefused},
      {T::kUnspecified, cards, R::kSensitiveIdentifierRefused},
      {T::kMobile, Digits({"4111-", "1111-", "1111-", "1111"}), R::kSensitiveIdentifierRefused},
      {T::kUnspecified, Digits({"ABC", "PE12", "34F"}), R::kSensitiveIdentifierRefused},
      {T::kMobile, Digits({"2341", "2341", "2346"}), R::kSensitiveIdentifierRefused},
  };
  // What no type takes.
  for (const T type : {T::kMobile, T::kUrl, T::kUpiAddress, T::kImei, T::kEmail, T::kSmsHeader, T::kTelegram, T::kBankAccount}) {
    rows.push_back({type, "", R::kEmpty});
    rows.push_back({type, "   \t ", R::kEmpty});
    rows.push_back({type, std::string("55512\0" "34567", 11), R::kBadCharacter});
    rows.push_back({type, "5551234567\n5551234567", R::kBadCharacter});
    rows.push_back({type, "\xff\xfe", R::kBadCharacter});
    rows.push_back({type, "\xc0\xaf", R::kBadCharacter});                                  // overlong
    rows.push_back({type, "\xed\xa0\x80", R::kBadCharacter});                              // surrogate
    rows.push_back({type, "\xe0\xa5\xab\xe0\xa5\xab\xe0\xa5\xab", R::kBadCharacter});      // Devanagari digits
    rows.push_back({type, "\xef\xbc\x95\xef\xbc\x95\xef\xbc\x95", R::kBadCharacter});      // full-width digits
    rows.push_back({type, "\xe2\x80\xae" "5551234567", R::kBadCharacter});                 // right-to-left override
    rows.push_back({type, std::string(2049, '5'), R::kTooLong});
  }
  REQUIRE(rows.size() >= 150);
  for (const Row& row : rows) {
    INFO(Name(row.type) << " row " << (&row - rows.data()));
    auto result = Canonicalise(row.type, row.raw, LineKind::kUnspecified, kTest);
    REQUIRE_FALSE(result.ok());
    REQUIRE(RefusalOf(result.status()).has_value());
    CHECK(Name(RefusalOf(result.status())->code) == Name(row.code));
    CHECK(RefusalOf(result.status())->field == "value");
    // A refusal never repeats what was sent.
    if (row.raw.size() > 6) CHECK(result.status().message().find(row.raw) == absl::string_view::npos);
  }
}

TEST_CASE("the test range is taken only where it is switched on", "[model][identifier]") {
  for (const T type : {T::kMobile, T::kWhatsApp}) {
    auto result = Canonicalise(type, "+91 5551234567", LineKind::kUnspecified, {});
    REQUIRE_FALSE(result.ok());
    CHECK(RefusalOf(result.status())->code == R::kTestRangeRefused);
  }
}

TEST_CASE("a relation the other way round, twice, is itself", "[model][identifier]") {
  for (int n = 0; n <= static_cast<int>(Relation::kHasAccount); ++n) {
    const auto relation = static_cast<Relation>(n);
    CHECK(Inverse(Inverse(relation)) == relation);
  }
  CHECK(Inverse(Relation::kUpiAddressOf) == Relation::kHasUpiAddress);
  CHECK(Inverse(Relation::kHostOf) == Relation::kHasUrl);
  CHECK(Inverse(Relation::kAccountOf) == Relation::kHasAccount);
  CHECK(Inverse(Relation::kSameHandset) == Relation::kSameHandset);
}

TEST_CASE("a UPI address that carries a number is linked to it", "[model][identifier]") {
  auto result = Canonicalise(T::kUpiAddress, "5551234567@testpsp", LineKind::kUnspecified, kTest);
  REQUIRE(result.ok());
  REQUIRE(result->links.size() == 1);
  CHECK(result->links[0].relation == Relation::kUpiAddressOf);
  CHECK(result->links[0].identifier == Identifier{T::kMobile, "+915551234567"});
  CHECK(Canonicalise(T::kUpiAddress, "someone@testpsp", LineKind::kUnspecified, kTest)->links.empty());
  auto url = Canonicalise(T::kUrl, "https://kyc-update.example/a/b", LineKind::kUnspecified, kTest);
  REQUIRE(url->links.size() == 1);
  CHECK(url->links[0].identifier.canonical == "kyc-update.example");
}

TEST_CASE("a header's operator, circle and kind are kept beside its core", "[model][identifier]") {
  auto result = Canonicalise(T::kSmsHeader, "VM-TESTBK-S", LineKind::kUnspecified, kTest);
  REQUIRE(result.ok());
  CHECK(result->header_operator == 'V');
  CHECK(result->header_circle == 'M');
  CHECK(result->header_suffix == 'S');
}

TEST_CASE("the kind of line decides between mobile and fixed, and is never guessed", "[model][identifier]") {
  const std::string bare = Digits({"80", "2345", "6789"});
  CHECK(Canonicalise(T::kUnspecified, bare, LineKind::kMobile, kTest)->identifier.type == T::kMobile);
  CHECK(Canonicalise(T::kUnspecified, bare, LineKind::kFixed, kTest)->identifier.type == T::kLandline);
  CHECK_FALSE(Canonicalise(T::kUnspecified, bare, LineKind::kUnknown, kTest).ok());
}

// --- against libphonenumber ----------------------------------------------------------------------------------

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
constexpr int kNumbersPerCase = 5'000;
#else
constexpr int kNumbersPerCase = 250'000;
#endif

// One Indian number in one of the forms people write, right or wrong in length and beginning.
std::string Generate(std::mt19937_64* random) {
  const auto draw = [&](int below) { return static_cast<int>((*random)() % static_cast<uint64_t>(below)); };
  std::string digits(1, static_cast<char>('0' + (draw(5) == 0 ? draw(10) : 6 + draw(4))));
  const int lengths[] = {10, 10, 10, 10, 10, 10, 9, 11, 8, 12};
  while (static_cast<int>(digits.size()) < lengths[draw(10)]) digits.push_back(static_cast<char>('0' + draw(10)));
  const char* prefixes[] = {"", "+91", "0091", "91", "0", "+91 ", "+91-", "0 ", "91-"};
  std::string text = prefixes[draw(9)];
  const char separators[] = {' ', '-', '.'};
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && draw(6) == 0) text.push_back(separators[draw(3)]);
    text.push_back(digits[i]);
  }
  return text;
}

// Where we differ on purpose. Each pattern says who is right.
struct Exception {
  const char* why;
  bool (*applies)(absl::string_view written, absl::string_view national, bool ours);
};
const Exception kExceptions[] = {
    // A stale table must never refuse a living number: any ten digits from 6 to 9 are a mobile's.
    {"series that the table of this libphonenumber doesn't know as mobile",
     [](absl::string_view, absl::string_view national, bool ours) {
       return ours && national.size() == 10 && national[0] >= '6';
     }},
    {"91 with another 00 behind it: it takes off one prefix after another, we take one",
     [](absl::string_view written, absl::string_view, bool ours) { return !ours && written.substr(0, 4) == "9100"; }},
    // Both readings of a prefix are possible in these forms; we take only the written-out ones.
    {"digits whose first two are 91 or 0 and are read as a prefix by one side only",
     [](absl::string_view, absl::string_view national, bool ours) {
       return !ours && (national.size() != 10 || national[0] < '6');
     }},
};

void Differential(uint64_t seed) {
  const auto* util = i18n::phonenumbers::PhoneNumberUtil::GetInstance();
  std::mt19937_64 random(seed);
  int accepted = 0;
  for (int i = 0; i < kNumbersPerCase; ++i) {
    const std::string text = Generate(&random);
    auto ours = Canonicalise(T::kMobile, text, LineKind::kUnspecified, {});
    const bool sensitive = !ours.ok() && RefusalOf(ours.status())->code == R::kSensitiveIdentifierRefused;
    i18n::phonenumbers::PhoneNumber number;
    bool theirs = util->Parse(text, "IN", &number) == i18n::phonenumbers::PhoneNumberUtil::NO_PARSING_ERROR &&
                  number.country_code() == 91 && util->IsValidNumber(number);
    if (theirs) {
      const auto type = util->GetNumberType(number);
      theirs = type == i18n::phonenumbers::PhoneNumberUtil::MOBILE ||
               type == i18n::phonenumbers::PhoneNumberUtil::FIXED_LINE_OR_MOBILE;
    }
    accepted += ours.ok() ? 1 : 0;
    if (ours.ok() == theirs || sensitive) {
      if (ours.ok()) {
        std::string e164;
        util->Format(number, i18n::phonenumbers::PhoneNumberUtil::E164, &e164);
        REQUIRE(ours->identifier.canonical == e164);
      }
      continue;
    }
    const std::string national =
        ours.ok() ? ours->identifier.canonical.substr(3) : absl::StrCat(number.national_number());
    std::string written;
    for (const char c : text) {
      if (c >= '0' && c <= '9') written.push_back(c);
    }
    bool listed = false;
    for (const Exception& exception : kExceptions) listed = listed || exception.applies(written, national, ours.ok());
    INFO("seed " << seed << ", number " << i << ", ours " << ours.ok() << ", length " << text.size());

    REQUIRE(listed);
  }
  CHECK(accepted * 100 >= 30 * kNumbersPerCase);
}

TEST_CASE("mobiles agree with libphonenumber but for listed exceptions, part 1", "[model][phone]") { Differential(1); }
TEST_CASE("mobiles agree with libphonenumber but for listed exceptions, part 2", "[model][phone]") { Differential(2); }
TEST_CASE("mobiles agree with libphonenumber but for listed exceptions, part 3", "[model][phone]") { Differential(3); }
TEST_CASE("mobiles agree with libphonenumber but for listed exceptions, part 4", "[model][phone]") { Differential(4); }

TEST_CASE("the fast path accepts what the slow path accepts", "[model][phone]") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = Generate(&random);
    uint64_t digits = 0;
    if (!ParseIndianMobile(text, false, &digits)) continue;
    auto slow = Canonicalise(T::kUnspecified, text, LineKind::kMobile, {});
    if (!slow.ok()) continue;  // refused as sensitive
    REQUIRE(slow->identifier.canonical == absl::StrCat("+91", digits));
  }
}

TEST_CASE("a number in canonical form is taken as it is, and nothing near it is", "[model][phone]") {
  const std::string number = "+915551234567";
  auto taken = Canonicalise(T::kMobile, number, LineKind::kMobile, kTest);
  REQUIRE(taken.ok());
  CHECK(taken->identifier.canonical == number);
  CHECK(taken->identifier.type == T::kMobile);
  CHECK(taken->line_kind == LineKind::kMobile);
  CHECK(RefusalOf(Canonicalise(T::kMobile, number, LineKind::kMobile, {}).status())->code == R::kTestRangeRefused);
  // Every byte at every place: accepted exactly when the digits that are left are a number.
  for (size_t at = 3; at < number.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = number;
      changed[at] = static_cast<char>(byte);
      const bool digit = byte >= '0' && byte <= '9';
      const bool mobile = digit && (at > 5 || byte == '5' || (at == 3 && byte >= '6'));
      auto result = Canonicalise(T::kMobile, changed, LineKind::kMobile, kTest);
      INFO("place " << at << ", byte " << byte);
      REQUIRE(result.ok() == mobile);
      if (mobile) REQUIRE(result->identifier.canonical == changed);
    }
  }
}

}  // namespace
}  // namespace hub::model
