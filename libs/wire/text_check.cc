#include "libs/wire/text_check.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/identifier.h"
#include "libs/model/refusal.h"

namespace hub::wire {
namespace {

using model::RefusalCode;
using model::Refuse;

// The length of the well-formed sequence at the front of `text` and its code point; 0 when there is none.
size_t NextCodePoint(absl::string_view text, uint32_t* code_point) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) {
    *code_point = byte(0);
    return 1;
  }
  size_t length = 0;
  uint32_t least = 0;  // a smaller code point would be an overlong form
  if ((byte(0) & 0xe0) == 0xc0) {
    length = 2, least = 0x80, *code_point = byte(0) & 0x1f;
  } else if ((byte(0) & 0xf0) == 0xe0) {
    length = 3, least = 0x800, *code_point = byte(0) & 0x0f;
  } else if ((byte(0) & 0xf8) == 0xf0) {
    length = 4, least = 0x10000, *code_point = byte(0) & 0x07;
  }
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    *code_point = *code_point << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = *code_point >= 0xd800 && *code_point <= 0xdfff;
  return *code_point < least || *code_point > 0x10ffff || surrogate ? 0 : length;
}

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
