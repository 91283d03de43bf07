// The contract suite (eventlog_contract_test.cc) runs over every log that ContractLogKinds names. Two test binaries link the suite:
// one with the logs that need nothing (contract_logs_test.cc), one with Kafka (kafka_contract_test.cc). For tests only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/eventlog/log.h"

namespace hub::eventlog {

// One log under test, and what can be done to it from outside.
class ContractLog {
 public:
  virtual ~ContractLog() = default;
  Log* log() { return log_.get(); }
  Log* operator->() { return log_.get(); }

  // Ends the log's object, which runs all callbacks. Every implementation's destructor calls it: the log uses what they own.
  void Close() { log_.reset(); }
  // A new object on what is stored, as after a restart of the process. The caller ensures its topics again.
  virtual void Restart() = 0;
  // False for a log that forgets when it is closed.
  virtual bool survives_restart() const { return true; }
  // False for a log whose topics are ensured before it is made.
  virtual bool forgets_topics() const { return true; }

  // What "old" means for this log: small where real time must pass.
  virtual absl::Duration lag() const = 0;
  // Makes what was appended so far older than lag(), and keeps what comes younger for at least half of it.
  virtual void Age() = 0;
  // Gives cleanup a chance until `done` holds; false when it did not in half a minute.
  virtual bool CleansUntil(const std::function<bool()>& done) = 0;
  // Makes retention remove all below `first` of a partition that has `end`: by age where the clock is ours.
  virtual void Expire(const TopicPartition& partition, Offset first) = 0;

 protected:
  std::unique_ptr<Log> log_;
};

std::vector<std::string> ContractLogKinds();
// Null: this kind can't run here, and that is all right (it has said so, aloud). Fails the test case where it is not.
std::unique_ptr<ContractLog> MakeContractLog(const std::string& kind);

}  // namespace hub::eventlog
