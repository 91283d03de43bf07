// What the processor's tests share: a hub of one partition over a memory log, with a disk that can crash, be lost or refuse.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/registry/processor.h"
#include "libs/store/database.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::registry::kit {

using model::InputKind;
using model::Level;
using model::Outcome;

inline constexpr absl::Duration kDay = absl::Hours(24);

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

}  // namespace hub::registry::kit
