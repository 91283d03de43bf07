// Messages of fraudhub.v1 as the board's pages show them: whatever fields are set, so whatever redaction left, and no others. Plain functions.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/query/html.h"

namespace google::protobuf {
class EnumDescriptor;
class Message;
class Timestamp;
}  // namespace google::protobuf

namespace hub::query {

// "VERY_HIGH": an enum's value without the name of its type; unknown numbers as digits; zero as "".
std::string EnumWord(const google::protobuf::EnumDescriptor* type, int number);
// Indian time, "2026-03-08 14:30:05", as <time>; empty when infinite or unset.
Html IndianTime(absl::Time time);
Html IndianTime(const google::protobuf::Timestamp& stamp);

// A list of names and values.
Html FieldList(const google::protobuf::Message& message);
// A row for each message (all of one type), a column for each field that any of them has.
Html FieldTable(const std::vector<const google::protobuf::Message*>& messages);

}  // namespace hub::query
