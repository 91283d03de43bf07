// Whatever comes in as text goes out as text.
#include "services/query/html.h"

#include <string>

#include "tests/catch.h"

namespace hub::query {
namespace {

TEST_CASE("Text can't become markup, in content or in an attribute", "[query][html]") {
  CHECK(Html("<script>alert(1)</script>").str() == "&lt;script&gt;alert(1)&lt;/script&gt;");
  CHECK(Markup("<a href=\"/$0\">$0</a>", {"\" onclick='x' &amp;"}).str() ==
        "<a href=\"/&quot; onclick=&#39;x&#39; &amp;amp;\">&quot; onclick=&#39;x&#39; &amp;amp;</a>");
  CHECK(Markup("<b>$0</b>", {"$0 $1 $"}).str() == "<b>$0 $1 $</b>");  // a part is no pattern
}

TEST_CASE("Html is taken as it is, and only once", "[query][html]") {
  const Html inner = Markup("<i>$0</i>", {"a<b"});
  CHECK(Markup("$1$0", {inner, Markup("<hr>")}).str() == "<hr><i>a&lt;b</i>");
}

TEST_CASE("Bytes that are no characters of a page are replaced, others kept", "[query][html]") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(Html("\xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4\xE0\xA5\x87 \xF0\x9F\x94\x92").str() ==
        "\xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4\xE0\xA5\x87 \xF0\x9F\x94\x92");
  CHECK(Html(std::string("a\0b\x1b\n", 5)).str() == "a" + bad + "b" + bad + bad);
  CHECK(Html("\xC0\xBC").str() == bad + bad);            // "<", overlong
  CHECK(Html("\xED\xA0\x80").str() == bad + bad + bad);  // half of a surrogate pair
  CHECK(Html("\xF4\x90\x80\x80").str() == bad + bad + bad + bad);
  CHECK(Html("\xE0\xA4").str() == bad + bad);  // cut short
}

}  // namespace
}  // namespace hub::query
