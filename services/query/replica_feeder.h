// Keeps a replica up to date: reads `events` and `history` from where the replica stands, on a thread of its own.
//
// Records that don't decode are counted, logged and put on the quarantine topic; they never block. Thread safety: Start and Stop from
// one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/thread.h"
#include "libs/eventlog/log.h"
#include "libs/replica/replica.h"

namespace hub::query {

class ReplicaFeeder {
 public:
  // All pointers outlive the feeder. `with_history`: false where only the states are asked for.
  ReplicaFeeder(const base::Clock* clock, eventlog::Log* log, replica::Replica* replica, bool with_history,
                base::Metrics* metrics);
  // Called with each event before the replica has it, on the feeder's thread; an error has it fed again. Before Start.
  void OnEvent(std::function<absl::Status(const model::Event&)> on_event) { on_event_ = std::move(on_event); }
  // Likewise with what was read of a partition's history.
  void OnHistory(std::function<absl::Status(const std::vector<replica::FedRecord>&)> on_history) {
    on_history_ = std::move(on_history);
  }
  ~ReplicaFeeder();
  void Start();
  void Stop();

 private:
  enum class Topic { kEvents, kHistory };
  void Run(const std::stop_token& stop);
  // One read of one partition: how many records there were. Errors are logged; the next round tries again.
  absl::StatusOr<size_t> FeedOnce(Topic topic, int32_t partition, int64_t from);
  // Of the partition, at most kRangeAge old, so each is a lower bound: a broker is not asked for every event.
  absl::StatusOr<eventlog::OffsetRange> Range(const eventlog::TopicPartition& at);
  bool Gap(int64_t from, const std::vector<eventlog::StoredRecord>& records) const;
  std::vector<replica::FedRecord> Decode(const eventlog::TopicPartition& at,
                                         const std::vector<eventlog::StoredRecord>& records);
  absl::Status TellOfEvents(const std::vector<replica::FedRecord>& records);
  absl::Status Apply(Topic topic, const std::vector<replica::FedRecord>& records, int32_t partition, int64_t next,
                     bool caught_up);

  const base::Clock* const clock_;
  eventlog::Log* const log_;
  replica::Replica* const replica_;
  const bool with_history_;
  struct Known {
    eventlog::OffsetRange range;
    absl::Duration asked_at;
  };
  std::map<eventlog::TopicPartition, Known> known_;  // of the thread
  std::function<absl::Status(const model::Event&)> on_event_;
  std::function<absl::Status(const std::vector<replica::FedRecord>&)> on_history_;
  base::Counter records_;
  base::Counter undecodable_;
  base::Counter jumps_;
  base::Thread thread_;
};

}  // namespace hub::query
