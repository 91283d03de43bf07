#include "services/hub/hub_app.h"

#include <atomic>
#include <map>
#include <optional>
#include <set>
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
#include "libs/eventlog/kafka_group.h"
#include "libs/eventlog/mirrored_log.h"
#include "libs/eventlog/topics.h"
#include "libs/replica/replica.h"
#include "libs/rpc/https_server.h"
#include "libs/rpc/ops_server.h"
#include "libs/rpc/worker_pool.h"
#include "services/control/control_follower.h"
#include "services/control/control_topic.h"
#include "services/hub/retry.h"
#include "services/hub/status_page.h"
#include "services/hub/stores.h"
#include "services/hub/take_all.h"
#include "services/ingest/ingest_service.h"
#include "services/query/board.h"
#include "services/query/receipt_follower.h"
#include "services/query/replica_feeder.h"
#include "services/query/rpc_bindings.h"
#include "services/registry/registry_app.h"

namespace hub::hub_service {
namespace {

constexpr int kWorkers = 8;             // they wait for the disk (audit), not for the CPU
constexpr size_t kWorkQueueMax = 4096;  // calls beyond are refused with a time to come back
constexpr absl::Duration kControlTimeout =
    absl::Seconds(10);  // for what others must take note of: the control topic, rules
constexpr absl::Duration kStreamsWindow = absl::Seconds(2);  // farewells are paced over it
constexpr absl::Duration kCallsGrace = absl::Seconds(3);     // for what is in flight then

std::string OneLine(std::string text) {
  absl::RemoveExtraAsciiWhitespace(&text);
  return absl::StrReplaceAll(text, {{"\n", " "}});
}

enum class Stage { kStarting, kServing, kDraining };

class Impl final : public HubApp {
 public:
  Impl(const ServerKind& kind, HubConfig config, const base::Clock* clock, std::function<bool()> stop_asked)
      : kind_(kind),
        config_(std::move(config)),
        clock_(clock),
        stop_asked_(std::move(stop_asked)),
        policy_(config_.policy.policy),
        policy_text_(config_.policy.text),
        server_options_(config_.server) {
    server_options_.metrics = &metrics_;
    if (HasBoard()) server_options_.limits.descriptors_elsewhere = rpc::HttpsServer::kConnectionsMax;
  }

  ~Impl() override {
    server_.reset();  // waits for every handler; only then may what they use go
    browsers_.reset();
    ops_.reset();
    if (control_ != nullptr) control_->Stop();
    group_.reset();
    if (fanout_) fanout_->Stop();
    if (registry_) registry_->Stop();
  }

  absl::Status Run() {
    HUB_LOG(INFO, "hub_starts", {{"server", kind_.name}, {"version", HUB_VERSION}, {"config", OneLine(config_.text)}});
    HUB_ASSIGN_OR_RETURN(keys_, OpenKeys(kind_, config_));
    HUB_RETURN_IF_ERROR(StartOps());
    HUB_RETURN_IF_ERROR(AwaitLog());
    if (kind_.registry) HUB_RETURN_IF_ERROR(StartRegistry());
    if (kind_.Serves()) server_options_.connections = &connections_.emplace(server_options_.limits, &metrics_);
    gate_.emplace(&policy_, &metrics_, server_options_);
    eventlog::Log* const copied = mirror_ != nullptr ? mirror_.get() : stores_.log.get();
    if (stores_.replica_database != nullptr) {
      HUB_ASSIGN_OR_RETURN(replica_,
                           replica::Replica::Open(stores_.replica_database, stores_.replica_tables, config_.partitions,
                                                  stores_.log->log_id(), clock_, &metrics_));
      feeder_ = std::make_unique<query::ReplicaFeeder>(clock_, kind_.query ? stores_.log.get() : copied, replica_.get(),
                                                       /*with_history=*/kind_.query, &metrics_);
      if (kind_.query) {
        HUB_ASSIGN_OR_RETURN(receipts_,
                             query::ReceiptFollower::Start(clock_, stores_.log.get(), stores_.state.get(),
                                                           stores_.receipt_tables, feeder_.get(), &metrics_));
      }
      feeder_->Start();
    }
    if (kind_.Answers()) workers_.emplace("query", kWorkers, kWorkQueueMax, &metrics_);
    if (kind_.ingest || kind_.query) MakeIngest();
    if (kind_.fanout) {
      sealer_.emplace(keys_.cursors);
      UseCursorKeyOf(*control_->state());
      fanout_.emplace(config_.fanout, clock_, copied, replica_.get(), &*gate_, &*sealer_, &metrics_);
      HUB_RETURN_IF_ERROR(base::Annotate(RetryUnavailable(clock_, kControlTimeout, [&] { return fanout_->Start(); }),
                                         "the fan-out can't read the log"));
    }
    if (kind_.query) MakeLookup();
    if (kind_.Answers()) MakeOperations();
    control_->Start([this](const control::ControlState& state) { Follow(state); });
    if (kind_.Serves()) HUB_RETURN_IF_ERROR(Serve());
    if (HasBoard()) HUB_RETURN_IF_ERROR(StartBoard());
    stage_ = Stage::kServing;
    HUB_LOG(INFO, "hub_serves",
            {{"port", port()},
             {"ops_port", ops_->port()},
             {"board_port", browsers_ == nullptr ? 0 : browsers_->port()},
             {"policy", policy_.Get()->version()},
             {"rules", RulesInForce()->version}});
    return absl::OkStatus();
  }

  void Reload() override {
    absl::StatusOr<PolicyFile> policy = LoadPolicy(config_.policy_file);
    absl::StatusOr<model::Rules> rules = LoadRules(config_.rules_file);
    const std::shared_ptr<const control::ControlState> kept = control_->state();
    const auto below = [](const std::string& file, uint64_t has, uint64_t want) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": version: ", has, ", want above ", want, ", which was applied and differs"));
    };
    if (rules.ok() && kept->rules && rules->version <= kept->rules->version && *rules != *kept->rules) {
      rules = below(config_.rules_file, rules->version, kept->rules->version);
    }
    if (policy.ok() && kept->policy != nullptr && policy->policy->version() <= kept->policy->version() &&
        policy->text != kept->policy_text) {
      policy = below(config_.policy_file, policy->policy->version(), kept->policy->version());
    }
    if (!policy.ok() || !rules.ok()) {
      for (const absl::Status& status : {policy.status(), rules.status()}) {
        if (status.ok()) continue;
        for (absl::string_view line : absl::StrSplit(status.message(), '\n'))
          HUB_LOG(ERROR, "reload_problem", {{"problem", line}});
      }
      HUB_LOG(ERROR, "reload_refused", {{"policy", policy_.Get()->version()}, {"rules", RulesInForce()->version}});
      return;
    }
    SetPolicy(*policy, "file");
    if (sealer_) {
      if (const auto cursors = LoadCursorKeys(config_.key_dir); cursors.ok()) {
        sealer_->SetKeys(*cursors);
        UseCursorKeyOf(*kept);
      } else {
        HUB_LOG(ERROR, "reload_problem", {{"problem", cursors.status().message()}});
      }
    }
    if (kind_.registry && (!kept->rules || rules->version > kept->rules->version)) Want(*rules);
    HUB_LOG(INFO, "reloaded", {{"policy", policy->policy->version()}, {"rules", rules->version}});
  }

  void Drain() override {
    HUB_LOG(INFO, "hub_drains", {{"streams", fanout_ ? fanout_->streams() : 0}});
    stage_ = Stage::kDraining;
    if (server_ == nullptr) return;
    server_->Drain(
        [this] {
          if (ingest_ != nullptr) ingest_->StopIntake();
          if (fanout_) fanout_->Drain(kStreamsWindow);
        },
        kCallsGrace);
  }

  int port() const override { return server_ == nullptr ? 0 : server_->port(); }
  int ops_port() const override { return ops_->port(); }

 private:
  PageParts Parts() const {
    const replica::Replica* const shown = kind_.query ? replica_.get() : nullptr;
    return {stores_.log.get(), registry_ ? &*registry_ : nullptr, shown, fanout_ ? &*fanout_ : nullptr, control_.get(),
            group_.get()};
  }

  // Opens what is on this machine and the way to the log; a part of a cluster waits for the log as long as it takes.
  absl::Status AwaitLog() {
    while (true) {
      absl::Status opened = Open();
      if (opened.ok() || kind_.IsWhole() || !absl::IsUnavailable(opened)) return opened;
      mirror_.reset();
      control_.reset();
      stores_ = {};
      HUB_LOG(WARN, "waits_for_the_log", {{"status", opened.ToString()}});
      {
        base::MutexLock lock(&mu_);
        waits_for_ = std::string(opened.message());
      }
      if (stop_asked_()) return absl::CancelledError("asked to stop before it served");
    }
  }

  absl::Status Open() {
    HUB_ASSIGN_OR_RETURN(stores_, OpenStores(kind_, config_, clock_, &metrics_));
    HUB_RETURN_IF_ERROR(ReadControl());
    if (kind_.fanout && config_.log_kind == LogKind::kKafka) {
      HUB_ASSIGN_OR_RETURN(mirror_, OpenEventsCopy(config_, stores_.log.get(), clock_, &metrics_));
    }
    return absl::OkStatus();
  }

  absl::Status ReadControl() {
    control_ = std::make_unique<control::ControlFollower>(clock_, stores_.log.get(), /*mends=*/kind_.query);
    HUB_RETURN_IF_ERROR(control_->ReadToEnd(kControlTimeout));
    if (control_->state()->routing_check.empty() && (kind_.registry || kind_.query)) {
      HUB_RETURN_IF_ERROR(
          control::PutItem(stores_.log.get(), {control::kRoutingItem, 1, keys_.routing_check}, kControlTimeout));
      HUB_RETURN_IF_ERROR(control_->ReadToEnd(kControlTimeout));
    }
    const std::shared_ptr<const control::ControlState> state = control_->state();
    if (!state->routing_check.empty() && state->routing_check != keys_.routing_check) {
      return absl::FailedPreconditionError(
          absl::StrCat("key_dir: ", config_.key_dir,
                       "/routing.key is not the key that the log was made with: put the escrowed one there"));
    }
    FollowPolicy(*state);
    return absl::OkStatus();
  }

  void Follow(const control::ControlState& state) {
    FollowPolicy(state);
    UseCursorKeyOf(state);
    if (registry_ && state.rules) registry_->WantRules(*state.rules);
  }

  void UseCursorKeyOf(const control::ControlState& state) {
    if (sealer_ && !sealer_->SignWith(state.cursor_key)) {
      HUB_LOG(ERROR, "cursor_key_missing",
              {{"key", state.cursor_key}, {"effect", "tokens are sealed with the key before"}});
    }
  }

  // The file is where a first start gets its policy from; from then on what was applied counts, unless the file is newer.
  void FollowPolicy(const control::ControlState& state) {
    const std::shared_ptr<const access::Policy> present = policy_.Get();
    if (state.policy == nullptr || state.policy == present) return;
    if (state.policy->version() >= present->version()) {
      SetPolicy({state.policy, state.policy_text}, "control topic");
    } else {
      HUB_LOG(WARN, "policy_file_is_newer", {{"file", present->version()}, {"applied", state.policy->version()}});
    }
  }

  void SetPolicy(const PolicyFile& file, absl::string_view from) {
    if (config_.server.insecure_for_benches && !file.policy->Identify(config_.server.insecure_principal_uri).ok()) {
      HUB_LOG(WARN, "policy_lacks_the_principal_for_benches", {{"principal", config_.server.insecure_principal_uri}});
    }
    policy_.Set(file.policy);
    {
      base::MutexLock lock(&mu_);
      policy_text_ = file.text;
    }
    HUB_LOG(INFO, "policy_in_force", {{"version", file.policy->version()}, {"from", from}});
  }

  // Keeps rules and has every partition that has older ones take them.
  void Want(const model::Rules& rules) {
    const absl::Status kept = control::KeepRules(stores_.log.get(), rules, kControlTimeout);
    if (!kept.ok()) HUB_LOG(WARN, "rules_not_kept", {{"version", rules.version}, {"status", kept.ToString()}});
    registry_->WantRules(rules);
  }

  absl::Status StartRegistry() {
    registry_.emplace(registry_service::RegistryOptions{config_.partitions, config_.processor}, clock_,
                      stores_.log.get(), stores_.state.get(), stores_.registry_tables, keys_.tokeniser.get(),
                      &metrics_);
    const std::optional<model::Rules> kept = control_->state()->rules;
    if (!kept || config_.rules.version > kept->version) {
      Want(config_.rules);
    } else {
      if (config_.rules != *kept) {
        HUB_LOG(WARN, "rules_file_is_not_in_force", {{"file", config_.rules.version}, {"in_force", kept->version}});
      }
      registry_->WantRules(*kept);
    }
    registry_->Start();
    if (!kind_.IsWhole()) return JoinGroup();
    return TakeAllPartitions(&*registry_, stores_.log.get(), config_.partitions, clock_, kControlTimeout);
  }

  absl::Status JoinGroup() {
    eventlog::KafkaGroupOptions group;
    group.group = "fraudhub-registry";
    group.member = config_.node_name;
    group.topic = eventlog::kReportsTopic;
    group.on_change = [this](const std::set<int32_t>& partitions) { registry_->Assign(partitions); };
    HUB_ASSIGN_OR_RETURN(group_, eventlog::KafkaGroup::Join(config_.kafka, std::move(group)));
    return absl::OkStatus();
  }

  void MakeIngest() {
    intake_.emplace(ingest::IntakeOptions{config_.partitions, config_.allow_test_range}, clock_, &metrics_,
                    stores_.log.get(), keys_.tokeniser.get(), &quota_);
    ingest_ = ingest::IngestService::Create(&*gate_, &*intake_, replica_.get(), workers_ ? &*workers_ : nullptr);
  }

  std::shared_ptr<const model::Rules> RulesInForce() const {
    const std::shared_ptr<const control::ControlState> state = control_->state();
    return std::make_shared<model::Rules>(state->rules ? *state->rules : config_.rules);
  }

  absl::StatusOr<std::map<int32_t, int64_t>> ApplyRules(const model::Rules& rules) {
    const std::shared_ptr<const control::ControlState> state = control_->state();
    if (state->rules && rules.version <= state->rules->version) {
      return absl::FailedPreconditionError(
          absl::StrCat("version: want above ", state->rules->version, ", which is in force"));
    }
    return control::PutRules(stores_.log.get(), config_.partitions, rules, kControlTimeout);
  }

  absl::StatusOr<std::string> ApplyPolicy(uint64_t version, const std::string& text) {
    const std::shared_ptr<const access::Policy> present = policy_.Get();
    if (version <= present->version()) {
      return absl::FailedPreconditionError(
          absl::StrCat("version: want above ", present->version(), ", which is in force"));
    }
    HUB_RETURN_IF_ERROR(control::PutItem(stores_.log.get(), {control::kPolicyItem, version, text}, kControlTimeout));
    return control::ShortHash(text);
  }

  absl::StatusOr<uint64_t> UseCursorKey(uint32_t key_id) {
    const uint64_t version = control_->state()->cursor_key_version + 1;
    HUB_RETURN_IF_ERROR(
        control::PutItem(stores_.log.get(), {control::kCursorKeyItem, version, absl::StrCat(key_id)}, kControlTimeout));
    return version;
  }

  query::ControlSummary Summary() const {
    const std::shared_ptr<const model::Rules> rules = RulesInForce();
    base::MutexLock lock(&mu_);
    return {policy_.Get()->version(), control::ShortHash(policy_text_), rules->version, control::ShortHash(*rules),
            control_->state()->cursor_key};
  }

  void MakeLookup() {
    query::LookupParts lookup;
    lookup.clock = clock_;
    lookup.metrics = &metrics_;
    lookup.replica = replica_.get();
    lookup.audit = stores_.audit.get();
    lookup.tokeniser = keys_.tokeniser.get();
    lookup.quota = &quota_;
    lookup.rules = [this] { return RulesInForce(); };
    lookup.age_max = config_.lookup_age_max;
    lookup.allow_test_range = config_.allow_test_range;
    lookup_.emplace(lookup);
  }

  void MakeOperations() {
    query::OperationsParts operations;
    operations.clock = clock_;
    operations.audit = stores_.audit.get();
    operations.tokeniser = keys_.tokeniser.get();
    if (fanout_) operations.streams = [this] { return fanout_->board().All(); };
    if (kind_.query) AddAnalystsParts(&operations);
    operations_.emplace(std::move(operations));
    bindings_ = query::RpcBindings::Create(&*gate_, &*workers_, lookup_ ? &*lookup_ : nullptr, &*operations_);
  }

  void AddAnalystsParts(query::OperationsParts* operations) {
    operations->replica = replica_.get();
    operations->receipts = receipts_->book();
    operations->actions = receipts_->actions();
    operations->allow_test_range = config_.allow_test_range;
    operations->submit = [this](const access::Policy& policy, const access::Principal& caller,
                                const fraudhub::v1::Report& report, query::OperationsParts::OnVerdict on_verdict) {
      ingest::ReportIntake::Reports one;
      *one.Add() = report;
      const auto answer = [on_verdict = std::move(on_verdict), id = report.report_id()](ingest::IntakeResult result) {
        fraudhub::v1::ReportVerdict verdict = ingest::OnlyVerdict(id, &result);
        on_verdict(std::move(result.status), std::move(verdict), result.retry_after);
      };
      intake_->Submit(policy, caller, one, "", answer);
    };
    operations->apply_rules = [this](const model::Rules& rules) { return ApplyRules(rules); };
    operations->apply_policy = [this](uint64_t version, const std::string& text) { return ApplyPolicy(version, text); };
    operations->use_cursor_key = [this](uint32_t key_id) { return UseCursorKey(key_id); };
    operations->control = [this] { return Summary(); };
    operations->log = stores_.log.get();
  }

  absl::Status StartOps() {
    rpc::OpsPages pages;
    pages.metrics = &metrics_;
    pages.unready = [this] { return NotReady(); };
    pages.status = [this] { return StatusPage(); };
    HUB_ASSIGN_OR_RETURN(ops_, rpc::OpsServer::Start(config_.ops_address, std::move(pages)));
    return absl::OkStatus();
  }

  absl::Status Serve() {
    std::vector<grpc::Service*> services;
    if (ingest_ != nullptr) services.push_back(ingest_->service());
    if (fanout_) services.push_back(fanout_->service());
    if (bindings_ != nullptr) services.push_back(bindings_->operations());
    if (lookup_) services.push_back(bindings_->lookup());
    absl::StatusOr<std::unique_ptr<rpc::Server>> server =
        rpc::Server::Start(server_options_, services, fanout_ ? fanout_->egress() : nullptr);
    if (!server.ok()) return base::Annotate(server.status(), "listen.address");
    server_ = *std::move(server);
    return absl::OkStatus();
  }

  bool HasBoard() const { return kind_.query && !config_.board_address.empty(); }

  absl::Status StartBoard() {
    board_.emplace(query::BoardParts{clock_, &*gate_, replica_.get(), &*lookup_, &*operations_});
    absl::StatusOr<std::unique_ptr<rpc::HttpsServer>> server =
        rpc::HttpsServer::Start(config_.board_address, config_.server.identity_dir, clock_, &metrics_,
                                [this](const rpc::HttpRequest& request) { return board_->Answer(request); });
    if (!server.ok()) return base::Annotate(server.status(), "listen.board_address");
    browsers_ = *std::move(server);
    return absl::OkStatus();
  }

  // The ops port answers from before there are any parts.
  std::string NotReady() const {
    switch (stage_.load()) {
      case Stage::kStarting: {
        base::MutexLock lock(&mu_);
        return absl::StrCat("starting", waits_for_.empty() ? "" : ": ", waits_for_, "\n");
      }
      case Stage::kDraining:
        return "draining\n";
      case Stage::kServing:
        break;
    }
    return Unready(Parts(), *clock_, config_.lookup_age_max) + (server_ == nullptr ? "" : server_->ListenerProblem());
  }

  std::string StatusPage() const {
    std::string text = absl::StrCat(kind_.name, " ", HUB_VERSION, ", node ", config_.node_name, "\n");
    const std::string not_ready = NotReady();
    absl::StrAppend(&text, not_ready.empty() ? "ready\n" : not_ready);
    if (stage_ != Stage::kStarting) {
      const query::ControlSummary control = Summary();
      absl::StrAppend(&text, "policy ", control.policy_version, " (", control.policy_hash, "), rules ",
                      control.rules_version, " (", control.rules_hash, "), cursor key ", control.cursor_key_id, "\n\n",
                      StatusText(Parts(), clock_->TimeNow()));
    }
    return absl::StrCat(text, "\nconfig\n", config_.text);
  }

  const ServerKind kind_;
  const HubConfig config_;
  const base::Clock* const clock_;
  const std::function<bool()> stop_asked_;
  std::atomic<Stage> stage_{Stage::kStarting};  // sequentially consistent: it is asked once in a while
  access::PolicyHolder policy_;
  mutable base::Mutex mu_;
  std::string policy_text_ ABSL_GUARDED_BY(mu_);
  std::string waits_for_ ABSL_GUARDED_BY(mu_);
  // In the order of construction: what stands below uses what stands above.
  base::Metrics metrics_;
  access::Quota quota_{clock_};
  Keys keys_;
  Stores stores_;
  std::unique_ptr<control::ControlFollower> control_;
  std::unique_ptr<eventlog::MirroredLog> mirror_;
  std::unique_ptr<replica::Replica> replica_;  // of all, or of a fan-out by itself the states that snapshots come from
  std::optional<registry_service::RegistryApp> registry_;
  std::unique_ptr<eventlog::KafkaGroup> group_;
  std::unique_ptr<query::ReceiptFollower> receipts_;
  std::unique_ptr<query::ReplicaFeeder> feeder_;
  std::optional<rpc::WorkerPool> workers_;
  rpc::ServerOptions server_options_;
  std::optional<rpc::Connections> connections_;
  std::optional<rpc::Gate> gate_;
  std::optional<ingest::ReportIntake> intake_;
  std::unique_ptr<ingest::IngestService> ingest_;
  std::optional<wire::CursorSealer> sealer_;
  std::optional<fanout_service::FanoutApp> fanout_;
  std::optional<query::LookupService> lookup_;
  std::optional<query::OperationsService> operations_;
  std::unique_ptr<query::RpcBindings> bindings_;
  std::optional<query::Board> board_;
  std::unique_ptr<rpc::HttpsServer> browsers_;
  std::unique_ptr<rpc::OpsServer> ops_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HubApp>> HubApp::Start(const ServerKind& kind, HubConfig config,
                                                      const base::Clock* clock, std::function<bool()> stop_asked) {
  auto app = std::make_unique<Impl>(kind, std::move(config), clock, std::move(stop_asked));
  HUB_RETURN_IF_ERROR(app->Run());
  return app;
}

}  // namespace hub::hub_service
