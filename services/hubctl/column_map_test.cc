#include "services/hubctl/column_map.h"

#include "absl/strings/str_join.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/model/refusal.h"
#include "services/hubctl/row_mapper.h"
#include "services/hubctl/when.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kMap[] = R"(# A comment.
constant kind = financial-fraud
column "Suspect ""No""" = identifier
column Type = type
value type "Bank Account" = BANK_ACCOUNT
value type Phone = MOBILE
column Category = category   # and another
value category "KYC / bank" = KYC_BANK
value category * = OTHER
column Date = observed_at
column Time = observed_at
time_format = "%d-%m-%Y %H:%M"
time_zone = IST
column Loss = amount_rupees
column IFSC = ifsc
delimiter = ;
)";

const std::vector<std::string> kHeader = {"type", "SUSPECT \"NO\"", "Category", "Date",
                                          "Time", "Loss",           "IFSC",     "Remarks"};

ColumnMap Parsed(const char* text) {
  ColumnMap map;
  const auto problems = ParseColumnMap(text, &map);
  INFO(absl::StrJoin(problems, "; "));
  REQUIRE(problems.empty());
  return map;
}

std::string OneProblem(const std::string& text) {
  ColumnMap map;
  return absl::StrJoin(ParseColumnMap(text, &map), "; ");
}

struct Filled {
  absl::Status status;
  v1::Report report;
};

Filled Fill(const RowMapper& mapper, std::vector<std::string> fields, uint64_t number = 7) {
  SourceRow row;
  row.number = number;
  row.fields = std::move(fields);
  Filled filled;
  filled.status = mapper.Fill(row, &filled.report);
  return filled;
}

RowMapper Bound(const char* map = kMap) {
  auto mapper = RowMapper::Bind(Parsed(map), kHeader, "list-1", absl::FromUnixSeconds(1'770'000'000));
  REQUIRE(mapper.ok());
  return *mapper;
}

}  // namespace

TEST_CASE("A map turns a row of a foreign layout into a report", "[hubctl][map]") {
  const RowMapper mapper = Bound();
  const Filled phone =
      Fill(mapper, {"Phone", " 5551234567 ", "kyc / BANK", "08-03-2026", "14:30", "1,25,000.50", "", "x"});
  INFO(phone.status);
  REQUIRE(phone.status.ok());
  CHECK(phone.report.kind() == v1::INPUT_KIND_FINANCIAL_FRAUD);
  CHECK(phone.report.identifier().type() == v1::IDENTIFIER_TYPE_MOBILE);
  CHECK(phone.report.identifier().value() == "5551234567");
  CHECK(phone.report.identifier().line_kind() == v1::LINE_KIND_MOBILE);
  CHECK(phone.report.category() == v1::FRAUD_CATEGORY_KYC_BANK);
  CHECK(phone.report.amount_paise() == 12'500'050);
  CHECK(ForMachines(phone.report.observed_at()) == "2026-03-08T09:00:00Z");
  CHECK(phone.report.list_id() == "list-1");
  CHECK(phone.report.report_id() == RowReportId("list-1", 7));

  const Filled account = Fill(mapper, {"bank account", "00012345678", "new words", "", "", "", "TEST0000001", ""});
  REQUIRE(account.status.ok());
  CHECK(account.report.identifier().value() == "TEST0000001:00012345678");
  CHECK(account.report.category() == v1::FRAUD_CATEGORY_OTHER);
  CHECK(account.report.observed_at().seconds() == 1'770'000'000);
}

TEST_CASE("A field that can't be read is refused with its code and path, never repeated", "[hubctl][map]") {
  struct Case {
    std::vector<std::string> fields;
    model::RefusalCode code;
    const char* field;
  };
  const Case cases[] = {
      {{"Fax", "5551234567", "", "", "", "", "", ""}, model::RefusalCode::kBadFormat, "identifier.type"},
      {{"Phone", "", "", "", "", "", "", ""}, model::RefusalCode::kMissing, "identifier.value"},
      {{"Phone", "5551234567", "", "2026-03-08", "", "", "", ""}, model::RefusalCode::kBadFormat, "observed_at"},
      {{"Phone", "5551234567", "", "31-02-2026", "10:00", "", "", ""}, model::RefusalCode::kBadFormat, "observed_at"},
      {{"Phone", "5551234567", "", "", "", "12.345", "", ""}, model::RefusalCode::kBadFormat, "amount_paise"},
      {{"Phone", "5551234567", "", "", "", "-5", "", ""}, model::RefusalCode::kBadFormat, "amount_paise"},
      {{"Phone", "5551234567", "", "", "", "99999999999999999999", "", ""},
       model::RefusalCode::kOutOfRange,
       "amount_paise"},
  };
  const RowMapper mapper = Bound();
  for (const Case& one : cases) {
    const Filled filled = Fill(mapper, one.fields);
    const auto refusal = model::RefusalOf(filled.status);
    REQUIRE(refusal.has_value());
    CHECK(refusal->code == one.code);
    CHECK(refusal->field == one.field);
    CHECK(refusal->message.find("5551234567") == std::string::npos);
  }
}

TEST_CASE("The id of a row is the same for the same list and row, and no other", "[hubctl][map]") {
  // Frozen: lists that were sent before must be known again.
  CHECK(RowReportId("mnrl-2026-02", 1) == RowReportId("mnrl-2026-02", 1));
  CHECK(RowReportId("mnrl-2026-02", 1) == "1feab64b-7bac-8b67-bbb3-2176ac050bec");
  CHECK(RowReportId("mnrl-2026-02", 2) == "2c279858-27e8-8509-96a5-ea9413d51275");
  CHECK(RowReportId("mnrl-2026-03", 1) != RowReportId("mnrl-2026-02", 1));
  CHECK(RowReportId("a1", 2) != RowReportId("a", 12));
}

TEST_CASE("Every problem of a map is told with its line", "[hubctl][map]") {
  CHECK(OneProblem("column A = identifier\nconstant kind = HANDSET_LOST\n").empty());
  CHECK(OneProblem("") == "no column is the identifier; no column and no constant is the kind");
  const std::string several =
      OneProblem("colunm A = kind\ncolumn B = colour\nconstant kind = SOMETHING\ntime_zone = Mars\n");
  CHECK(several.find("line 1: want column NAME = FIELD") != std::string::npos);
  CHECK(several.find("line 2: unknown field 'colour', want one of kind, type,") != std::string::npos);
  CHECK(several.find("line 4: want UTC, IST or an offset") != std::string::npos);
  struct Case {
    const char* text;
    const char* problem;
  };
  const Case cases[] = {
      {"column \"A = kind", "line 1: a quote is never closed"},
      {"column A = identifier\ncolumn B = identifier", "line 2: field 'identifier' has a column already"},
      {"constant kind = FRAUD\ncolumn A = identifier", "constant kind: want one of SUSPECTED_COMMUNICATION,"},
      {"constant identifier = 5551234567", "line 1: field 'identifier' can't be the same in every row"},
      {"constant kind = CORRECTION\nconstant kind = CORRECTION", "line 2: field 'kind' has a constant already"},
      {"value type Phone = MOBILE\nvalue type phone = LANDLINE", "line 2: 'phone' has a value already"},
      {"value type Phone = TELEPHONE", "line 1: type: want one of MOBILE,"},
      {"delimiter = ,,", "line 1: delimiter: want one character, or tab"},
      {"column \xFF = kind", "line 1: want UTF-8"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK(OneProblem(one.text).find(one.problem) != std::string::npos);
  }
}

TEST_CASE("A map whose columns the file lacks is an error that names them and what there is", "[hubctl][map]") {
  const auto mapper = RowMapper::Bind(Parsed(kMap), {"Type", "Time", "Else"}, "l", absl::UnixEpoch());
  CHECK(absl::IsInvalidArgument(mapper.status()));
  for (const char* part : {"'Suspect \"No\"'", "'Category'", "'Date'", "'Loss'", "it has 'Type', 'Time', 'Else'"}) {
    CHECK(mapper.status().message().find(part) != absl::string_view::npos);
  }
}

TEST_CASE("Without a map the columns are our own names, and others are not used", "[hubctl][map]") {
  const std::vector<std::string> header = {"Kind", "type", "identifier", "line", "code"};
  CHECK(RowMapper::Bind(MapByName(header), header, "l", absl::UnixEpoch()).ok());
  const auto refused = RowMapper::Bind(MapByName({"a"}), {"a"}, "l", absl::UnixEpoch());
  CHECK(refused.status().message().find("'kind' and 'identifier'") != absl::string_view::npos);
}

}  // namespace hub::hubctl
