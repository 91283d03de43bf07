// Which incarnation of the log this is (C6), kept in a compacted topic of the cluster. Private to kafka_log.
//
// Records of the topic: key "id/GENERATION/RANDOM" (never superseded; of the highest generation the first by offset counts, so that
// of several processes that start at once all see the same), and key "end/TOPIC/PARTITION" = how far that partition was seen to reach.
// A partition that ends earlier than noted is not the one that it was: then a new generation is begun.
// Thread safety: one caller at a time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/eventlog/kafka_admin.h"
#include "libs/eventlog/kafka_producer.h"
#include "libs/eventlog/kafka_reader.h"

namespace hub::eventlog::kafka {

class Identity {
 public:
  // `topic`: that of the marks, with the prefix. It exists.
  Identity(std::string topic, Admin* admin, Producer* producer, Readers* readers, const base::Clock* clock);

  // Reads the marks; makes the first one in a fresh cluster.
  absl::Status Load(absl::Duration timeout);
  // Compares the partitions' ends with what was noted, begins a new generation if one is shorter, and notes the ends.
  absl::Status Check(const std::vector<TopicPartition>& partitions, absl::Duration timeout);
  // REQUIRES: Load was OK. 16 hexadecimal digits.
  std::string log_id(const std::string& cluster_id) const;

 private:
  absl::StatusOr<std::map<TopicPartition, OffsetRange>> Offsets(const std::vector<TopicPartition>& partitions,
                                                                absl::Duration deadline);
  absl::Status ReadMarks(absl::Duration deadline);
  absl::Status BeginGeneration(int64_t generation, absl::Duration deadline);
  absl::Status Append(const std::string& key, const std::string& value, absl::Duration deadline);

  const TopicPartition at_;
  Admin* const admin_;
  Producer* const producer_;
  Readers* const readers_;
  const base::Clock* const clock_;

  Offset read_to_ = 0;
  int64_t generation_ = 0;  // 0: no mark seen
  std::string mark_;
  std::map<std::string, Offset> ends_;  // by key
};

}  // namespace hub::eventlog::kafka
