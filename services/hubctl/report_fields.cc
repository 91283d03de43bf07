#include "services/hubctl/report_fields.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "services/hubctl/failure.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;

struct Named {
  ReportField field;
  const char* name;  // here
  const char* path;  // in the API
};
constexpr std::array<Named, 20> kFields = {{
    {ReportField::kKind, "kind", "kind"},
    {ReportField::kType, "type", "identifier.type"},
    {ReportField::kIdentifier, "identifier", "identifier.value"},
    {ReportField::kLineKind, "line_kind", "identifier.line_kind"},
    {ReportField::kObservedAt, "observed_at", "observed_at"},
    {ReportField::kReason, "reason", "reason"},
    {ReportField::kCategory, "category", "category"},
    {ReportField::kCitizen, "citizen", "citizen_pseudonym"},
    {ReportField::kState, "state", "victim_state"},
    {ReportField::kSuspectState, "suspect_state", "suspect_state"},
    {ReportField::kCircle, "lsa", "circle_of_issue"},
    {ReportField::kUnit, "unit", "handling_unit"},
    {ReportField::kCase, "case", "case_ref"},
    {ReportField::kVictimPhone, "victim_phone", "victim_phone"},
    {ReportField::kOperator, "operator", "operator_id"},
    {ReportField::kAmountRupees, "amount_rupees", "amount_paise"},
    {ReportField::kAmountPaise, "amount_paise", "amount_paise"},
    {ReportField::kTracedWith, "traced_with", "traced_with"},
    {ReportField::kReportId, "report_id", "report_id"},
    {ReportField::kIfsc, "ifsc", "identifier.value"},
}};

const Named& Of(ReportField field) {
  for (const Named& named : kFields) {
    if (named.field == field) return named;
  }
  base::CheckFailed(__FILE__, __LINE__, "every field is in the table");
}

template <class Enum, class Setter>
absl::Status SetWord(const google::protobuf::EnumDescriptor* type, absl::string_view text, const char* path,
                     Setter set) {
  const auto number = ParseWord(type, text);
  if (!number.ok()) return model::Refuse(RefusalCode::kBadFormat, path, number.status().message());
  set(static_cast<Enum>(*number));
  return absl::OkStatus();
}

// "12,34,567.50", with or without a rupee sign, exactly.
absl::StatusOr<int64_t> PaiseOf(absl::string_view text) {
  const std::string plain =
      absl::StrReplaceAll(text, {{",", ""}, {"\xE2\x82\xB9", ""}, {"Rs.", ""}, {"Rs", ""}, {" ", ""}});
  const size_t point = plain.find('.');
  std::string fraction = point == std::string::npos ? "" : plain.substr(point + 1);
  const std::string whole = plain.substr(0, point);
  while (fraction.size() > 2 && fraction.back() == '0') fraction.pop_back();
  if (whole.empty() || whole.find_first_not_of("0123456789") != std::string::npos || fraction.size() > 2 ||
      fraction.find_first_not_of("0123456789") != std::string::npos) {
    return model::Refuse(RefusalCode::kBadFormat, "amount_paise", "want rupees such as 12500 or 1,25,000.50");
  }
  fraction.resize(2, '0');
  int64_t paise;
  if (!absl::SimpleAtoi(whole + fraction, &paise)) {
    return model::Refuse(RefusalCode::kOutOfRange, "amount_paise", "is more than the hub can hold");
  }
  return paise;
}

absl::Status SetTime(absl::string_view text, const TimeReading& times, v1::Report* report) {
  absl::Time time;
  if (times.format.empty()) {
    const auto parsed = ParseWhen(text, times.zone);
    if (!parsed.ok()) return model::Refuse(RefusalCode::kBadFormat, "observed_at", parsed.status().message());
    time = *parsed;
  } else if (!absl::ParseTime(times.format, text, times.zone, &time, nullptr) || time == absl::InfinitePast() ||
             time == absl::InfiniteFuture()) {
    return model::Refuse(RefusalCode::kBadFormat, "observed_at", absl::StrCat("want a time as ", times.format));
  }
  *report->mutable_observed_at() = ToTimestamp(time);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ReportField> ParseReportField(absl::string_view name) {
  std::vector<absl::string_view> names;
  for (const Named& named : kFields) {
    if (absl::AsciiStrToLower(name) == named.name) return named.field;
    names.push_back(named.name);
  }
  return Usage(absl::StrCat("unknown field '", name, "', want one of ", absl::StrJoin(names, ", ")));
}

absl::string_view NameOf(ReportField field) { return Of(field).name; }

const std::vector<ReportField>& AllReportFields() {
  static const auto* const all = [] {
    auto* fields = new std::vector<ReportField>;
    for (const Named& named : kFields) fields->push_back(named.field);
    return fields;
  }();
  return *all;
}

absl::Status SetReportField(ReportField field, absl::string_view untrimmed, const TimeReading& times,
                            v1::Report* report) {
  const absl::string_view text = absl::StripAsciiWhitespace(untrimmed);
  if (text.empty()) return absl::OkStatus();
  const char* path = Of(field).path;
  const std::string value(text);
  switch (field) {
    case ReportField::kKind:
      return SetWord<v1::InputKind>(v1::InputKind_descriptor(), text, path, [&](auto v) { report->set_kind(v); });
    case ReportField::kType:
      return SetWord<v1::IdentifierType>(v1::IdentifierType_descriptor(), text, path,
                                         [&](auto v) { report->mutable_identifier()->set_type(v); });
    case ReportField::kLineKind:
      return SetWord<v1::LineKind>(v1::LineKind_descriptor(), text, path,
                                   [&](auto v) { report->mutable_identifier()->set_line_kind(v); });
    case ReportField::kReason:
      return SetWord<v1::Reason>(v1::Reason_descriptor(), text, path, [&](auto v) { report->set_reason(v); });
    case ReportField::kCategory:
      return SetWord<v1::FraudCategory>(v1::FraudCategory_descriptor(), text, path,
                                        [&](auto v) { report->set_category(v); });
    case ReportField::kObservedAt:
      return SetTime(text, times, report);
    case ReportField::kIdentifier:
      report->mutable_identifier()->set_value(value);
      break;
    case ReportField::kCitizen:
      report->set_citizen_pseudonym(value);
      break;
    case ReportField::kState:
      report->set_victim_state(value);
      break;
    case ReportField::kSuspectState:
      report->set_suspect_state(value);
      break;
    case ReportField::kCircle:
      report->set_circle_of_issue(value);
      break;
    case ReportField::kUnit:
      report->set_handling_unit(value);
      break;
    case ReportField::kCase:
      report->set_case_ref(value);
      break;
    case ReportField::kVictimPhone:
      report->set_victim_phone(value);
      break;
    case ReportField::kOperator:
      report->set_operator_id(value);
      break;
    case ReportField::kTracedWith:
      report->set_traced_with(value);
      break;
    case ReportField::kReportId:
      report->set_report_id(value);
      break;
    case ReportField::kAmountRupees: {
      HUB_ASSIGN_OR_RETURN(const int64_t paise, PaiseOf(text));
      report->set_amount_paise(paise);
      break;
    }
    case ReportField::kAmountPaise: {
      int64_t paise;
      if (!absl::SimpleAtoi(text, &paise) || paise < 0) {
        return model::Refuse(RefusalCode::kBadFormat, path, "want paise, a whole number that is not negative");
      }
      report->set_amount_paise(paise);
      break;
    }
    case ReportField::kIfsc:
      break;
  }
  return absl::OkStatus();
}

}  // namespace hub::hubctl
