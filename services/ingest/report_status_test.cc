// What became of a report, as `history` and `events` reach the replica in either order.
#include "services/ingest/report_status.h"

#include <memory>
#include <string>

#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/model/report_id.h"
#include "libs/store/database.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::ingest {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kPolicy[] = R"(
version: 1
trust_domain: "dev.hub.example"
stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" }
stakeholders { id: "bank-2" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" }
grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: "ReportService.GetReportStatus" may_see {} }
)";
const absl::Time kDecided = absl::FromUnixSeconds(1'800'000'000);

// One identifier, one report of bank-1 about it.
class World {
 public:
  World() : database_(replica::ReplicaTables().size()) {
    replica_ = replica::Replica::Open(&database_, 0, 1, "log-1", &clock_, &metrics_).value();
    policy_ = access::Policy::Build(wire::ParsePolicy(kPolicy).value()).value();
    Events({model::Tick{kDecided - absl::Seconds(5), 1}});
  }
  void Events(const std::vector<model::LogBody>& bodies) {
    std::vector<replica::FedRecord> records;
    int64_t next = replica_->EventsNext()[0];
    for (const model::LogBody& body : bodies) records.push_back({0, next++, 1, body});
    REQUIRE(replica_->ApplyEvents(records, 0, next, /*caught_up=*/true).ok());
  }
  void State(uint64_t version, model::Level level) {
    model::Event event;
    event.kind = model::EventKind::kFlagged;
    event.state.key = key_;
    event.state.identifier = {model::IdentifierType::kMobile, "+915550001001"};
    event.state.version = version;
    event.state.attributes.type = model::IdentifierType::kMobile;
    event.state.attributes.level = level;
    event.reports_offset = static_cast<int64_t>(version);
    Events({event});
  }
  void Decided(uint64_t version, model::Level level) {
    model::HistoryEntry entry;
    entry.report_id = id_;
    entry.key = key_;
    entry.outcome = model::Outcome::kMerged;
    entry.report_kind = model::InputKind::kFinancialFraud;
    entry.reporter = {"bank-1", "main", "bank-1", model::Role::kFinancialInstitution};
    entry.level_after = level;
    entry.version_after = version;
    entry.decided_at = kDecided;
    const int64_t next = replica_->HistoryNext()[0];
    REQUIRE(replica_->ApplyHistory({{0, next, 1, entry}}, 0, next + 1).ok());
  }
  v1::ReportStatus Ask(const std::string& stakeholder = "bank-1") {
    v1::GetReportStatusRequest request;
    request.add_report_ids(model::ToText(id_));
    v1::GetReportStatusResponse response;
    const access::Principal caller = policy_->Identify("fraudhub://dev.hub.example/" + stakeholder + "/main").value();
    REQUIRE(GetReportStatus(*replica_, *policy_, caller, request, &response).ok());
    REQUIRE(response.statuses_size() == 1);
    return response.statuses(0);
  }

 private:
  const model::ReportId id_ = model::MakeNameBasedId("report_status_test", "1");
  const model::IndicatorKey key_;
  base::ManualClock clock_{kDecided};
  base::Metrics metrics_;
  store::MemoryDatabase database_;
  std::unique_ptr<replica::Replica> replica_;
  std::shared_ptr<const access::Policy> policy_;
};

TEST_CASE("a report is decided once the state it led to can be told", "[ingest]") {
  World world;
  world.State(1, model::Level::kMedium);
  world.Decided(2, model::Level::kHigh);
  CHECK(world.Ask().outcome() == v1::OUTCOME_UNSPECIFIED);
  CHECK(world.Ask().level_now() == v1::LEVEL_UNSPECIFIED);
  world.State(2, model::Level::kHigh);
  CHECK(world.Ask().outcome() == v1::OUTCOME_MERGED);
  CHECK(world.Ask().level_then() == v1::LEVEL_HIGH);
  CHECK(world.Ask().level_now() == v1::LEVEL_HIGH);
  CHECK(world.Ask("bank-2").outcome() == v1::OUTCOME_UNSPECIFIED);  // another's report is nobody's
}

TEST_CASE("a report whose state never comes is told once all before its decision is known", "[ingest]") {
  World world;
  world.Decided(1, model::Level::kHigh);
  CHECK(world.Ask().outcome() == v1::OUTCOME_UNSPECIFIED);
  world.Events({model::Tick{kDecided + absl::Seconds(1), 1}});
  CHECK(world.Ask().outcome() == v1::OUTCOME_MERGED);
  CHECK(world.Ask().level_then() == v1::LEVEL_HIGH);
  CHECK(world.Ask().level_now() == v1::LEVEL_UNSPECIFIED);
}

TEST_CASE("a report no event came of waits for none", "[ingest]") {
  World world;
  world.Decided(0, model::Level::kNone);
  CHECK(world.Ask().outcome() == v1::OUTCOME_MERGED);
}

}  // namespace
}  // namespace hub::ingest
