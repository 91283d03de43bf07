// The hub's fixed words as people type and read them: enum values without their prefix, any case, "-" or "_".
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace google::protobuf {
class EnumDescriptor;
}

namespace hub::hubctl {

// "VERY_HIGH"; unknown numbers (a newer hub's) as digits; zero as "".
std::string Word(const google::protobuf::EnumDescriptor* type, int number);
// Usage error that lists the words when it is none of them; zero is none.
absl::StatusOr<int> ParseWord(const google::protobuf::EnumDescriptor* type, absl::string_view text);
// All words but zero, in order of their numbers.
std::vector<std::string> AllWords(const google::protobuf::EnumDescriptor* type);

}  // namespace hub::hubctl
