// Handsets and SIM cards: IMEI (3GPP TS 23.003 annex B), IMSI, ICCID (ITU-T E.118).
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/model/canonical_forms.h"

namespace hub::model {
namespace {

int LuhnSum(absl::string_view digits) {
  int sum = 0;
  bool twice = false;
  for (size_t i = digits.size(); i-- > 0; twice = !twice) {
    int digit = digits[i] - '0';
    if (twice) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum;
}

char CheckDigit(absl::string_view digits) {
  return static_cast<char>('0' + (10 - LuhnSum(absl::StrCat(digits, "0")) % 10) % 10);
}

absl::StatusOr<std::string> PlainDigits(absl::string_view text, size_t least, size_t most) {
  std::string digits;
  for (const char c : text) {
    if (c == ' ' || c == '-' || c == '/') continue;
    if (c < '0' || c > '9') return RefuseValue(RefusalCode::kBadCharacter, "want digits, spaces and dashes only");
    digits.push_back(c);
  }
  if (digits.size() < least) return RefuseValue(RefusalCode::kTooShort, absl::StrCat("want at least ", least, " digits"));
  if (digits.size() > most) return RefuseValue(RefusalCode::kTooLong, absl::StrCat("want at most ", most, " digits"));
  return digits;
}

}  // namespace

bool LuhnValid(absl::string_view digits) { return LuhnSum(digits) % 10 == 0; }

// One handset, three spellings: with its check digit, with the check digit zeroed by a network, with a software version (IMEISV)
// instead. The first 14 digits count; the canonical form has 15.
absl::StatusOr<std::string> CanonicalImei(absl::string_view text) {
  absl::StatusOr<std::string> digits = PlainDigits(text, 14, 16);
  if (!digits.ok()) return digits;
  const absl::string_view body = absl::string_view(*digits).substr(0, 14);
  const char check = CheckDigit(body);
  if (digits->size() == 15 && (*digits)[14] != check && (*digits)[14] != '0') {
    return RefuseValue(RefusalCode::kBadCheckDigit, "the check digit doesn't fit");
  }
  if (body == "00000000000000") return RefuseValue(RefusalCode::kBadFormat, "an IMEI of zeros is none");
  return absl::StrCat(body, std::string(1, check));
}

absl::StatusOr<std::string> CanonicalImsi(absl::string_view text) {
  absl::StatusOr<std::string> digits = PlainDigits(text, 15, 15);
  if (!digits.ok()) return digits;
  if (!absl::StartsWith(*digits, "404") && !absl::StartsWith(*digits, "405") && !absl::StartsWith(*digits, "406")) {
    return RefuseValue(RefusalCode::kBadLeadingDigit, "want India's country code 404, 405 or 406 in front");
  }
  return digits;
}

absl::StatusOr<std::string> CanonicalIccid(absl::string_view text) {
  absl::StatusOr<std::string> digits = PlainDigits(text, 19, 20);
  if (!digits.ok()) return digits;
  if (!absl::StartsWith(*digits, "8991")) return RefuseValue(RefusalCode::kBadLeadingDigit, "want 8991 in front");
  const std::string nineteen = digits->substr(0, 19);  // a twentieth digit is not official
  if (!LuhnValid(nineteen)) return RefuseValue(RefusalCode::kBadCheckDigit, "the check digit doesn't fit");
  return nineteen;
}

}  // namespace hub::model
