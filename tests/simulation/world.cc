#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"

namespace hub::simulation {
namespace {

using model::IdentifierType;
using model::InputKind;
using model::Level;
using model::Reason;
using model::Role;

// Compaction lag of `events`. In the product it is days, longer than any time in which owner after owner of a partition ends before it
// has taken over, and so before it has repaired a displaced key (R13). Here compaction waits for one when there was none for so long.
constexpr absl::Duration kLag = absl::Seconds(60);
constexpr absl::Duration kTakenOverWithin = absl::Seconds(30);

const std::vector<model::Reporter>& Reporters() {
  static const std::vector<model::Reporter> reporters = {
      {"bank-a", "main", "group-1", Role::kFinancialInstitution},
      {"bank-b", "main", "group-1", Role::kFinancialInstitution},
      {"bank-c", "main", "group-2", Role::kFinancialInstitution},
      {"police-x", "main", "police-x", Role::kLawEnforcement},
      {"portal-1", "main", "portal-1", Role::kCitizenPortal},
      {"tsp-1", "main", "tsp-1", Role::kTelecomOperator},
      {"dot", "analyst-1", "dot", Role::kAnalyst},
  };
  return reporters;
}

model::Rules MakeRules(uint64_t version) {
  model::Rules rules;
  rules.version = version;
  // Odd versions are stricter, so that a change of rules changes levels.
  const Level bank = version % 2 == 1 ? Level::kMedium : Level::kHigh;
  rules.sources = {
      {InputKind::kFinancialFraud, Role::kLawEnforcement, Reason::kUnspecified, Level::kVeryHigh,
       Reason::kLeaReportedCybercrime, absl::Minutes(4)},
      {InputKind::kFinancialFraud, Role::kFinancialInstitution, Reason::kUnspecified, bank,
       Reason::kFinancialInstitution, absl::Minutes(2)},
      {InputKind::kSuspectedCommunication, Role::kCitizenPortal, Reason::kUnspecified, Level::kNone,
       Reason::kCitizenReports, absl::Minutes(3)},
      {InputKind::kDisconnected, Role::kTelecomOperator, Reason::kUnspecified, Level::kMedium,
       Reason::kDisconnectedDormant, absl::Minutes(2)},
  };
  rules.corroboration = {{InputKind::kFinancialFraud, Role::kFinancialInstitution, 2, 0, Level::kHigh},
                         {InputKind::kSuspectedCommunication, Role::kCitizenPortal, 0, 3, Level::kMedium}};
  rules.sole_source_very_high = {Role::kLawEnforcement};
  return rules;
}

model::Identifier IdentifierNumber(int number) {
  if (number % 5 == 4) return {IdentifierType::kUpiAddress, absl::StrCat("5550000", 100 + number, "@testpsp")};
  return {IdentifierType::kMobile, absl::StrCat("+915550000", 100 + number)};
}

std::vector<eventlog::TopicSpec> Topics() {
  std::vector<eventlog::TopicSpec> topics = eventlog::HubTopics(kPartitions);
  for (eventlog::TopicSpec& topic : topics) {
    if (topic.name == eventlog::kEventsTopic) topic.compaction_lag = kLag;
  }
  return topics;
}

bool IsWithdrawal(const model::Event& event) { return model::IsCorrection(event.kind); }

}  // namespace

World::World(uint64_t seed, Bug bug)
    : bug_(bug),
      identifiers_(6 + static_cast<int>(seed % 4) * 24),
      random_(seed),
      clock_(absl::FromUnixSeconds(1'800'000'000)),
      tokeniser_(base::HmacKey("routing"), base::HmacKey("logs")),
      sealer_(base::HmacKey("cursors"), 1),
      events_(kPartitions),
      observed_(kPartitions, 0),
      term_in_force_(kPartitions, 0),
      owned_(kPartitions, absl::InfinitePast()) {
  eventlog::MemoryLogOptions options;
  options.manual_pump = true;
  options.fate = [this](const eventlog::TopicPartition&, const eventlog::Record&) {
    eventlog::AppendFate fate;
    fate.delay_pumps = Draw(4);
    if (calm_) return fate;
    const int dice = Draw(100);
    if (dice < 3) {
      fate.kind = eventlog::AppendFate::Kind::kLost;
      ++fired_["append lost"];
    } else if (dice < 6) {
      fate.kind = eventlog::AppendFate::Kind::kUnacknowledged;
      ++fired_["append unacknowledged"];
    } else if (dice < 8) {
      fate.kind = eventlog::AppendFate::Kind::kDuplicated;
      ++fired_["append duplicated"];
    }
    return fate;
  };
  log_ = std::make_unique<eventlog::MemoryLog>(&clock_, options);
  if (!log_->EnsureTopics(Topics()).ok()) Fail("topics");

  LogView::Swallow swallow;
  if (bug_ == Bug::kStateNotRepaired) {
    swallow = [](const eventlog::TopicPartition& at, const eventlog::Record& record) {
      if (at.topic != eventlog::kEventsTopic) return false;
      auto decoded = wire::DecodeRecord(record.value);
      return decoded.ok() && std::holds_alternative<model::StateUpdate>(decoded->body);
    };
  }
  swallow_ = swallow;
  LogView::Alter alter;
  if (bug_ == Bug::kFencedCopyBelieved || bug_ == Bug::kLeftViewForgotten || bug_ == Bug::kWithdrawalDropped ||
      bug_ == Bug::kFencedRecordBelieved) {
    alter = [this](const eventlog::TopicPartition& at, eventlog::StoredRecord* record) {
      if (bug_ == Bug::kFencedCopyBelieved) {
        return at.topic != eventlog::kUrgentTopic || AlterUrgent(at.partition, record);
      }
      if (at.topic != eventlog::kEventsTopic) return true;
      auto decoded = wire::DecodeRecord(record->value);
      if (!decoded.ok()) return true;
      if (bug_ == Bug::kFencedRecordBelieved) {
        // What a reader without the fencing rule would take the record for.
        if (!std::holds_alternative<model::TermMark>(decoded->body)) {
          uint64_t& highest = highest_owner_term_[at.partition];
          record->value = wire::Restamp(record->value, std::max(highest, decoded->header.term));
        } else {
          highest_owner_term_[at.partition] = std::max(highest_owner_term_[at.partition], decoded->header.term);
        }
        return true;
      }
      auto* event = std::get_if<model::Event>(&decoded->body);
      if (event == nullptr) return true;
      if (bug_ == Bug::kLeftViewForgotten && event->previous.has_value()) {
        event->previous.reset();
        record->value = wire::EncodeRecord(decoded->header, decoded->body);
      }
      if (bug_ == Bug::kWithdrawalDropped && IsWithdrawal(*event)) {
        const auto range = log_->Offsets(at);
        return range.ok() && record->offset + 20 > range->end;
      }
      return true;
    };
  }
  fanout_log_ = std::make_unique<LogView>(log_.get(), alter, nullptr);

  ChangeRules();
  for (int32_t partition = 0; partition < kPartitions; ++partition) StartOwner(partition);
  for (int i = 0; i < kNodes; ++i) {
    nodes_.push_back(std::make_unique<Node>());
    RestartNode(nodes_.back().get());
  }
  AddClients();
}

// The log answers what is still under way when it goes: before the members that the answers touch.
World::~World() {
  clients_.clear();
  nodes_.clear();
  owners_.clear();
  log_.reset();
}

void World::Fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

void World::StartOwner(int32_t partition) {
  auto owner = std::make_unique<Owner>();
  owner->partition = partition;
  owner->disk = std::make_shared<store::MemoryDatabase>(registry::ProcessorTables().size());
  owners_.push_back(std::move(owner));
  CrashOwner(owners_.back().get());
}

// Ends the owner's process, loses what was not synced, and starts it again on the same disk.
void World::CrashOwner(Owner* owner) {
  owner->processor.reset();
  // What it had sent still meets its fate, and may land behind what others send from now on.
  owner->view.reset();
  owner->client = log_->NewClient();
  owner->view = std::make_unique<LogView>(owner->client.get(), nullptr, swallow_);
  owner->disk->Crash();
  store::Database* disk = owner->disk.get();
  if (bug_ == Bug::kDedupeWriteSkipped) {
    const auto tables = registry::ProcessorTables();
    const auto ids = std::find_if(tables.begin(), tables.end(),
                                  [](const store::TableSpec& t) { return t.name.find("ids") != std::string::npos; });
    owner->lossy = std::make_unique<LossyDatabase>(disk, static_cast<store::TableId>(ids - tables.begin()));
    disk = owner->lossy.get();
  }
  registry::ProcessorOptions options;
  options.partition = owner->partition;
  options.batch_records_max = 8;
  options.tick_interval = absl::Seconds(1);
  options.state_flush_interval = absl::Seconds(3);
  options.mark_interval = absl::Seconds(10);
  options.outbox_in_flight_max = 16;
  owner->processor =
      std::make_unique<registry::Processor>(options, &clock_, owner->view.get(), disk, 0, &tokeniser_, &metrics_);
  owner->paused = false;
}

void World::StepOwners() {
  for (const auto& owner : owners_) {
    if (owner->paused || (!calm_ && Draw(3) == 0)) continue;
    (void)owner->processor->Step();
  }
  for (int32_t partition = 0; partition < kPartitions; ++partition) {
    const Owner* newest = nullptr;
    for (const auto& owner : owners_) {
      if (owner->partition != partition) continue;
      if (newest == nullptr || owner->processor->Status().term > newest->processor->Status().term) newest = owner.get();
    }
    if (newest != nullptr && newest->processor->Status().phase == registry::ProcessorPhase::kRunning) {
      owned_[static_cast<size_t>(partition)] = clock_.TimeNow();
    }
  }
  // A deposed owner's process ends; the highest term of each partition stays.
  std::erase_if(owners_, [this](const std::unique_ptr<Owner>& owner) {
    if (owner->processor->Status().phase != registry::ProcessorPhase::kDeposed) return false;
    ++fired_["owner deposed"];
    return true;
  });
  for (int32_t partition = 0; partition < kPartitions; ++partition) {
    const bool owned = std::any_of(owners_.begin(), owners_.end(),
                                   [&](const auto& owner) { return owner->partition == partition && !owner->paused; });
    if (!owned) StartOwner(partition);
  }
}

void World::ChangeRules() {
  ++rules_version_;
  for (int32_t partition = 0; partition < kPartitions; ++partition) {
    const std::string bytes = wire::EncodeRecord({}, model::RulesUpdate{MakeRules(rules_version_)});
    log_->Append({eventlog::kReportsTopic, partition}, {"rules", bytes}, [](absl::StatusOr<eventlog::Offset>) {});
  }
}

void World::Submit(bool again) {
  if (again && !submitted_.empty()) {
    const size_t index = static_cast<size_t>(Draw(static_cast<int>(submitted_.size())));
    if (Draw(6) == 0) {
      // The same id with another body: a conflict, which must not count.
      Submitted conflict = submitted_[index];
      conflict.report.category = 90;
      conflict.acknowledged = false;
      conflict.in_flight = false;
      submitted_.push_back(conflict);
      AppendReport(submitted_.size() - 1);
      ++fired_["conflict"];
    } else {
      AppendReport(index);
      ++fired_["report again"];
    }
    return;
  }
  Submitted submitted;
  model::Report& report = submitted.report;
  report.id = model::MakeTimeBasedId(clock_.TimeNow(), absl::StrCat(random_(), "-", random_()).substr(0, 10));
  report.identifier = IdentifierNumber(Draw(identifiers_));
  report.reporter = Reporters()[static_cast<size_t>(Draw(static_cast<int>(Reporters().size())))];
  report.observed_at = clock_.TimeNow() - absl::Seconds(Draw(60));
  report.received_at = clock_.TimeNow();
  switch (report.reporter.role) {
    case Role::kTelecomOperator:
      report.kind = Draw(4) == 0 ? InputKind::kReverified : InputKind::kDisconnected;
      report.operator_id = "tsp-1";
      if (report.identifier.type != IdentifierType::kMobile) report.identifier = IdentifierNumber(0);
      break;
    case Role::kCitizenPortal:
      report.kind = InputKind::kSuspectedCommunication;
      report.citizen_pseudonym = absl::StrCat("citizen-", Draw(6));
      break;
    case Role::kAnalyst:
      report.kind = InputKind::kCorrection;
      report.correction.kind = Draw(2) == 0 ? model::CorrectionKind::kCleared : model::CorrectionKind::kSetLevel;
      if (report.correction.kind == model::CorrectionKind::kSetLevel) report.correction.level = Level::kMedium;
      break;
    default:
      report.kind = Draw(6) == 0 ? InputKind::kCorrection : InputKind::kFinancialFraud;
      if (report.kind == InputKind::kCorrection) report.correction.kind = model::CorrectionKind::kRetracted;
      report.category = Draw(3) == 0 ? 20 : 0;
      break;
  }
  const model::RoutingToken token = tokeniser_.Routing(report.identifier);
  submitted.partition =
      eventlog::PartitionOf(absl::string_view(reinterpret_cast<const char*>(token.data()), token.size()), kPartitions);
  submitted_.push_back(submitted);
  AppendReport(submitted_.size() - 1);
}

void World::AppendReport(size_t index) {
  Submitted& submitted = submitted_[index];
  submitted.in_flight = true;
  log_->Append({eventlog::kReportsTopic, submitted.partition}, {"", wire::EncodeRecord({}, submitted.report)},
               [this, index](absl::StatusOr<eventlog::Offset> offset) {
                 submitted_[index].in_flight = false;
                 if (offset.ok()) submitted_[index].acknowledged = true;
               });
}

// What can go wrong, and how often next to each other.
void World::Harm() {
  struct Fault {
    const char* name;
    int weight;
    std::function<bool()> strike;  // false: there was nothing to strike
  };
  const auto client = [this] { return clients_[static_cast<size_t>(Draw(static_cast<int>(clients_.size())))].get(); };
  const auto owner = [this] { return owners_[static_cast<size_t>(Draw(static_cast<int>(owners_.size())))].get(); };
  const auto node = [this] { return nodes_[static_cast<size_t>(Draw(kNodes))].get(); };
  const std::vector<Fault> faults = {
      {"reconnect", 8, [&] { return client()->session.reset(), true; }},
      {"client crashed", 4, [&] { return CrashClient(client()), true; }},
      {"stall", 6,
       [&] {
         Client* stalled = client();
         stalled->stalled = !stalled->stalled;
         return true;
       }},
      {"owner crashed", 6, [&] { return CrashOwner(owner()), true; }},
      // Its lease ran out, somebody else takes over with an empty disk; later it wakes and believes it still owns.
      {"owner paused", 3,
       [&] {
         Owner* paused = owner();
         paused->paused = !paused->paused;
         return true;
       }},
      {"second owner", 2, [&] { return owners_.size() < 5 && (StartOwner(Draw(kPartitions)), true); }},
      {"node crashed", 3, [&] { return RestartNode(node()), true; }},
      {"node drained", 3, [&] { return DrainNode(node()), true; }},
      {"node behind", 4,
       [&] {
         Node* behind = node();
         behind->paused = !behind->paused;
         return true;
       }},
      {"rows changed", 2, [&] { return ChangeRows(client()), true; }},
      {"fields changed", 2, [&] { return ChangeFields(client()), true; }},
      {"compaction", 7,
       [&] {
         for (const absl::Time owned : owned_) {
           if (clock_.TimeNow() - owned > kTakenOverWithin) return ++fired_["compaction put off"], false;
         }
         Observe();  // the observer must not lose what compaction removes
         // Its lag is days in the product: no node is so far behind that a record goes before the node has read it.
         for (const auto& reader : nodes_) {
           while (reader->dispatcher->Step()) {
           }
         }
         log_->Clean();
         return true;
       }},
      {"rules changed", 3, [&] { return ChangeRules(), true; }},
  };
  int total = 0;
  for (const Fault& fault : faults) total += fault.weight;
  const auto strike = [&]() -> const char* {
    int dice = Draw(total);
    for (const Fault& fault : faults) {
      if ((dice -= fault.weight) >= 0) continue;
      if (!fault.strike()) return nullptr;
      ++fired_[fault.name];
      return fault.name;
    }
    return nullptr;
  };
  const char* first = strike();
  // Most that goes wrong in earnest does while something else is wrong.
  if (first == nullptr || Draw(3) != 0) return;
  for (int quiet = Draw(4); quiet > 0; --quiet) Work();
  const char* second = strike();
  if (second != nullptr)
    ++pairs_[std::min(std::string(first), std::string(second)) + " + " +
             std::max(std::string(first), std::string(second))];
}

void World::Work() {
  const int dice = Draw(960);
  if (dice < 220) {
    Submit(false);
  } else if (dice < 270) {
    Submit(true);
  } else if (dice < 470) {
    StepOwners();
  } else if (dice < 640) {
    log_->Pump();
  } else if (dice < 740) {
    StepNodes();
  } else if (dice < 900) {
    StepClient(clients_[static_cast<size_t>(Draw(static_cast<int>(clients_.size())))].get());
  } else {
    clock_.Advance(absl::Milliseconds(Draw(2500)));
  }
}

void World::Act() {
  if (Draw(1000) < 960) {
    Work();
  } else {
    Harm();
  }
}

void World::Quiesce() {
  calm_ = true;
  // One owner per partition stays: the newest. The others' processes are gone.
  for (int32_t partition = 0; partition < kPartitions; ++partition) {
    std::vector<Owner*> of_partition;
    for (const auto& owner : owners_) {
      if (owner->partition == partition) of_partition.push_back(owner.get());
    }
    for (size_t i = 0; i + 1 < of_partition.size(); ++i) {
      Owner* gone = of_partition[i];
      std::erase_if(owners_, [&](const auto& owner) { return owner.get() == gone; });
    }
    if (!of_partition.empty()) of_partition.back()->paused = false;
  }
  // Reporters see each report through; nothing is lost any more.
  for (int round = 0; round < 60; ++round) {
    for (size_t i = 0; i < submitted_.size(); ++i) {
      if (!submitted_[i].acknowledged && !submitted_[i].in_flight) AppendReport(i);
    }
    for (int i = 0; i < 40; ++i) {
      StepOwners();
      log_->Pump();
      StepNodes();
      for (const auto& client : clients_) StepClient(client.get());
      Observe();
    }
    clock_.Advance(absl::Milliseconds(500));
  }
}

std::string World::Run(int steps) {
  for (int i = 0; i < steps && failure_.empty(); ++i) Act();
  if (failure_.empty()) Quiesce();
  if (failure_.empty()) failure_ = Check();
  return failure_;
}

}  // namespace hub::simulation
