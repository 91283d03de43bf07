#include "libs/model/identifier.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/model/canonical_forms.h"

namespace hub::model {
namespace {

// Well-formed UTF-8 (RFC 3629) without controls. Full-width and other foreign digits are well-formed and refused by the types.
bool CleanText(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t length = 1;
    if (lead < 0x20 || lead == 0x7f) return false;
    if (lead >= 0x80) {
      length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
      if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return false;
      for (size_t k = 1; k < length; ++k) {
        if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
      }
      const auto second = static_cast<unsigned char>(text[i + 1]);
      if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
          (lead == 0xf4 && second > 0x8f)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

bool Ascii(absl::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// TSP:id, opaque.
absl::StatusOr<std::string> CanonicalPointOfSale(absl::string_view text) {
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    return RefuseValue(RefusalCode::kBadFormat, "want OPERATOR:id");
  }
  if (text.size() > 64) return RefuseValue(RefusalCode::kTooLong, "want at most 64 bytes");
  for (const char c : text) {
    if (c <= ' ') return RefuseValue(RefusalCode::kBadCharacter, "want no spaces");
  }
  return absl::StrCat(absl::AsciiStrToUpper(text.substr(0, colon)), text.substr(colon));
}

absl::StatusOr<CanonicalIdentifier> Plain(IdentifierType type, absl::StatusOr<std::string> canonical) {
  if (!canonical.ok()) return canonical.status();
  CanonicalIdentifier result;
  result.identifier = {type, *std::move(canonical)};
  return result;
}

// Made in place: moving a result costs as much as judging the number.
absl::StatusOr<CanonicalIdentifier> AsMobile(absl::string_view canonical) {
  absl::StatusOr<CanonicalIdentifier> result(absl::in_place);
  CanonicalIdentifier& mobile = result.value();
  mobile.identifier.type = IdentifierType::kMobile;
  mobile.identifier.canonical.assign(canonical.data(), canonical.size());
  mobile.line_kind = LineKind::kMobile;
  return result;
}

// What input without a type can only be.
IdentifierType DeriveType(absl::string_view text) {
  if (absl::StrContains(text, "://")) return IdentifierType::kUrl;
  const size_t at = text.find('@');
  if (at != absl::string_view::npos && at > 0) {
    // Only e-mail domains have a dot after the @; the UPI handles that do end in .npci.
    const bool dotted = absl::StrContains(text.substr(at), '.') && !absl::EndsWithIgnoreCase(text, ".npci");
    return dotted ? IdentifierType::kEmail : IdentifierType::kUpiAddress;
  }
  return IdentifierType::kUnspecified;  // digits are phone's business
}

}  // namespace

// CORE, or XY-CORE, or XY-CORE-S as it came over the air: X the operator, Y the circle, S the kind of message.
absl::StatusOr<CanonicalIdentifier> CanonicalSmsHeader(absl::string_view text) {
  const std::string upper = absl::AsciiStrToUpper(text);
  const std::vector<std::string> parts = absl::StrSplit(upper, '-');
  CanonicalIdentifier result;
  std::string core;
  if (parts.size() == 1) {
    core = parts[0];
  } else if (parts.size() <= 3 && parts[0].size() == 2 &&
             absl::ascii_isalpha(static_cast<unsigned char>(parts[0][0])) &&
             absl::ascii_isalpha(static_cast<unsigned char>(parts[0][1]))) {
    core = parts[1];
    result.header_operator = parts[0][0];
    result.header_circle = parts[0][1];
    if (parts.size() == 3) {
      if (parts[2].size() != 1 || !absl::StrContains("PSTG", parts[2])) {
        return RefuseValue(RefusalCode::kBadFormat, "want P, S, T or G as the last part");
      }
      result.header_suffix = parts[2][0];
    }
  } else {
    return RefuseValue(RefusalCode::kBadFormat, "want HEADER, XY-HEADER or XY-HEADER-S");
  }
  if (core.size() < 3) return RefuseValue(RefusalCode::kTooShort, "want a header of 3 to 11 letters and digits");
  if (core.size() > 11) return RefuseValue(RefusalCode::kTooLong, "want a header of 3 to 11 letters and digits");
  for (const char c : core) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      return RefuseValue(RefusalCode::kBadCharacter, "want letters and digits");
    }
  }
  result.identifier = {IdentifierType::kSmsHeader, core};
  return result;
}

absl::StatusOr<CanonicalIdentifier> Canonicalise(IdentifierType type, absl::string_view raw, LineKind line_kind,
                                                 const CanonicaliseOptions& options) {
  // The common forms first: nothing that starts with +91 and is a mobile number can be anything that the checks below refuse.
  const bool may_be_mobile = type == IdentifierType::kMobile || type == IdentifierType::kUnspecified;
  if (may_be_mobile && line_kind != LineKind::kFixed && absl::StartsWith(raw, "+91")) {
    if (IsCanonicalMobile(raw, options.allow_test_range)) return AsMobile(raw);
    uint64_t digits = 0;
    if (ParseIndianMobile(raw, options.allow_test_range, &digits)) return AsMobile(absl::StrCat("+91", digits));
  }
  if (raw.size() > kIdentifierBytesMax) {
    return RefuseValue(RefusalCode::kTooLong, absl::StrCat("want at most ", kIdentifierBytesMax, " bytes"));
  }
  const absl::string_view text = absl::StripAsciiWhitespace(raw);
  if (text.empty()) return RefuseValue(RefusalCode::kEmpty, "missing");
  if (!CleanText(text)) return RefuseValue(RefusalCode::kBadCharacter, "want UTF-8 without control characters");
  if (!Ascii(text)) return RefuseValue(RefusalCode::kBadCharacter, "want ASCII letters, digits and signs");
  // A bank account or an IMSI may pass a card's check by chance; they are told apart by their type and shape.
  const bool may_look_sensitive = type == IdentifierType::kImei || type == IdentifierType::kImsi ||
                                  type == IdentifierType::kIccid || type == IdentifierType::kSmsHeader;
  if (!may_look_sensitive && LooksSensitive(text)) {
    return RefuseValue(RefusalCode::kSensitiveIdentifierRefused, "Aadhaar, PAN and card numbers are not taken");
  }
  if (type == IdentifierType::kUnspecified) type = DeriveType(text);
  switch (type) {
    case IdentifierType::kUnspecified:
    case IdentifierType::kMobile:
    case IdentifierType::kLandline:
    case IdentifierType::kMachine:
    case IdentifierType::kForeignPhone:
    case IdentifierType::kService1600:
    case IdentifierType::kPromotional140:
    case IdentifierType::kTollFree:
    case IdentifierType::kHelpline:
    case IdentifierType::kWhatsApp:
      return CanonicalPhone(type, text, line_kind, options);
    case IdentifierType::kImei:
      return Plain(type, CanonicalImei(text));
    case IdentifierType::kImsi:
      return Plain(type, CanonicalImsi(text));
    case IdentifierType::kIccid:
      return Plain(type, CanonicalIccid(text));
    case IdentifierType::kUpiAddress:
      return CanonicalUpiAddress(text, options);
    case IdentifierType::kBankAccount:
      return Plain(type, CanonicalBankAccount(text));
    case IdentifierType::kSmsHeader:
      return CanonicalSmsHeader(text);
    case IdentifierType::kUrl:
      return CanonicalUrl(text);
    case IdentifierType::kTelegram:
      return Plain(type, CanonicalTelegram(text));
    case IdentifierType::kEmail:
      return Plain(type, CanonicalEmail(text));
    case IdentifierType::kApp:
      return Plain(type, CanonicalApp(text));
    case IdentifierType::kIpAddress:
      return Plain(type, CanonicalIp(text));
    case IdentifierType::kPointOfSale:
      return Plain(type, CanonicalPointOfSale(text));
  }
  return RefuseValue(RefusalCode::kUnknownType, "not a type of identifier");
}

Relation Inverse(Relation relation) {
  constexpr std::pair<Relation, Relation> kPairs[] = {{Relation::kUpiAddressOf, Relation::kHasUpiAddress},
                                                      {Relation::kHostOf, Relation::kHasUrl},
                                                      {Relation::kAccountOf, Relation::kHasAccount}};
  for (const auto& [one, other] : kPairs) {
    if (relation == one) return other;
    if (relation == other) return one;
  }
  return relation;  // the same both ways
}

}  // namespace hub::model
