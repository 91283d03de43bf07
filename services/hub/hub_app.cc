#include "services/hub/hub_app.h"

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "libs/access/quota.h"
#include "libs/base/log.h"
#include "libs/base/metrics.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/replica/replica.h"
#include "libs/rpc/ops_server.h"
#include "libs/rpc/worker_pool.h"
#include "services/hub/retry.h"
#include "services/hub/status_page.h"
#include "services/hub/stores.h"
#include "services/ingest/ingest_service.h"
#include "services/query/replica_feeder.h"
#include "services/query/rpc_bindings.h"
#include "services/registry/kept_rules.h"
#include "services/registry/registry_app.h"

namespace hub::hub_service {
namespace {

constexpr int kWorkers = 8;             // they wait for the disk (audit), not for the CPU
constexpr size_t kWorkQueueMax = 4096;  // calls beyond are refused with a time to come back
constexpr absl::Duration kRulesTimeout =
    absl::Seconds(10);  // for the first rules to be in force, and for an ApplyRules
constexpr absl::Duration kControlTimeout = absl::Seconds(10);
constexpr absl::Duration kStreamsWindow = absl::Seconds(2);  // farewells are paced over it
constexpr absl::Duration kCallsGrace = absl::Seconds(3);     // for what is in flight then

std::string OneLine(std::string text) {
  absl::RemoveExtraAsciiWhitespace(&text);
  return absl::StrReplaceAll(text, {{"\n", " "}});
}

enum class Stage { kStarting, kServing, kDraining };

class Impl final : public HubApp {
 public:
  Impl(HubConfig config, const base::Clock* clock)
      : config_(std::move(config)), clock_(clock), policy_(config_.policy) {}

  ~Impl() override {
    server_.reset();  // waits for every handler; only then may what they use go
    ops_.reset();
    if (feeder_ != nullptr) feeder_->Stop();
    if (fanout_) fanout_->Stop();
    if (registry_) registry_->Stop();
  }

  absl::Status Run() {
    HUB_LOG(INFO, "hub_starts", {{"version", HUB_VERSION}, {"config", OneLine(config_.text)}});
    HUB_ASSIGN_OR_RETURN(keys_, OpenKeys(config_));
    HUB_ASSIGN_OR_RETURN(stores_, OpenStores(config_, clock_, &metrics_));
    HUB_ASSIGN_OR_RETURN(replica_,
                         replica::Replica::Open(stores_.state.get(), stores_.replica_tables, config_.partitions,
                                                stores_.log->log_id(), clock_, &metrics_));
    HUB_RETURN_IF_ERROR(StartRegistry());
    feeder_ = std::make_unique<query::ReplicaFeeder>(clock_, stores_.log.get(), replica_.get(), &metrics_);
    feeder_->Start();
    workers_.emplace("query", kWorkers, kWorkQueueMax, &metrics_);
    gate_.emplace(&policy_, &metrics_, config_.server);
    MakeIngest();
    fanout_.emplace(config_.fanout, clock_, stores_.log.get(), &*gate_, wire::CursorSealer(*keys_.cursor, 1),
                    &metrics_);
    HUB_RETURN_IF_ERROR(base::Annotate(RetryUnavailable(clock_, kControlTimeout, [&] { return fanout_->Start(); }),
                                       "the fan-out can't read the log"));
    MakeQuery();
    HUB_RETURN_IF_ERROR(Serve());
    stage_ = Stage::kServing;
    HUB_LOG(INFO, "hub_serves",
            {{"port", server_->port()},
             {"ops_port", ops_->port()},
             {"policy", policy_.Get()->version()},
             {"rules", registry_->rules()->version}});
    return absl::OkStatus();
  }

  void Reload() override {
    absl::StatusOr<std::shared_ptr<const access::Policy>> policy = LoadPolicy(config_.policy_file);
    absl::StatusOr<model::Rules> rules = LoadRules(config_.rules_file);
    if (rules.ok() && rules->version <= registry_->rules()->version && *rules != *registry_->rules()) {
      rules =
          absl::InvalidArgumentError(absl::StrCat(config_.rules_file, ": version: ", rules->version, ", want above ",
                                                  registry_->rules()->version, ", whose rules differ"));
    }
    if (!policy.ok() || !rules.ok()) {
      for (const absl::Status& status : {policy.status(), rules.status()}) {
        if (status.ok()) continue;
        for (absl::string_view line : absl::StrSplit(status.message(), '\n'))
          HUB_LOG(ERROR, "reload_problem", {{"problem", line}});
      }
      HUB_LOG(ERROR, "reload_refused", {{"policy", policy_.Get()->version()}, {"rules", registry_->rules()->version}});
      return;
    }
    if (config_.server.insecure_for_benches && !(*policy)->Identify(config_.server.insecure_principal_uri).ok()) {
      HUB_LOG(WARN, "policy_lacks_the_principal_for_benches", {{"principal", config_.server.insecure_principal_uri}});
    }
    policy_.Set(*policy);
    if (rules->version > registry_->rules()->version) Want(*rules);
    HUB_LOG(INFO, "reloaded", {{"policy", (*policy)->version()}, {"rules", registry_->rules()->version}});
  }

  void Drain() override {
    HUB_LOG(INFO, "hub_drains", {{"streams", fanout_->streams()}});
    stage_ = Stage::kDraining;
    server_->Drain(
        [this] {
          ingest_->StopIntake();
          fanout_->Drain(kStreamsWindow);
        },
        kCallsGrace);
  }

  int port() const override { return server_->port(); }
  int ops_port() const override { return ops_->port(); }

 private:
  PageParts Parts() const { return {stores_.log.get(), &*registry_, replica_.get(), &*fanout_}; }

  // Keeps rules and has every partition that has older ones take them.
  void Want(const model::Rules& rules) {
    const absl::Status kept = registry_service::KeepRules(stores_.log.get(), rules, kControlTimeout);
    if (!kept.ok()) HUB_LOG(WARN, "rules_not_kept", {{"version", rules.version}, {"status", kept.ToString()}});
    registry_->WantRules(rules);
  }

  absl::Status StartRegistry() {
    eventlog::Log* const log = stores_.log.get();
    HUB_ASSIGN_OR_RETURN(const std::optional<model::Rules> kept,
                         registry_service::ReadKeptRules(log, clock_, kControlTimeout));
    bool fresh = false;  // some partition never saw a record, so no rules either
    for (int32_t i = 0; i < config_.partitions; ++i) {
      HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, RetryUnavailable(clock_, kControlTimeout, [&] {
                             return log->Offsets({eventlog::kReportsTopic, i});
                           }));
      fresh = fresh || range.end == 0;
    }
    registry_.emplace(registry_service::RegistryOptions{config_.partitions, config_.processor}, clock_, log,
                      stores_.state.get(), stores_.registry_tables, keys_.tokeniser.get(), &metrics_);
    if (!kept || config_.rules.version > kept->version) {
      Want(config_.rules);
    } else {
      if (config_.rules != *kept) {
        HUB_LOG(WARN, "rules_file_is_not_in_force", {{"file", config_.rules.version}, {"in_force", kept->version}});
      }
      registry_->WantRules(*kept);
    }
    registry_->Start();
    if (registry_->WaitForRules(kRulesTimeout)) return absl::OkStatus();
    if (!fresh) {
      HUB_LOG(WARN, "registry_not_running_yet", {{"why", "it takes over or rebuilds; /readyz says when it is done"}});
      return absl::OkStatus();
    }
    std::string why = "no error so far";
    for (const registry_service::PartitionStatus& status : registry_->Status()) {
      if (!status.last_error.ok()) why = status.last_error.ToString();
    }
    return absl::UnavailableError(
        absl::StrCat("the rules can't be put on the log (", why, "): check disk space or the brokers"));
  }

  void MakeIngest() {
    intake_.emplace(ingest::IntakeOptions{config_.partitions, config_.allow_test_range}, clock_, &metrics_,
                    stores_.log.get(), keys_.tokeniser.get(), &quota_);
    ingest_ = ingest::IngestService::Create(&*gate_, &*intake_, replica_.get(), &*workers_);
  }

  void MakeQuery() {
    query::LookupParts lookup;
    lookup.clock = clock_;
    lookup.metrics = &metrics_;
    lookup.replica = replica_.get();
    lookup.audit = stores_.audit.get();
    lookup.tokeniser = keys_.tokeniser.get();
    lookup.quota = &quota_;
    lookup.rules = [this] { return registry_->rules(); };
    lookup.age_max = config_.lookup_age_max;
    lookup.allow_test_range = config_.allow_test_range;
    lookup_.emplace(lookup);

    query::OperationsParts operations;
    operations.clock = clock_;
    operations.replica = replica_.get();
    operations.audit = stores_.audit.get();
    operations.tokeniser = keys_.tokeniser.get();
    operations.allow_test_range = config_.allow_test_range;
    operations.submit = [this](const access::Policy& policy, const access::Principal& caller,
                               const fraudhub::v1::Report& report, query::OperationsParts::OnVerdict on_verdict) {
      ingest::ReportIntake::Reports one;
      *one.Add() = report;
      intake_->Submit(policy, caller, one, "", [on_verdict = std::move(on_verdict)](ingest::IntakeResult result) {
        fraudhub::v1::ReportVerdict verdict;
        if (!result.verdicts.empty()) verdict = std::move(result.verdicts.front());
        on_verdict(std::move(result.status), std::move(verdict), result.retry_after);
      });
    };
    operations.apply_rules = [this](const model::Rules& rules) { return registry_->ApplyRules(rules, kRulesTimeout); };
    operations.streams = [this] { return fanout_->board().All(); };
    operations_.emplace(std::move(operations));
    bindings_ = query::RpcBindings::Create(&*gate_, &*workers_, &*lookup_, &*operations_);
  }

  absl::Status Serve() {
    rpc::OpsPages pages;
    pages.metrics = &metrics_;
    pages.unready = [this] { return NotReady(); };
    pages.status = [this] {
      return absl::StrCat("hub-all ", HUB_VERSION, "\n", NotReady().empty() ? "ready\n" : NotReady(), "policy ",
                          policy_.Get()->version(), ", rules ", registry_->rules()->version, "\n\n",
                          StatusText(Parts(), clock_->TimeNow()), "\nconfig\n", config_.text);
    };
    HUB_ASSIGN_OR_RETURN(ops_, rpc::OpsServer::Start(config_.ops_address, std::move(pages)));
    absl::StatusOr<std::unique_ptr<rpc::Server>> server = rpc::Server::Start(
        config_.server, {ingest_->service(), fanout_->service(), bindings_->lookup(), bindings_->operations()});
    if (!server.ok()) return base::Annotate(server.status(), "listen.address");
    server_ = *std::move(server);
    return absl::OkStatus();
  }

  std::string NotReady() const {
    switch (stage_.load()) {
      case Stage::kStarting:
        return "starting\n";
      case Stage::kDraining:
        return "draining\n";
      case Stage::kServing:
        break;
    }
    return Unready(Parts(), clock_->TimeNow(), config_.lookup_age_max);
  }

  const HubConfig config_;
  const base::Clock* const clock_;
  std::atomic<Stage> stage_{Stage::kStarting};  // sequentially consistent: it is asked once in a while
  access::PolicyHolder policy_;
  // In the order of construction: what stands below uses what stands above.
  base::Metrics metrics_;
  access::Quota quota_{clock_};
  Keys keys_;
  Stores stores_;
  std::unique_ptr<replica::Replica> replica_;
  std::optional<registry_service::RegistryApp> registry_;
  std::unique_ptr<query::ReplicaFeeder> feeder_;
  std::optional<rpc::WorkerPool> workers_;
  std::optional<rpc::Gate> gate_;
  std::optional<ingest::ReportIntake> intake_;
  std::unique_ptr<ingest::IngestService> ingest_;
  std::optional<fanout_service::FanoutApp> fanout_;
  std::optional<query::LookupService> lookup_;
  std::optional<query::OperationsService> operations_;
  std::unique_ptr<query::RpcBindings> bindings_;
  std::unique_ptr<rpc::OpsServer> ops_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HubApp>> HubApp::Start(HubConfig config, const base::Clock* clock) {
  auto app = std::make_unique<Impl>(std::move(config), clock);
  HUB_RETURN_IF_ERROR(app->Run());
  return app;
}

}  // namespace hub::hub_service
