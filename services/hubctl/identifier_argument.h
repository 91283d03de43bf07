// An identifier as typed on a command line: TYPE:VALUE, or bare where it tells by itself (+91..., a@b, https://...).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fraudhub::v1 {
class RawIdentifier;
}

namespace hub::hubctl {

// A usage error never repeats the text. The hub decides what is valid; here only the form is read.
absl::StatusOr<fraudhub::v1::RawIdentifier> ParseIdentifierArgument(absl::string_view text);
// For TYPE and VALUE given apart.
absl::StatusOr<fraudhub::v1::RawIdentifier> MakeRawIdentifier(absl::string_view type, absl::string_view value);

}  // namespace hub::hubctl
