#include "services/hubctl/words.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "services/hubctl/failure.h"

namespace hub::hubctl {
namespace {

// "IdentifierType" has values "IDENTIFIER_TYPE_...".
std::string PrefixOf(const google::protobuf::EnumDescriptor* type) {
  std::string prefix;
  for (const char c : type->name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  return prefix + "_";
}

}  // namespace

std::string Word(const google::protobuf::EnumDescriptor* type, int number) {
  if (number == 0) return "";
  const auto* value = type->FindValueByNumber(number);
  return value == nullptr ? absl::StrCat(number) : value->name().substr(PrefixOf(type).size());
}

absl::StatusOr<int> ParseWord(const google::protobuf::EnumDescriptor* type, absl::string_view text) {
  std::string word =
      absl::StrReplaceAll(absl::AsciiStrToUpper(absl::StripAsciiWhitespace(text)), {{"-", "_"}, {" ", "_"}});
  const std::string prefix = PrefixOf(type);
  if (!absl::StartsWith(word, prefix)) word = prefix + word;
  const auto* value = type->FindValueByName(word);
  if (value != nullptr && value->number() != 0) return value->number();
  return Usage(absl::StrCat("want one of ", absl::StrJoin(AllWords(type), ", ")));
}

std::vector<std::string> AllWords(const google::protobuf::EnumDescriptor* type) {
  std::vector<int> numbers;
  for (int i = 0; i < type->value_count(); ++i) {
    if (type->value(i)->number() != 0) numbers.push_back(type->value(i)->number());
  }
  std::sort(numbers.begin(), numbers.end());
  std::vector<std::string> words;
  for (const int number : numbers) words.push_back(Word(type, number));
  return words;
}

}  // namespace hub::hubctl
