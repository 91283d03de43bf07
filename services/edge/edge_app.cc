#include "services/edge/edge_app.h"

#include <grpcpp/impl/service_type.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/rpc/ops_server.h"
#include "libs/rpc/server.h"
#include "libs/rpc/worker_pool.h"
#include "services/edge/edge_binding.h"
#include "services/edge/edge_lookup.h"
#include "services/edge/edge_view.h"
#include "services/edge/replica_folder.h"
#include "services/edge/stream_follower.h"
#include "services/edge/verdict_fetcher.h"

namespace hub::edge {
namespace {

constexpr int kWorkers = 4;
constexpr size_t kWorkerQueue = 4096;  // calls; more are refused, to come again in a second
constexpr absl::Duration kKeepInterval = absl::Seconds(1);
constexpr absl::Duration kReopenPause = absl::Seconds(2);
constexpr absl::Duration kGrace = absl::Seconds(3);
constexpr absl::Duration kClockOffMax = absl::Seconds(10);  // beyond it /statusz says so aloud

// One opening of the files. Whoever uses it holds a share.
struct Replica {
  std::unique_ptr<store::Database> database;
  std::unique_ptr<EdgeView> view;
  std::atomic<bool> damaged{false};  // sequentially consistent; it never falls
  std::stop_source ended;            // the stream into it
};

class Impl final : public EdgeApp {
 public:
  Impl(EdgeConfig config, const base::Clock* clock)
      : config_(std::move(config)),
        clock_(clock),
        follower_(config_.hub, config_.node_name),
        fetcher_(config_.query, config_.age_max, clock_, &metrics_) {
    age_ = metrics_.AddGauge("fraudhub_edge_age_seconds", "Age of what the stream told; -1: nothing is complete yet");
    answers_age_ = metrics_.AddGauge("fraudhub_edge_answers_age_seconds",
                                     "Age of what lookups are answered from, a compact set perhaps; -1: nothing yet");
    behind_ =
        metrics_.AddGauge("fraudhub_edge_records_behind", "Records of the hub's log that the stream had not passed");
    indicators_ = metrics_.AddGauge("fraudhub_edge_indicators", "Indicators in view; -1: not counted yet");
    index_bytes_ = metrics_.AddGauge("fraudhub_edge_index_bytes", "Memory of the verdict index");
    skew_ = metrics_.AddGauge("fraudhub_edge_clock_skew_seconds",
                              "This machine's clock less the hub's, at the last progress");
    disk_free_ = metrics_.AddGauge("fraudhub_edge_disk_free_bytes", "Free bytes of the disk that the replica is on");
    damages_ = metrics_.AddCounter("fraudhub_edge_damaged_total",
                                   "Times the replica was damaged, set aside, and fetched again");
  }

  ~Impl() override {
    if (server_ != nullptr && !draining_) Drain();
    housekeeper_.Stop();
    keeper_.Stop();
    ops_.reset();
    server_.reset();
  }

  absl::Status Run() {
    rpc::OpsPages pages;
    pages.metrics = &metrics_;
    pages.unready = [this] { return NotReady(); };
    pages.status = [this] { return StatusPage(); };
    HUB_ASSIGN_OR_RETURN(ops_, rpc::OpsServer::Start(config_.ops_address, std::move(pages)));
    workers_.emplace("lookup", kWorkers, kWorkerQueue, &metrics_);
    lookup_.emplace(
        EdgeLookupParts{[this] { return View(); }, clock_, &metrics_, config_.age_max, config_.allow_test_range});
    service_ = BindLookup(&*lookup_, &*workers_);
    rpc::ServerOptions server = config_.server;
    server.metrics = &metrics_;
    HUB_ASSIGN_OR_RETURN(server_, rpc::Server::Start(server, {service_.get()}));
    serving_ = true;
    keeper_ = base::Thread("keeper", [this](std::stop_token stop) { Keep(stop); });
    housekeeper_ = base::Thread("housekeeper", [this](std::stop_token stop) { KeepHouse(stop); });
    HUB_LOG(
        INFO, "edge_serves",
        {{"version", HUB_VERSION}, {"address", config_.server.address}, {"port", port()}, {"ops_port", ops_port()}});
    return absl::OkStatus();
  }

  void Drain() override {
    draining_ = true;
    server_->Drain([] {}, kGrace);
    keeper_.Stop();
  }

  int port() const override { return server_->port(); }
  int ops_port() const override { return ops_->port(); }

 private:
  std::shared_ptr<Replica> Shared() const {
    base::MutexLock lock(&mu_);
    return replica_;
  }
  std::shared_ptr<const EdgeView> View() const {
    const std::shared_ptr<Replica> replica = Shared();
    return replica == nullptr ? nullptr : std::shared_ptr<const EdgeView>(replica, replica->view.get());
  }

  // The keeper's thread: opens, follows, sets aside what is damaged, and again.
  void Keep(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      absl::StatusOr<std::shared_ptr<Replica>> opened = Open();
      if (opened.ok()) {
        const std::shared_ptr<Replica> replica = *std::move(opened);
        const std::stop_callback end(stop, [&] { replica->ended.request_stop(); });
        Publish(replica);
        {
          base::Thread fetching("verdicts", [this, &replica](std::stop_token) {
            fetcher_.Run(replica->view.get(), replica->ended.get_token());
          });
          follower_.Run(replica->view.get(), replica->ended.get_token());  // until it has ended
        }
        if (!replica->damaged) continue;
        Publish(nullptr);
        AwaitLastShare(replica);
        replica->view.reset();
        replica->database.reset();
        SetAside("a read found damage");
        Pause(stop, kReopenPause);  // a disk that goes on so must not keep the hub busy
      } else if (absl::IsDataLoss(opened.status())) {
        SetAside(std::string(opened.status().message()));
        Pause(stop, kReopenPause);
      } else {
        HUB_LOG_EVERY(10, ERROR, "replica_not_opened", {{"why", opened.status().message()}});
        Pause(stop, kReopenPause);
      }
    }
  }

  absl::StatusOr<std::shared_ptr<Replica>> Open() {
    auto replica = std::make_shared<Replica>();
    HUB_ASSIGN_OR_RETURN(replica->database, OpenReplica(config_.data_dir));
    HUB_ASSIGN_OR_RETURN(replica->view, EdgeView::Open(replica->database.get(), 0, clock_, &metrics_));
    replica->view->OnDamage([of = replica.get()] {
      of->damaged = true;
      of->ended.request_stop();
    });
    return replica;
  }

  void SetAside(const std::string& why) {
    const absl::Status aside = SetReplicaAside(config_.data_dir, clock_->TimeNow(), why);
    if (aside.ok()) return damages_.Increment();
    HUB_LOG_EVERY(10, ERROR, "replica_not_set_aside", {{"why", aside.message()}});
  }

  void Publish(std::shared_ptr<Replica> replica) {
    base::MutexLock lock(&mu_);
    replica_ = std::move(replica);
    changed_.NotifyAll();
  }

  // Lookups are short, and a load of the index stops when it sees the damage.
  void AwaitLastShare(const std::shared_ptr<Replica>& replica) {
    base::MutexLock lock(&mu_);
    while (replica.use_count() > 1) changed_.WaitFor(&mu_, absl::Milliseconds(5));
  }

  // The housekeeper's: the index when it is due, and what the metrics show.
  void KeepHouse(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (const std::shared_ptr<Replica> replica = Shared(); replica != nullptr && !replica->damaged) {
        if (replica->view->IndexWantsLoad()) LoadIndex(replica.get(), stop);
        ShowMetrics(*replica->view);
      }
      Pause(stop, kKeepInterval);
    }
  }

  void LoadIndex(Replica* replica, const std::stop_token& stop) {
    const absl::Duration began = clock_->Monotonic();
    const auto loaded = replica->view->LoadIndex([&] { return stop.stop_requested() || replica->damaged; });
    if (!loaded.ok()) {
      HUB_LOG_EVERY(10, WARN, "index_not_loaded",
                    {{"why", loaded.status().message()}, {"effect", "lookups read the disk"}});
    } else if (*loaded) {
      HUB_LOG(INFO, "index_loaded",
              {{"indicators", replica->view->indicators()},
               {"seconds", absl::ToDoubleSeconds(clock_->Monotonic() - began)}});
    }
  }

  void ShowMetrics(const EdgeView& view) {
    const Freshness fresh = view.freshness();
    const auto shown = [](absl::Duration age) {
      return age == absl::InfiniteDuration() ? -1 : absl::ToDoubleSeconds(age);
    };
    age_.Set(shown(fresh.age));
    answers_age_.Set(shown(AnswersAge(view)));
    behind_.Set(static_cast<double>(fresh.records_behind));
    indicators_.Set(static_cast<double>(view.indicators()));
    index_bytes_.Set(static_cast<double>(view.index_bytes()));
    skew_.Set(absl::ToDoubleSeconds(fresh.skew));
    struct statvfs disk = {};
    if (statvfs(config_.data_dir.c_str(), &disk) == 0) {
      disk_free_.Set(static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize));
    }
  }

  void Pause(const std::stop_token& stop, absl::Duration pause) {
    const std::stop_callback wake(stop, [this] {
      base::MutexLock lock(&mu_);
      changed_.NotifyAll();
    });
    const absl::Duration until = clock_->Monotonic() + pause;
    base::MutexLock lock(&mu_);
    while (!stop.stop_requested() && clock_->Monotonic() < until) changed_.WaitFor(&mu_, until - clock_->Monotonic());
  }

  static std::string Text(absl::Duration age) {
    return age == absl::InfiniteDuration() ? "unknown" : absl::FormatDuration(absl::Trunc(age, absl::Milliseconds(1)));
  }

  // As lookups choose: what the stream told, unless it is too old and there is a set.
  absl::Duration AnswersAge(const EdgeView& view) const {
    const absl::Duration age = view.freshness().age;
    if (age <= config_.age_max) return age;
    const std::shared_ptr<const FirstVerdicts> first = view.first_verdicts();
    return first == nullptr ? age : view.FreshnessOf(*first).age;
  }

  std::string NotReady() const {
    if (draining_) return "draining\n";
    return absl::StrCat(serving_ ? server_->ListenerProblem() : "listener: not open\n", StaleReplica());
  }

  // Empty: there are answers.
  std::string StaleReplica() const {
    const std::shared_ptr<const EdgeView> view = View();
    if (view == nullptr) return "replica: not open\n";
    const absl::Duration age = AnswersAge(*view);
    if (age <= config_.age_max) return "";
    return absl::StrCat("replica: data age ", Text(age), ", lookups answer UNKNOWN; the hub: ", follower_.link(), "\n");
  }

  std::string StatusPage() const {
    const std::string not_ready = NotReady();
    std::string text = absl::StrCat("hub-edge ", HUB_VERSION, ", ", config_.node_name, "\n",
                                    not_ready.empty() ? "ready\n" : not_ready, "hub: ", follower_.link(), "\n");
    if (const std::shared_ptr<const EdgeView> view = View(); view != nullptr) {
      const Freshness fresh = view->freshness();
      absl::StrAppend(&text, "age: ", Text(fresh.age), ", records behind: ", fresh.records_behind, "\n");
      absl::StrAppend(&text, "indicators: ", view->indicators(), ", index: ", view->index_bytes(), " bytes\n");
      if (const auto first = view->first_verdicts(); first != nullptr) {
        absl::StrAppend(&text, "first verdicts, until the snapshot has ended: ", first->set.size(), ", age ",
                        Text(view->FreshnessOf(*first).age), "\n");
      }
      absl::StrAppend(&text, "clock: ", absl::FormatDuration(absl::Trunc(fresh.skew, absl::Milliseconds(1))),
                      " ahead of the hub's", absl::AbsDuration(fresh.skew) > kClockOffMax ? ": set it\n" : "\n");
    }
    return absl::StrCat(text, "\nconfig\n", config_.text);
  }

  const EdgeConfig config_;
  const base::Clock* const clock_;
  // Sequentially consistent: they are asked once in a while.
  std::atomic<bool> serving_{false};  // server_ is there
  std::atomic<bool> draining_{false};
  base::Metrics metrics_;
  base::Gauge age_, answers_age_, behind_, indicators_, index_bytes_, skew_, disk_free_;
  base::Counter damages_;
  StreamFollower follower_;
  VerdictFetcher fetcher_;
  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::shared_ptr<Replica> replica_ ABSL_GUARDED_BY(mu_);
  std::optional<rpc::WorkerPool> workers_;
  std::optional<EdgeLookup> lookup_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::OpsServer> ops_;
  std::unique_ptr<rpc::Server> server_;
  base::Thread keeper_, housekeeper_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EdgeApp>> EdgeApp::Start(EdgeConfig config, const base::Clock* clock) {
  auto app = std::make_unique<Impl>(std::move(config), clock);
  HUB_RETURN_IF_ERROR(app->Run());
  return app;
}

}  // namespace hub::edge
