// Identifiers the hub refuses to hold: Aadhaar, PAN and card numbers (DOMAIN.md rule 2).
#include <algorithm>

#include "absl/strings/ascii.h"
#include "libs/model/canonical_forms.h"

namespace hub::model {
namespace {

// Verhoeff's scheme: the dihedral group D5 and a permutation of period 8.
constexpr int kMultiply[10][10] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6},
                                   {3, 4, 0, 1, 2, 8, 9, 5, 6, 7}, {4, 0, 1, 2, 3, 9, 5, 6, 7, 8}, {5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
                                   {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3}, {8, 7, 6, 5, 9, 3, 2, 1, 0, 4},
                                   {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}};
constexpr int kPermute[8][10] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4}, {5, 8, 0, 3, 7, 9, 6, 1, 4, 2},
                                 {8, 9, 1, 6, 0, 4, 3, 5, 2, 7}, {9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
                                 {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8}};

bool VerhoeffValid(absl::string_view digits) {
  int check = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    const int digit = digits[digits.size() - 1 - i] - '0';
    check = kMultiply[check][kPermute[i % 8][digit]];
  }
  return check == 0;
}

bool LooksLikePan(absl::string_view text) {
  if (text.size() != 10) return false;
  for (size_t i = 0; i < 10; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (i >= 5 && i < 9 ? !absl::ascii_isdigit(c) : !absl::ascii_isalpha(c)) return false;
  }
  // The fourth letter names the kind of holder.
  return absl::string_view("ABCFGHJLPTKE").find(absl::ascii_toupper(static_cast<unsigned char>(text[3]))) != absl::string_view::npos;
}

}  // namespace

bool LooksSensitive(absl::string_view raw) {
  std::string digits;
  bool only_digits = true;
  for (const char c : raw) {
    if (c >= '0' && c <= '9') {
      digits.push_back(c);
    } else if (c != ' ' && c != '-') {
      only_digits = false;
    }
  }
  if (!only_digits) return LooksLikePan(raw);
  // Aadhaar never starts with 0 or 1. Twelve digits with 91 in front are a phone number.
  if (digits.size() == 12 && digits[0] >= '2' && digits.substr(0, 2) != "91" && VerhoeffValid(digits)) return true;
  // Cards: 16 digits of the schemes in use, 15 of one that starts with 34 or 37. IMEIs have a Luhn digit too, and other beginnings.
  if (digits.size() == 16 && digits[0] >= '2' && digits[0] <= '6' && LuhnValid(digits)) return true;
  return digits.size() == 15 && (digits.substr(0, 2) == "34" || digits.substr(0, 2) == "37") && LuhnValid(digits);
}

}  // namespace hub::model
