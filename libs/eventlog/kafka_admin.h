// Topics, their settings and their offsets, asked of the cluster. Private to kafka_log.
//
// Thread safety: any thread. Every call is bounded by its timeout.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/eventlog/kafka_config.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog::kafka {

// Who may do what with what; everybody from everywhere.
struct Acl {
  enum class Resource { kTopic, kGroup };
  enum class Operation { kRead, kWrite, kDescribe, kDescribeConfigs };
  Resource resource;
  std::string name;
  std::string user;
  Operation operation;
};

// Names are the cluster's here: with the prefix.
class Admin {
 public:
  static absl::StatusOr<std::unique_ptr<Admin>> Make(const Settings& client);
  ~Admin();

  // Empty when no broker answered in time.
  std::string ClusterId(absl::Duration timeout);
  // OK when a broker answers.
  absl::Status Ping(absl::Duration timeout);
  // Partitions of each topic; 0 where there is no such topic. Unavailable when a partition has no leader yet.
  absl::StatusOr<std::map<std::string, int32_t>> PartitionCounts(const std::vector<std::string>& topics,
                                                                 absl::Duration timeout);
  // Creates the topics with these settings; one that is there already is left alone.
  struct NewTopic {
    std::string name;
    int32_t partitions = 1;
    int replication_factor = 1;
    std::map<std::string, std::string> settings;
  };
  absl::Status Create(const std::vector<NewTopic>& topics, absl::Duration timeout);
  // Setting names and values of each topic.
  absl::StatusOr<std::map<std::string, std::map<std::string, std::string>>> DescribeTopics(
      const std::vector<std::string>& topics, absl::Duration timeout);
  // Sets these settings of these topics; the others stay as they are.
  absl::Status ChangeTopics(const std::map<std::string, std::map<std::string, std::string>>& changes,
                            absl::Duration timeout);
  absl::Status CreateAcls(const std::vector<Acl>& acls, absl::Duration timeout);
  absl::StatusOr<std::map<TopicPartition, OffsetRange>> Offsets(const std::vector<TopicPartition>& partitions,
                                                                absl::Duration timeout);
  // Serves events; the owner calls it now and then, or errors pile up in librdkafka.
  void Poll();

 private:
  explicit Admin(std::unique_ptr<RdKafka::Producer> client);
  const std::unique_ptr<RdKafka::Producer> client_;
};

}  // namespace hub::eventlog::kafka
