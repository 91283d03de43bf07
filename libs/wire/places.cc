#include "libs/wire/places.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace hub::wire {
namespace {

constexpr absl::string_view kCircles[] = {"AP", "AS", "BR", "DL", "GJ", "HP", "HR", "JK", "KA", "KL", "KO",
                                          "MH", "MP", "MU", "NE", "OR", "PB", "RJ", "TN", "UE", "UW", "WB"};
constexpr absl::string_view kAliases[][2] = {{"KTK", "KA"}, {"MUM", "MU"}, {"UPE", "UE"}, {"UPW", "UW"},
                                             {"KOL", "KO"}, {"CH", "TN"},  {"ORI", "OR"}, {"OD", "OR"}};
// 28 states and 8 union territories; CG and UK are in use beside CT and UT, OD beside OR.
constexpr absl::string_view kStates[] = {"AN", "AP", "AR", "AS", "BR", "CH", "CG", "DH", "DL", "GA", "GJ", "HP", "HR",
                                         "JH", "JK", "KA", "KL", "LA", "LD", "MH", "ML", "MN", "MP", "MZ", "NL", "OD",
                                         "PB", "PY", "RJ", "SK", "TN", "TS", "TR", "UK", "UP", "WB"};
constexpr absl::string_view kStateAliases[][2] = {{"CT", "CG"}, {"UT", "UK"}, {"OR", "OD"}, {"TG", "TS"}, {"DN", "DH"}, {"DD", "DH"}};

template <size_t n, size_t m>
bool Find(const absl::string_view (&codes)[n], const absl::string_view (&aliases)[m][2], absl::string_view text,
          std::string* code) {
  *code = absl::AsciiStrToUpper(text);
  for (const auto& alias : aliases) {
    if (alias[0] == *code) *code = std::string(alias[1]);
  }
  return std::find(std::begin(codes), std::end(codes), *code) != std::end(codes);
}

}  // namespace

bool CanonicalCircle(absl::string_view text, std::string* code) { return Find(kCircles, kAliases, text, code); }

bool CanonicalState(absl::string_view text, std::string* code) {
  const std::string upper = absl::AsciiStrToUpper(text);
  return Find(kStates, kStateAliases, absl::StripPrefix(upper, "IN-"), code);
}

}  // namespace hub::wire
