#include "libs/wire/utf8.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"

namespace hub::wire {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

absl::Status CheckOne(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* const reflection = message.GetReflection();
  const bool many = field->is_repeated();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return CheckUtf8(many ? reflection->GetRepeatedMessage(message, field, index)
                          : reflection->GetMessage(message, field));
  }
  if (field->type() != FieldDescriptor::TYPE_STRING) return absl::OkStatus();  // bytes are whatever they are
  std::string copy;
  const std::string& text = many ? reflection->GetRepeatedStringReference(message, field, index, &copy)
                                 : reflection->GetStringReference(message, field, &copy);
  if (IsUtf8(text)) return absl::OkStatus();
  return model::Refuse(model::RefusalCode::kBadCharacter, "", "want UTF-8");
}

}  // namespace

size_t NextCodePoint(absl::string_view text, uint32_t* code_point) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) {
    *code_point = byte(0);
    return 1;
  }
  size_t length = 0;
  uint32_t least = 0;  // a smaller code point would be an overlong form
  if ((byte(0) & 0xe0) == 0xc0) {
    length = 2, least = 0x80, *code_point = byte(0) & 0x1f;
  } else if ((byte(0) & 0xf0) == 0xe0) {
    length = 3, least = 0x800, *code_point = byte(0) & 0x0f;
  } else if ((byte(0) & 0xf8) == 0xf0) {
    length = 4, least = 0x10000, *code_point = byte(0) & 0x07;
  }
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    *code_point = *code_point << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = *code_point >= 0xd800 && *code_point <= 0xdfff;
  return *code_point < least || *code_point > 0x10ffff || surrogate ? 0 : length;
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    uint32_t code_point = 0;
    const size_t length = NextCodePoint(text, &code_point);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

absl::Status CheckUtf8(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated()) {
      HUB_RETURN_IF_ERROR(model::WithFieldPrefix(CheckOne(message, field, 0), field->name()));
      continue;
    }
    const int count = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < count; ++i) {
      const absl::Status status = CheckOne(message, field, i);
      if (!status.ok()) return model::WithFieldPrefix(status, absl::StrCat(field->name(), "[", i, "]"));
    }
  }
  return absl::OkStatus();
}

}  // namespace hub::wire
