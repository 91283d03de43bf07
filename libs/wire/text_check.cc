#include "libs/wire/text_check.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/identifier.h"
#include "libs/model/refusal.h"
#include "libs/wire/utf8.h"

namespace hub::wire {
namespace {

using model::RefusalCode;
using model::Refuse;

bool IsPlain(uint32_t code_point) {
  if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0)) return false;
  // LRM, RLM, ALM; embeddings and overrides; isolates. They make a text read differently from what it is.
  return code_point != 0x200e && code_point != 0x200f && code_point != 0x061c &&
         !(code_point >= 0x202a && code_point <= 0x202e) && !(code_point >= 0x2066 && code_point <= 0x2069);
}

}  // namespace

bool IsPlainText(absl::string_view text) {
  while (!text.empty()) {
    uint32_t code_point = 0;
    const size_t length = NextCodePoint(text, &code_point);
    if (length == 0 || !IsPlain(code_point)) return false;
    text.remove_prefix(length);
  }
  return true;
}

absl::Status CheckText(absl::string_view text, absl::string_view field, size_t bytes_max) {
  if (text.size() > bytes_max) {
    return Refuse(RefusalCode::kTooLong, field, absl::StrCat("want at most ", bytes_max, " bytes"));
  }
  if (model::LooksSensitive(text)) {
    return Refuse(RefusalCode::kSensitiveIdentifierRefused, field,
                  "looks like an Aadhaar, PAN or card number: never send one");
  }
  if (!IsPlainText(text)) return Refuse(RefusalCode::kBadCharacter, field, "want UTF-8 without control characters");
  return absl::OkStatus();
}

absl::Status CheckStakeholderId(absl::string_view text, absl::string_view field) {
  HUB_RETURN_IF_ERROR(CheckText(text, field, kStakeholderIdBytesMax));
  for (char c : text) {
    if (!absl::ascii_islower(static_cast<unsigned char>(c)) && !absl::ascii_isdigit(static_cast<unsigned char>(c)) &&
        c != '-') {
      return Refuse(RefusalCode::kBadFormat, field, "want a stakeholder id: a-z, 0-9 and - only");
    }
  }
  return absl::OkStatus();
}

}  // namespace hub::wire
