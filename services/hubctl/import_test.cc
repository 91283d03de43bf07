// import against a hub in the process.
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/client/testing/fake_hub.h"
#include "services/hubctl/hubctl_kit_test.h"
#include "services/hubctl/import_run.h"
#include "services/hubctl/row_mapper.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kHeader[] = "kind,type,identifier,observed_at\n";

std::string Row(int number) {
  return absl::StrCat("FINANCIAL_FRAUD,MOBILE,55512", 34000 + number, ",2026-03-08T10:00:00Z\n");
}

std::string Rows(int count) {
  std::string text = kHeader;
  for (int i = 0; i < count; ++i) absl::StrAppend(&text, Row(i));
  return text;
}

// Rejects numbers that end in 7.
client::FakeHubHooks Picky() {
  client::FakeHubHooks hooks;
  hooks.on_report = [](const v1::Report& report) {
    v1::ReportVerdict verdict;
    verdict.set_verdict(v1::VERDICT_ACCEPTED);
    if (absl::EndsWith(report.identifier().value(), "7")) {
      verdict.set_verdict(v1::VERDICT_REJECTED);
      verdict.set_error(v1::ERROR_REASON_BAD_FORMAT);
      verdict.set_field("reports[12].identifier.value");
      verdict.set_message("want another");
    }
    return verdict;
  };
  return hooks;
}

}  // namespace

TEST_CASE("A file is imported once, however often it is sent", "[hubctl][import]") {
  const TestFiles files;
  client::FakeHub hub({});
  const std::string path = files.Write("a.csv", Rows(2500));
  for (int round = 1; round <= 2; ++round) {
    const Ran ran = RunAt(hub.address(), {"import", "csv", path, "--output", "json"});
    INFO(ran.err);
    CHECK(ran.code == kDone);
    CHECK(
        Has(ran.out, "\"rows\":2500,\"accepted\":2500,\"rejected\":{},\"outcomes\":{\"MERGED\":2500},\"undecided\":0"));
    const auto times = hub.times_received();
    CHECK(times.size() == 2500);
    for (const auto& [id, count] : times) REQUIRE(count == round);
  }
  const std::string list = *ListIdOfFile(path);
  CHECK(list.size() <= 64);
  CHECK(hub.reports().at(RowReportId(list, 1)).identifier().value() == "5551234000");
  CHECK(hub.reports().at(RowReportId(list, 1)).list_id() == list);
  // Another content is another list; a name given stays.
  CHECK(*ListIdOfFile(files.Write("b.csv", Rows(2501))) != list);
  RunAt(hub.address(), {"import", "csv", path, "--list", "march", "--no-status"});
  CHECK(hub.reports().contains(RowReportId("march", 1)));
}

TEST_CASE("Rejected rows go to a file with line, code, field and what they were", "[hubctl][import]") {
  const TestFiles files;
  client::FakeHub hub(Picky());
  const std::string path = files.Write("a.csv", Rows(10) + "FINANCIAL_FRAUD,FAX,1,2026-03-08\n" + "\"x\n" + Row(20) +
                                                    "FINANCIAL_FRAUD,MOBILE,\"555,\"\"1\"\"\",never\n");
  const Ran ran = RunAt(hub.address(), {"import", "csv", path, "--rejects", files.Path("r.csv"), "--no-status"});
  CHECK(ran.code == kSomeRejected);
  CHECK(Has(ran.out, "accepted                      10\n"));
  CHECK(Has(ran.out, "rejected BAD_FORMAT           4\n"));
  const std::string rejects = Slurp(files.Path("r.csv"));
  CHECK(absl::StartsWith(rejects, "line,code,field,message,kind,type,identifier,observed_at\n"));
  CHECK(Has(rejects,
            "\n9,BAD_FORMAT,identifier.value,want another,FINANCIAL_FRAUD,MOBILE,5551234007,2026-03-08T10:00:00Z\n"));
  CHECK(Has(rejects, "\n12,BAD_FORMAT,identifier.type,"));
  CHECK(Has(rejects, "\n13,BAD_FORMAT,,"));
  CHECK(Has(rejects, ",FINANCIAL_FRAUD,MOBILE,\"555,\"\"1\"\"\",never\n"));
  // Nothing rejected, nothing left lying about.
  CHECK(RunAt(hub.address(),
              {"import", "csv", files.Write("b.csv", Rows(3)), "--rejects", files.Path("r.csv"), "--no-status"})
            .code == kDone);
  CHECK(Slurp(files.Path("r.csv")).empty());
}

TEST_CASE("Without a rejects file the first rejected rows are told, without what they say", "[hubctl][import]") {
  const TestFiles files;
  client::FakeHub hub(Picky());
  const Ran ran = RunAt(hub.address(), {"import", "csv", files.Write("a.csv", Rows(10)), "--no-status"});
  CHECK(ran.code == kSomeRejected);
  CHECK(Has(ran.err, "line 9: BAD_FORMAT identifier.value: want another\n"));
  CHECK_FALSE(Has(ran.err, "5551234007"));
}

TEST_CASE("A revocation list is imported as disconnections, a broken one up to where it breaks", "[hubctl][import]") {
  const TestFiles files;
  client::FakeHub hub({});
  const std::string text = "{\"payload\":[{\"n\":\"5551234567\"},\n{\"n\":\"5551234568\"},\n{\"n\":\"5551";
  const Ran ran = RunAt(hub.address(), {"import", "mnrl-json", files.Write("a.json", text), "--no-status"});
  CHECK(ran.code == kSomeRejected);
  CHECK(Has(ran.err, "a.json: line 3, column 11: the file ends in the middle"));
  const auto reports = hub.reports();
  REQUIRE(reports.size() == 2);
  CHECK(reports.begin()->second.kind() == v1::INPUT_KIND_DISCONNECTED);
  CHECK(reports.begin()->second.reason() == v1::REASON_REVOCATION_LIST);
  CHECK(reports.begin()->second.identifier().line_kind() == v1::LINE_KIND_MOBILE);
  CHECK(reports.begin()->second.has_observed_at());
}

TEST_CASE("A hub that asks for patience or breaks off loses and doubles nothing", "[hubctl][import]") {
  const TestFiles files;
  client::FakeHubHooks hooks;
  std::atomic<int> seen{0};
  hooks.on_report = [&](const v1::Report&) {
    v1::ReportVerdict verdict;
    verdict.set_verdict(++seen % 100 == 1 ? v1::VERDICT_RETRY : v1::VERDICT_ACCEPTED);
    return verdict;
  };
  hooks.on_batch = [](int batch) { return batch == 2 ? absl::UnavailableError("broken") : absl::OkStatus(); };
  client::FakeHub hub(hooks);
  const Ran ran =
      RunAt(hub.address(), {"import", "csv", files.Write("a.csv", Rows(3000)), "--output", "json", "--no-status"});
  INFO(ran.err);
  CHECK(ran.code == kDone);
  CHECK(Has(ran.out, "\"accepted\":3000,\"rejected\":{}"));
  CHECK(hub.times_received().size() == 3000);
}

TEST_CASE("A dry run checks every row and sends nothing", "[hubctl][import]") {
  const TestFiles files;
  const std::string path = files.Write(
      "a.csv", Rows(5) + "HANDSET_LOST,IMEI,001000000000318,2026-03-08\n" + "FINANCIAL_FRAUD,MOBILE,555,2026-03-08\n");
  const Ran ran = Run({"import", "csv", path, "--dry-run", "--output", "json"});
  CHECK(ran.code == kSomeRejected);
  CHECK(Has(ran.out, "\"accepted\":5,\"rejected\":{\"BAD_CHECK_DIGIT\":1,\"TOO_SHORT\":1}"));
}

TEST_CASE("What stops an import before its first row has its own exit code", "[hubctl][import]") {
  const TestFiles files;
  client::FakeHub hub({});
  const std::string good = files.Write("a.csv", Rows(1));
  const Ran missing = RunAt(hub.address(), {"import", "csv", files.Path("none.csv")});
  CHECK(missing.code == kFailed);
  CHECK(Has(missing.err, "no such file"));
  const Ran columns = RunAt(hub.address(), {"import", "csv", files.Write("b.csv", "x,y\n1,2\n")});
  CHECK(columns.code == kFailed);
  CHECK(Has(columns.err, "want columns 'kind' and 'identifier'"));
  CHECK(RunAt(hub.address(), {"import", "mnrl-json", good}).code == kFailed);
  CHECK(RunAt(hub.address(), {"import", "xml", good}).code == kUsage);
  CHECK(RunAt(hub.address(), {"import", "csv", good, "--rejects", good}).code == kUsage);
  CHECK(RunAt(hub.address(), {"import", "csv", good, "--list", std::string(65, 'x')}).code == kUsage);
  const Ran map = RunAt(hub.address(), {"import", "csv", good, "--map", files.Write("x.map", "colum a = b\nfoo\n")});
  CHECK(map.code == kUsage);
  CHECK(Has(map.err, "line 1: "));
  CHECK(Has(map.err, "line 2: "));
  CHECK(hub.reports().empty());
}

TEST_CASE("A hub that refuses us ends the import", "[hubctl][import]") {
  const TestFiles files;
  client::FakeHubHooks hooks;
  hooks.on_batch = [](int) { return absl::PermissionDeniedError("not you"); };
  client::FakeHub hub(hooks);
  const Ran ran = RunAt(hub.address(), {"import", "csv", files.Write("a.csv", Rows(10)), "--no-status"});
  CHECK(ran.code == kNotAllowed);
  CHECK(Has(ran.err, "not allowed"));
  const Ran nobody =
      Run({"--server", "127.0.0.1:1", "--insecure", "--timeout", "300ms", "import", "csv", files.Path("a.csv")});
  CHECK(nobody.code == kUnreachable);
}

}  // namespace hub::hubctl
