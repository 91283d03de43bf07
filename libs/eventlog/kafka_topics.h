// The hub's topics on a Kafka cluster: what differs from what is wanted, and how to mend it. For `hubctl topics`, and for every start.
//
// Plain functions; they connect, ask and end, within `timeout`. Unavailable: no broker answered, with the reason where librdkafka tells one.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/eventlog/kafka_log.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog {

// One difference. Settings are compared as Kafka names them; more retention or more replicas than wanted is no difference.
struct TopicFinding {
  enum class Mend {
    kCreate,  // the topic is missing
    kRaise,   // a setting that `hubctl topics apply` sets
    kByHand,  // what no tool of ours changes: partitions, cleanup
  };
  std::string topic;    // as the cluster names it
  std::string setting;  // empty: the topic itself
  std::string has;
  std::string wants;
  Mend mend = Mend::kByHand;
  bool is_missing() const { return mend == Mend::kCreate; }
};
// "hub.events.v1: min.insync.replicas is 1, want 2: hubctl topics apply sets it".
std::string ToText(const TopicFinding& finding);

// Empty: all is as wanted, the log's own topic of marks included.
absl::StatusOr<std::vector<TopicFinding>> PlanTopics(const KafkaLogOptions& options,
                                                     const std::vector<TopicSpec>& topics, absl::Duration timeout);
// Creates what is missing and raises what may be raised; what is left, as PlanTopics tells it.
absl::StatusOr<std::vector<TopicFinding>> ApplyTopics(const KafkaLogOptions& options,
                                                      const std::vector<TopicSpec>& topics, absl::Duration timeout);
// Gives the users "registry", "ingest", "fanout" and "query" what each needs of the hub's topics and no more: only the registry writes events,
// urgent and history. Everything else is denied by a broker that has an authorizer. Returns how many rules there are.
absl::StatusOr<int> ApplyAcls(const KafkaLogOptions& options, absl::Duration timeout);

namespace kafka {

class Admin;

TopicSpec IdentityTopic();

class TopicPlanner {
 public:
  // Both outlive the planner.
  TopicPlanner(Admin* admin, const KafkaLogOptions& options) : admin_(admin), options_(options) {}
  absl::StatusOr<std::vector<TopicFinding>> Plan(const std::vector<TopicSpec>& topics, absl::Duration timeout);
  absl::Status Create(const std::vector<TopicSpec>& topics, const std::vector<TopicFinding>& findings,
                      absl::Duration timeout);
  absl::Status Raise(const std::vector<TopicFinding>& findings, absl::Duration timeout);

 private:
  std::string NameOf(const std::string& topic) const { return options_.topic_prefix + topic; }

  Admin* const admin_;
  const KafkaLogOptions& options_;
};

}  // namespace kafka
}  // namespace hub::eventlog
