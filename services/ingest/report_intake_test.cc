// Verdicts of the one way in: per item, per call, and while the log takes nothing.
#include "services/ingest/report_intake.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/model/report_id.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::ingest {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kPolicy[] = R"(
version: 1
trust_domain: "dev.hub.example"
stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" }
grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: "ReportService.SubmitReports" may_report: INPUT_KIND_FINANCIAL_FRAUD may_see {}
  reports_per_second: 10 }
)";

class World {
 public:
  World() {
    REQUIRE(log_.EnsureTopics(eventlog::HubTopics(2)).ok());
    auto spec = wire::ParsePolicy(kPolicy);
    REQUIRE(spec.ok());
    policy_ = access::Policy::Build(*std::move(spec)).value();
    caller_ = policy_->Identify("fraudhub://dev.hub.example/bank-1/main").value();
  }
  // Of `numbers`, as one call; all with `id` when there is one.
  IntakeResult Submit(const std::vector<std::string>& numbers, const std::string& id = "") {
    ReportIntake::Reports reports;
    for (const std::string& number : numbers) {
      v1::Report* report = reports.Add();
      report->set_report_id(id.empty() ? IdOf(next_++) : id);
      report->set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
      report->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
      report->mutable_identifier()->set_value(number);
      rpc::ToProto(clock_.TimeNow(), report->mutable_observed_at());
    }
    std::optional<IntakeResult> result;
    intake_.Submit(*policy_, caller_, reports, "reports", [&](IntakeResult r) { result = std::move(r); });
    while (!result && log_.Pump() > 0) {
    }
    REQUIRE(result.has_value());
    return *std::move(result);
  }
  static std::string IdOf(int report) {
    return model::ToText(model::MakeNameBasedId("intake_test", absl::StrCat(report)));
  }
  void SetFault(const absl::Status& fault) { log_.SetFault(fault); }
  void Advance(absl::Duration by) { clock_.Advance(by); }
  eventlog::AppendFate fate;
  int64_t Records() {
    int64_t records = 0;
    for (int32_t p = 0; p < 2; ++p) records += log_.Offsets({eventlog::kReportsTopic, p})->end;
    return records;
  }

 private:
  base::ManualClock clock_{absl::FromUnixSeconds(1'800'000'000)};
  base::Metrics metrics_;
  eventlog::MemoryLog log_{&clock_, {.manual_pump = true, .fate = [this](const auto&, const auto&) { return fate; }}};
  const model::Tokeniser tokeniser_{base::HmacKey(std::string(32, 'r')), base::HmacKey(std::string(32, 'l'))};
  access::Quota quota_{&clock_};
  ReportIntake intake_{{.partitions = 2, .allow_test_range = true}, &clock_, &metrics_, &log_, &tokeniser_, &quota_};
  std::shared_ptr<const access::Policy> policy_;
  access::Principal caller_;
  int next_ = 0;
};

constexpr char kGood[] = "+915550000001";

TEST_CASE("Each report of a call gets its own verdict, with the path of what is wrong", "[ingest]") {
  World world;
  const IntakeResult result = world.Submit({kGood, "12", "+915550000002"});
  CHECK(result.status.ok());
  CHECK(result.accepted == 2);
  REQUIRE(result.refused.size() == 1);
  CHECK(result.refused[0].index() == 1);
  CHECK(result.refused[0].verdict().report_id() == world.IdOf(1));
  CHECK(result.refused[0].verdict().verdict() == v1::VERDICT_REJECTED);
  CHECK(result.refused[0].verdict().field() == "reports[1].identifier.value");
  CHECK(world.Records() == 2);
}

TEST_CASE("What the log didn't take comes in its place among what was wrong", "[ingest]") {
  World world;
  world.fate.kind = eventlog::AppendFate::Kind::kLost;
  const IntakeResult result = world.Submit({kGood, "12", "+915550000002"});
  CHECK(result.status.ok());
  CHECK(result.accepted == 0);
  CHECK(result.retry_after > absl::ZeroDuration());
  REQUIRE(result.refused.size() == 3);
  for (int i = 0; i < 3; ++i) {
    CHECK(result.refused[i].index() == static_cast<uint32_t>(i));
    CHECK(result.refused[i].verdict().report_id() == world.IdOf(i));
    CHECK(result.refused[i].verdict().verdict() == (i == 1 ? v1::VERDICT_REJECTED : v1::VERDICT_RETRY));
  }
}

TEST_CASE("An id that is none is sent back, unless it is long", "[ingest]") {
  World world;
  CHECK(world.Submit({kGood}, std::string(64, 'x')).refused[0].verdict().report_id() == std::string(64, 'x'));
  const IntakeResult result = world.Submit({kGood}, std::string(65, 'x'));
  CHECK(result.refused[0].verdict().report_id().empty());
  CHECK(result.refused[0].verdict().field() == "reports[0].report_id");
}

TEST_CASE("A call without reports, or with too many, is malformed as a whole", "[ingest]") {
  World world;
  CHECK(absl::IsInvalidArgument(world.Submit({}).status));
  const IntakeResult result = world.Submit(std::vector<std::string>(kReportsPerCallMax + 1, kGood));
  CHECK(absl::IsInvalidArgument(result.status));
  CHECK(result.refused.empty());
}

TEST_CASE("Beyond the quota everything is to be sent again, after a wait that then is enough", "[ingest]") {
  World world;
  CHECK(world.Submit(std::vector<std::string>(100, kGood)).accepted == 100);  // the burst: ten seconds' worth
  const IntakeResult over = world.Submit({kGood, kGood});
  CHECK(absl::IsResourceExhausted(over.status));
  REQUIRE(over.refused.size() == 2);
  CHECK(over.refused[0].verdict().verdict() == v1::VERDICT_RETRY);
  CHECK(over.refused[0].verdict().error() == v1::ERROR_REASON_QUOTA_EXCEEDED);
  world.Advance(over.retry_after);
  CHECK(world.Submit({kGood, kGood}).accepted == 2);
}

TEST_CASE("A full log refuses with a time to come back, and takes reports again when there is space", "[ingest]") {
  World world;
  world.SetFault(absl::ResourceExhaustedError("disk full"));
  for (int i = 0; i < 3; ++i) {  // the first is let through to see, the others are not
    const IntakeResult full = world.Submit({kGood});
    CHECK(model::RefusalOf(full.status)->code == model::RefusalCode::kStorageFull);
    REQUIRE(full.refused.size() == 1);
    CHECK(full.refused[0].verdict().verdict() == v1::VERDICT_RETRY);
    CHECK(full.refused[0].verdict().error() == v1::ERROR_REASON_STORAGE_FULL);
    CHECK(full.retry_after >= absl::Seconds(1));
  }
  world.SetFault(absl::OkStatus());
  CHECK(world.Submit({kGood}).accepted == 1);
}

TEST_CASE("While the log is away reports are to be sent again", "[ingest]") {
  World world;
  world.SetFault(absl::UnavailableError("no broker"));
  const IntakeResult probe = world.Submit({kGood});
  CHECK(probe.accepted == 0);
  CHECK(probe.refused[0].verdict().verdict() == v1::VERDICT_RETRY);
  const IntakeResult refused = world.Submit({kGood});
  CHECK(absl::IsUnavailable(refused.status));
  CHECK(refused.refused[0].verdict().verdict() == v1::VERDICT_RETRY);
  CHECK(refused.retry_after > absl::ZeroDuration());
}

}  // namespace
}  // namespace hub::ingest
