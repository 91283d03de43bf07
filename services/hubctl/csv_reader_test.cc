#include "services/hubctl/csv_reader.h"

#include <sstream>

#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"
#include "services/hubctl/sample_random.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

struct Read {
  absl::Status header_status;
  std::vector<std::string> header;
  std::vector<SourceRow> rows;
  absl::Status status;
};

Read ReadAll(const std::string& text, char delimiter = ',') {
  std::istringstream in(text);
  CsvReader reader(&in, delimiter, nullptr);
  Read read;
  const auto header = reader.ReadHeader();
  read.header_status = header.status();
  if (!header.ok()) return read;
  read.header = *header;
  read.status = reader.ReadRows([&](SourceRow row) {
    read.rows.push_back(std::move(row));
    return absl::OkStatus();
  });
  return read;
}

std::string Problem(const SourceRow& row) {
  const auto refusal = model::RefusalOf(row.problem);
  return refusal ? absl::StrCat(model::Name(refusal->code), " ", refusal->message) : "";
}

}  // namespace

TEST_CASE("CSV is read as RFC 4180 has it", "[hubctl][csv]") {
  const Read read = ReadAll("a,b\r\n1,\"two, \"\"quoted\"\"\"\r\n\"line\r\nbreak\",x\r\n");
  REQUIRE(read.status.ok());
  CHECK(read.header == std::vector<std::string>{"a", "b"});
  REQUIRE(read.rows.size() == 2);
  CHECK(read.rows[0].fields == std::vector<std::string>{"1", "two, \"quoted\""});
  CHECK(read.rows[1].fields == std::vector<std::string>{"line\r\nbreak", "x"});
  CHECK(read.rows[0].number == 1);
  CHECK(read.rows[1].line == 3);
  CHECK(read.rows[1].problem.ok());
}

TEST_CASE("CSV with a byte order mark, any line ends, empty lines and no end of the last line is read",
          "[hubctl][csv]") {
  for (const char* text : {"\xEF\xBB\xBF"
                           "a,b\n1,2\n\n3,4",
                           "a,b\r1,2\r\r3,4\r", "a,b\r\n1,2\r\n\r\n3,4\r\n", "\na,b\n1,2\n3,4\n"}) {
    CAPTURE(text);
    const Read read = ReadAll(text);
    REQUIRE(read.status.ok());
    CHECK(read.header == std::vector<std::string>{"a", "b"});
    REQUIRE(read.rows.size() == 2);
    CHECK(read.rows[0].fields == std::vector<std::string>{"1", "2"});
    CHECK(read.rows[1].fields == std::vector<std::string>{"3", "4"});
    CHECK(read.rows[1].number == 2);
  }
}

TEST_CASE("Another delimiter is taken", "[hubctl][csv]") {
  const Read read = ReadAll("a;b\n\"1;1\";2,2\n", ';');
  REQUIRE(read.rows.size() == 1);
  CHECK(read.rows[0].fields == std::vector<std::string>{"1;1", "2,2"});
}

TEST_CASE("A row that is no CSV costs itself and no other", "[hubctl][csv]") {
  struct Case {
    const char* about;
    std::string text;
    std::string problem;  // part of the second row's
    size_t rows;
  };
  const Case cases[] = {
      {"too few columns", "a,b\n1,2\n3\n5,6\n", "want 2 columns as in the header, has 1", 3},
      {"too many columns", "a,b\n1,2\n3,4,5\n5,6\n", "has 3", 3},
      {"quote inside", "a,b\n1,2\nx\"y,4\n5,6\n", "column 2: a quote where none may be", 3},
      {"text after a quote", "a,b\n1,2\n\"x\"y,4\n5,6\n", "a quote where none may be", 3},
      {"never closed", "a,b\n1,2\n\"x,4\n5,6\n", "never closed", 3},
      {"closed far below", "a,b\n1,2\n\"x,4\n5,6\n7,\"8\"\n", "a quote where none may be", 4},
      {"bad UTF-8", "a,b\n1,2\n3,\xFF\xFE\n5,6\n", "BAD_CHARACTER column 'b': want UTF-8", 3},
      {"overlong UTF-8", "a,b\n1,2\n3,\xC0\xAF\n5,6\n", "BAD_CHARACTER", 3},
      {"surrogate in UTF-8", "a,b\n1,2\n3,\xED\xA0\x80\n5,6\n", "BAD_CHARACTER", 3},
      {"too long", "a,b\n1,2\n3," + std::string(kCsvRowBytesMax + 1, 'x') + "\n5,6\n", "is longer than", 3},
  };
  for (const Case& one : cases) {
    DYNAMIC_SECTION(one.about) {
      const Read read = ReadAll(one.text);
      REQUIRE(read.status.ok());
      REQUIRE(read.rows.size() == one.rows);
      CHECK(read.rows[0].problem.ok());
      CHECK(Problem(read.rows[1]).find(one.problem) != std::string::npos);
      CHECK(read.rows[1].line == 3);
      CHECK(read.rows[2].problem.ok());
      CHECK(read.rows[2].line == 4);
      CHECK(read.rows[2].fields == std::vector<std::string>{"5", "6"});
      CHECK(read.rows.back().number == one.rows);
    }
  }
}

TEST_CASE("A header that can't be used is an error with its line", "[hubctl][csv]") {
  CHECK(ReadAll("").header_status.message() == "line 1, column 1: is empty, want a header");
  CHECK(ReadAll("a,A\n").header_status.message() == "line 1: column 'A' comes twice");
  CHECK(ReadAll("a,\xFF\n").header_status.message().find("not UTF-8") != absl::string_view::npos);
  CHECK(ReadAll("a,b\"c\n1,2\n").header_status.message().find("line 1, column 4") != absl::string_view::npos);
  CHECK(ReadAll("a,\"b\n1,2\n").header_status.message().find("never closed") != absl::string_view::npos);
}

TEST_CASE("The sink's error ends the reading", "[hubctl][csv]") {
  std::istringstream in("a\n1\n2\n");
  CsvReader reader(&in, ',', nullptr);
  REQUIRE(reader.ReadHeader().ok());
  int rows = 0;
  const absl::Status status =
      reader.ReadRows([&](SourceRow) { return ++rows == 1 ? absl::AbortedError("stop") : absl::OkStatus(); });
  CHECK(absl::IsAborted(status));
  CHECK(rows == 1);
}

TEST_CASE("Any bytes give rows with dense numbers and rising lines, and an end", "[hubctl][csv]") {
  SampleRandom random(20260308);
  constexpr char kAlphabet[] = "ab,\"\"\n\r\n,;\xC3\xA4\xFF\0 ";
  for (int round = 0; round < 3000; ++round) {
    std::string text = "a,b\n";
    const uint64_t size = random.Below(60);
    for (uint64_t i = 0; i < size; ++i) text += kAlphabet[random.Below(sizeof(kAlphabet) - 1)];
    const Read read = ReadAll(text);
    CAPTURE(round, text);
    REQUIRE(read.status.ok());
    uint64_t line = 1;
    for (size_t i = 0; i < read.rows.size(); ++i) {
      REQUIRE(read.rows[i].number == i + 1);
      REQUIRE(read.rows[i].line > line);
      line = read.rows[i].line;
      REQUIRE((!read.rows[i].problem.ok() || read.rows[i].fields.size() == 2));
    }
  }
}

}  // namespace hub::hubctl
