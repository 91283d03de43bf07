// Appends to Kafka: one idempotent producer, replaced by a fresh one when librdkafka calls it fatally broken. Private to kafka_log.
//
// Every call is entered in a table and leaves it when the last of its records is answered, so that its callback runs exactly once, whatever
// becomes of the producer that carried it.
// Thread safety: Append and AppendAll from any thread; callbacks run on the poll thread, or inside the call when all is refused.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/eventlog/kafka_config.h"
#include "libs/eventlog/log.h"
#include "libs/eventlog/log_probe.h"

namespace hub::eventlog::kafka {

class Producer {
 public:
  static absl::StatusOr<std::unique_ptr<Producer>> Make(const Settings& settings, size_t pending_bytes_max,
                                                        const base::Clock* clock, LogProbe* probe);
  // Waits for at most five seconds for what is in flight, then answers the rest Unavailable.
  ~Producer();

  // As Log's; `topic` with the prefix. The records have been checked. With too much in flight those that come after are refused.
  void Append(const std::string& topic, int32_t partition, Record record, Log::AppendCallback done);
  // REQUIRES: at most kRecordsPerCallMax records.
  static constexpr size_t kRecordsPerCallMax = 1 << 16;
  void AppendAll(const std::string& topic, const std::vector<Log::Addressed>& records, Log::AppendAllCallback done);

 private:
  class Reports;  // librdkafka's delivery reports
  // A producer and how often it was replaced before.
  struct Client;
  // Appends that are answered together.
  struct Call {
    std::vector<absl::StatusOr<Offset>> answers;  // kUnknown: none yet
    size_t left = 0;                              // answers that are wanting
    Log::AppendAllCallback done;
    size_t bytes = 0;
    absl::Duration since;
    int64_t generation = 0;  // of the client that carries it
  };

  Producer(Settings settings, size_t pending_bytes_max, const base::Clock* clock, LogProbe* probe);
  absl::StatusOr<std::shared_ptr<Client>> MakeClient();
  std::shared_ptr<Client> client();
  void Run(std::stop_token stop);
  void ReplaceClient();
  // Lets `client` answer what it can within `patience`, purges the rest, and answers what is left over.
  void Finish(Client* client, absl::Duration patience);
  // Enters the call with as many of its first records as there is room for, and says how many; the others are answered with the refusal.
  size_t Enter(const std::vector<Log::Addressed>& records, std::unique_ptr<Call>* call, int64_t* id,
               std::shared_ptr<Client>* through);
  struct Delivered {
    int64_t call;
    size_t record;
    absl::StatusOr<Offset> answer;
  };
  // With the last answer a call leaves the table and is called back. Nothing when it has left before.
  void Answer(std::vector<Delivered> delivered);
  void Answer(int64_t call, size_t record, absl::StatusOr<Offset> answer);
  void CallBack(std::unique_ptr<Call> call);

  const Settings settings_;
  const size_t pending_bytes_max_;
  const base::Clock* const clock_;
  LogProbe* const probe_;
  const std::unique_ptr<Reports> reports_;

  base::Mutex mu_;
  std::shared_ptr<Client> client_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<int64_t, std::unique_ptr<Call>> calls_ ABSL_GUARDED_BY(mu_);  // by id
  int64_t next_id_ ABSL_GUARDED_BY(mu_) = 1;
  size_t pending_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t generation_ ABSL_GUARDED_BY(mu_) = 0;

  base::Thread poll_thread_;
};

}  // namespace hub::eventlog::kafka
