#include "services/query/html.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "libs/base/check.h"

namespace hub::query {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

// Bytes of the UTF-8 sequence at the start of `text`; 0: there is none.
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const uint8_t first = byte(0);
  const auto follows = [&](size_t count) {
    for (size_t i = 1; i <= count; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return false;
    }
    return true;
  };
  if (first >= 0xC2 && first <= 0xDF && follows(1)) return 2;
  if ((first & 0xF0) == 0xE0 && follows(2)) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0, surrogate = first == 0xED && byte(1) > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xF0 && first <= 0xF4 && follows(3)) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90, beyond = first == 0xF4 && byte(1) > 0x8F;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

}  // namespace

Html::Html(absl::string_view text) {
  while (!text.empty()) {
    const char c = text[0];
    size_t used = 1;
    if (c == '&') {
      html_ += "&amp;";
    } else if (c == '<') {
      html_ += "&lt;";
    } else if (c == '>') {
      html_ += "&gt;";
    } else if (c == '"') {
      html_ += "&quot;";
    } else if (c == '\'') {
      html_ += "&#39;";
    } else if (absl::ascii_isprint(static_cast<unsigned char>(c))) {
      html_ += c;
    } else if (const size_t length = SequenceLength(text); length > 0) {
      html_.append(text.data(), length);
      used = length;
    } else {
      html_ += kReplacement;
    }
    text.remove_prefix(used);
  }
}

Html Markup(Pattern written, std::initializer_list<Html> parts) {
  const absl::string_view pattern = written.text();
  Html result;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '$') {
      result.html_ += pattern[i];
      continue;
    }
    HUB_CHECK(i + 1 < pattern.size() && absl::ascii_isdigit(static_cast<unsigned char>(pattern[i + 1])));
    const auto part = static_cast<size_t>(pattern[++i] - '0');
    HUB_CHECK(part < parts.size());
    result += parts.begin()[part];
  }
  return result;
}

}  // namespace hub::query
