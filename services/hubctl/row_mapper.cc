#include "services/hubctl/row_mapper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/model/report_id.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kAnyOther[] = "*";

bool Has(const ColumnMap& map, ReportField field) {
  return std::any_of(map.columns.begin(), map.columns.end(), [&](const auto& one) { return one.second == field; }) ||
         std::any_of(map.constants.begin(), map.constants.end(), [&](const auto& one) { return one.first == field; });
}

}  // namespace

std::string RowReportId(const std::string& list_id, uint64_t row_number) {
  return model::ToText(model::MakeNameBasedId(list_id, absl::StrCat(row_number)));
}

absl::StatusOr<RowMapper> RowMapper::Bind(ColumnMap map, const std::vector<std::string>& header, std::string list_id,
                                          absl::Time default_observed_at) {
  RowMapper mapper;
  std::vector<std::string> missing;
  for (const auto& [name, field] : map.columns) {
    const std::string wanted = absl::AsciiStrToLower(name);
    const auto found = std::find_if(header.begin(), header.end(),
                                    [&](const std::string& one) { return absl::AsciiStrToLower(one) == wanted; });
    if (found == header.end()) {
      missing.push_back(absl::StrCat("'", name, "'"));
    } else {
      mapper.columns_.push_back({static_cast<size_t>(found - header.begin()), field});
    }
  }
  if (!missing.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("line 1: the header has no column ", absl::StrJoin(missing, ", "),
                                                   "; it has '", absl::StrJoin(header, "', '"), "'"));
  }
  if (!Has(map, ReportField::kIdentifier) || !Has(map, ReportField::kKind)) {
    return absl::InvalidArgumentError(
        "line 1: want columns 'kind' and 'identifier' at least, or --map for a layout of another name");
  }
  auto constants = std::make_shared<v1::Report>();
  for (const auto& [field, text] : map.constants)
    HUB_RETURN_IF_ERROR(SetReportField(field, text, map.times, constants.get()));
  constants->set_list_id(list_id);
  mapper.constants_ = std::move(constants);
  mapper.map_ = std::move(map);
  mapper.list_id_ = std::move(list_id);
  mapper.default_observed_at_ = default_observed_at;
  return mapper;
}

absl::Status RowMapper::Fill(const SourceRow& row, v1::Report* report) const {
  *report = *constants_;
  std::string observed_at;
  absl::string_view ifsc;
  for (const Bound& bound : columns_) {
    absl::string_view text = absl::StripAsciiWhitespace(row.fields[bound.column]);
    if (text.empty()) continue;
    if (const auto words = map_.words.find(bound.field); words != map_.words.end()) {
      auto ours = words->second.find(absl::AsciiStrToLower(text));
      if (ours == words->second.end()) ours = words->second.find(kAnyOther);
      if (ours != words->second.end()) text = ours->second;
    }
    if (bound.field == ReportField::kObservedAt) {  // a date and a time, perhaps
      absl::StrAppend(&observed_at, observed_at.empty() ? "" : " ", text);
    } else if (bound.field == ReportField::kIfsc) {
      ifsc = text;
    } else {
      HUB_RETURN_IF_ERROR(SetReportField(bound.field, text, map_.times, report));
    }
  }
  HUB_RETURN_IF_ERROR(SetReportField(ReportField::kObservedAt, observed_at, map_.times, report));
  if (!report->has_observed_at()) *report->mutable_observed_at() = ToTimestamp(default_observed_at_);
  v1::RawIdentifier* identifier = report->mutable_identifier();
  if (identifier->value().empty()) return model::Refuse(model::RefusalCode::kMissing, "identifier.value", "is empty");
  if (!ifsc.empty() && identifier->type() == v1::IDENTIFIER_TYPE_BANK_ACCOUNT) {
    identifier->set_value(absl::StrCat(ifsc, ":", identifier->value()));
  }
  // Who says what type of number it is, says what kind of line it is.
  if (identifier->line_kind() == v1::LINE_KIND_UNSPECIFIED) {
    if (identifier->type() == v1::IDENTIFIER_TYPE_MOBILE) identifier->set_line_kind(v1::LINE_KIND_MOBILE);
    if (identifier->type() == v1::IDENTIFIER_TYPE_LANDLINE) identifier->set_line_kind(v1::LINE_KIND_FIXED);
  }
  if (report->report_id().empty()) report->set_report_id(RowReportId(list_id_, row.number));
  return absl::OkStatus();
}

}  // namespace hub::hubctl
