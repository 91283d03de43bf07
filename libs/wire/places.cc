#include "libs/wire/places.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace hub::wire {
namespace {

constexpr absl::string_view kCircles[] = {"AP", "AS", "BR", "DL", "GJ", "HP", "HR", "JK", "KA", "KL", "KO",
                                          "MH", "MP", "MU", "NE", "OR", "PB", "RJ", "TN", "UE", "UW", "WB"};
constexpr absl::string_view kAliases[][2] = {{"KTK", "KA"}, {"MUM", "MU"}, {"UPE", "UE"}, {"UPW", "UW"},
                                             {"KOL", "KO"}, {"CH", "TN"},  {"ORI", "OR"}, {"OD", "OR"}};
// 28 states and 8 union territories; CG and UK are in use beside CT and UT, OD beside OR.
constexpr absl::string_view kStates[] = {"AN", "AP", "AR", "AS", "BR", "CH", "CG", "DH", "DL", "GA", "GJ", "HP",
                                         "HR", "JH", "JK", "KA", "KL", "LA", "LD", "MH", "ML", "MN", "MP", "MZ",
                                         "NL", "OD", "PB", "PY", "RJ", "SK", "TN", "TS", "TR", "UK", "UP", "WB"};
constexpr absl::string_view kStateAliases[][2] = {{"CT", "CG"}, {"UT", "UK"}, {"OR", "OD"},
                                                  {"TG", "TS"}, {"DN", "DH"}, {"DD", "DH"}};

// Every code has two letters, so a set of them is a table.
constexpr size_t kPairs = 26 * 26;
constexpr size_t PairOf(absl::string_view upper) {
  if (upper.size() != 2) return kPairs;
  const auto first = static_cast<size_t>(upper[0] - 'A'), second = static_cast<size_t>(upper[1] - 'A');
  return first < 26 && second < 26 ? first * 26 + second : kPairs;
}
template <size_t n>
constexpr std::array<bool, kPairs + 1> SetOf(const absl::string_view (&codes)[n]) {
  std::array<bool, kPairs + 1> set{};
  for (const absl::string_view code : codes) set[PairOf(code)] = true;
  return set;
}
constexpr auto kIsCircle = SetOf(kCircles);
constexpr auto kIsState = SetOf(kStates);
static_assert(!kIsCircle[kPairs] && !kIsState[kPairs]);

template <size_t m>
bool Find(const std::array<bool, kPairs + 1>& codes, const absl::string_view (&aliases)[m][2], absl::string_view upper,
          std::string* code) {
  for (const auto& alias : aliases) {
    if (!codes[PairOf(upper)] && alias[0] == upper) upper = alias[1];
  }
  code->assign(upper.data(), upper.size());
  return codes[PairOf(upper)];
}

}  // namespace

bool CanonicalCircle(absl::string_view text, std::string* code) {
  return Find(kIsCircle, kAliases, absl::AsciiStrToUpper(text), code);
}

bool CanonicalState(absl::string_view text, std::string* code) {
  const std::string upper = absl::AsciiStrToUpper(text);
  return Find(kIsState, kStateAliases, absl::StripPrefix(upper, "IN-"), code);
}

}  // namespace hub::wire
