#include "libs/eventlog/kafka_producer.h"

#include <librdkafka/rdkafkacpp.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"

namespace hub::eventlog::kafka {
namespace {

constexpr int kPollMillis = 50;
constexpr absl::Duration kCloseWait = absl::Seconds(5);

// Which record of which call, as librdkafka carries it.
void* ToOpaque(int64_t call, size_t record) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(call) * Producer::kRecordsPerCallMax + record);
}
int64_t CallOf(const void* opaque) {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(opaque) / Producer::kRecordsPerCallMax);
}
size_t RecordOf(const void* opaque) { return reinterpret_cast<uintptr_t>(opaque) % Producer::kRecordsPerCallMax; }

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

// Collects what one poll brings, so that the table is locked once for all of it. One thread polls at a time.
class Producer::Reports final : public RdKafka::DeliveryReportCb {
 public:
  void dr_cb(RdKafka::Message& message) override {
    const void* const opaque = message.msg_opaque();
    delivered_.push_back({CallOf(opaque), RecordOf(opaque), ToAnswer(message)});
  }
  std::vector<Delivered> Take() { return std::exchange(delivered_, {}); }

 private:
  std::vector<Delivered> delivered_;  // bounded by what is in flight
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
      reports_(std::make_unique<Reports>()) {}

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
  std::vector<Log::Addressed> one;
  one.push_back({partition, std::move(record)});
  AppendAll(topic, one, [done = std::move(done)](std::vector<absl::StatusOr<Offset>> answers) {
    done(std::move(answers.front()));
  });
}

void Producer::AppendAll(const std::string& topic, const std::vector<Log::Addressed>& records,
                         Log::AppendAllCallback done) {
  HUB_CHECK(records.size() <= kRecordsPerCallMax);
  auto call = std::make_unique<Call>();
  call->answers.resize(records.size());
  call->done = std::move(done);
  int64_t id = 0;
  std::shared_ptr<Client> through;
  const size_t taken = Enter(records, &call, &id, &through);
  if (taken == 0) return CallBack(std::move(call));
  std::string why;
  RdKafka::Topic* const handle = through->TopicOf(topic, &why);
  for (size_t i = 0; i < taken; ++i) {
    if (handle == nullptr) {
      Answer(id, i, absl::InternalError(absl::StrCat("append: librdkafka: ", why)));
      continue;
    }
    const Record& record = records[i].record;
    // Never a null value: that would be a tombstone, which the log doesn't have.
    const RdKafka::ErrorCode error = through->handle->produce(
        handle, records[i].partition, RdKafka::Producer::RK_MSG_COPY, const_cast<char*>(record.value.data()),
        record.value.size(), record.key.empty() ? nullptr : record.key.data(), record.key.size(), ToOpaque(id, i));
    if (error == RdKafka::ERR_NO_ERROR) continue;
    const absl::Status status = ToStatus(error, "append");
    Answer(id, i, absl::IsUnavailable(status) ? Unknown(status.message()) : status);
  }
}

size_t Producer::Enter(const std::vector<Log::Addressed>& records, std::unique_ptr<Call>* call, int64_t* id,
                       std::shared_ptr<Client>* through) {
  Call& entered = **call;
  entered.since = clock_->Monotonic();
  base::MutexLock lock(&mu_);
  for (const auto& [partition, record] : records) {
    const size_t bytes = record.key.size() + record.value.size();
    if (pending_bytes_ + entered.bytes + bytes > pending_bytes_max_) break;
    entered.bytes += bytes;
    ++entered.left;
  }
  const size_t taken = entered.left;
  if (taken < records.size()) {
    const absl::Status refused = absl::ResourceExhaustedError(
        absl::StrCat("pending_bytes: ", pending_bytes_, ", want at most ", pending_bytes_max_, "; try again soon"));
    std::fill(entered.answers.begin() + static_cast<std::ptrdiff_t>(taken), entered.answers.end(), refused);
  }
  if (taken == 0) return 0;
  entered.generation = client_->generation;
  pending_bytes_ += entered.bytes;
  *id = next_id_++;
  *through = client_;
  calls_.emplace(*id, std::move(*call));
  return taken;
}

void Producer::Answer(int64_t call, size_t record, absl::StatusOr<Offset> answer) {
  std::vector<Delivered> one;
  one.push_back({call, record, std::move(answer)});
  Answer(std::move(one));
}

void Producer::Answer(std::vector<Delivered> delivered) {
  std::vector<std::unique_ptr<Call>> over;
  {
    base::MutexLock lock(&mu_);
    auto it = calls_.end();
    for (Delivered& one : delivered) {
      if (it == calls_.end() || it->first != one.call)
        it = calls_.find(one.call);  // a call's records often come together
      if (it == calls_.end()) continue;
      Call& call = *it->second;
      call.answers[one.record] = std::move(one.answer);
      if (--call.left > 0) continue;
      pending_bytes_ -= call.bytes;
      over.push_back(std::move(it->second));
      calls_.erase(it);
      it = calls_.end();
    }
  }
  for (std::unique_ptr<Call>& call : over) CallBack(std::move(call));
}

void Producer::CallBack(std::unique_ptr<Call> call) {
  size_t durable = 0;
  for (const absl::StatusOr<Offset>& answer : call->answers) {
    if (answer.ok()) {
      ++durable;
    } else if (absl::IsResourceExhausted(answer.status()) || absl::IsInvalidArgument(answer.status())) {
      probe_->refused.Increment();
    } else {
      probe_->unknown.Increment();
    }
  }
  if (durable > 0) {
    probe_->durable.Increment(durable);
    probe_->commit_seconds.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - call->since));
  }
  call->done(std::move(call->answers));
}

void Producer::Run(std::stop_token stop) {
  base::TakeShortTurns();
  while (!stop.stop_requested()) {
    const auto current = client();
    current->handle->poll(kPollMillis);
    Answer(reports_->Take());
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
  while (client->handle->outq_len() > 0 && clock_->Monotonic() < deadline) {
    client->handle->flush(100);
    Answer(reports_->Take());
  }
  client->handle->purge(RdKafka::Producer::PURGE_QUEUE | RdKafka::Producer::PURGE_INFLIGHT);
  // Purged messages come back as reports at once; the bound is for what librdkafka forgets.
  for (int i = 0; i < 20 && client->handle->outq_len() > 0; ++i) client->handle->poll(kPollMillis);
  Answer(reports_->Take());
  std::map<int64_t, std::unique_ptr<Call>> left;  // in the order in which they came
  {
    base::MutexLock lock(&mu_);
    for (auto it = calls_.begin(); it != calls_.end();) {
      const auto at = it++;
      if (at->second->generation > client->generation) continue;
      pending_bytes_ -= at->second->bytes;
      left.emplace(at->first, std::move(at->second));
      calls_.erase(at);
    }
  }
  for (auto& [id, call] : left) {
    for (absl::StatusOr<Offset>& answer : call->answers) {
      if (absl::IsUnknown(answer.status())) answer = Unknown("the producer is gone");
    }
    CallBack(std::move(call));
  }
}

}  // namespace hub::eventlog::kafka
