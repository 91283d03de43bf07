#include "libs/rpc/worker_pool.h"

#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"

namespace hub::rpc {

WorkerPool::WorkerPool(const std::string& name, int threads, size_t queue_max, base::Metrics* metrics)
    : queue_max_(queue_max),
      queued_(metrics->AddGauge("fraudhub_rpc_worker_queue_jobs", "Jobs that wait for a worker", {{"pool", name}})),
      refused_(metrics->AddCounter("fraudhub_rpc_worker_refused_total", "Jobs refused by a full queue", {{"pool", name}})) {
  threads_.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back(absl::StrCat(name, "-", i), [this](std::stop_token stop) { Work(stop); });
  }
}

WorkerPool::~WorkerPool() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (base::Thread& thread : threads_) thread.Stop();
}

absl::Status WorkerPool::Run(std::function<void()> job) {
  {
    base::MutexLock lock(&mu_);
    if (jobs_.size() >= queue_max_ || stopping_) {
      refused_.Increment();
      return model::Refuse(model::RefusalCode::kOverloaded, "", "too many calls are waiting; try again");
    }
    jobs_.push_back(std::move(job));
    queued_.Set(static_cast<double>(jobs_.size()));
  }
  changed_.NotifyOne();
  return absl::OkStatus();
}

void WorkerPool::Work(const std::stop_token& /*stop*/) {
  while (true) {
    std::function<void()> job;
    {
      base::MutexLock lock(&mu_);
      while (jobs_.empty() && !stopping_) changed_.Wait(&mu_);
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      queued_.Set(static_cast<double>(jobs_.size()));
    }
    job();
  }
}

}  // namespace hub::rpc
