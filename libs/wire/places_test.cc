// Circles and states as people write them.
#include "libs/wire/places.h"

#include "tests/catch.h"

namespace hub::wire {
namespace {

TEST_CASE("codes are known in any case, by their aliases, and nothing else is", "[wire][places]") {
  struct Case {
    bool (*find)(absl::string_view, std::string*);
    const char* text;
    const char* code;  // null: unknown
  };
  for (const Case& c :
       {Case{CanonicalCircle, "AP", "AP"}, Case{CanonicalCircle, "wb", "WB"}, Case{CanonicalCircle, "ktk", "KA"},
        Case{CanonicalCircle, "CH", "TN"}, Case{CanonicalCircle, "OD", "OR"}, Case{CanonicalCircle, "UP", nullptr},
        Case{CanonicalCircle, "", nullptr}, Case{CanonicalCircle, "A", nullptr}, Case{CanonicalCircle, "A[", nullptr},
        Case{CanonicalCircle, "KAX", nullptr}, Case{CanonicalState, "IN-MH", "MH"}, Case{CanonicalState, "in-tg", "TS"},
        Case{CanonicalState, "wb", "WB"}, Case{CanonicalState, "OR", "OD"}, Case{CanonicalState, "DD", "DH"},
        Case{CanonicalState, "CH", "CH"}, Case{CanonicalState, "IN-ZZ", nullptr}, Case{CanonicalState, "IN-", nullptr},
        Case{CanonicalState, "\xff\xfe", nullptr}}) {
    INFO(c.text);
    std::string code;
    CHECK(c.find(c.text, &code) == (c.code != nullptr));
    if (c.code != nullptr) CHECK(code == c.code);
  }
}

}  // namespace
}  // namespace hub::wire
