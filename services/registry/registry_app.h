// The registry's threads: one per partition of the log, each the sole driver of its registry::Processor while the partition is assigned. A
// processor that was deposed or keeps failing is replaced after a pause. Also puts rules on the log where they are missing.
//
// Thread safety: Start and Stop from one thread; everything else from any.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/eventlog/log.h"
#include "libs/model/rules.h"
#include "libs/model/token.h"
#include "libs/registry/processor.h"
#include "libs/store/database.h"

namespace hub::registry_service {

struct RegistryOptions {
  int32_t partitions = 1;
  registry::ProcessorOptions processor;  // partition is filled in
};

struct PartitionStatus {
  bool assigned = false;  // what follows is of no meaning otherwise
  registry::ProcessorStatus processor;
  int restarts = 0;         // of the processor, by this process
  absl::Status last_error;  // of the last step
};

class RegistryApp {
 public:
  // All pointers outlive the app. `first_table`: of registry::ProcessorTables() in `database`.
  RegistryApp(const RegistryOptions& options, const base::Clock* clock, eventlog::Log* log, store::Database* database,
              store::TableId first_table, const model::Tokeniser* tokeniser, base::Metrics* metrics);
  ~RegistryApp();

  void Start();
  void Stop();

  // Which partitions to serve from now on; none before the first call. One that goes loses its processor, and its disk is kept.
  void Assign(const std::set<int32_t>& partitions);

  std::vector<PartitionStatus> Status() const;

  // The rules to be in force. Each partition's thread puts them on its partition as soon as it owns it and has older ones.
  void WantRules(const model::Rules& rules);
  // True once every assigned partition has decided-by rules, within `timeout`: before that, reports would be kept without any effect.
  bool WaitForRules(absl::Duration timeout) const;

 private:
  struct Partition;
  void Run(const std::shared_ptr<Partition>& partition, const std::stop_token& stop);
  // Makes one when there is none; drops it when the partition is no longer assigned.
  std::shared_ptr<registry::Processor> ProcessorIfAssigned(Partition* partition);
  void DropProcessor(Partition* partition);
  void PutRulesIfOlder(const std::shared_ptr<Partition>& partition);
  std::shared_ptr<const model::Rules> rules() const;
  void Pause(const std::stop_token& stop, absl::Duration how_long);

  const RegistryOptions options_;
  const base::Clock* const clock_;
  eventlog::Log* const log_;
  store::Database* const database_;
  const store::TableId first_table_;
  const model::Tokeniser* const tokeniser_;
  base::Metrics* const metrics_;

  mutable base::Mutex mu_;
  base::CondVar stop_asked_;
  std::shared_ptr<const model::Rules> rules_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<Partition>> partitions_;  // shared with appends on their way, which may end after the app
  std::vector<base::Thread> threads_;
};

}  // namespace hub::registry_service
