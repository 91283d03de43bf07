#include "libs/client/reporter.h"

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "libs/model/report_id.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

std::string IdOf(int row) { return model::ToText(model::MakeNameBasedId("reporter_test", std::to_string(row))); }

v1::Report ReportOf(int row) {
  v1::Report report;
  report.set_report_id(IdOf(row));
  report.set_kind(v1::INPUT_KIND_SUSPECTED_COMMUNICATION);
  report.mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  report.mutable_identifier()->set_value("+915550000001");
  return report;
}

// What the reporter said of each tag.
class Verdicts {
 public:
  Reporter::OnVerdict handler() {
    return [this](uint64_t tag, const v1::ReportVerdict& verdict) {
      base::MutexLock lock(&mu_);
      ++times_[tag];
      last_[tag] = verdict;
    };
  }
  std::map<uint64_t, int> times() const {
    base::MutexLock lock(&mu_);
    return times_;
  }
  v1::ReportVerdict last(uint64_t tag) const {
    base::MutexLock lock(&mu_);
    return last_.at(tag);
  }

 private:
  mutable base::Mutex mu_;
  std::map<uint64_t, int> times_;
  std::map<uint64_t, v1::ReportVerdict> last_;
};

ReporterOptions OptionsFor(const std::string& address) {
  ReporterOptions options;
  options.connection.server = address;
  options.batch_size = 10;
  options.in_flight_max = 50;
  options.backoff_base = absl::Milliseconds(1);
  options.backoff_max = absl::Milliseconds(20);
  options.give_up_after = absl::Seconds(20);
  return options;
}

bool EachOnce(const std::map<uint64_t, int>& times, size_t count) {
  for (const auto& [tag, n] : times) {
    if (n != 1) return false;
  }
  return times.size() == count;
}

TEST_CASE("Reporter gets each report exactly one verdict, whatever breaks on the way", "[client][reporter]") {
  base::Mutex mu;
  std::map<std::string, int> seen;
  FakeHubHooks hooks;
  hooks.retry_after_ms = 1;
  hooks.on_report = [&](const v1::Report& report) {
    base::MutexLock lock(&mu);
    const int n = ++seen[report.report_id()];
    v1::ReportVerdict verdict;
    verdict.set_verdict(v1::VERDICT_ACCEPTED);
    const int kind = static_cast<int>(base::Mix64(report.report_id()) % 5);
    if (kind == 0) {
      verdict.set_verdict(v1::VERDICT_REJECTED);
      verdict.set_error(v1::ERROR_REASON_TOO_SHORT);
    }
    if (kind == 1 && n <= 2) verdict.set_verdict(v1::VERDICT_RETRY);
    return verdict;
  };
  hooks.on_batch = [](int batch) { return batch % 4 == 0 ? absl::UnavailableError("broken by the test") : absl::OkStatus(); };
  FakeHub hub(hooks);
  Verdicts verdicts;
  auto reporter = Reporter::Create(OptionsFor(hub.address()), verdicts.handler());
  REQUIRE(reporter.ok());
  constexpr int kReports = 300;
  for (int row = 0; row < kReports; ++row) REQUIRE((*reporter)->Submit(static_cast<uint64_t>(row), ReportOf(row)).ok());
  REQUIRE((*reporter)->Flush().ok());

  CHECK(EachOnce(verdicts.times(), kReports));
  const auto received = hub.times_received();
  CHECK(received.size() == kReports);  // every retry came with the id of the first try
  for (int row = 0; row < kReports; ++row) {
    const int kind = static_cast<int>(base::Mix64(IdOf(row)) % 5);
    const v1::ReportVerdict verdict = verdicts.last(static_cast<uint64_t>(row));
    CHECK(verdict.report_id() == IdOf(row));
    CHECK((verdict.verdict() == v1::VERDICT_REJECTED) == (kind == 0));
    if (kind == 1) CHECK(received.at(IdOf(row)) >= 3);
  }
}

TEST_CASE("Reporter refuses a text that is not UTF-8, and goes on with the others", "[client][reporter]") {
  FakeHub hub({});
  Verdicts verdicts;
  auto reporter = Reporter::Create(OptionsFor(hub.address()), verdicts.handler());
  REQUIRE(reporter.ok());
  v1::Report broken = ReportOf(1);
  broken.mutable_identifier()->set_value("caf\xE9@testpsp");
  REQUIRE((*reporter)->Submit(0, ReportOf(0)).ok());
  const absl::Status refused = (*reporter)->Submit(1, broken);
  REQUIRE(absl::IsInvalidArgument(refused));
  CHECK(model::RefusalOf(refused)->field == "identifier.value");
  REQUIRE((*reporter)->Submit(2, ReportOf(2)).ok());
  REQUIRE((*reporter)->Flush().ok());
  CHECK(EachOnce(verdicts.times(), 2));
  CHECK(absl::IsInvalidArgument((*reporter)->Status({IdOf(0), "\xFF"}).status()));
}

TEST_CASE("Reporter sends what a dying hub left unanswered to the next address, with the same ids", "[client][reporter]") {
  Verdicts verdicts;
  FakeHub other({});
  std::set<std::string> at_dead;
  base::Mutex mu;
  FakeHubHooks dies;
  dies.on_report = [&](const v1::Report& report) {
    base::MutexLock lock(&mu);
    at_dead.insert(report.report_id());
    v1::ReportVerdict verdict;
    verdict.set_verdict(v1::VERDICT_ACCEPTED);
    return verdict;
  };
  dies.on_batch = [](int) { return absl::UnavailableError("killed before it answered"); };
  FakeHub dead(dies);
  for (int run = 0; run < 8; ++run) {  // which address comes first is drawn
    ReporterOptions options = OptionsFor(absl::StrCat(dead.address(), ", ", other.address()));
    options.backoff_base = options.backoff_max = absl::Seconds(60);  // a pause would be noticed
    auto reporter = Reporter::Create(options, verdicts.handler());
    REQUIRE(reporter.ok());
    for (int row = 40 * run; row < 40 * (run + 1); ++row) {
      REQUIRE((*reporter)->Submit(static_cast<uint64_t>(row), ReportOf(row)).ok());
    }
    REQUIRE((*reporter)->Flush().ok());
  }
  CHECK(EachOnce(verdicts.times(), 320));
  const auto received = other.times_received();
  CHECK(received.size() == 320);
  for (const std::string& id : at_dead) CHECK(received.contains(id));
}

TEST_CASE("Reporter asks for the status where it is told to, at an address that answers", "[client][reporter]") {
  FakeHub ingest({}), query({});
  ReporterOptions options = OptionsFor(ingest.address());
  options.status.server = absl::StrCat("127.0.0.1:1,", query.address());
  auto reporter = Reporter::Create(options, [](uint64_t, const v1::ReportVerdict&) {});
  REQUIRE(reporter.ok());
  REQUIRE((*reporter)->Submit(1, ReportOf(1)).ok());
  REQUIRE((*reporter)->Flush().ok());
  for (int i = 0; i < 8; ++i) {
    const auto statuses = (*reporter)->Status({IdOf(1)});
    REQUIRE(statuses.ok());
    CHECK(statuses->front().outcome() == v1::OUTCOME_UNSPECIFIED);  // the ingest hub would know it
  }
}

TEST_CASE("Reporter's Submit blocks beyond in_flight_max", "[client][reporter]") {
  std::atomic<bool> answer{false};
  FakeHubHooks hooks;
  hooks.on_batch = [&](int) {
    answer.wait(false);
    return absl::OkStatus();
  };
  FakeHub hub(hooks);
  Verdicts verdicts;
  auto reporter = Reporter::Create(OptionsFor(hub.address()), verdicts.handler());
  REQUIRE(reporter.ok());
  std::atomic<int> submitted{0};
  std::thread caller([&] {
    for (int row = 0; row < 80; ++row) {
      if (!(*reporter)->Submit(static_cast<uint64_t>(row), ReportOf(row)).ok()) return;
      ++submitted;
    }
  });
  while (submitted < 50) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // not to synchronise: to give a wrong one its chance  // tidy:sleep-ok waits for the fake hub's threads
  CHECK(submitted == 50);
  answer = true;
  answer.notify_all();
  caller.join();
  REQUIRE((*reporter)->Flush().ok());
  CHECK(EachOnce(verdicts.times(), 80));
}

TEST_CASE("Reporter gives up, and says so, when nothing gets through", "[client][reporter]") {
  auto options = OptionsFor("127.0.0.1:1");
  options.give_up_after = absl::Milliseconds(100);
  Verdicts verdicts;
  auto reporter = Reporter::Create(options, verdicts.handler());
  REQUIRE(reporter.ok());
  REQUIRE((*reporter)->Submit(1, ReportOf(1)).ok());
  CHECK(absl::IsUnavailable((*reporter)->Flush()));
  CHECK(absl::IsUnavailable((*reporter)->Submit(2, ReportOf(2))));
  CHECK(verdicts.times().empty());
}

TEST_CASE("Reporter ends at once with what no retry cures", "[client][reporter]") {
  FakeHubHooks hooks;
  hooks.on_batch = [](int) { return model::Refuse(model::RefusalCode::kNotEntitled, "", "may not report"); };
  FakeHub hub(hooks);
  Verdicts verdicts;
  auto reporter = Reporter::Create(OptionsFor(hub.address()), verdicts.handler());
  REQUIRE(reporter.ok());
  REQUIRE((*reporter)->Submit(1, ReportOf(1)).ok());
  const absl::Status status = (*reporter)->Flush();
  CHECK(absl::IsPermissionDenied(status));
  CHECK(model::RefusalOf(status)->code == model::RefusalCode::kNotEntitled);
}

TEST_CASE("Reporter sends a batch again that was not answered in time", "[client][reporter]") {
  std::atomic<bool> release{false};
  FakeHubHooks hooks;
  hooks.on_batch = [&](int batch) {
    if (batch == 1) release.wait(false);
    return absl::OkStatus();
  };
  FakeHub hub(hooks);
  auto options = OptionsFor(hub.address());
  options.answer_timeout = absl::Milliseconds(50);
  Verdicts verdicts;
  auto reporter = Reporter::Create(options, verdicts.handler());
  REQUIRE(reporter.ok());
  REQUIRE((*reporter)->Submit(7, ReportOf(7)).ok());
  CHECK((*reporter)->Flush().ok());
  release = true;
  release.notify_all();
  CHECK(EachOnce(verdicts.times(), 1));
  CHECK(hub.times_received().at(IdOf(7)) == 2);
}

TEST_CASE("Reporter asks for the status of more ids than one call takes", "[client][reporter]") {
  FakeHub hub({});
  auto reporter = Reporter::Create(OptionsFor(hub.address()), [](uint64_t, const v1::ReportVerdict&) {});
  REQUIRE(reporter.ok());
  REQUIRE((*reporter)->Submit(0, ReportOf(1500)).ok());
  REQUIRE((*reporter)->Flush().ok());
  std::vector<std::string> ids;
  for (int row = 0; row <= 1500; ++row) ids.push_back(IdOf(row));
  const auto statuses = (*reporter)->Status(ids);
  REQUIRE(statuses.ok());
  REQUIRE(statuses->size() == ids.size());
  CHECK(statuses->front().outcome() == v1::OUTCOME_UNSPECIFIED);
  CHECK(statuses->back().outcome() == v1::OUTCOME_MERGED);
}

TEST_CASE("Reporter refuses a batch size the API doesn't take", "[client][reporter]") {
  auto options = OptionsFor("127.0.0.1:1");
  options.batch_size = 1001;
  CHECK(absl::IsInvalidArgument(Reporter::Create(options, nullptr).status()));
}

TEST_CASE("Backoff stays within its bounds and above the server's hint", "[client][backoff]") {
  const absl::Duration base = absl::Milliseconds(100);
  const absl::Duration cap = absl::Seconds(5);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(base, cap, seed);
    absl::Duration limit = base;
    for (int n = 0; n < 40; ++n) {
      const absl::Duration hint = absl::Milliseconds(n % 3);
      const absl::Duration pause = backoff.Next(hint);
      CHECK(pause >= hint);
      CHECK(pause <= hint + limit);
      limit = std::min(cap, limit * 2);
    }
    backoff.Reset();
    CHECK(backoff.Next() <= base);
  }
}

TEST_CASE("Backoff's jitter is full: pauses spread over the whole range", "[client][backoff]") {
  int below = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    if (Backoff(absl::Seconds(1), absl::Seconds(1), seed * 7919).Next() < absl::Milliseconds(500)) ++below;
  }
  CHECK(below > 400);
  CHECK(below < 600);
}

TEST_CASE("Connect refuses an address without a port", "[client]") {
  CHECK(absl::IsInvalidArgument(Connect({.server = "localhost"}).status()));
  CHECK(absl::IsInvalidArgument(Connect({.server = "localhost:7443", .identity_dir = "/nonexistent"}).status()));
  CHECK(Channels::Make({.server = "localhost:1, localhost:2"}).ok());
  for (const std::string server : {"localhost:1,", ",localhost:1", "localhost:1,,localhost:2", "localhost:1,localhost"}) {
    CAPTURE(server);
    CHECK(absl::IsInvalidArgument(Channels::Make({.server = server}).status()));
  }
  std::string many = "localhost:1";
  for (size_t i = 1; i < Channels::kAddressesMax; ++i) many += ",localhost:1";
  CHECK(Channels::Make({.server = many}).ok());
  CHECK(absl::IsInvalidArgument(Channels::Make({.server = many + ",localhost:1"}).status()));
}

}  // namespace
}  // namespace hub::client
