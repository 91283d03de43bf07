// An outbox on a real disk and a hub in the process: nothing is lost when the process ends, whatever the hub does.
#include "libs/client/outbox.h"

#include <map>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "libs/model/report_id.h"
#include "libs/store/database.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

v1::Report ReportOf(int row) {
  v1::Report report;
  report.set_report_id(model::ToText(model::MakeNameBasedId("outbox_test", std::to_string(row))));
  report.set_kind(v1::INPUT_KIND_SUSPECTED_COMMUNICATION);
  report.mutable_identifier()->set_value("+915550000001");
  return report;
}
std::vector<v1::Report> Reports(int from, int to) {
  std::vector<v1::Report> reports;
  for (int row = from; row < to; ++row) reports.push_back(ReportOf(row));
  return reports;
}

OutboxOptions OptionsFor(const std::string& address) {
  OutboxOptions options;
  options.reporter.connection.server = address;
  options.reporter.batch_size = 10;
  options.reporter.in_flight_max = 40;
  options.reporter.backoff_base = absl::Milliseconds(1);
  options.reporter.backoff_max = absl::Milliseconds(20);
  return options;
}

// How often each report got a verdict, over several outboxes.
struct Verdicts {
  Outbox::OnVerdict handler() {
    return [this](const v1::ReportVerdict& verdict) {
      base::MutexLock lock(&mu);
      ++times[verdict.report_id()];
    };
  }
  size_t size() {
    base::MutexLock lock(&mu);
    return times.size();
  }
  base::Mutex mu;
  std::map<std::string, int> times ABSL_GUARDED_BY(mu);
};

constexpr char kNobody[] = "127.0.0.1:1";

}  // namespace

TEST_CASE("What was added while nobody listened is sent by the next outbox, in its order", "[client][outbox]") {
  const store::TempDir dir;
  Verdicts verdicts;
  for (int from = 0; from < 300; from += 100) {
    const auto outbox = Outbox::Open(dir.path(), OptionsFor(kNobody), verdicts.handler());
    REQUIRE(outbox.ok());
    CHECK((*outbox)->waiting() == static_cast<size_t>(from));
    REQUIRE((*outbox)->Add(Reports(from, from + 100)).ok());
  }
  CHECK(verdicts.size() == 0);
  std::vector<std::string> order;
  FakeHubHooks hooks;
  hooks.on_report = [&](const v1::Report& report) {
    order.push_back(report.report_id());  // one stream: one thread
    v1::ReportVerdict verdict;
    verdict.set_report_id(report.report_id());
    verdict.set_verdict(order.size() % 7 == 0 ? v1::VERDICT_REJECTED : v1::VERDICT_ACCEPTED);
    return verdict;
  };
  FakeHub hub(hooks);
  {
    const auto outbox = Outbox::Open(dir.path(), OptionsFor(hub.address()), verdicts.handler());
    REQUIRE(outbox.ok());
    CHECK((*outbox)->Flush().ok());
    CHECK((*outbox)->waiting() == 0);
  }
  REQUIRE(order.size() == 300);
  for (int row = 0; row < 300; ++row) CHECK(order[static_cast<size_t>(row)] == ReportOf(row).report_id());
  CHECK(verdicts.size() == 300);
  const auto empty = Outbox::Open(dir.path(), OptionsFor(kNobody), verdicts.handler());
  REQUIRE(empty.ok());
  CHECK((*empty)->waiting() == 0);
}

TEST_CASE("An outbox that ends in the middle leaves what has no verdict, and nothing else", "[client][outbox]") {
  const store::TempDir dir;
  Verdicts verdicts;
  // Answers three batches, then holds its tongue until the first outbox is gone.
  base::Mutex mu;
  base::CondVar changed;
  bool go_on = false;
  FakeHubHooks hooks;
  hooks.on_batch = [&](int batch) -> absl::Status {
    base::MutexLock lock(&mu);
    while (batch == 4 && !go_on) changed.Wait(&mu);
    return absl::OkStatus();
  };
  FakeHub hub(hooks);
  {
    const auto outbox = Outbox::Open(dir.path(), OptionsFor(hub.address()),
                                     [&, keep = verdicts.handler()](const v1::ReportVerdict& verdict) {
                                       keep(verdict);
                                       base::MutexLock lock(&mu);
                                       changed.NotifyAll();
                                     });
    REQUIRE(outbox.ok());
    REQUIRE((*outbox)->Add(Reports(0, 200)).ok());
    base::MutexLock lock(&mu);
    while (verdicts.size() < 30) changed.Wait(&mu);
  }
  {
    base::MutexLock lock(&mu);
    go_on = true;
    changed.NotifyAll();
  }
  const auto outbox = Outbox::Open(dir.path(), OptionsFor(hub.address()), verdicts.handler());
  REQUIRE(outbox.ok());
  CHECK((*outbox)->waiting() == 170);
  CHECK((*outbox)->Flush().ok());
  CHECK(verdicts.size() == 200);
  for (const auto& [id, times] : hub.times_received()) CHECK(times <= 2);
}

TEST_CASE("An outbox is bounded, refuses what it can't keep, and is one process's at a time", "[client][outbox]") {
  const store::TempDir dir;
  OutboxOptions options = OptionsFor(kNobody);
  options.reports_max = 5;
  const auto outbox = Outbox::Open(dir.path(), options, nullptr);
  REQUIRE(outbox.ok());
  CHECK((*outbox)->Add(Reports(0, 4)).ok());
  CHECK(absl::IsResourceExhausted((*outbox)->Add(Reports(4, 6))));
  CHECK((*outbox)->waiting() == 4);
  CHECK((*outbox)->Add(Reports(4, 5)).ok());
  CHECK(absl::IsInvalidArgument((*outbox)->Add({v1::Report()})));
  CHECK(absl::IsFailedPrecondition(Outbox::Open(dir.path(), options, nullptr).status()));
  options.reporter.connection.server = "no port";
  const store::TempDir other;
  CHECK(absl::IsInvalidArgument(Outbox::Open(other.path(), options, nullptr).status()));
}

TEST_CASE("A text that is not UTF-8 does not get into an outbox: nobody could read it again", "[client][outbox]") {
  const store::TempDir dir;
  OutboxOptions options = OptionsFor(kNobody);
  options.sending = false;
  const auto outbox = Outbox::Open(dir.path(), options, nullptr);
  REQUIRE(outbox.ok());
  std::vector<v1::Report> reports = Reports(0, 3);
  reports[1].set_case_ref("S\xE3o 12");
  const absl::Status refused = (*outbox)->Add(reports);
  REQUIRE(absl::IsInvalidArgument(refused));
  REQUIRE(model::RefusalOf(refused).has_value());
  CHECK(model::RefusalOf(refused)->code == model::RefusalCode::kBadCharacter);
  CHECK(model::RefusalOf(refused)->field == "reports[1].case_ref");
  CHECK((*outbox)->waiting() == 0);
  reports[1].set_case_ref("S\u00e3o 12");
  CHECK((*outbox)->Add(reports).ok());
}

TEST_CASE("What no retry cures ends the sending, and the reports stay", "[client][outbox]") {
  const store::TempDir dir;
  FakeHubHooks hooks;
  hooks.on_batch = [](int) { return model::Refuse(model::RefusalCode::kNotEntitled, "", "this role may not"); };
  FakeHub refuses(hooks);
  {
    const auto outbox = Outbox::Open(dir.path(), OptionsFor(refuses.address()), nullptr);
    REQUIRE(outbox.ok());
    REQUIRE((*outbox)->Add(Reports(0, 20)).ok());
    CHECK(absl::IsPermissionDenied((*outbox)->Flush()));
    CHECK((*outbox)->Add(Reports(20, 30)).ok());  // taken all the same: it is safe on the disk
    CHECK((*outbox)->waiting() == 30);
  }
  FakeHub takes({});
  const auto outbox = Outbox::Open(dir.path(), OptionsFor(takes.address()), nullptr);
  REQUIRE(outbox.ok());
  CHECK((*outbox)->Flush().ok());
  CHECK(takes.times_received().size() == 30);
}

}  // namespace hub::client
