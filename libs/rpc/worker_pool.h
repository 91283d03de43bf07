// A few threads for handlers that must block (a synced audit record, a walk through a database), so that gRPC's own never do.
//
// Bound: `queue_max` jobs wait; Run refuses the next one at once. Thread safety: Run from any thread.
//
//   absl::Status taken = pool->Run([=] { reactor->Finish(rpc::ToGrpc(Work(request, response))); });
//   if (!taken.ok()) reactor->Finish(rpc::ToGrpc(taken, kRetryAfter));
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"

namespace hub::rpc {

class WorkerPool {
 public:
  // `name`: of the threads and of the metrics' label.
  WorkerPool(const std::string& name, int threads, size_t queue_max, base::Metrics* metrics);
  ~WorkerPool();  // runs what was taken, then stops

  // ResourceExhausted (kOverloaded): the queue is full; `job` will not run. REQUIRES: `job` calls Finish itself.
  absl::Status Run(std::function<void()> job);

 private:
  void Work(const std::stop_token& stop);

  const size_t queue_max_;
  base::Gauge queued_;
  base::Counter refused_;
  base::Mutex mu_;
  base::CondVar changed_;
  std::deque<std::function<void()>> jobs_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<base::Thread> threads_;
};

}  // namespace hub::rpc
