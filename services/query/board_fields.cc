#include "services/query/board_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "fraudhub/v1/vocabulary.pb.h"
#include "libs/rpc/proto_time.h"

namespace hub::query {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string LabelOf(const FieldDescriptor* field) {
  absl::string_view name = field->name();
  absl::ConsumeSuffix(&name, "_paise");  // shown in rupees
  std::string label = absl::StrReplaceAll(name, {{"_", " "}});
  label[0] = absl::ascii_toupper(static_cast<unsigned char>(label[0]));
  return label;
}

Html EnumValue(const google::protobuf::EnumDescriptor* type, int number) {
  const std::string word = EnumWord(type, number);
  if (type != fraudhub::v1::Level_descriptor()) return word;
  return Markup("<b class=\"level $0\">$0</b>", {word});
}

Html MessageValue(const Message& value) {
  if (const auto* stamp = dynamic_cast<const google::protobuf::Timestamp*>(&value)) return IndianTime(*stamp);
  // Identifiers and links: their fields one after the other.
  std::vector<const FieldDescriptor*> fields;
  value.GetReflection()->ListFields(value, &fields);
  Html shown;
  for (const FieldDescriptor* field : fields) {
    if (!shown.empty()) shown += " ";
    const auto* reflection = value.GetReflection();
    if (field->is_repeated()) continue;  // none of theirs is
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_ENUM:
        shown += EnumValue(field->enum_type(), reflection->GetEnumValue(value, field));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        shown += reflection->GetString(value, field);
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        shown += MessageValue(reflection->GetMessage(value, field));
        break;
      default:
        break;
    }
  }
  return shown;
}

// Of a repeated field the value at `index`.
Html ValueOf(const Message& message, const FieldDescriptor* field, int index) {
  const auto* reflection = message.GetReflection();
  const bool many = field->is_repeated();
  const auto number = [&](auto value) -> Html {
    if (absl::EndsWith(field->name(), "_paise")) return absl::StrFormat("Rs %.2f", static_cast<double>(value) / 100);
    return absl::StrCat(value);
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumValue(field->enum_type(), many ? reflection->GetRepeatedEnumValue(message, field, index)
                                                : reflection->GetEnumValue(message, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return many ? reflection->GetRepeatedString(message, field, index) : reflection->GetString(message, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageValue(many ? reflection->GetRepeatedMessage(message, field, index)
                               : reflection->GetMessage(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return "yes";  // it is set, or it would not be listed
    case FieldDescriptor::CPPTYPE_UINT32:
      return many ? Html() : number(reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return many ? Html() : number(reflection->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return many ? Html() : number(reflection->GetInt64(message, field));
    default:
      return {};  // nothing that is shown has others
  }
}

Html AllValues(const Message& message, const FieldDescriptor* field) {
  if (!field->is_repeated()) return ValueOf(message, field, 0);
  Html shown;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    if (i > 0) shown += Markup("<br>");
    shown += ValueOf(message, field, i);
  }
  return shown;
}

bool IsSet(const Message& message, const FieldDescriptor* field) {
  return field->is_repeated() ? message.GetReflection()->FieldSize(message, field) > 0
                              : message.GetReflection()->HasField(message, field);
}

}  // namespace

std::string EnumWord(const google::protobuf::EnumDescriptor* type, int number) {
  if (number == 0) return "";
  const auto* value = type->FindValueByNumber(number);
  if (value == nullptr) return absl::StrCat(number);
  // "LEVEL_HIGH", of a type whose zero is "LEVEL_UNSPECIFIED".
  absl::string_view word = value->name(), prefix = type->FindValueByNumber(0)->name();
  absl::ConsumeSuffix(&prefix, "UNSPECIFIED");
  absl::ConsumePrefix(&word, prefix);
  return std::string(word);
}

Html IndianTime(absl::Time time) {
  if (!rpc::IsFinite(time)) return {};
  return Markup("<time>$0</time>", {absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::FixedTimeZone(5 * 3600 + 1800))});
}

Html IndianTime(const google::protobuf::Timestamp& stamp) {
  return stamp.seconds() == 0 && stamp.nanos() == 0 ? Html() : IndianTime(rpc::FromProto(stamp));
}

Html FieldList(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  Html rows;
  for (const FieldDescriptor* field : fields) {
    rows += Markup("<dt>$0</dt><dd>$1</dd>\n", {LabelOf(field), AllValues(message, field)});
  }
  return Markup("<dl>\n$0</dl>\n", {rows});
}

Html FieldTable(const std::vector<const Message*>& messages) {
  if (messages.empty()) return {};
  std::vector<const FieldDescriptor*> columns;
  const auto* type = messages[0]->GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    for (const Message* message : messages) {
      if (!IsSet(*message, type->field(i))) continue;
      columns.push_back(type->field(i));
      break;
    }
  }
  Html head, rows;
  for (const FieldDescriptor* column : columns) head += Markup("<th>$0</th>", {LabelOf(column)});
  for (const Message* message : messages) {
    Html row;
    for (const FieldDescriptor* column : columns) {
      row += Markup("<td>$0</td>", {IsSet(*message, column) ? AllValues(*message, column) : Html()});
    }
    rows += Markup("<tr>$0</tr>\n", {row});
  }
  return Markup("<table>\n<thead><tr>$0</tr></thead>\n<tbody>\n$1</tbody></table>\n", {head, rows});
}

}  // namespace hub::query
