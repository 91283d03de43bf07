#include "libs/eventlog/kafka_producer.h"

#include <librdkafka/rdkafkacpp.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"

namespace hub::eventlog::kafka {
namespace {

constexpr int kPollMillis = 50;
constexpr absl::Duration kCloseWait = absl::Seconds(5);

void* ToOpaque(int64_t id) { return reinterpret_cast<void*>(static_cast<intptr_t>(id)); }
int64_t FromOpaque(const void* opaque) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(opaque)); }

absl::Status Unknown(absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("append: not known to be durable: ", why));
}

// What a delivery report says about an append that was handed over: it is durable, or its fate is unknown.
absl::StatusOr<Offset> ToAnswer(const RdKafka::Message& message) {
  if (message.err() == RdKafka::ERR_NO_ERROR) {
    // A repeat that the broker recognised comes back without its offset: durable, but where?
    if (message.offset() < 0) return Unknown("the broker had it already");
    return message.offset();
  }
  const absl::Status status = ToStatus(message.err(), "append");
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kDeadlineExceeded:
      return status;
    default:
      return Unknown(status.message());
  }
}

}  // namespace

class Producer::Reports final : public RdKafka::DeliveryReportCb {
 public:
  explicit Reports(Producer* owner) : owner_(owner) {}
  void dr_cb(RdKafka::Message& message) override {
    owner_->Answer(FromOpaque(message.msg_opaque()), ToAnswer(message));
  }

 private:
  Producer* const owner_;
};

struct Producer::Client {
  // By name, librdkafka would look for it with every record. Null: `error` says why.
  RdKafka::Topic* TopicOf(const std::string& name, std::string* error) {
    base::MutexLock lock(&mu);
    std::unique_ptr<RdKafka::Topic>& topic = topics[name];
    if (topic == nullptr) topic.reset(RdKafka::Topic::create(handle.get(), name, nullptr, *error));
    return topic.get();
  }

  std::unique_ptr<RdKafka::Producer> handle;
  int64_t generation = 0;
  base::Mutex mu;
  absl::flat_hash_map<std::string, std::unique_ptr<RdKafka::Topic>> topics ABSL_GUARDED_BY(mu);  // go before the handle
};

Producer::Producer(Settings settings, size_t pending_bytes_max, const base::Clock* clock, LogProbe* probe)
    : settings_(std::move(settings)),
      pending_bytes_max_(pending_bytes_max),
      clock_(clock),
      probe_(probe),
      reports_(std::make_unique<Reports>(this)) {}

absl::StatusOr<std::unique_ptr<Producer>> Producer::Make(const Settings& settings, size_t pending_bytes_max,
                                                         const base::Clock* clock, LogProbe* probe) {
  std::unique_ptr<Producer> producer(new Producer(settings, pending_bytes_max, clock, probe));
  HUB_ASSIGN_OR_RETURN(auto client, producer->MakeClient());
  {
    base::MutexLock lock(&producer->mu_);
    producer->client_ = std::move(client);
  }
  producer->poll_thread_ = base::Thread("kafka-poll", [raw = producer.get()](std::stop_token stop) { raw->Run(stop); });
  return producer;
}

Producer::~Producer() {
  poll_thread_.Stop();
  if (const auto last = client()) Finish(last.get(), kCloseWait);
}

absl::StatusOr<std::shared_ptr<Producer::Client>> Producer::MakeClient() {
  HUB_ASSIGN_OR_RETURN(const auto conf, MakeConf(settings_));
  std::string error;
  if (conf->set("dr_cb", reports_.get(), error) != RdKafka::Conf::CONF_OK) return absl::InternalError(error);
  auto made = std::make_shared<Client>();
  made->handle.reset(RdKafka::Producer::create(conf.get(), error));
  if (made->handle == nullptr) return absl::InvalidArgumentError(absl::StrCat("librdkafka: ", error));
  base::MutexLock lock(&mu_);
  made->generation = ++generation_;
  return made;
}

std::shared_ptr<Producer::Client> Producer::client() {
  base::MutexLock lock(&mu_);
  return client_;
}

void Producer::Append(const std::string& topic, int32_t partition, Record record, Log::AppendCallback done) {
  const size_t bytes = record.key.size() + record.value.size();
  std::shared_ptr<Client> through;
  int64_t id = 0;
  absl::Status refused;
  {
    base::MutexLock lock(&mu_);
    if (pending_bytes_ + bytes > pending_bytes_max_) {
      refused = absl::ResourceExhaustedError(
          absl::StrCat("pending_bytes: ", pending_bytes_, ", want at most ", pending_bytes_max_, "; try again soon"));
    } else {
      id = next_id_++;
      through = client_;
      pending_[id] = {std::move(done), bytes, clock_->Monotonic(), through->generation};
      pending_bytes_ += bytes;
    }
  }
  if (!refused.ok()) {
    probe_->refused.Increment();
    done(refused);
    return;
  }
  std::string why;
  RdKafka::Topic* const handle = through->TopicOf(topic, &why);
  if (handle == nullptr) return Answer(id, absl::InternalError(absl::StrCat("append: librdkafka: ", why)));
  // Never a null value: that would be a tombstone, which the log doesn't have.
  const RdKafka::ErrorCode error = through->handle->produce(
      handle, partition, RdKafka::Producer::RK_MSG_COPY, record.value.data(), record.value.size(),
      record.key.empty() ? nullptr : record.key.data(), record.key.size(), ToOpaque(id));
  if (error == RdKafka::ERR_NO_ERROR) return;
  const absl::Status status = ToStatus(error, "append");
  Answer(id, absl::IsUnavailable(status) ? Unknown(status.message()) : status);
}

void Producer::Answer(int64_t id, const absl::StatusOr<Offset>& answer) {
  Pending pending;
  {
    base::MutexLock lock(&mu_);
    const auto it = pending_.find(id);
    if (it == pending_.end()) return;
    pending = std::move(it->second);
    pending_.erase(it);
    pending_bytes_ -= pending.bytes;
  }
  if (answer.ok()) {
    probe_->durable.Increment();
    probe_->commit_seconds.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - pending.since));
  } else if (absl::IsResourceExhausted(answer.status()) || absl::IsInvalidArgument(answer.status())) {
    probe_->refused.Increment();
  } else {
    probe_->unknown.Increment();
  }
  pending.done(answer);
}

void Producer::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const auto current = client();
    current->handle->poll(kPollMillis);
    std::string why;
    if (current->handle->fatal_error(why) != RdKafka::ERR_NO_ERROR) {
      HUB_LOG(ERROR, "kafka_producer_fatal", {{"why", why}, {"generation", absl::StrCat(current->generation)}});
      probe_->producers_replaced.Increment();
      ReplaceClient();
    }
    base::MutexLock lock(&mu_);
    probe_->pending_bytes.Set(static_cast<double>(pending_bytes_));
  }
}

void Producer::ReplaceClient() {
  absl::StatusOr<std::shared_ptr<Client>> made = MakeClient();
  if (!made.ok()) {
    HUB_LOG_EVERY(10, ERROR, "kafka_producer_not_replaced", {{"error", made.status().ToString()}});
    return;  // the next round tries again; until then appends are answered with the fatal error
  }
  std::shared_ptr<Client> broken;
  {
    base::MutexLock lock(&mu_);
    broken = std::exchange(client_, std::move(*made));
  }
  Finish(broken.get(), absl::ZeroDuration());
}

void Producer::Finish(Client* client, absl::Duration patience) {
  const absl::Duration deadline = clock_->Monotonic() + patience;
  while (client->handle->outq_len() > 0 && clock_->Monotonic() < deadline) client->handle->flush(100);
  client->handle->purge(RdKafka::Producer::PURGE_QUEUE | RdKafka::Producer::PURGE_INFLIGHT);
  // Purged messages come back as reports at once; the bound is for what librdkafka forgets.
  for (int i = 0; i < 20 && client->handle->outq_len() > 0; ++i) client->handle->poll(kPollMillis);
  std::vector<int64_t> left;
  {
    base::MutexLock lock(&mu_);
    for (const auto& [id, pending] : pending_) {
      if (pending.generation <= client->generation) left.push_back(id);
    }
  }
  std::sort(left.begin(), left.end());  // in the order in which they came
  for (const int64_t id : left) Answer(id, Unknown("the producer is gone"));
}

}  // namespace hub::eventlog::kafka
