// The partition's owner over a memory log: what is committed, published, rebuilt, repaired. Faults in combination: tests/simulation.
#include "libs/registry/processor.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/registry/processor_kit_test.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::registry {
namespace {

using kit::Hub;
using kit::kDay;
using model::Level;
using model::Outcome;

// Answers every second read with nothing, as a broker does that is not quick enough.
class SlowLog final : public eventlog::Log {
 public:
  explicit SlowLog(eventlog::Log* log) : log_(log) {}
  absl::Status EnsureTopics(const std::vector<eventlog::TopicSpec>& topics) override {
    return log_->EnsureTopics(topics);
  }
  std::string log_id() const override { return log_->log_id(); }
  void Append(const eventlog::TopicPartition& partition, eventlog::Record record, AppendCallback done) override {
    log_->Append(partition, std::move(record), std::move(done));
  }
  absl::StatusOr<eventlog::ReadResult> Read(const eventlog::TopicPartition& partition, eventlog::Offset from,
                                            const eventlog::ReadLimits& limits) override {
    if (++reads_ % 2 == 1) return eventlog::ReadResult{{}, from};
    return log_->Read(partition, from, limits);
  }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { log_->Wait(any_of, timeout); }
  absl::StatusOr<eventlog::OffsetRange> Offsets(const eventlog::TopicPartition& partition) override {
    return log_->Offsets(partition);
  }
  absl::Status Health() const override { return log_->Health(); }

 private:
  eventlog::Log* const log_;
  int reads_ = 0;
};

TEST_CASE("a report becomes an event and a line of history", "[registry][processor]") {
  Hub hub;
  hub.Report(1, "bank-1", 1);
  REQUIRE(hub.Events().size() == 1);
  const model::Event event = hub.Events()[0];
  CHECK(event.state.attributes.level == Level::kMedium);
  CHECK(event.state.version == 1);
  CHECK(event.rules_version == 1);
  CHECK(hub.Outcomes() == std::map<Outcome, int>{{Outcome::kMerged, 1}});
  CHECK(hub.processor->Status().phase == ProcessorPhase::kRunning);
  CHECK(hub.processor->Status().outbox_rows == 0);
}

TEST_CASE("a report sent again counts once, with another body it is a conflict", "[registry][processor]") {
  Hub hub;
  const model::Report report = hub.Make(1, "bank-1", 1);
  for (int i = 0; i < 3; ++i) hub.Put(report);
  hub.Settle();
  model::Report other = report;
  other.category = 20;
  hub.Put(other);
  model::Report elsewhere = hub.Make(1, "bank-2", 1);  // the same id of another reporter is another report
  hub.Put(elsewhere);
  hub.Settle();
  CHECK(hub.Outcomes() ==
        std::map<Outcome, int>{{Outcome::kMerged, 2}, {Outcome::kDuplicate, 2}, {Outcome::kConflict, 1}});
  CHECK(hub.Events().back().state.report_count == 2);
  CHECK(hub.Events().back().state.attributes.level == Level::kHigh);
}

TEST_CASE("an action counts once per stakeholder and event, whatever ids it is reported under, also after a lost disk",
          "[registry][processor]") {
  Hub hub;
  hub.Report(1, "bank-1", 1);
  const model::Event event = hub.Events()[0];
  const auto act = [&](const std::string& bank, int id, model::Action action, uint64_t version) {
    model::Report report = hub.Make(1, bank, id);
    report.kind = model::InputKind::kActionTaken;
    report.identifier = {};
    report.action = {{event.state.key, version}, action, 100 * id, hub.clock.TimeNow()};
    hub.Put(report);
    hub.Settle();
  };
  act("bank-1", 10, model::Action::kAccountFrozen, 1);
  act("bank-1", 11, model::Action::kAccountFrozen, 1);  // again, with another id and amount
  act("bank-1", 12, model::Action::kLienMarked, 1);
  act("bank-1", 13, model::Action::kAccountFrozen, 2);
  act("bank-2", 14, model::Action::kAccountFrozen, 1);
  CHECK(hub.Outcomes() == std::map<Outcome, int>{{Outcome::kMerged, 5}, {Outcome::kDuplicate, 1}});
  hub.Pass(absl::Seconds(20));  // a mark
  hub.LoseDisk();
  hub.Settle();
  act("bank-1", 15, model::Action::kAccountFrozen, 1);
  CHECK(hub.Outcomes() == std::map<Outcome, int>{{Outcome::kMerged, 5}, {Outcome::kDuplicate, 2}});
  CHECK(hub.Events().size() == 1);
}

TEST_CASE(
    "after a lost disk it knows the same ids as before: the first of two in conflict, and no action of a conflict",
    "[registry][processor]") {
  Hub hub;
  hub.Report(1, "bank-1", 1);
  const model::Event event = hub.Events()[0];
  const model::Report first = hub.Make(1, "bank-1", 10);
  model::Report other = first;
  other.category = 20;
  model::Report action = hub.Make(1, "bank-1", 10);  // a report's id, so nothing was done
  action.kind = model::InputKind::kActionTaken;
  action.identifier = {};
  action.action = {{event.state.key, 1}, model::Action::kAccountFrozen, 100, hub.clock.TimeNow()};
  for (const model::Report& report : {first, other, action}) hub.Put(report);
  hub.Settle();
  CHECK(hub.Outcomes() == std::map<Outcome, int>{{Outcome::kMerged, 2}, {Outcome::kConflict, 2}});
  hub.Pass(absl::Seconds(20));  // a mark
  hub.LoseDisk();
  hub.Settle();
  hub.Put(first);
  action.id = model::MakeNameBasedId("test", "11");
  hub.Put(action);
  hub.Settle();
  CHECK(hub.Outcomes() ==
        std::map<Outcome, int>{{Outcome::kMerged, 3}, {Outcome::kDuplicate, 1}, {Outcome::kConflict, 2}});
}

TEST_CASE("after a crash it goes on where it stopped, after a lost disk it rebuilds the same",
          "[registry][processor]") {
  Hub hub;
  for (int i = 0; i < 40; ++i) hub.Report(i % 7, absl::StrCat("bank-", i % 3), i);
  hub.Pass(absl::Seconds(20));  // a mark among it
  for (int i = 40; i < 60; ++i) hub.Report(i % 9, absl::StrCat("bank-", i % 4), i);
  const size_t events = hub.Events().size();
  const auto term = hub.processor->Status().term;

  hub.Crash();
  hub.Settle();
  CHECK(hub.processor->Status().phase == ProcessorPhase::kRunning);
  CHECK(hub.processor->Status().term == term + 1);
  CHECK_FALSE(hub.processor->Status().rebuilt);
  CHECK(hub.Events().size() == events);

  hub.LoseDisk();
  hub.Settle();
  CHECK(hub.processor->Status().rebuilt);
  CHECK(hub.processor->Status().rules_version == 1);
  CHECK(hub.Events().size() == events);  // a replay makes no event anew
  // Ids are known again, and counters go on where they were.
  for (int i = 0; i < 60; ++i) hub.Report(i % (i < 40 ? 7 : 9), absl::StrCat("bank-", i % (i < 40 ? 3 : 4)), i);
  CHECK(hub.Events().size() == events);
  hub.Pass(absl::Seconds(20));
  std::map<std::string, uint64_t> counts;
  for (const auto& update : hub.Read<model::StateUpdate>(eventlog::kEventsTopic)) {
    counts[update.state.identifier.canonical] = update.state.report_count;
  }
  for (const auto& event : hub.Events()) {
    uint64_t& count = counts[event.state.identifier.canonical];
    count = std::max(count, event.state.report_count);
  }
  uint64_t sum = 0;
  for (const auto& [canonical, count] : counts) sum += count;
  CHECK(sum == 60);
}

TEST_CASE("a read without an answer never passes for the end of a log", "[registry][processor]") {
  Hub hub;
  for (int i = 0; i < 40; ++i) hub.Report(i % 7, absl::StrCat("bank-", i % 3), i);
  hub.Pass(absl::Seconds(20));
  const size_t events = hub.Events().size();
  const uint64_t term = hub.processor->Status().term;

  hub.LoseDisk();
  SlowLog slow(&hub.log);
  hub.processor =
      std::make_unique<Processor>(hub.options, &hub.clock, &slow, &hub.database, 0, &hub.tokeniser, &hub.metrics);
  for (int i = 0; i < 2000; ++i) {
    const StepResult result = hub.processor->Step();
    CHECK((result.status.ok() || absl::IsUnavailable(result.status)));
    hub.log.Pump();
  }
  CHECK(hub.processor->Status().phase == ProcessorPhase::kRunning);
  CHECK(hub.processor->Status().rebuilt);
  CHECK(hub.processor->Status().term == term + 1);
  CHECK(hub.processor->Status().rules_version == 1);
  for (int i = 0; i < 40; ++i) hub.Put(hub.Make(i % 7, absl::StrCat("bank-", i % 3), i));
  for (int i = 0; i < 200; ++i) {
    (void)hub.processor->Step();
    hub.log.Pump();
  }
  CHECK(hub.Events().size() == events);  // all known: nothing counts again
  hub.processor.reset();                 // before the log that it reads
}

TEST_CASE("a step says how many records it decided on and committed", "[registry][processor]") {
  Hub hub;
  for (int i = 0; i < 3; ++i) hub.Put(hub.Make(i, "bank-1", i));
  hub.database.refuse = true;
  CHECK(hub.processor->Step().records == 0);
  hub.database.refuse = false;
  CHECK(hub.processor->Step().records == 3);
  hub.log.Pump();
  const StepResult after = hub.processor->Step();
  CHECK(after.progressed);  // its own events came back
  CHECK(after.records == 0);
}

TEST_CASE("a disk that refuses loses nothing and publishes nothing early", "[registry][processor]") {
  Hub hub;
  hub.database.refuse = true;
  hub.Put(hub.Make(1, "bank-1", 1));
  for (int i = 0; i < 5; ++i) CHECK(absl::IsResourceExhausted(hub.processor->Step().status));
  CHECK(hub.Events().empty());
  hub.database.refuse = false;
  hub.Settle();
  CHECK(hub.Events().size() == 1);
  CHECK(hub.Outcomes() == std::map<Outcome, int>{{Outcome::kMerged, 1}});
}

TEST_CASE("a log that refuses gets the rows later, in order", "[registry][processor]") {
  Hub hub;
  hub.Put(hub.Make(1, "bank-1", 1));
  hub.Put(hub.Make(1, "bank-2", 2));
  hub.log.SetFault(absl::UnavailableError("injected"));
  for (int i = 0; i < 20; ++i) {
    hub.processor->Step();
    hub.log.Pump();
    hub.clock.Advance(absl::Milliseconds(30));
  }
  CHECK(hub.Events().empty());
  CHECK(hub.processor->Status().outbox_rows > 0);
  hub.log.SetFault(absl::OkStatus());
  hub.Pass(absl::Seconds(1));
  const auto events = hub.Events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].state.version == 1);
  CHECK(events[1].state.version == 2);
  CHECK(hub.processor->Status().outbox_rows == 0);
}

TEST_CASE("what doesn't decode goes to quarantine and blocks nothing", "[registry][processor]") {
  Hub hub;
  hub.PutBytes("rubbish");
  std::string bent = wire::EncodeRecord({}, hub.Make(1, "bank-1", 1));
  bent[bent.size() / 2] = static_cast<char>(bent[bent.size() / 2] ^ 1);
  hub.PutBytes(bent);
  hub.Report(2, "bank-1", 2);
  CHECK(hub.Events().size() == 1);
  const auto quarantined = hub.Read<model::Quarantined>(eventlog::kQuarantineTopic);
  REQUIRE(quarantined.size() == 2);
  CHECK(quarantined[0].value == "rubbish");
  CHECK(quarantined[0].topic == eventlog::kReportsTopic);
}

TEST_CASE("a record in quarantine names the partition and offset that it was at", "[registry][processor]") {
  Hub hub(/*of_partition=*/2);
  const eventlog::Offset at = hub.log.Offsets({eventlog::kReportsTopic, 2})->end;
  hub.PutBytes("rubbish");
  hub.Settle();
  const auto quarantined = hub.Read<model::Quarantined>(eventlog::kQuarantineTopic);
  REQUIRE(quarantined.size() == 1);
  CHECK(quarantined[0].partition == 2);
  CHECK(quarantined[0].offset == at);
}

TEST_CASE("ids are kept for the window and then forgotten", "[registry][processor]") {
  Hub hub;
  hub.processor.reset();
  hub.options.dedupe_window = absl::Hours(10);
  hub.Start();
  hub.Pass(absl::Seconds(3));
  const model::Report report = hub.Make(1, "bank-1", 1);
  hub.Put(report);
  for (int hour = 0; hour < 9; ++hour) hub.Pass(absl::Hours(1));
  hub.Put(report);
  hub.Settle();
  CHECK(hub.Outcomes()[Outcome::kDuplicate] == 1);
  for (int hour = 0; hour < 5; ++hour) hub.Pass(absl::Hours(1));
  hub.Put(report);
  hub.Settle();
  CHECK(hub.Outcomes()[Outcome::kDuplicate] == 1);
  CHECK(hub.Outcomes()[Outcome::kMerged] == 2);
}

TEST_CASE("more flags than one commit takes lapse at one tick", "[registry][processor]") {
  Hub hub;
  constexpr int kFlags = 1300;
  for (int i = 0; i < kFlags; ++i) hub.Put(hub.Make(i, "bank-1", i));
  hub.Settle();
  CHECK(hub.Events().size() == kFlags);
  hub.clock.Advance(91 * kDay);
  hub.Pass(absl::Seconds(3));
  int expired = 0;
  for (const auto& event : hub.Events()) expired += event.kind == model::EventKind::kExpired ? 1 : 0;
  CHECK(expired == kFlags);
  // The tick stands behind all that lapsed at it.
  const auto ticks = hub.Read<model::Tick>(eventlog::kEventsTopic);
  CHECK(ticks.back().now > hub.Events().back().decided_at - absl::Seconds(1));
}

TEST_CASE("a new owner deposes the old one, whose records no longer count", "[registry][processor]") {
  Hub hub;
  hub.Report(1, "bank-1", 1);
  store::MemoryDatabase other_disk(ProcessorTables().size());
  Processor other(hub.options, &hub.clock, &hub.log, &other_disk, 0, &hub.tokeniser, &hub.metrics);
  const auto run_other = [&] {
    for (int i = 0; i < 200; ++i) {
      other.Step();
      hub.log.Pump();
    }
  };
  run_other();
  CHECK(other.Status().phase == ProcessorPhase::kRunning);
  CHECK(other.Status().term == 2);
  hub.Put(hub.Make(1, "bank-2", 2));
  hub.processor->Step();
  CHECK(hub.processor->Status().phase == ProcessorPhase::kDeposed);
  run_other();
  CHECK(hub.Events().back().state.version == 2);
  CHECK(hub.Events().back().state.attributes.level == Level::kHigh);
}

TEST_CASE("a flag that lapses between two ticks gets one of its own, and a crowd no more than four",
          "[registry][processor]") {
  Hub hub;
  const absl::Time tick = hub.clock.TimeNow();
  const auto lapses_after = [&](int number, absl::Duration after) {
    model::Report report = hub.Make(number, "bank-1", number);
    report.observed_at = tick + after - 90 * kDay;
    hub.Put(report);
    hub.Settle();
  };
  lapses_after(1, absl::Milliseconds(2100));
  for (int i = 0; i < 50; ++i) lapses_after(2 + i, absl::Milliseconds(3000 + 20 * i));
  const auto expired = [&] {
    const auto events = hub.Events();
    return std::count_if(events.begin(), events.end(),
                         [](const auto& event) { return event.kind == model::EventKind::kExpired; });
  };
  hub.Pass(absl::Milliseconds(2000));
  CHECK(expired() == 0);
  hub.Pass(absl::Milliseconds(300));
  CHECK(expired() == 1);  // and not as late as after three seconds
  hub.Pass(absl::Milliseconds(700));
  const size_t ticks = hub.Read<model::Tick>(eventlog::kReportsTopic).size();
  hub.Pass(absl::Seconds(1));
  CHECK(hub.Read<model::Tick>(eventlog::kReportsTopic).size() - ticks <= 4);
  hub.Pass(absl::Milliseconds(300));
  CHECK(expired() == 51);
}

TEST_CASE("a machine's clock that jumps stops the ticks until somebody looks", "[registry][processor]") {
  Hub hub;
  hub.processor.reset();
  hub.options.tick_step_max = absl::Hours(1);
  hub.Start();
  hub.Pass(absl::Seconds(3));
  const absl::Time before = hub.processor->Status().clock;
  hub.clock.Advance(absl::Hours(30));
  hub.Pass(absl::Seconds(3));
  CHECK(hub.processor->Status().clock == before);
  hub.Crash();  // an operator's restart goes on with the clock as it is
  hub.Pass(absl::Seconds(3));
  CHECK(hub.processor->Status().clock > before + absl::Hours(29));
}

}  // namespace
}  // namespace hub::registry
