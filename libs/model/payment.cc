// UPI addresses and bank accounts.
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/model/canonical_forms.h"

namespace hub::model {

// local@handle, both lower case. A local part that is a mobile number tells whose address it is.
absl::StatusOr<CanonicalIdentifier> CanonicalUpiAddress(absl::string_view text, const CanonicaliseOptions& options) {
  const std::string lower = absl::AsciiStrToLower(text);
  const size_t at = lower.find('@');
  if (at == std::string::npos || lower.find('@', at + 1) != std::string::npos) {
    return RefuseValue(RefusalCode::kBadFormat, "want name@handle");
  }
  if (lower.size() > 255) return RefuseValue(RefusalCode::kTooLong, "want at most 255 bytes");
  const absl::string_view local = absl::string_view(lower).substr(0, at);
  const absl::string_view handle = absl::string_view(lower).substr(at + 1);
  if (local.size() < 2 || handle.size() < 2) return RefuseValue(RefusalCode::kTooShort, "want at least two characters on each side of @");
  if (handle.size() > 64) return RefuseValue(RefusalCode::kTooLong, "want at most 64 characters after @");
  for (const char c : local) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '_') {
      return RefuseValue(RefusalCode::kBadCharacter, "want letters, digits, dot, dash and underscore before @");
    }
  }
  for (const char c : handle) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.') {
      return RefuseValue(RefusalCode::kBadCharacter, "want letters, digits and dots after @");
    }
  }
  if (!absl::ascii_isalpha(static_cast<unsigned char>(handle[0]))) {
    return RefuseValue(RefusalCode::kBadFormat, "want a letter after @");
  }
  CanonicalIdentifier result;
  result.identifier = {IdentifierType::kUpiAddress, lower};
  uint64_t digits = 0;
  if (AllDigits(local) && ParseIndianMobile(local, options.allow_test_range, &digits)) {
    result.links.push_back({Relation::kUpiAddressOf, {IdentifierType::kMobile, absl::StrCat("+91", digits)}});
  }
  return result;
}

// IFSC and account number with ':' or white space between; leading zeros of the account count.
absl::StatusOr<std::string> CanonicalBankAccount(absl::string_view text) {
  const size_t gap = text.find_first_of(": \t/+");
  if (gap == absl::string_view::npos) return RefuseValue(RefusalCode::kBadFormat, "want IFSC:account");
  const std::string ifsc = absl::AsciiStrToUpper(text.substr(0, gap));
  absl::string_view account = text.substr(gap);
  while (!account.empty() && absl::string_view(": \t/+").find(account[0]) != absl::string_view::npos) account.remove_prefix(1);
  bool good = ifsc.size() == 11 && ifsc[4] == '0';
  for (size_t i = 0; good && i < ifsc.size(); ++i) {
    const auto c = static_cast<unsigned char>(ifsc[i]);
    good = i < 4 ? absl::ascii_isupper(c) : absl::ascii_isalnum(c);
  }
  if (!good) return RefuseValue(RefusalCode::kBadFormat, "want an IFSC: four letters, 0, six letters or digits");
  if (!AllDigits(account)) return RefuseValue(RefusalCode::kBadCharacter, "want digits in the account number");
  if (account.size() < 9) return RefuseValue(RefusalCode::kTooShort, "want an account number of 9 to 18 digits");
  if (account.size() > 18) return RefuseValue(RefusalCode::kTooLong, "want an account number of 9 to 18 digits");
  return absl::StrCat(ifsc, ":", account);
}

}  // namespace hub::model
