// An identifier in canonical form, and the one way to get there from what people send.
//
// Equal identifiers written differently have equal (type, canonical). Canonicalise is total (any bytes, linear time), idempotent
// (its output canonicalises to itself) and never guesses between types. Forms and checks: research/domain.md section 7,
// one table in identifier.cc. Thread safety: plain functions.
//
//   auto canonical = Canonicalise(IdentifierType::kMobile, "0 55512-34567", LineKind::kMobile, {.allow_test_range = true});
//   canonical->identifier.canonical == "+915551234567"
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/vocabulary.h"

namespace hub::model {

inline constexpr size_t kIdentifierBytesMax = 2048;  // raw input; longer is refused with kTooLong

struct Identifier {
  IdentifierType type = IdentifierType::kUnspecified;
  std::string canonical;
  friend bool operator==(const Identifier&, const Identifier&) = default;
  friend auto operator<=>(const Identifier&, const Identifier&) = default;
};

enum class Relation : uint8_t {
  kUnspecified = 0,
  kUpiAddressOf = 1,  // the UPI address carries this number
  kHostOf = 2,        // the URL is on this host
  kSameHandset = 3,
  kSamePointOfSale = 4,
  kAccountOf = 5,
  kCalledWith = 6,
  // The other way round, as answers have them; nothing is stored so.
  kHasUpiAddress = 7,
  kHasUrl = 8,
  kHasAccount = 9,
};

// What b is to a, where a is this to b.
Relation Inverse(Relation relation);

struct Link {
  Relation relation = Relation::kUnspecified;
  Identifier identifier;
  friend bool operator==(const Link&, const Link&) = default;
};

struct CanonicalIdentifier {
  Identifier identifier;
  LineKind line_kind = LineKind::kUnspecified;  // phone numbers only
  std::vector<Link> links;                      // what the identifier itself tells: at most 2
  // SMS headers as sent carry a letter for the operator, the circle and the kind of message around their core, VM-TESTBK-S; 0: none.
  char header_operator = 0;
  char header_circle = 0;
  char header_suffix = 0;
};

struct CanonicaliseOptions {
  bool allow_test_range = false;  // +91 555 xxx xxxx, which no subscriber has
};

// Errors: Refuse(...) with field "value" (the caller prefixes its path).
// `type` may be kUnspecified for phone-like and self-describing input (+..., URL with scheme, address with @): then the type is
// derived when only one fits, else kAmbiguousIdentifier.
absl::StatusOr<CanonicalIdentifier> Canonicalise(IdentifierType type, absl::string_view raw, LineKind line_kind,
                                                 const CanonicaliseOptions& options);

// 1600/1601, toll-free and helplines: never flagged automatically. (Rules add lists of their own.)
bool IsProtectedType(IdentifierType type);
bool IsPhone(IdentifierType type);

// The exact fast path for +91 mobiles, no allocation; false when `raw` is not plainly one (then the slow path decides).
// `digits` receives the ten digits as a number. Cost: tens of nanoseconds.
bool ParseIndianMobile(absl::string_view raw, bool allow_test_range, uint64_t* digits);

// Aadhaar (12 digits with a Verhoeff check digit), PAN, or a card number (13-19 digits with a Luhn check digit).
bool LooksSensitive(absl::string_view raw);

}  // namespace hub::model
