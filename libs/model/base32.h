// RFC 4648 base32 in lower case, without padding. Private to libs/model: ids that people copy are made of it.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace hub::model {

std::string Base32Lower(absl::string_view bytes);
// Any case; false on a foreign character, on a length no encoder produces, or when left-over bits are set (so that
// two different texts of one case never stand for the same bytes).
bool Base32Decode(absl::string_view text, std::string* bytes);

}  // namespace hub::model
