// R11: copies of urgent events, what the budget lets through, and what crashes and refusals do to them.
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/registry/processor.h"
#include "libs/registry/processor_kit_test.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::registry {
namespace {

using kit::Hub;
using kit::kDay;
using model::InputKind;

model::Report Retraction(Hub* hub, int number, const std::string& bank, int id) {
  model::Report report = hub->Make(number, bank, id);
  report.kind = InputKind::kCorrection;
  report.correction.kind = model::CorrectionKind::kRetracted;
  return report;
}

TEST_CASE("a correction is copied to the urgent lane, with its place and term", "[registry][processor][urgent]") {
  Hub hub;
  hub.Report(1, "bank-1", 1);
  CHECK_FALSE(hub.Events()[0].urgent);
  hub.Put(Retraction(&hub, 1, "bank-1", 2));
  hub.Settle();
  CHECK(hub.Events()[1].urgent);
  const auto copies = hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic);
  REQUIRE(copies.size() == 1);
  CHECK(copies[0].event.kind == model::EventKind::kRetracted);
  CHECK(copies[0].event.state.version == 2);
  CHECK(copies[0].twin_term == 1);
  const auto twin = hub.log.Read({eventlog::kEventsTopic, 0}, copies[0].twin_offset, {});
  REQUIRE(twin.ok());
  const auto record = wire::DecodeRecord(twin->records[0].value);
  CHECK(std::get<model::Event>(record->body).state.version == 2);
  CHECK(hub.processor->Status().outbox_rows == 0);
}

TEST_CASE("no copy before the twin is durable, none of lists and lapses", "[registry][processor][urgent]") {
  Hub hub;
  for (int i = 0; i < 3; ++i) hub.Report(i, "bank-1", i);
  model::Report row = Retraction(&hub, 1, "bank-1", 10);
  row.list_id = "list";
  hub.Put(row);
  hub.Settle();
  hub.Pass(91 * kDay);  // the others lapse
  CHECK(hub.Events().size() >= 5);
  CHECK(hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic).empty());

  hub.Report(5, "bank-1", 20);
  hub.Put(Retraction(&hub, 5, "bank-1", 21));
  for (int i = 0; i < 20; ++i) hub.processor->Step();  // sent, not durable
  CHECK(hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic).empty());
  hub.Settle();
  CHECK(hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic).size() == 1);
}

TEST_CASE("a crash between the twin and its copy loses neither", "[registry][processor][urgent]") {
  for (int steps = 0; steps < 4; ++steps) {
    INFO("steps after the twin is durable: " << steps);
    Hub hub;
    hub.Report(1, "bank-1", 1);
    hub.Put(Retraction(&hub, 1, "bank-1", 2));
    hub.processor->Step();
    REQUIRE(hub.log.Pump() > 0);
    REQUIRE(hub.Events().size() == 2);
    for (int i = 0; i < steps; ++i) hub.processor->Step();
    hub.Crash();
    hub.Settle();
    CHECK(hub.processor->Status().term == 2);
    CHECK(hub.Events().size() == 2);  // the twin is not sent again
    const auto copies = hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic);
    REQUIRE(!copies.empty());  // sent again if its acknowledgement was lost; receivers drop what they have
    CHECK(copies.size() <= 2);
    for (const auto& copy : copies) {
      CHECK(copy.twin_term == 1);
      CHECK(copy.event.state.version == 2);
    }
    CHECK(hub.processor->Status().outbox_rows == 0);
  }
}

TEST_CASE("a disk or a log that refuses delays the copy and makes no second one", "[registry][processor][urgent]") {
  Hub hub;
  hub.Report(1, "bank-1", 1);
  hub.Put(Retraction(&hub, 1, "bank-1", 2));
  hub.processor->Step();
  REQUIRE(hub.log.Pump() > 0);
  hub.database.refuse = true;
  for (int i = 0; i < 5; ++i) hub.processor->Step();
  hub.log.Pump();
  CHECK(hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic).empty());
  hub.database.refuse = false;
  hub.log.SetFault(absl::UnavailableError("injected"));
  for (int i = 0; i < 5; ++i) hub.processor->Step();
  CHECK(hub.processor->Status().outbox_rows > 0);
  hub.log.SetFault(absl::OkStatus());
  hub.Pass(absl::Seconds(1));
  CHECK(hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic).size() == 1);
  CHECK(hub.processor->Status().outbox_rows == 0);
}

TEST_CASE("beyond the budget urgent events go in their order only", "[registry][processor][urgent]") {
  Hub hub;
  hub.processor.reset();
  hub.options.urgent_copies_max = 3;
  hub.Start();
  hub.Settle();
  for (int i = 0; i < 10; ++i) hub.Report(i, "bank-1", i);
  for (int i = 0; i < 5; ++i) hub.Put(Retraction(&hub, i, "bank-1", 20 + i));
  hub.Settle();
  CHECK(hub.Events().size() == 15);
  CHECK(hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic).size() == 3);
  hub.Pass(absl::Seconds(1));
  for (int i = 5; i < 10; ++i) hub.Put(Retraction(&hub, i, "bank-1", 20 + i));
  hub.Settle();
  CHECK(hub.Read<model::UrgentCopy>(eventlog::kUrgentTopic).size() == 6);
}

}  // namespace
}  // namespace hub::registry
