#include "libs/rpc/egress.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/memory.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/rpc/egress_shard.h"

namespace hub::rpc {
namespace {

constexpr absl::Duration kMemoryLookInterval = absl::Seconds(1);
constexpr int kShedShare = 20;           // one in so many streams goes at a time
constexpr int kCallsAskedPerThread = 8;  // that gRPC may hand out before the thread looks; more wait within gRPC

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

class Loop final : public EgressLoop {
 public:
  Loop(const EgressOptions& options, base::Metrics* metrics) : house_(options, metrics) {
    house_.ask_for_call = [this] { LeastLoaded()->AskForCall(); };
  }
  ~Loop() override { memory_thread_.Stop(); }

  void SetMethod(EgressMethod* method) override { house_.method = method; }
  void SetCut(std::function<bool(absl::string_view peer)> cut) override { house_.cut = std::move(cut); }

  void AddQueues(grpc::ServerBuilder* builder) override {
    for (int i = 0; i < std::max(house_.options.threads, 1); ++i) {
      shards_.push_back(EgressShard::Create(&house_, i, builder->AddCompletionQueue()));
    }
  }

  void Begin() override {
    for (size_t i = 0; i < shards_.size(); ++i) {
      EgressShard* const shard = shards_[i].get();
      for (int n = 0; n < kCallsAskedPerThread; ++n) shard->AskForCall();
      threads_.emplace_back(absl::StrCat("egress-", i), [shard](std::stop_token) {
        base::TakeShortTurns();
        shard->Run();
      });
    }
    begun_.store(true, std::memory_order_release);
    memory_thread_ = base::Thread("egress-memory", [this](const std::stop_token& stop) { WatchMemory(stop); });
  }

  void Finish() override {
    memory_thread_.Stop();
    for (const std::unique_ptr<EgressShard>& shard : shards_) shard->Close();
    for (base::Thread& thread : threads_) thread.Stop();
    threads_.clear();
  }

  void Wake(EgressNews news) override {
    if (!begun_.load(std::memory_order_acquire)) return;
    for (const std::unique_ptr<EgressShard>& shard : shards_) shard->Wake(news);
  }

  void Drain(absl::Duration window) override {
    house_.draining.store(true, std::memory_order_relaxed);
    for (const std::unique_ptr<EgressShard>& shard : shards_) shard->StartDrain(window);
    const base::RealClock clock;
    const absl::Duration until = clock.Monotonic() + window + absl::Seconds(1);
    base::MutexLock lock(&house_.gone_mu);
    while (streams() > 0 && clock.Monotonic() < until) house_.gone.WaitFor(&house_.gone_mu, until - clock.Monotonic());
  }

  int streams() const override { return house_.open.load(std::memory_order_relaxed); }

 private:
  EgressShard* LeastLoaded() {
    return std::min_element(shards_.begin(), shards_.end(),
                            [](const auto& a, const auto& b) { return a->load() < b->load(); })
        ->get();
  }

  void WatchMemory(const std::stop_token& stop) {
    std::stop_callback wake(stop, [this] {
      base::MutexLock lock(&memory_mu_);
      memory_stop_.NotifyAll();
    });
    const EgressOptions& options = house_.options;
    while (!stop.stop_requested()) {
      const int64_t used = options.memory_used ? options.memory_used() : ResidentBytes();
      house_.probe.memory.Set(static_cast<double>(used));
      const bool over = options.memory_bytes_max > 0 && used > options.memory_bytes_max;
      house_.short_of_memory.store(over, std::memory_order_relaxed);
      if (over) {
        HUB_LOG_EVERY(5, WARN, "egress_short_of_memory", {{"bytes", used}, {"bytes_max", options.memory_bytes_max}});
        for (const std::unique_ptr<EgressShard>& shard : shards_) shard->Shed(shard->load() / kShedShare + 1);
        base::ReturnFreedMemory();  // what was freed before counts until then
      }
      base::MutexLock lock(&memory_mu_);
      if (!stop.stop_requested()) memory_stop_.WaitFor(&memory_mu_, kMemoryLookInterval);
    }
  }

  EgressHouse house_;
  std::vector<std::unique_ptr<EgressShard>> shards_;  // not changed once begun
  std::atomic<bool> begun_{false};                    // release, then acquire: who sees it sees the shards
  std::vector<base::Thread> threads_;
  base::Mutex memory_mu_;
  base::CondVar memory_stop_;
  base::Thread memory_thread_;
};

}  // namespace

std::unique_ptr<EgressLoop> EgressLoop::Create(const EgressOptions& options, base::Metrics* metrics) {
  return std::make_unique<Loop>(options, metrics);
}

}  // namespace hub::rpc
