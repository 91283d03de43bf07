// HTML that can't be mistaken for text: there are two ways to make some, a pattern written in the source and a text that gets escaped.
//
//   Html row = Markup("<tr><td>$0</td><td class=\"$1\">$2</td></tr>", {stakeholder, "alarm", Link(...)});
//
// Plain values.
#pragma once

#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"

namespace hub::query {

// A pattern written in the source: it can't be made at run time. $0 to $9 stand for the parts.
class Pattern {
 public:
  consteval Pattern(const char* text) : text_(text) {}  // NOLINT(google-explicit-constructor)
  absl::string_view text() const { return text_; }

 private:
  const char* text_;
};

class Html {
 public:
  Html() = default;
  // Escaped for content and for attributes in double quotes. Bytes that aren't UTF-8 and control characters become U+FFFD.
  Html(absl::string_view text);  // NOLINT(google-explicit-constructor): text is always safe to become HTML
  Html(const char* text) : Html(absl::string_view(text)) {}         // NOLINT(google-explicit-constructor)
  Html(const std::string& text) : Html(absl::string_view(text)) {}  // NOLINT(google-explicit-constructor)

  Html& operator+=(const Html& more) {
    html_ += more.html_;
    return *this;
  }
  bool empty() const { return html_.empty(); }
  const std::string& str() const { return html_; }

 private:
  friend Html Markup(Pattern pattern, std::initializer_list<Html> parts);
  std::string html_;
};

Html Markup(Pattern pattern, std::initializer_list<Html> parts = {});

}  // namespace hub::query
