// The canonicalisers behind Canonicalise, one per family of types. Private to this library.
//
// Each gets text that is not empty, within kIdentifierBytesMax, printable ASCII or well-formed UTF-8 without control characters, trimmed
// of white space at both ends. Each returns canonical text (and links), or Refuse(code, "value", ...).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/identifier.h"
#include "libs/model/refusal.h"

namespace hub::model {

inline absl::Status RefuseValue(RefusalCode code, absl::string_view message) { return Refuse(code, "value", message); }

bool AllDigits(absl::string_view text);

// phone.cc
// Already in canonical form: +91 and a mobile's ten digits, nothing else.
bool IsCanonicalMobile(absl::string_view raw, bool allow_test_range);
absl::StatusOr<CanonicalIdentifier> CanonicalPhone(IdentifierType type, absl::string_view text, LineKind line_kind,
                                                   const CanonicaliseOptions& options);
// handset.cc
absl::StatusOr<std::string> CanonicalImei(absl::string_view text);
absl::StatusOr<std::string> CanonicalImsi(absl::string_view text);
absl::StatusOr<std::string> CanonicalIccid(absl::string_view text);
bool LuhnValid(absl::string_view digits);
// payment.cc
absl::StatusOr<CanonicalIdentifier> CanonicalUpiAddress(absl::string_view text, const CanonicaliseOptions& options);
absl::StatusOr<std::string> CanonicalBankAccount(absl::string_view text);
// web.cc
absl::StatusOr<CanonicalIdentifier> CanonicalUrl(absl::string_view text);
absl::StatusOr<std::string> CanonicalEmail(absl::string_view text);
absl::StatusOr<std::string> CanonicalTelegram(absl::string_view text);
absl::StatusOr<std::string> CanonicalApp(absl::string_view text);
absl::StatusOr<std::string> CanonicalIp(absl::string_view text);
// identifier.cc
absl::StatusOr<CanonicalIdentifier> CanonicalSmsHeader(absl::string_view text);

}  // namespace hub::model
