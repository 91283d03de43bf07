#include "services/hubctl/column_map.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "services/hubctl/failure.h"
#include "services/hubctl/source_row.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

// Words and "=" of one line.
absl::StatusOr<std::vector<std::string>> Split(absl::string_view line) {
  std::vector<std::string> words;
  size_t i = 0;
  while (i < line.size()) {
    if (absl::ascii_isspace(static_cast<unsigned char>(line[i]))) {
      ++i;
    } else if (line[i] == '#') {
      break;
    } else if (line[i] == '=') {
      words.emplace_back("=");
      ++i;
    } else if (line[i] == '"') {
      std::string word;
      bool closed = false;
      for (++i; i < line.size() && !closed; ++i) {
        if (line[i] != '"') {
          word += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          word += line[i++];
        } else {
          closed = true;
        }
      }
      if (!closed) return Usage("a quote is never closed");
      words.push_back(std::move(word));
    } else {
      const size_t from = i;
      while (i < line.size() && line[i] != '=' && line[i] != '"' &&
             !absl::ascii_isspace(static_cast<unsigned char>(line[i])))
        ++i;
      words.emplace_back(line.substr(from, i - from));
    }
  }
  return words;
}

// Is `text` a value that `field` takes at all?
absl::Status CheckConstant(ReportField field, const std::string& text, const TimeReading& times) {
  fraudhub::v1::Report report;
  const absl::Status status = SetReportField(field, text, times, &report);
  if (status.ok()) return status;
  const auto refusal = model::RefusalOf(status);
  return Usage(absl::StrCat(NameOf(field), ": ", refusal ? refusal->message : std::string(status.message())));
}

class MapParser {
 public:
  explicit MapParser(ColumnMap* map) : map_(map) {}

  absl::Status Line(const std::vector<std::string>& words) {
    if (words[0] == "column" && words.size() == 4 && words[2] == "=") return Column(words[1], words[3]);
    if (words[0] == "constant" && words.size() == 4 && words[2] == "=") return Constant(words[1], words[3]);
    if (words[0] == "value" && words.size() == 5 && words[3] == "=") return Value(words[1], words[2], words[4]);
    if (words[0] == "time_format" && words.size() == 3 && words[1] == "=") {
      map_->times.format = words[2];
      return absl::OkStatus();
    }
    if (words[0] == "time_zone" && words.size() == 3 && words[1] == "=") {
      HUB_ASSIGN_OR_RETURN(map_->times.zone, ParseZone(words[2]));
      return absl::OkStatus();
    }
    if (words[0] == "delimiter" && words.size() == 3 && words[1] == "=") return Delimiter(words[2]);
    return Usage(
        "want column NAME = FIELD, constant FIELD = VALUE, value FIELD TEXT = VALUE, time_format = FORMAT, time_zone = "
        "ZONE "
        "or delimiter = CHARACTER; words with blanks in double quotes");
  }

  // What can be judged only when all lines are known.
  std::vector<std::string> CheckWhole() const {
    std::vector<std::string> problems;
    bool identifier = false, kind = false;
    for (const auto& [name, field] : map_->columns) {
      identifier = identifier || field == ReportField::kIdentifier;
      kind = kind || field == ReportField::kKind;
    }
    for (const auto& [field, text] : map_->constants) {
      kind = kind || field == ReportField::kKind;
      if (const absl::Status status = CheckConstant(field, text, map_->times); !status.ok()) {
        problems.push_back(absl::StrCat("constant ", status.message()));
      }
    }
    if (!identifier) problems.emplace_back("no column is the identifier");
    if (!kind) problems.emplace_back("no column and no constant is the kind");
    return problems;
  }

 private:
  absl::Status Column(const std::string& name, const std::string& field_name) {
    HUB_ASSIGN_OR_RETURN(const ReportField field, ParseReportField(field_name));
    for (const auto& [other_name, other] : map_->columns) {
      if (other == field && field != ReportField::kObservedAt) {
        return Usage(absl::StrCat("field '", field_name, "' has a column already"));
      }
      if (absl::AsciiStrToLower(other_name) == absl::AsciiStrToLower(name) && other == field) {
        return Usage(absl::StrCat("column '", name, "' comes twice"));
      }
    }
    map_->columns.emplace_back(name, field);
    return absl::OkStatus();
  }
  absl::Status Constant(const std::string& field_name, const std::string& text) {
    HUB_ASSIGN_OR_RETURN(const ReportField field, ParseReportField(field_name));
    if (field == ReportField::kIdentifier || field == ReportField::kReportId) {
      return Usage(absl::StrCat("field '", field_name, "' can't be the same in every row"));
    }
    if (std::any_of(map_->constants.begin(), map_->constants.end(),
                    [&](const auto& one) { return one.first == field; })) {
      return Usage(absl::StrCat("field '", field_name, "' has a constant already"));
    }
    map_->constants.emplace_back(field, text);
    return absl::OkStatus();
  }
  absl::Status Value(const std::string& field_name, const std::string& theirs, const std::string& ours) {
    HUB_ASSIGN_OR_RETURN(const ReportField field, ParseReportField(field_name));
    if (field != ReportField::kObservedAt) HUB_RETURN_IF_ERROR(CheckConstant(field, ours, map_->times));
    if (!map_->words[field].emplace(absl::AsciiStrToLower(theirs), ours).second) {
      return Usage(absl::StrCat("'", theirs, "' has a value already"));
    }
    return absl::OkStatus();
  }
  absl::Status Delimiter(const std::string& text) {
    const std::string one = text == "tab" ? "\t" : text;
    if (one.size() != 1 || one == "\"" || one == "\n" || one == "\r")
      return Usage("delimiter: want one character, or tab");
    map_->delimiter = one[0];
    return absl::OkStatus();
  }

  ColumnMap* const map_;
};

}  // namespace

std::vector<std::string> ParseColumnMap(absl::string_view text, ColumnMap* map) {
  *map = {};
  MapParser parser(map);
  std::vector<std::string> problems;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    absl::StatusOr<std::vector<std::string>> words = Split(line);
    absl::Status status = words.status();
    if (status.ok() && !IsUtf8(line)) status = Usage("want UTF-8");
    if (status.ok() && !words->empty()) status = parser.Line(*words);
    if (!status.ok()) problems.push_back(absl::StrCat("line ", number, ": ", status.message()));
  }
  // With lines missing, what the whole lacks would mislead.
  if (problems.empty()) problems = parser.CheckWhole();
  return problems;
}

ColumnMap MapByName(const std::vector<std::string>& header) {
  ColumnMap map;
  for (const std::string& name : header) {
    if (const auto field = ParseReportField(name); field.ok()) map.columns.emplace_back(name, *field);
  }
  return map;
}

ColumnMap RevocationListMap() {
  ColumnMap map;
  map.columns.emplace_back("n", ReportField::kIdentifier);
  map.constants = {
      {ReportField::kKind, "DISCONNECTED"}, {ReportField::kType, "MOBILE"}, {ReportField::kReason, "REVOCATION_LIST"}};
  return map;
}

}  // namespace hub::hubctl
