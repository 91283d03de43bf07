// What a text that somebody sent must be before anything looks at its meaning. Plain functions.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hub::wire {

inline constexpr size_t kTextBytesMax = 64;  // of every text field without a bound of its own; longer is kTooLong
inline constexpr size_t kStakeholderIdBytesMax = 48;

// Well-formed UTF-8 (RFC 3629) without NUL, controls (C0, DEL, C1) and marks that change the direction of text.
bool IsPlainText(absl::string_view text);

// Refuse(kTooLong, kBadCharacter or kSensitiveIdentifierRefused, field, ...). An empty text passes.
absl::Status CheckText(absl::string_view text, absl::string_view field, size_t bytes_max = kTextBytesMax);
// [a-z0-9-], at most 48.
absl::Status CheckStakeholderId(absl::string_view text, absl::string_view field);

}  // namespace hub::wire
