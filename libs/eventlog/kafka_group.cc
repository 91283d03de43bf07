#include "libs/eventlog/kafka_group.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafkacpp.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/eventlog/kafka_config.h"

namespace hub::eventlog {
namespace {

constexpr int kPollMillis = 200;  // so that the destructor is quick

// What differs from a reader's settings.
kafka::Settings GroupSettings(const kafka::Settings& client, const KafkaLogOptions& log,
                              const KafkaGroupOptions& options) {
  kafka::Settings settings = client;
  for (const auto& setting : kafka::Settings{
           {"group.id", absl::StrCat(log.topic_prefix, options.group)},
           {"group.instance.id", options.member},
           {"session.timeout.ms", absl::StrCat(kafka::ToMillis(options.session_timeout))},
           {"heartbeat.interval.ms", absl::StrCat(kafka::ToMillis(options.session_timeout / 10))},
           {"partition.assignment.strategy", "range"},  // cooperative-sticky loops and hangs in librdkafka 2.0.2
           {"enable.auto.commit", "false"},
           {"enable.auto.offset.store", "false"},
           {"auto.offset.reset", "latest"},  // nothing is read: partitions are paused
       }) {
    settings.push_back(setting);
  }
  return settings;
}

class Impl final : public KafkaGroup, private RdKafka::RebalanceCb {
 public:
  explicit Impl(KafkaGroupOptions options) : options_(std::move(options)) {}

  ~Impl() override {
    thread_.Stop();
    if (consumer_ != nullptr) consumer_->close();
  }

  absl::Status Start(const KafkaLogOptions& log) {
    HUB_ASSIGN_OR_RETURN(const kafka::Settings client, kafka::ClientSettings(log.bootstrap_servers, log.security));
    HUB_ASSIGN_OR_RETURN(const auto conf, kafka::MakeConf(GroupSettings(client, log, options_)));
    std::string error;
    if (conf->set("rebalance_cb", static_cast<RdKafka::RebalanceCb*>(this), error) != RdKafka::Conf::CONF_OK) {
      return absl::InternalError(error);
    }
    consumer_.reset(RdKafka::KafkaConsumer::create(conf.get(), error));
    if (consumer_ == nullptr) return absl::InvalidArgumentError(absl::StrCat("librdkafka: ", error));
    const RdKafka::ErrorCode subscribed = consumer_->subscribe({log.topic_prefix + options_.topic});
    if (subscribed != RdKafka::ERR_NO_ERROR) return kafka::ToStatus(subscribed, "subscribe");
    thread_ = base::Thread("kafka-group", [this](std::stop_token stop) { Run(stop); });
    return absl::OkStatus();
  }

  absl::Status Health() const override {
    base::MutexLock lock(&mu_);
    return health_;
  }

 private:
  void rebalance_cb(RdKafka::KafkaConsumer* consumer, RdKafka::ErrorCode event,
                    std::vector<RdKafka::TopicPartition*>& partitions) override {
    if (event != RdKafka::ERR__ASSIGN_PARTITIONS) {
      const bool lost = consumer->assignment_lost();
      consumer->unassign();
      if (lost)
        Change({});  // not heard of for too long: others have them. Else they count on until the group has settled
      return;
    }
    std::set<int32_t> dealt;
    for (RdKafka::TopicPartition* partition : partitions) {
      partition->set_offset(RdKafka::Topic::OFFSET_END);
      dealt.insert(partition->partition());
    }
    consumer->assign(partitions);
    consumer->pause(partitions);
    SetHealth(absl::OkStatus());
    Change(dealt);
  }

  void Run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::unique_ptr<RdKafka::Message> message(consumer_->consume(kPollMillis));
      switch (message->err()) {
        case RdKafka::ERR_NO_ERROR:
        case RdKafka::ERR__TIMED_OUT:
        case RdKafka::ERR__PARTITION_EOF:
          break;
        case RdKafka::ERR_GROUP_AUTHORIZATION_FAILED:
        case RdKafka::ERR_TOPIC_AUTHORIZATION_FAILED:
          SetHealth(kafka::ToStatus(message->err(), absl::StrCat("group ", options_.group)));
          break;
        case RdKafka::ERR__FATAL:
        case RdKafka::ERR_FENCED_INSTANCE_ID:
          SetHealth(absl::FailedPreconditionError(absl::StrCat("node_name: another process joined the group as ",
                                                               options_.member,
                                                               ": give each its own name, then start this one again")));
          Change({});
          return;
        default:
          HUB_LOG_EVERY(30, WARN, "kafka_group_error", {{"error", message->errstr()}});
          break;
      }
    }
  }

  void Change(const std::set<int32_t>& dealt) {
    HUB_LOG(INFO, "partitions_dealt", {{"group", options_.group}, {"partitions", absl::StrJoin(dealt, " ")}});
    options_.on_change(dealt);
  }

  void SetHealth(const absl::Status& health) {
    if (!health.ok()) HUB_LOG(ERROR, "kafka_group", {{"status", health.ToString()}});
    base::MutexLock lock(&mu_);
    health_ = health;
  }

  const KafkaGroupOptions options_;
  std::unique_ptr<RdKafka::KafkaConsumer> consumer_;
  mutable base::Mutex mu_;
  absl::Status health_ ABSL_GUARDED_BY(mu_) = absl::UnavailableError("joining the group");
  base::Thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaGroup>> KafkaGroup::Join(const KafkaLogOptions& log, KafkaGroupOptions options) {
  auto group = std::make_unique<Impl>(std::move(options));
  HUB_RETURN_IF_ERROR(group->Start(log));
  return std::unique_ptr<KafkaGroup>(std::move(group));
}

}  // namespace hub::eventlog
