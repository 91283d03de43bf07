#include "services/registry/registry_app.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/wire/wire.h"

namespace hub::registry_service {
namespace {

constexpr absl::Duration kPauseMin = absl::Milliseconds(50);  // after a failed step; doubled for each in a row
constexpr absl::Duration kPauseMax = absl::Seconds(5);
// Time to learn whether the partition is still ours: two who take it from each other in turns would serve nobody.
constexpr absl::Duration kDeposedPause = absl::Seconds(2);
constexpr absl::Duration kWaitMax = absl::Milliseconds(200);  // so that Stop is quick
// A commit costs about the same with one report or fifty, so after one of few as much is gathered as came while it was made.
constexpr size_t kMany = 128;
constexpr absl::Duration kGatherMax = absl::Milliseconds(10);
constexpr absl::Duration kPutAgainAfter = absl::Seconds(30);  // rules that were put and don't show

eventlog::Record RulesRecord(const model::Rules& rules) {
  return {"rules", wire::EncodeRecord({}, model::RulesUpdate{rules})};
}

}  // namespace

struct RegistryApp::Partition {
  int32_t number = 0;
  mutable base::Mutex mu;
  bool assigned ABSL_GUARDED_BY(mu) = false;
  std::shared_ptr<registry::Processor> processor ABSL_GUARDED_BY(mu);
  int restarts ABSL_GUARDED_BY(mu) = 0;
  absl::Status last_error ABSL_GUARDED_BY(mu);
  // The rules last put on the partition by its thread.
  uint64_t put_version ABSL_GUARDED_BY(mu) = 0;
  absl::Duration put_at ABSL_GUARDED_BY(mu);
};

RegistryApp::RegistryApp(const RegistryOptions& options, const base::Clock* clock, eventlog::Log* log,
                         store::Database* database, store::TableId first_table, const model::Tokeniser* tokeniser,
                         base::Metrics* metrics)
    : options_(options),
      clock_(clock),
      log_(log),
      database_(database),
      first_table_(first_table),
      tokeniser_(tokeniser),
      metrics_(metrics),
      rules_(std::make_shared<model::Rules>()) {
  for (int32_t i = 0; i < options.partitions; ++i) {
    partitions_.push_back(std::make_shared<Partition>());
    partitions_.back()->number = i;
  }
}

RegistryApp::~RegistryApp() { Stop(); }

void RegistryApp::Start() {
  for (const std::shared_ptr<Partition>& partition : partitions_) {
    threads_.emplace_back(absl::StrCat("registry-", partition->number),
                          [this, partition](std::stop_token stop) { Run(partition, stop); });
  }
}

void RegistryApp::Stop() {
  for (base::Thread& thread : threads_) thread.RequestStop();
  {
    base::MutexLock lock(&mu_);
    stop_asked_.NotifyAll();
  }
  for (base::Thread& thread : threads_) thread.Stop();
  threads_.clear();
}

void RegistryApp::Run(const std::shared_ptr<Partition>& partition, const std::stop_token& stop) {
  base::TakeShortTurns();
  absl::Duration pause = kPauseMin;
  while (!stop.stop_requested()) {
    const std::shared_ptr<registry::Processor> processor = ProcessorIfAssigned(partition.get());
    if (processor == nullptr) {
      pause = kPauseMin;
      Pause(stop, kWaitMax);
      continue;
    }
    const absl::Duration began = clock_->Monotonic();
    const registry::StepResult step = processor->Step();
    {
      base::MutexLock lock(&partition->mu);
      partition->last_error = step.status;
    }
    if (processor->Status().phase == registry::ProcessorPhase::kDeposed) {
      HUB_LOG(WARN, "registry_deposed", {{"partition", partition->number}, {"term", processor->Status().term}});
      Pause(stop, kDeposedPause);
      DropProcessor(partition.get());
      continue;
    }
    if (!step.status.ok()) {
      HUB_LOG_EVERY(5, WARN, "registry_step_failed",
                    {{"partition", partition->number}, {"status", step.status.ToString()}});
      Pause(stop, pause);
      pause = std::min(pause * 2, kPauseMax);
      continue;
    }
    pause = kPauseMin;
    PutRulesIfOlder(partition);
    if (!step.progressed) {
      log_->Wait(step.wait_for, std::min(step.wait_at_most, kWaitMax));
    } else if (step.records > 0 && step.records < kMany) {
      Pause(stop, std::min(clock_->Monotonic() - began, kGatherMax));
    }
  }
}

std::shared_ptr<registry::Processor> RegistryApp::ProcessorIfAssigned(Partition* partition) {
  base::MutexLock lock(&partition->mu);
  if (!partition->assigned) {
    partition->processor.reset();
  } else if (partition->processor == nullptr) {
    registry::ProcessorOptions options = options_.processor;
    options.partition = partition->number;
    partition->processor =
        std::make_shared<registry::Processor>(options, clock_, log_, database_, first_table_, tokeniser_, metrics_);
  }
  return partition->processor;
}

void RegistryApp::DropProcessor(Partition* partition) {
  base::MutexLock lock(&partition->mu);
  ++partition->restarts;
  partition->processor.reset();  // before its successor opens the same tables
}

void RegistryApp::Assign(const std::set<int32_t>& partitions) {
  for (const std::shared_ptr<Partition>& partition : partitions_) {
    base::MutexLock lock(&partition->mu);
    partition->assigned = partitions.count(partition->number) > 0;
  }
  base::MutexLock lock(&mu_);
  stop_asked_.NotifyAll();
}

void RegistryApp::PutRulesIfOlder(const std::shared_ptr<Partition>& partition) {
  const std::shared_ptr<const model::Rules> wanted = rules();
  if (wanted->version == 0) return;
  {
    base::MutexLock lock(&partition->mu);
    if (partition->processor == nullptr) return;
    const registry::ProcessorStatus status = partition->processor->Status();
    if (status.phase != registry::ProcessorPhase::kRunning || status.rules_version >= wanted->version) return;
    // Newer rules may be on the log already, not read yet; a partition without any can't wait for that.
    if (status.rules_version > 0 && status.reports_next < status.reports_end) return;
    const absl::Duration now = clock_->Monotonic();
    if (partition->put_version == wanted->version && now - partition->put_at < kPutAgainAfter) return;
    partition->put_version = wanted->version;
    partition->put_at = now;
  }
  log_->Append(
      {eventlog::kReportsTopic, partition->number}, RulesRecord(*wanted),
      [partition, version = wanted->version](absl::StatusOr<eventlog::Offset> offset) {
        if (offset.ok()) {
          HUB_LOG(INFO, "rules_put", {{"partition", partition->number}, {"version", version}, {"offset", *offset}});
          return;
        }
        HUB_LOG(WARN, "rules_not_put", {{"partition", partition->number}, {"status", offset.status().ToString()}});
        base::MutexLock lock(&partition->mu);
        partition->put_version = 0;
      });
}

void RegistryApp::Pause(const std::stop_token& stop, absl::Duration how_long) {
  base::MutexLock lock(&mu_);
  if (!stop.stop_requested()) stop_asked_.WaitFor(&mu_, how_long);
}

std::vector<PartitionStatus> RegistryApp::Status() const {
  std::vector<PartitionStatus> result;
  for (const std::shared_ptr<Partition>& partition : partitions_) {
    base::MutexLock lock(&partition->mu);
    PartitionStatus status;
    status.assigned = partition->assigned;
    if (partition->processor != nullptr) status.processor = partition->processor->Status();
    status.restarts = partition->restarts;
    status.last_error = partition->last_error;
    result.push_back(std::move(status));
  }
  return result;
}

void RegistryApp::WantRules(const model::Rules& rules) {
  base::MutexLock lock(&mu_);
  rules_ = std::make_shared<model::Rules>(rules);
}

std::shared_ptr<const model::Rules> RegistryApp::rules() const {
  base::MutexLock lock(&mu_);
  return rules_;
}

bool RegistryApp::WaitForRules(absl::Duration timeout) const {
  const absl::Duration until = clock_->Monotonic() + timeout;
  base::Mutex mu;
  base::CondVar never;  // nobody tells: this is asked once, at the start
  while (true) {
    const std::vector<PartitionStatus> all = Status();
    if (std::all_of(all.begin(), all.end(),
                    [](const PartitionStatus& s) { return !s.assigned || s.processor.rules_version > 0; }))
      return true;
    if (clock_->Monotonic() >= until) return false;
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, absl::Milliseconds(5));
  }
}

}  // namespace hub::registry_service
