#include "services/hubctl/revocation_list_reader.h"

#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"
#include "services/hubctl/sample_files.h"
#include "services/hubctl/sample_random.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

struct Read {
  std::vector<SourceRow> rows;
  absl::Status status;
};

Read ReadAll(const std::string& text, std::vector<std::string> keys = {"n"}) {
  std::istringstream in(text);
  Read read;
  read.status = RevocationListReader(&in, std::move(keys), nullptr).ReadRows([&](SourceRow row) {
    read.rows.push_back(std::move(row));
    return absl::OkStatus();
  });
  return read;
}

}  // namespace

TEST_CASE("A revocation list is read, texts and numbers alike, other members skipped", "[hubctl][json]") {
  const Read read = ReadAll(R"( {"month":"2026-02","more":{"payload":[{"n":"1"}]},
 "payload":[{"n":"5551234567"},
  {"x":[1,{"n":"no"}],"n":5551234568,"date":"2026-02-01"} , {"n":"\u0035551234569"}],"after":[{"n":"2"}]} )",
                            {"n", "date"});
  INFO(read.status);
  REQUIRE(read.status.ok());
  REQUIRE(read.rows.size() == 3);
  CHECK(read.rows[0].fields == std::vector<std::string>{"5551234567", ""});
  CHECK(read.rows[1].fields == std::vector<std::string>{"5551234568", "2026-02-01"});
  CHECK(read.rows[2].fields[0] == "5551234569");
  CHECK(read.rows[0].line == 2);
  CHECK(read.rows[2].line == 3);
  CHECK(read.rows[2].number == 3);
}

TEST_CASE("An item that can't be used is one bad row", "[hubctl][json]") {
  const Read read = ReadAll(R"({"payload":[{"n":"1"},7,[{"n":"2"}],{"m":"3"},{"n":null},null,{"n":"4"}]})");
  REQUIRE(read.status.ok());
  REQUIRE(read.rows.size() == 7);
  CHECK(read.rows[0].problem.ok());
  for (size_t i = 1; i < 6; ++i) CHECK_FALSE(read.rows[i].problem.ok());
  CHECK(model::RefusalOf(read.rows[1].problem)->message == "want an object");
  CHECK(model::RefusalOf(read.rows[3].problem)->code == model::RefusalCode::kMissing);
  CHECK(read.rows[6].problem.ok());
  CHECK(read.rows[6].number == 7);
}

TEST_CASE("What is no list is an error with line and column, and what came before it is kept", "[hubctl][json]") {
  struct Case {
    const char* about;
    std::string text;
    const char* problem;
    size_t rows;
  };
  const Case cases[] = {
      {"empty", "", "line 1, column 1: the file ends in the middle", 0},
      {"another document", "[1,2]", "want {\"payload\"", 0},
      {"no array", R"({"payload":{"n":"1"}})", "want {\"payload\"", 0},
      {"cut", "{\"payload\":[{\"n\":\"1\"},\n{\"n\":\"2", "line 2, column 8: the file ends in the middle", 1},
      {"a comma too many", "{\"payload\":[{\"n\":\"1\"},\n,{\"n\":\"2\"}]}", "line 2, column 1", 1},
      {"bad UTF-8", "{\"payload\":[{\"n\":\"1\"},{\"n\":\"\xFF\"}]}", "Invalid encoding", 1},
      {"a NUL", std::string(R"({"payload":[{"n":"1"},)") + '\0' + R"({"n":"2"}]})", "line 1, column 23", 1},
      {"something after it", R"({"payload":[{"n":"1"}]} x)", "must not be followed by other values", 1},
      {"nested without end", R"({"payload":[{"n":"1"}],"a":)" + std::string(100'000, '['), "nested deeper than", 1},
      {"a text without end", R"({"payload":[{"n":"1"},{"n":")" + std::string(kJsonTokenBytesMax + 100, '5'),
       "a text is longer", 1},
      {"CSV", "kind,type\nX,Y\n", "line 1, column 1", 0},
  };
  for (const Case& one : cases) {
    DYNAMIC_SECTION(one.about) {
      const Read read = ReadAll(one.text);
      CHECK(absl::IsInvalidArgument(read.status));
      CHECK(absl::StartsWith(read.status.message(), "line "));
      INFO(read.status);
      CHECK(absl::StrContains(read.status.message(), one.problem));
      CHECK(read.rows.size() == one.rows);
    }
  }
}

TEST_CASE("A list that ends anywhere gives the items before", "[hubctl][json]") {
  std::ostringstream whole;
  WriteSampleRevocationList(20, 1, &whole);
  const std::string text = whole.str();
  size_t before = 0;
  for (size_t size = 0; size < text.size() - 2; ++size) {
    const Read read = ReadAll(text.substr(0, size));
    CAPTURE(size);
    REQUIRE_FALSE(read.status.ok());
    REQUIRE(read.rows.size() >= before);
    REQUIRE(read.rows.size() <= before + 1);
    before = read.rows.size();
  }
  CHECK(before == 20);
  CHECK(ReadAll("\xEF\xBB\xBF" + text).rows.size() == 20);
}

TEST_CASE("Any bytes end the reading without harm", "[hubctl][json]") {
  SampleRandom random(7);
  const std::string good = R"({"payload":[{"n":"5551234567"},{"n":5551234568,"a":[{}]}],"b":{"c":1e5}})";
  for (int round = 0; round < 3000; ++round) {
    std::string text = good;
    for (uint64_t i = random.Below(4) + 1; i > 0; --i)
      text[random.Below(text.size())] = static_cast<char>(random.Below(256));
    REQUIRE(ReadAll(text).rows.size() <= text.size());
  }
}

}  // namespace hub::hubctl
