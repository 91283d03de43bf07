// The +91 555 numbers, which no subscriber has, and UPI addresses of a provider that does not exist, in the order in which loads and their judges
// count them. Plain functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hub::bench {

inline constexpr uint64_t kTestNumbers = 10'000'000;

// Scripts use the first million for what they say by hand, so it comes last.
inline uint64_t TestDigits(uint64_t index) { return 5'550'000'000 + (1'000'000 + index) % kTestNumbers; }
inline std::string TestNumber(uint64_t index) { return absl::StrFormat("+91%010d", TestDigits(index)); }
inline std::string TestAddress(uint64_t index) { return absl::StrCat("u", index, "@testpsp"); }

}  // namespace hub::bench
