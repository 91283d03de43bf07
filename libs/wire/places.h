// Inside libs/wire: telecom circles and states as people write them. Tables: research/domain.md section 6, ISO 3166-2:IN.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace hub::wire {

// The LSA code of a circle or one of its aliases ("KTK" -> "KA"), any case; false when unknown.
bool CanonicalCircle(absl::string_view text, std::string* code);
// The part behind "IN-" of a state or union territory, any case, with or without "IN-"; false when unknown.
bool CanonicalState(absl::string_view text, std::string* code);

}  // namespace hub::wire
