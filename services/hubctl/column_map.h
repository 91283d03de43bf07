// How a foreign layout becomes reports: which column is which field, fixed values, and how their words translate.
//
// A map file has one statement a line; words with blanks stand in double quotes (a quote inside is doubled), "#" starts a comment:
//   column "Suspect Number" = identifier     a column and a field; two columns for observed_at are a date and a time
//   constant kind = FINANCIAL_FRAUD          where the row has no value of its own
//   value category "KYC / Payment" = KYC_BANK     their word and ours, any case; * stands for any other text
//   time_format = "%d-%m-%Y %H:%M"           as strptime writes it; without it the usual forms are read
//   time_zone = IST                          of times without an offset: UTC, IST, +05:30
//   delimiter = ;                            one character, or tab
// Fields: kind type identifier line_kind observed_at reason category citizen state suspect_state lsa unit case victim_phone operator
// amount_rupees amount_paise traced_with report_id ifsc (put in front of the identifier when it is a BANK_ACCOUNT).
// Plain values; thread safety: none needed.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/hubctl/report_fields.h"

namespace hub::hubctl {

struct ColumnMap {
  std::vector<std::pair<std::string, ReportField>> columns;
  std::vector<std::pair<ReportField, std::string>> constants;
  std::map<ReportField, std::map<std::string, std::string>> words;  // theirs in lower case, or "*" -> ours
  TimeReading times;
  char delimiter = ',';
};

// All problems at once, "line 3: unknown field 'x'..."; `map` is whole only when there are none.
std::vector<std::string> ParseColumnMap(absl::string_view text, ColumnMap* map);
// Of a file whose columns have our own names; others are not used.
ColumnMap MapByName(const std::vector<std::string>& header);
// Of a revocation list: {"n": number}.
ColumnMap RevocationListMap();

}  // namespace hub::hubctl
