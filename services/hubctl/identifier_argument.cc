#include "services/hubctl/identifier_argument.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/indicator.pb.h"
#include "libs/base/status_macros.h"
#include "services/hubctl/failure.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

// Who says what type of number it is, says what kind of line it is.
v1::RawIdentifier Typed(v1::IdentifierType type, absl::string_view value) {
  v1::RawIdentifier identifier;
  identifier.set_type(type);
  identifier.set_value(std::string(value));
  if (type == v1::IDENTIFIER_TYPE_MOBILE) identifier.set_line_kind(v1::LINE_KIND_MOBILE);
  if (type == v1::IDENTIFIER_TYPE_LANDLINE) identifier.set_line_kind(v1::LINE_KIND_FIXED);
  return identifier;
}

}  // namespace

absl::StatusOr<v1::RawIdentifier> MakeRawIdentifier(absl::string_view type, absl::string_view value) {
  const auto number = ParseWord(v1::IdentifierType_descriptor(), type);
  if (!number.ok()) return Usage(absl::StrCat("TYPE: ", number.status().message()));
  if (value.empty()) return Usage("VALUE: is empty");
  return Typed(static_cast<v1::IdentifierType>(*number), value);
}

absl::StatusOr<v1::RawIdentifier> ParseIdentifierArgument(absl::string_view text) {
  const size_t colon = text.find(':');
  if (colon != absl::string_view::npos) {
    const auto type = ParseWord(v1::IdentifierType_descriptor(), text.substr(0, colon));
    if (type.ok() && colon + 1 < text.size())
      return Typed(static_cast<v1::IdentifierType>(*type), text.substr(colon + 1));
  }
  if (absl::StartsWith(text, "+") || absl::StrContains(text, "@") || absl::StrContains(text, "://")) {
    v1::RawIdentifier identifier;
    identifier.set_value(std::string(text));
    return identifier;
  }
  return Usage(
      "ID: want TYPE:VALUE (such as MOBILE:5551234567, IMEI:..., SMS_HEADER:...), or +91..., name@bank, https://...");
}

}  // namespace hub::hubctl
