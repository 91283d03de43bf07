#include "fraudhub/status.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"

namespace fraudhub {

std::string Name(Code code) { return absl::StatusCodeToString(static_cast<absl::StatusCode>(code)); }

std::string Status::ToString() const {
  std::string text = Name(code);
  if (static_cast<int>(reason) != 0)
    absl::StrAppend(&text, ": ", hub::model::Name(static_cast<hub::model::RefusalCode>(reason)));
  if (!field.empty()) absl::StrAppend(&text, ": ", field);
  if (!message.empty()) absl::StrAppend(&text, ": ", message);
  return text;
}

}  // namespace fraudhub
