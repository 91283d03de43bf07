// The partition's owner over a memory log: what is committed, published, rebuilt, repaired. Faults in combination: tests/simulation.
#include "libs/registry/processor.h"

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::registry {
namespace {

using model::InputKind;
using model::Level;
using model::Outcome;

constexpr absl::Duration kDay = absl::Hours(24);

// A database whose commits can be made to fail.
class RefusingDatabase final : public store::Database {
 public:
  explicit RefusingDatabase(store::Database* database) : database_(database) {}
  absl::Status Commit(const store::Batch& batch, store::Durability durability) override {
    if (refuse) return absl::ResourceExhaustedError("injected");
    return database_->Commit(batch, durability);
  }
  absl::StatusOr<std::optional<std::string>> Get(store::TableId table, absl::string_view key) const override {
    return database_->Get(table, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(store::TableId table,
                                                                   absl::Span<const std::string> keys) const override {
    return database_->MultiGet(table, keys);
  }
  std::unique_ptr<store::Cursor> Scan(store::TableId table, absl::string_view begin,
                                      absl::string_view end) const override {
    return database_->Scan(table, begin, end);
  }
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> Last(store::TableId table, absl::string_view begin,
                                                                          absl::string_view end) const override {
    return database_->Last(table, begin, end);
  }
  void Use(store::Database* database) { database_ = database; }
  bool refuse = false;

 private:
  store::Database* database_;
};

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

class Hub {
 public:
  explicit Hub(int32_t of_partition = 0) : partition(of_partition) {
    REQUIRE(log.EnsureTopics(eventlog::HubTopics(partition + 1)).ok());
    options.partition = partition;
    options.tick_step_max = 1000 * kDay;
    options.state_flush_interval = absl::Seconds(5);
    options.mark_interval = absl::Seconds(10);
    Start();
    model::Rules rules;
    rules.version = 1;
    rules.sources = {{InputKind::kFinancialFraud, model::Role::kUnspecified, model::Reason::kUnspecified,
                      Level::kMedium, model::Reason::kFinancialInstitution, 90 * kDay}};
    rules.corroboration = {{InputKind::kFinancialFraud, model::Role::kUnspecified, 2, 0, Level::kHigh}};
    Put(model::RulesUpdate{rules});
    Pass(absl::Seconds(2));
  }

  void Start() { processor = std::make_unique<Processor>(options, &clock, &log, &database, 0, &tokeniser, &metrics); }
  // As after kill -9 and a lost page cache: what was not synced is gone.
  void Crash() {
    processor.reset();
    disk->Crash();
    Start();
  }
  void LoseDisk() {
    processor.reset();
    disk = std::make_unique<store::MemoryDatabase>(ProcessorTables().size());
    database.Use(disk.get());
    Start();
  }
  void Settle() {
    for (int i = 0; i < 2000; ++i) {
      const StepResult result = processor->Step();
      const int pumped = log.Pump();
      if (!result.status.ok() || (!result.progressed && pumped == 0)) return;
    }
    FAIL("the processor never rests");
  }
  void Pass(absl::Duration time) {
    for (absl::Duration step = time / 10; time > absl::ZeroDuration(); time -= step) {
      clock.Advance(step);
      Settle();
    }
  }
  void Put(const model::LogBody& body) { PutBytes(wire::EncodeRecord({}, body)); }
  void PutBytes(const std::string& bytes) {
    bool done = false;
    log.Append({eventlog::kReportsTopic, partition}, {"key", bytes},
               [&done](const auto& offset) { done = offset.ok(); });
    while (!done) REQUIRE(log.Pump() > 0);
  }
  model::Report Make(int number, const std::string& bank, int id) {
    model::Report report;
    report.id = model::MakeNameBasedId("test", absl::StrCat(id));
    report.kind = InputKind::kFinancialFraud;
    report.identifier = {model::IdentifierType::kMobile, absl::StrCat("+91555", 1000000 + number)};
    report.reporter = {bank, "main", bank, model::Role::kFinancialInstitution};
    report.observed_at = clock.TimeNow();
    report.received_at = clock.TimeNow();
    return report;
  }
  void Report(int number, const std::string& bank, int id) {
    Put(Make(number, bank, id));
    Settle();
  }

  template <class Body>
  std::vector<Body> Read(const char* topic) {
    std::vector<Body> bodies;
    eventlog::Offset next = 0;
    while (true) {
      const auto read = log.Read({topic, 0}, next, {});
      REQUIRE(read.ok());
      for (const auto& record : read->records) {
        auto decoded = wire::DecodeRecord(record.value);
        REQUIRE(decoded.ok());
        if (auto* body = std::get_if<Body>(&decoded->body)) bodies.push_back(std::move(*body));
      }
      if (read->next == next) return bodies;
      next = read->next;
    }
  }
  std::vector<model::Event> Events() { return Read<model::Event>(eventlog::kEventsTopic); }
  std::map<Outcome, int> Outcomes() {
    std::map<Outcome, int> outcomes;
    for (const auto& entry : Read<model::HistoryEntry>(eventlog::kHistoryTopic)) ++outcomes[entry.outcome];
    return outcomes;
  }

  base::ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  base::Metrics metrics;
  eventlog::MemoryLog log{&clock, {.manual_pump = true}};
  std::unique_ptr<store::MemoryDatabase> disk = std::make_unique<store::MemoryDatabase>(ProcessorTables().size());
  RefusingDatabase database{disk.get()};
  model::Tokeniser tokeniser{base::HmacKey("routing"), base::HmacKey("logs")};
  const int32_t partition;
  ProcessorOptions options;
  std::unique_ptr<Processor> processor;
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

// --- urgent copies (R11) ----------------------------------------------------------------------------

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
