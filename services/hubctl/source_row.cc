#include "services/hubctl/source_row.h"

#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"

namespace hub::hubctl {
namespace {

// Length of the sequence that `lead` starts, 0 when it starts none; `second_min` and `second_max` bound the byte after it.
size_t Sequence(unsigned char lead, unsigned char* second_min, unsigned char* second_max) {
  *second_min = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  *second_max = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    unsigned char low, high;
    const size_t length = Sequence(static_cast<unsigned char>(text[i]), &low, &high);
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if (byte < (k == 1 ? low : 0x80) || byte > (k == 1 ? high : 0xBF)) return false;
    }
    i += length;
  }
  return true;
}

absl::Status CheckUtf8(const std::vector<std::string>& fields, const std::vector<std::string>& header) {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (IsUtf8(fields[i])) continue;
    const std::string column = i < header.size() ? header[i] : absl::StrCat(i + 1);
    return model::Refuse(model::RefusalCode::kBadCharacter, "", absl::StrCat("column '", column, "': want UTF-8"));
  }
  return absl::OkStatus();
}

}  // namespace hub::hubctl
