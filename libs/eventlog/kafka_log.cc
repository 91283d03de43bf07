#include "libs/eventlog/kafka_log.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/eventlog/kafka_admin.h"
#include "libs/eventlog/kafka_config.h"
#include "libs/eventlog/kafka_identity.h"
#include "libs/eventlog/kafka_producer.h"
#include "libs/eventlog/kafka_reader.h"
#include "libs/eventlog/kafka_topics.h"
#include "libs/eventlog/log_probe.h"
#include "libs/eventlog/validate.h"

namespace hub::eventlog {
namespace {

using kafka::Admin;

constexpr absl::Duration kEnsureTimeout = absl::Seconds(30);
constexpr absl::Duration kOffsetsTimeout = absl::Seconds(2);
constexpr absl::Duration kPingInterval = absl::Seconds(2);

// OK when there is nothing to tell.
absl::Status Told(const std::vector<TopicFinding>& findings) {
  if (findings.empty()) return absl::OkStatus();
  std::vector<std::string> lines;
  for (const TopicFinding& finding : findings) lines.push_back(ToText(finding));
  return absl::FailedPreconditionError(absl::StrJoin(lines, "; "));
}

class KafkaLog final : public Log {
 public:
  KafkaLog(const KafkaLogOptions& options, const base::Clock* clock, base::Metrics* metrics)
      : options_(options), clock_(clock), probe_(metrics) {}
  ~KafkaLog() override;

  // Connects, finds out who we are talking to, and starts the threads.
  absl::Status Start(absl::Duration timeout);

  absl::Status EnsureTopics(const std::vector<TopicSpec>& topics) override;
  std::string log_id() const override;
  void Append(const TopicPartition& at, Record record, AppendCallback done) override;
  void AppendAll(const std::string& topic, std::vector<Addressed> records, AppendAllCallback done) override;
  absl::StatusOr<ReadResult> Read(const TopicPartition& at, Offset from, const ReadLimits& limits) override;
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override;
  absl::StatusOr<OffsetRange> Offsets(const TopicPartition& at) override;
  absl::Status Health() const override;

 private:
  std::string NameOf(const std::string& topic) const { return options_.topic_prefix + topic; }
  // NotFound unless the topic was ensured and has the partition; else its name in the cluster.
  absl::StatusOr<TopicPartition> Find(const TopicPartition& at) const;
  // Creates what is missing and waits until the cluster knows it; checks partition counts and settings of all.
  absl::Status MakeAndCheck(const std::vector<TopicSpec>& topics, absl::Duration deadline);
  void RunUpkeep(std::stop_token stop);

  const KafkaLogOptions options_;
  const base::Clock* const clock_;
  LogProbe probe_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<kafka::Readers> readers_;
  std::unique_ptr<kafka::Producer> producer_;
  std::string cluster_id_;

  base::Mutex ensure_mu_;  // one EnsureTopics at a time
  std::unique_ptr<kafka::Identity> identity_ ABSL_GUARDED_BY(ensure_mu_);

  mutable base::Mutex mu_;
  std::map<std::string, TopicSpec> topics_ ABSL_GUARDED_BY(mu_);
  std::string log_id_ ABSL_GUARDED_BY(mu_);
  absl::Status health_ ABSL_GUARDED_BY(mu_);

  base::Mutex upkeep_mu_;
  base::CondVar upkeep_wake_;
  base::Thread upkeep_thread_;
};

KafkaLog::~KafkaLog() {
  upkeep_thread_.Stop();
  producer_.reset();  // answers every append
}

absl::Status KafkaLog::Start(absl::Duration timeout) {
  const absl::Duration deadline = clock_->Monotonic() + timeout;
  HUB_ASSIGN_OR_RETURN(const kafka::Settings client,
                       kafka::ClientSettings(options_.bootstrap_servers, options_.security));
  HUB_ASSIGN_OR_RETURN(admin_, Admin::Make(client));
  cluster_id_ = admin_->ClusterId(timeout);
  if (cluster_id_.empty()) {
    return absl::UnavailableError(absl::StrCat("bootstrap_servers: ", options_.bootstrap_servers,
                                               ": no broker answered within ", absl::FormatDuration(timeout),
                                               kafka::WhyNoConnection()));
  }
  HUB_ASSIGN_OR_RETURN(producer_, kafka::Producer::Make(kafka::ProducerSettings(client, options_.append_timeout),
                                                        options_.pending_bytes_max, clock_, &probe_));
  readers_ = std::make_unique<kafka::Readers>(kafka::ConsumerSettings(client), admin_.get(), clock_);

  HUB_RETURN_IF_ERROR(MakeAndCheck({kafka::IdentityTopic()}, deadline));
  auto identity = std::make_unique<kafka::Identity>(NameOf(kafka::IdentityTopic().name), admin_.get(), producer_.get(),
                                                    readers_.get(), clock_);
  HUB_RETURN_IF_ERROR(identity->Load(deadline - clock_->Monotonic()));
  {
    base::MutexLock lock(&mu_);
    log_id_ = identity->log_id(cluster_id_);
  }
  {
    base::MutexLock lock(&ensure_mu_);
    identity_ = std::move(identity);
  }
  upkeep_thread_ = base::Thread("kafka-upkeep", [this](std::stop_token stop) { RunUpkeep(stop); });
  return absl::OkStatus();
}

absl::Status KafkaLog::MakeAndCheck(const std::vector<TopicSpec>& topics, absl::Duration deadline) {
  kafka::TopicPlanner planner(admin_.get(), options_);
  base::Mutex pause_mu;
  base::CondVar pause;
  bool created = false;
  while (true) {
    absl::StatusOr<std::vector<TopicFinding>> findings = planner.Plan(topics, deadline - clock_->Monotonic());
    // What was just made is known to one broker before the others, and its partitions have no leader for a moment.
    const bool settles = created && absl::IsUnavailable(findings.status());
    if (!findings.ok() && !settles) return findings.status();
    const bool missing = findings.ok() && std::any_of(findings->begin(), findings->end(),
                                                      [](const TopicFinding& finding) { return finding.is_missing(); });
    if (findings.ok() && !missing) return Told(*findings);
    if (clock_->Monotonic() > deadline) {
      return findings.ok() ? absl::UnavailableError("created topics do not appear") : findings.status();
    }
    if (missing) {  // again, too: it does no harm, and another process may have been faster
      HUB_RETURN_IF_ERROR(planner.Create(topics, *findings, deadline - clock_->Monotonic()));
      created = true;
    }
    base::MutexLock lock(&pause_mu);
    pause.WaitFor(&pause_mu, absl::Milliseconds(50));
  }
}

absl::Status KafkaLog::EnsureTopics(const std::vector<TopicSpec>& topics) {
  std::vector<TopicPartition> partitions;
  for (const TopicSpec& topic : topics) {
    HUB_RETURN_IF_ERROR(CheckTopic(topic));
    for (int32_t i = 0; i < topic.partitions; ++i) partitions.push_back({NameOf(topic.name), i});
  }
  base::MutexLock one_at_a_time(&ensure_mu_);
  const absl::Duration deadline = clock_->Monotonic() + kEnsureTimeout;
  HUB_RETURN_IF_ERROR(MakeAndCheck(topics, deadline));
  HUB_RETURN_IF_ERROR(identity_->Check(partitions, deadline - clock_->Monotonic()));
  base::MutexLock lock(&mu_);
  for (const TopicSpec& topic : topics) topics_[topic.name] = topic;
  log_id_ = identity_->log_id(cluster_id_);
  return absl::OkStatus();
}

std::string KafkaLog::log_id() const {
  base::MutexLock lock(&mu_);
  return log_id_;
}

absl::StatusOr<TopicPartition> KafkaLog::Find(const TopicPartition& at) const {
  base::MutexLock lock(&mu_);
  const auto it = topics_.find(at.topic);
  HUB_RETURN_IF_ERROR(CheckPartition(it == topics_.end() ? nullptr : &it->second, at));
  return TopicPartition{NameOf(at.topic), at.partition};
}

void KafkaLog::Append(const TopicPartition& at, Record record, AppendCallback done) {
  absl::Status refused;
  {
    base::MutexLock lock(&mu_);
    const auto it = topics_.find(at.topic);
    refused = it == topics_.end() ? CheckPartition(nullptr, at) : CheckRecord(it->second, at, record);
  }
  if (!refused.ok()) {
    probe_.refused.Increment();
    done(refused);
    return;
  }
  producer_->Append(NameOf(at.topic), at.partition, std::move(record), std::move(done));
}

void KafkaLog::AppendAll(const std::string& topic, std::vector<Addressed> records, AppendAllCallback done) {
  const auto refused = [&](const TopicSpec& spec) {
    return std::any_of(records.begin(), records.end(), [&](const Addressed& item) {
      return !CheckRecord(spec, {topic, item.partition}, item.record).ok();
    });
  };
  bool together = records.size() <= kafka::Producer::kRecordsPerCallMax;
  if (together) {
    base::MutexLock lock(&mu_);
    const auto it = topics_.find(topic);
    together = it != topics_.end() && !refused(it->second);
  }
  // Those that are refused say why one by one.
  if (!together) return Log::AppendAll(topic, std::move(records), std::move(done));
  producer_->AppendAll(NameOf(topic), records, std::move(done));
}

absl::StatusOr<ReadResult> KafkaLog::Read(const TopicPartition& at, Offset from, const ReadLimits& limits) {
  HUB_ASSIGN_OR_RETURN(const TopicPartition found, Find(at));
  return readers_->Read(found, from, limits);
}

void KafkaLog::Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) {
  std::vector<WaitFor> found;
  for (const WaitFor& wanted : any_of) {
    if (const auto at = Find(wanted.partition); at.ok()) found.push_back({*at, wanted.offset});
  }
  readers_->Wait(found, timeout);
}

absl::StatusOr<OffsetRange> KafkaLog::Offsets(const TopicPartition& at) {
  HUB_ASSIGN_OR_RETURN(const TopicPartition found, Find(at));
  HUB_ASSIGN_OR_RETURN(const auto ranges, admin_->Offsets({found}, kOffsetsTimeout));
  readers_->NoteEnd(found, ranges.at(found).end);
  return ranges.at(found);
}

absl::Status KafkaLog::Health() const {
  base::MutexLock lock(&mu_);
  return health_;
}

void KafkaLog::RunUpkeep(std::stop_token stop) {
  std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&upkeep_mu_);
    upkeep_wake_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    const absl::Status health = admin_->Ping(kPingInterval);
    if (!health.ok()) HUB_LOG_EVERY(30, ERROR, "kafka_away", {{"error", health.ToString()}});
    {
      base::MutexLock lock(&mu_);
      health_ = health;
    }
    admin_->Poll();
    readers_->CloseIdle();
    base::MutexLock lock(&upkeep_mu_);
    if (!stop.stop_requested()) upkeep_wake_.WaitFor(&upkeep_mu_, kPingInterval);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> OpenKafkaLog(const KafkaLogOptions& options, const base::Clock* clock,
                                                  base::Metrics* metrics, absl::Duration timeout) {
  HUB_CHECK(clock != nullptr && metrics != nullptr);
  auto log = std::make_unique<KafkaLog>(options, clock, metrics);
  HUB_RETURN_IF_ERROR(log->Start(timeout));
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace hub::eventlog
