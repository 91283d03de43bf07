// Phone numbers: an exact path for Indian numbers by the numbering plan's shape, libphonenumber for foreign ones.
//
// Tables of assigned series are stale the day they ship, so a shape decides and no table rejects (research/domain.md section 7).
#include <phonenumbers/phonenumberutil.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/model/canonical_forms.h"

namespace hub::model {
namespace {

constexpr absl::string_view kTestRange = "555";
// National emergency and complaint numbers.
constexpr absl::string_view kHelplines[] = {"100",  "101",  "102",  "103",  "108",  "112",  "139",   "155260",
                                            "181",  "1091", "1098", "1800", "1909", "1930", "1947"};

bool IsSeparator(char c) { return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')'; }

// A byte is a digit when its high half is 3 and stays 3 after adding 6: 0x3a-0x3f would carry into it. No byte carries into the next:
// where the high half is 3 the sum is at most 0x45, and elsewhere the first check has failed already.
bool EightDigits(const char* text) {
  constexpr uint64_t kHigh = 0xf0f0f0f0f0f0f0f0, kThrees = 0x3030303030303030, kSixes = 0x0606060606060606;
  uint64_t word = 0;
  std::memcpy(&word, text, sizeof(word));
  return (word & kHigh) == kThrees && ((word + kSixes) & kHigh) == kThrees;
}

// Digits only, and whether a '+' stood in front. BadCharacter for anything but digits and separators.
absl::StatusOr<std::string> Digits(absl::string_view text, bool* plus) {
  *plus = absl::ConsumePrefix(&text, "+");
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      digits.push_back(c);
    } else if (!IsSeparator(c)) {
      return RefuseValue(RefusalCode::kBadCharacter, "want digits, spaces, dashes, dots and brackets only");
    }
  }
  if (digits.empty()) return RefuseValue(RefusalCode::kTooShort, "want digits");
  return digits;
}

absl::Status CheckTestRange(absl::string_view national, const CanonicaliseOptions& options) {
  if (absl::StartsWith(national, kTestRange) && !options.allow_test_range) {
    return RefuseValue(RefusalCode::kTestRangeRefused, "the test range +91 555 is switched off");
  }
  return absl::OkStatus();
}

// The ten digits of an Indian subscriber number, prefix +91, 0091, 91 (of twelve digits) or 0 taken off.
absl::StatusOr<std::string> NationalDigits(std::string digits, bool plus) {
  absl::string_view rest = digits;
  if (plus) {
    if (!absl::ConsumePrefix(&rest, "91")) return RefuseValue(RefusalCode::kBadFormat, "want an Indian number, +91");
  } else if (rest.size() >= 14 && absl::StartsWith(rest, "0091")) {
    rest.remove_prefix(4);
  } else if (rest.size() >= 12 && absl::StartsWith(rest, "91")) {
    rest.remove_prefix(2);
  } else if (rest.size() >= 13 && absl::StartsWith(rest, "091")) {
    rest.remove_prefix(3);
  }
  // The trunk prefix; after +91 it is often written too.
  if (rest.size() == 11 && rest[0] == '0') rest.remove_prefix(1);
  if (rest.size() < 10) return RefuseValue(RefusalCode::kTooShort, "want ten digits");
  if (rest.size() > 10) return RefuseValue(RefusalCode::kTooLong, "want ten digits");
  return std::string(rest);
}

absl::StatusOr<std::string> Mobile(const std::string& digits, bool plus, const CanonicaliseOptions& options) {
  absl::StatusOr<std::string> national = NationalDigits(digits, plus);
  if (!national.ok()) return national;
  if (absl::StartsWith(*national, kTestRange)) {
    if (absl::Status status = CheckTestRange(*national, options); !status.ok()) return status;
  } else if ((*national)[0] < '6') {
    return RefuseValue(RefusalCode::kBadLeadingDigit, "an Indian mobile number starts with 6 to 9");
  }
  return absl::StrCat("+91", *national);
}

absl::StatusOr<std::string> Landline(const std::string& digits, bool plus) {
  absl::StatusOr<std::string> national = NationalDigits(digits, plus);
  if (!national.ok()) return national;
  const char first = (*national)[0];
  // Area codes start with 1 to 8; 1 followed by 4, 6, 8, 9 are services; 555 is no area.
  if (first == '0' || first == '9' || absl::StartsWith(*national, kTestRange) ||
      (first == '1' && absl::string_view("4689").find((*national)[1]) != absl::string_view::npos)) {
    return RefuseValue(RefusalCode::kBadLeadingDigit, "want an area code and a number");
  }
  return absl::StrCat("+91", *national);
}

// International form through libphonenumber: any country.
absl::StatusOr<std::string> International(const std::string& digits, bool plus) {
  absl::string_view rest = digits;
  if (!plus && !absl::ConsumePrefix(&rest, "00")) {
    return RefuseValue(RefusalCode::kBadFormat, "want the international form, + and country code");
  }
  if (rest.size() < 7) return RefuseValue(RefusalCode::kTooShort, "want 7 to 15 digits");
  if (rest.size() > 15) return RefuseValue(RefusalCode::kTooLong, "want 7 to 15 digits");
  const auto* util = i18n::phonenumbers::PhoneNumberUtil::GetInstance();
  i18n::phonenumbers::PhoneNumber number;
  if (util->Parse(absl::StrCat("+", rest), "ZZ", &number) != i18n::phonenumbers::PhoneNumberUtil::NO_PARSING_ERROR ||
      !util->IsPossibleNumber(number)) {
    return RefuseValue(RefusalCode::kBadFormat, "no country has such numbers");
  }
  std::string e164;
  util->Format(number, i18n::phonenumbers::PhoneNumberUtil::E164, &e164);
  return e164;
}

// Exactly these shapes of digits, a leading 0 or +91 taken off.
absl::StatusOr<std::string> Service(std::string digits, bool plus, absl::string_view prefixes, size_t least, size_t most) {
  absl::string_view rest = digits;
  if (plus && !absl::ConsumePrefix(&rest, "91")) return RefuseValue(RefusalCode::kBadFormat, "want an Indian number");
  if (rest.size() > least && rest[0] == '0') rest.remove_prefix(1);
  if (rest.size() < least) return RefuseValue(RefusalCode::kTooShort, absl::StrCat("want at least ", least, " digits"));
  if (rest.size() > most) return RefuseValue(RefusalCode::kTooLong, absl::StrCat("want at most ", most, " digits"));
  for (size_t at = 0; at < prefixes.size();) {
    const size_t end = std::min(prefixes.find(' ', at), prefixes.size());
    if (absl::StartsWith(rest, prefixes.substr(at, end - at))) return std::string(rest);
    at = end + 1;
  }
  return RefuseValue(RefusalCode::kBadLeadingDigit, absl::StrCat("want one of the series ", prefixes));
}

// The one type that digits without a type can only be; kUnspecified when there are several.
IdentifierType Derive(absl::string_view digits, bool plus, LineKind line_kind) {
  if (plus && !absl::StartsWith(digits, "91")) return IdentifierType::kForeignPhone;
  const bool helpline = std::find(std::begin(kHelplines), std::end(kHelplines), digits) != std::end(kHelplines);
  if (helpline) return IdentifierType::kHelpline;
  if (digits.size() == 10 && (absl::StartsWith(digits, "1600") || absl::StartsWith(digits, "1601"))) {
    return IdentifierType::kService1600;
  }
  if (digits.size() == 10 && absl::StartsWith(digits, "140")) return IdentifierType::kPromotional140;
  if (absl::StartsWith(digits, "1800") || absl::StartsWith(digits, "1803") || absl::StartsWith(digits, "1860")) {
    return IdentifierType::kTollFree;
  }
  if (line_kind == LineKind::kMobile) return IdentifierType::kMobile;
  if (line_kind == LineKind::kFixed) return IdentifierType::kLandline;
  // +91 and a mobile's digits, or the test range, which has no fixed lines: plain enough. Ten bare digits are not.
  const absl::string_view national = digits.size() > 10 ? digits.substr(digits.size() - 10) : digits;
  if (absl::StartsWith(national, kTestRange) || (national.size() == 10 && national[0] == '9')) return IdentifierType::kMobile;
  if (plus && digits.size() == 12) return IdentifierType::kMobile;
  return IdentifierType::kUnspecified;
}

}  // namespace

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsPhone(IdentifierType type) {
  switch (type) {
    case IdentifierType::kMobile:
    case IdentifierType::kLandline:
    case IdentifierType::kMachine:
    case IdentifierType::kForeignPhone:
    case IdentifierType::kService1600:
    case IdentifierType::kPromotional140:
    case IdentifierType::kTollFree:
    case IdentifierType::kHelpline:
      return true;
    default:
      return false;
  }
}

bool IsProtectedType(IdentifierType type) {
  return type == IdentifierType::kService1600 || type == IdentifierType::kTollFree || type == IdentifierType::kHelpline;
}

bool IsCanonicalMobile(absl::string_view raw, bool allow_test_range) {
  constexpr absl::string_view kCountry = "+91";
  if (raw.size() != kCountry.size() + 10 || !absl::StartsWith(raw, kCountry)) return false;
  const char* const national = raw.data() + kCountry.size();
  // Ten digits as two overlapping words of eight.
  if (!EightDigits(national) || !EightDigits(national + 2)) return false;
  return national[0] >= '6' || (allow_test_range && absl::StartsWith(raw.substr(kCountry.size()), kTestRange));
}

bool ParseIndianMobile(absl::string_view raw, bool allow_test_range, uint64_t* digits) {
  if (raw.size() < 10 || raw.size() > 20) return false;
  // One pass: digits into a number, separators skipped, prefixes judged by count at the end.
  uint64_t number = 0;
  int count = 0;
  size_t at = 0;
  const bool plus = raw[0] == '+';
  if (plus) at = 1;
  for (; at < raw.size(); ++at) {
    const auto digit = static_cast<unsigned>(raw[at] - '0');
    if (digit <= 9) {
      number = number * 10 + digit;
      ++count;
    } else if (!IsSeparator(raw[at])) {
      return false;
    }
  }
  constexpr uint64_t kTen = 10'000'000'000;
  const uint64_t prefix = number / kTen;
  number %= kTen;
  const bool fits = plus ? count == 12 && prefix == 91
                         : (count == 10) || (count == 11 && prefix == 0) || (count == 12 && prefix == 91) ||
                               (count == 14 && prefix == 91);
  if (!fits) return false;
  if (number < 6'000'000'000 && !(allow_test_range && number / 10'000'000 == 555)) return false;
  *digits = number;
  return true;
}

absl::StatusOr<CanonicalIdentifier> CanonicalPhone(IdentifierType type, absl::string_view text, LineKind line_kind,
                                                   const CanonicaliseOptions& options) {
  CanonicalIdentifier result;
  uint64_t fast = 0;
  const bool mobile_path = type == IdentifierType::kMobile && line_kind != LineKind::kFixed;
  if (mobile_path && ParseIndianMobile(text, options.allow_test_range, &fast)) {
    result.identifier = {type, absl::StrCat("+91", fast)};
    result.line_kind = LineKind::kMobile;
    return result;
  }
  bool plus = false;
  absl::StatusOr<std::string> digits = Digits(text, &plus);
  if (!digits.ok()) return digits.status();
  if (type == IdentifierType::kUnspecified) {
    type = Derive(*digits, plus, line_kind);
    if (type == IdentifierType::kUnspecified) {
      return RefuseValue(RefusalCode::kAmbiguousIdentifier, "could be a mobile or a fixed line: give type or line_kind");
    }
  }
  if (type == IdentifierType::kMobile && line_kind == LineKind::kFixed) {
    return RefuseValue(RefusalCode::kBadFormat, "type MOBILE contradicts line_kind FIXED");
  }
  absl::StatusOr<std::string> canonical = RefuseValue(RefusalCode::kUnknownType, "not a type of phone number");
  switch (type) {
    case IdentifierType::kMobile:
      canonical = Mobile(*digits, plus, options);
      line_kind = LineKind::kMobile;
      break;
    case IdentifierType::kLandline:
      canonical = Landline(*digits, plus);
      line_kind = LineKind::kFixed;
      break;
    case IdentifierType::kMachine:
      canonical = Service(*digits, plus, "5", 13, 13);
      break;
    case IdentifierType::kForeignPhone:
      canonical = International(*digits, plus);
      if (canonical.ok() && absl::StartsWith(*canonical, "+91")) {
        canonical = RefuseValue(RefusalCode::kBadFormat, "an Indian number has a type of its own");
      }
      break;
    case IdentifierType::kWhatsApp:
      // Indian numbers by the mobile rule (bare ten digits too), others in international form.
      if ((plus && absl::StartsWith(*digits, "91")) || (!plus && !absl::StartsWith(*digits, "00"))) {
        canonical = Mobile(*digits, plus, options);
      } else {
        canonical = International(*digits, plus);
      }
      break;
    case IdentifierType::kService1600: canonical = Service(*digits, plus, "1600 1601", 10, 10); break;
    case IdentifierType::kPromotional140: canonical = Service(*digits, plus, "140", 10, 10); break;
    case IdentifierType::kTollFree: canonical = Service(*digits, plus, "1800 1803 1860", 8, 13); break;
    case IdentifierType::kHelpline:
      if (std::find(std::begin(kHelplines), std::end(kHelplines), *digits) != std::end(kHelplines)) {
        canonical = *digits;
      } else {
        canonical = RefuseValue(RefusalCode::kBadFormat, "not a helpline known here");
      }
      break;
    default: break;
  }
  if (!canonical.ok()) return canonical.status();
  result.identifier = {type, *std::move(canonical)};
  result.line_kind = line_kind;
  return result;
}

}  // namespace hub::model
