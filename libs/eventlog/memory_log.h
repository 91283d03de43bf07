// A log in memory for unit tests and the simulation: it does what it is told, including what a real log may do to you.
//
// Thread safety: as Log. With `manual_pump`, nothing becomes durable until Pump is called, on the caller's thread; else a thread of the
// log pumps. A callback must neither Pump nor destroy a client.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog {

// What may happen to one append. Each is something a real log can do within the contract.
struct AppendFate {
  enum class Kind {
    kDurable,        // in the log, acknowledged
    kLost,           // not in the log, Unavailable
    kUnacknowledged,  // in the log, but the caller is told Unavailable
    kDuplicated,     // twice in the log (a retry inside the client), the second offset acknowledged
  } kind = Kind::kDurable;
  int delay_pumps = 0;  // become durable so many Pumps later; order within the partition is kept per client and thread
};

struct MemoryLogOptions {
  bool manual_pump = false;
  // Asked once per append; null = always durable. Called under the log's lock: it must not call the log.
  std::function<AppendFate(const TopicPartition&, const Record&)> fate;
};

class MemoryLog final : public Log {
 public:
  MemoryLog(const base::Clock* clock, MemoryLogOptions options);
  ~MemoryLog() override;

  absl::Status EnsureTopics(const std::vector<TopicSpec>& topics) override;
  std::string log_id() const override;
  void Append(const TopicPartition& partition, Record record, AppendCallback done) override;
  absl::StatusOr<ReadResult> Read(const TopicPartition& partition, Offset from, const ReadLimits& limits) override;
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override;
  absl::StatusOr<OffsetRange> Offsets(const TopicPartition& partition) override;
  absl::Status Health() const override;

  // Another client of the same log, as another process would be: order holds among the appends of one thread through one client, so a
  // delayed append of one client may land after a later one of another. Destroying a client is its process dying: its pending
  // callbacks get Unavailable at once, while what it had in flight still meets its fate. Clients must go before the log.
  std::unique_ptr<Log> NewClient();

  // Lets one step of pending appends happen and runs their callbacks. Returns how many callbacks ran.
  int Pump();
  // Runs cleanup now: retention by age for kDelete, compaction (respecting the lag) for kCompact topics.
  void Clean();
  // Another incarnation of the log, as after a restore; contents stay.
  void ChangeLogId(const std::string& log_id);
  // While set, Append fails with it at once and Health returns it. OK clears.
  void SetFault(absl::Status fault);

 private:
  class Client;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hub::eventlog
