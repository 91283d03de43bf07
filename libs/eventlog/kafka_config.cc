#include "libs/eventlog/kafka_config.h"

#include <librdkafka/rdkafkacpp.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"

namespace hub::eventlog::kafka {
namespace {

// One for all clients: librdkafka calls it from any of its threads.
class EventLines final : public RdKafka::EventCb {
 public:
  static EventLines* Get() {
    static auto* const events = new EventLines;  // outlives every client, also those that end with the process
    return events;
  }

  std::string why() const {
    base::MutexLock lock(&mu_);
    return why_;
  }

  void event_cb(RdKafka::Event& event) override {
    switch (event.type()) {
      case RdKafka::Event::EVENT_ERROR:
        Note(event.err(), event.str());
        HUB_LOG_EVERY(5, WARN, "kafka_error", {{"code", RdKafka::err2str(event.err())}, {"text", event.str()}});
        break;
      case RdKafka::Event::EVENT_LOG:
        if (event.severity() > RdKafka::Event::EVENT_SEVERITY_WARNING) break;
        HUB_LOG_EVERY(5, WARN, "kafka_log", {{"facility", event.fac()}, {"text", event.str()}});
        break;
      default:
        break;
    }
  }

 private:
  void Note(RdKafka::ErrorCode error, const std::string& text) {
    const char* what = nullptr;
    if (error == RdKafka::ERR__AUTHENTICATION) what = "credentials refused";
    if (error == RdKafka::ERR__SSL) what = "TLS failed";
    if (error == RdKafka::ERR__RESOLVE) what = "no such host";
    if (error == RdKafka::ERR__TRANSPORT) what = "no connection";
    base::MutexLock lock(&mu_);
    // A connection that is refused says so, and then again that it is down.
    if (what != nullptr && (error != RdKafka::ERR__TRANSPORT || why_.empty()))
      why_ = absl::StrCat(": ", what, " (", text, ")");
  }

  mutable base::Mutex mu_;
  std::string why_ ABSL_GUARDED_BY(mu_);
};

void Append(Settings* settings, const Settings& more) { settings->insert(settings->end(), more.begin(), more.end()); }

}  // namespace

absl::StatusOr<Settings> ClientSettings(const std::string& bootstrap_servers,
                                        const std::map<std::string, std::string>& security) {
  Settings settings = {
      {"bootstrap.servers", bootstrap_servers},
      {"client.id", "fraudhub"},
      {"socket.nagle.disable", "true"},     // 40 ms on every small request otherwise
      {"socket.keepalive.enable", "true"},  // notices a broker that vanished behind a firewall
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "1000"},  // back within a second of the broker
      {"topic.metadata.refresh.interval.ms",
       "60000"},                              // an unreachable broker keeps 2.0.2's refresh busy: look again soon
      {"allow.auto.create.topics", "false"},  // a topic made by accident has none of our settings
      {"log.connection.close", "false"},      // brokers close idle connections; no news
  };
  for (const auto& [name, value] : security) {
    if (!absl::StartsWith(name, "security.") && !absl::StartsWith(name, "ssl.") && !absl::StartsWith(name, "sasl.")) {
      return absl::InvalidArgumentError(absl::StrCat("security: ", name, ", want security.*, ssl.* or sasl.*"));
    }
    settings.emplace_back(name, value);
  }
  return settings;
}

Settings ProducerSettings(const Settings& client, absl::Duration append_timeout) {
  Settings settings = client;
  Append(&settings,
         {
             {"enable.idempotence", "true"},  // no duplicates or reordering by its own retries
             {"acks", "all"},
             {"max.in.flight.requests.per.connection", "5"},  // the most that keeps order with idempotence
             {"compression.type", "zstd"},                    // the others depend on a work-around in 4.x brokers
             {"compression.level", "1"},                      // most batches are small: time before bytes
             {"linger.ms", "2"},                              // a request carries one partition: what waits shares it
             {"message.timeout.ms", absl::StrCat(ToMillis(std::max(append_timeout, absl::Seconds(1))))},
             {"queue.buffering.max.kbytes", "65536"},
             {"queue.buffering.max.messages", "1000000"},  // bytes are the bound
             {"partitioner", "murmur2_random"},  // we name the partition; for those who read along with other tools
         });
  return settings;
}

Settings ConsumerSettings(const Settings& client) {
  Settings settings = client;
  Append(
      &settings,
      {
          {"group.id", kReadersGroup},
          {"enable.auto.commit", "false"},
          {"enable.auto.offset.store", "false"},
          {"auto.offset.reset", "error"},    // never a silent jump
          {"enable.partition.eof", "true"},  // tells "nothing yet" from "still fetching"
          {"check.crcs", "true"},
          // How long the broker holds an empty answer: every reader that idles asks so often. Within a read's budget.
          {"fetch.wait.max.ms", "50"},
          {"fetch.error.backoff.ms", "50"},
          {"isolation.level", "read_committed"},
          {"queued.max.messages.kbytes", "16384"},
      });
  return settings;
}

absl::StatusOr<std::unique_ptr<RdKafka::Conf>> MakeConf(const Settings& settings) {
  EventLines* const events = EventLines::Get();
  std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  std::string error;
  for (const auto& [name, value] : settings) {
    if (conf->set(name, value, error) != RdKafka::Conf::CONF_OK) {
      return absl::InvalidArgumentError(absl::StrCat("librdkafka: ", name, ": ", error));
    }
  }
  if (conf->set("event_cb", events, error) != RdKafka::Conf::CONF_OK) return absl::InternalError(error);
  return conf;
}

absl::StatusOr<std::unique_ptr<RdKafka::Producer>> MakeAdminClient(const Settings& client) {
  HUB_ASSIGN_OR_RETURN(const auto conf, MakeConf(client));
  std::string error;
  std::unique_ptr<RdKafka::Producer> made(RdKafka::Producer::create(conf.get(), error));
  if (made == nullptr) return absl::InvalidArgumentError(absl::StrCat("librdkafka: ", error));
  return made;
}

std::string WhyNoConnection() { return EventLines::Get()->why(); }

StoredRecord ToRecord(const RdKafka::Message& message) {
  StoredRecord record;
  record.offset = message.offset();
  record.appended_at = absl::FromUnixMillis(message.timestamp().timestamp);
  if (message.key_pointer() != nullptr) {
    record.key.assign(static_cast<const char*>(message.key_pointer()), message.key_len());
  }
  if (message.payload() != nullptr) record.value.assign(static_cast<const char*>(message.payload()), message.len());
  return record;
}

absl::Status ToStatus(int error, absl::string_view what) {
  const std::string message = absl::StrCat(what, ": ", RdKafka::err2str(static_cast<RdKafka::ErrorCode>(error)));
  switch (error) {
    case RdKafka::ERR__QUEUE_FULL:
      return absl::ResourceExhaustedError(message);
    case RdKafka::ERR_MSG_SIZE_TOO_LARGE:
    case RdKafka::ERR_INVALID_CONFIG:
    case RdKafka::ERR_INVALID_REPLICATION_FACTOR:
    case RdKafka::ERR_INVALID_PARTITIONS:
      return absl::InvalidArgumentError(message);
    case RdKafka::ERR_UNKNOWN_TOPIC_OR_PART:
    case RdKafka::ERR__UNKNOWN_TOPIC:
    case RdKafka::ERR__UNKNOWN_PARTITION:
      return absl::NotFoundError(message);
    case RdKafka::ERR_TOPIC_AUTHORIZATION_FAILED:
    case RdKafka::ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RdKafka::ERR_GROUP_AUTHORIZATION_FAILED:
      return absl::PermissionDeniedError(message);
    case RdKafka::ERR__BAD_MSG:
      return absl::DataLossError(message);  // a checksum failed
    case RdKafka::ERR__MSG_TIMED_OUT:
      return absl::DeadlineExceededError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace hub::eventlog::kafka
