// Text-format configuration: everything that is wrong at once, unknown keys are errors, overrides by path.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/wire/wire.h"

namespace hub::wire {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Unknown fields come as warnings, because parsing may go on behind them; here they are problems like the others.
class Collector : public google::protobuf::io::ErrorCollector {
 public:
  explicit Collector(std::vector<std::string>* problems) : problems_(problems) {}
  void AddError(int line, int column, const std::string& message) override {
    problems_->push_back(absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message));
  }
  void AddWarning(int line, int column, const std::string& message) override { AddError(line, column, message); }

 private:
  std::vector<std::string>* const problems_;
};

const EnumValueDescriptor* FindEnum(const FieldDescriptor& field, const std::string& value) {
  const std::string upper = absl::AsciiStrToUpper(value);
  for (int i = 0; i < field.enum_type()->value_count(); ++i) {
    const EnumValueDescriptor* candidate = field.enum_type()->value(i);
    const absl::string_view name = candidate->name();
    // The full name, or the part behind the enum's own prefix.
    if (name == upper || (name.size() > upper.size() && name.substr(name.size() - upper.size()) == upper &&
                          name[name.size() - upper.size() - 1] == '_')) {
      return candidate;
    }
  }
  return nullptr;
}

bool SetField(Message* message, const FieldDescriptor& field, const std::string& value) {
  const Reflection* reflection = message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection->SetString(message, &field, value);
      return true;
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool parsed;
      if (!absl::SimpleAtob(value, &parsed)) return false;
      reflection->SetBool(message, &field, parsed);
      return true;
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t parsed;
      if (!absl::SimpleAtoi(value, &parsed)) return false;
      reflection->SetInt32(message, &field, parsed);
      return true;
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t parsed;
      if (!absl::SimpleAtoi(value, &parsed)) return false;
      reflection->SetInt64(message, &field, parsed);
      return true;
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      uint32_t parsed;
      if (!absl::SimpleAtoi(value, &parsed)) return false;
      reflection->SetUInt32(message, &field, parsed);
      return true;
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t parsed;
      if (!absl::SimpleAtoi(value, &parsed)) return false;
      reflection->SetUInt64(message, &field, parsed);
      return true;
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double parsed;
      if (!absl::SimpleAtod(value, &parsed)) return false;
      reflection->SetDouble(message, &field, parsed);
      return true;
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumValueDescriptor* parsed = FindEnum(field, value);
      if (parsed == nullptr) return false;
      reflection->SetEnum(message, &field, parsed);
      return true;
    }
    default:
      return false;
  }
}

// Braces deeper than any file of ours has them would use up the parser's stack.
constexpr int kDepthMax = 64;

bool TooDeep(absl::string_view text) {
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\') ++i;
      if (c == quote || c == '\n') quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (c == '{' || c == '<' || c == '[') {
      if (++depth > kDepthMax) return true;
    } else if (c == '}' || c == '>' || c == ']') {
      --depth;
    }
  }
  return false;
}

// Empty, or what is wrong with one "path.to.field=value".
std::string Override(const std::string& text, Message* root) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return absl::StrCat("--set ", text, ": want path=value");
  const std::string path = text.substr(0, equals);
  Message* message = root;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr || field->is_repeated()) return absl::StrCat("--set ", path, ": no such setting");
    const bool last = i + 1 == names.size();
    if (last != (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE))
      return absl::StrCat("--set ", path, ": no such setting");
    if (!last) {
      message = message->GetReflection()->MutableMessage(message, field);
    } else if (!SetField(message, *field, text.substr(equals + 1))) {
      return absl::StrCat("--set ", path, ": want a value of type ", field->cpp_type_name());
    }
  }
  return "";
}

}  // namespace

std::vector<std::string> ParseTextConfig(absl::string_view text, const std::vector<std::string>& overrides,
                                         Message* out) {
  if (TooDeep(text)) return {absl::StrCat("braces nested deeper than ", kDepthMax)};
  std::vector<std::string> problems;
  Collector collector(&problems);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.AllowUnknownField(true);
  if (!parser.ParseFromString(std::string(text), out) && problems.empty())
    problems.push_back("not a text of this form");
  for (const std::string& override_text : overrides) {
    std::string problem = Override(override_text, out);
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
  return problems;
}

std::string PrintTextConfig(const Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

}  // namespace hub::wire
