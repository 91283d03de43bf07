#include "services/edge/edge_app.h"

#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/metrics.h"
#include "libs/base/status_macros.h"
#include "libs/client/local_lookup.h"
#include "libs/client/local_replica.h"
#include "libs/rpc/ops_server.h"
#include "libs/rpc/server.h"
#include "libs/rpc/worker_pool.h"
#include "services/edge/edge_binding.h"

namespace hub::edge {
namespace {

constexpr int kWorkers = 4;
constexpr size_t kWorkerQueue = 4096;  // calls; more are refused, to come again in a second
constexpr absl::Duration kGrace = absl::Seconds(3);

client::LocalReplicaOptions ReplicaOptions(const EdgeConfig& config) {
  return {config.data_dir, config.hub, config.query, config.node_name, config.age_max};
}

class Impl final : public EdgeApp {
 public:
  Impl(EdgeConfig config, const base::Clock* clock)
      : config_(std::move(config)), clock_(clock), replica_(ReplicaOptions(config_), clock_, &metrics_) {}

  ~Impl() override {
    if (server_ != nullptr && !draining_) Drain();
    replica_.Stop();
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
    lookup_.emplace(client::LocalLookupParts{[this] { return replica_.view(); }, clock_, &metrics_, config_.age_max,
                                             config_.allow_test_range});
    service_ = BindLookup(&*lookup_, &*workers_);
    rpc::ServerOptions server = config_.server;
    server.metrics = &metrics_;
    HUB_ASSIGN_OR_RETURN(server_, rpc::Server::Start(server, {service_.get()}));
    serving_ = true;
    replica_.Start();
    HUB_LOG(
        INFO, "edge_serves",
        {{"version", HUB_VERSION}, {"address", config_.server.address}, {"port", port()}, {"ops_port", ops_port()}});
    return absl::OkStatus();
  }

  void Drain() override {
    draining_ = true;
    server_->Drain([] {}, kGrace);
    replica_.Stop();
  }

  int port() const override { return server_->port(); }
  int ops_port() const override { return ops_->port(); }

 private:
  std::string NotReady() const {
    if (draining_) return "draining\n";
    return absl::StrCat(serving_ ? server_->ListenerProblem() : "listener: not open\n", replica_.Unready());
  }

  std::string StatusPage() const {
    const std::string not_ready = NotReady();
    return absl::StrCat("hub-edge ", HUB_VERSION, ", ", config_.node_name, "\n",
                        not_ready.empty() ? "ready\n" : not_ready, replica_.Describe(), "\nconfig\n", config_.text);
  }

  const EdgeConfig config_;
  const base::Clock* const clock_;
  // Sequentially consistent: they are asked once in a while.
  std::atomic<bool> serving_{false};  // server_ is there
  std::atomic<bool> draining_{false};
  base::Metrics metrics_;
  client::LocalReplica replica_;
  std::optional<rpc::WorkerPool> workers_;
  std::optional<client::LocalLookup> lookup_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::OpsServer> ops_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EdgeApp>> EdgeApp::Start(EdgeConfig config, const base::Clock* clock) {
  auto app = std::make_unique<Impl>(std::move(config), clock);
  HUB_RETURN_IF_ERROR(app->Run());
  return app;
}

}  // namespace hub::edge
