// The log on Apache Kafka, by librdkafka: brokers 2.1 to 3.9 and 4.0.1 or newer.
//
// Appends: one idempotent producer, acks=all; a fatal producer error is answered with a fresh producer, and what was not acknowledged
// is reported Unavailable ("unknown"). Reads: one assigned consumer per partition and position that somebody reads, explicit offsets, no
// consumer group; reused while reads are sequential, closed after a minute without one; offsets that go backwards are dropped.
// Kafka does not sync to disk before it acknowledges: an acknowledged record survives the loss of min.insync.replicas - 1
// brokers, not the power loss of all of them.
// log_id: made of the cluster's id and a random mark in the compacted topic `hub.logid.v1`, which also notes how far each partition
// reached. A partition that is shorter than noted (its topic was recreated, or restored) makes EnsureTopics draw a new mark; so does the
// loss of that topic. Not noticed: a topic recreated by hand that has outgrown its note; then delete hub.logid.v1, too.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog {

struct KafkaLogOptions {
  std::string bootstrap_servers;  // host:port,host:port
  int replication_factor = 1;     // of topics that EnsureTopics creates; min.insync.replicas = max(1, factor - 1)
  size_t pending_bytes_max = size_t{64} << 20;
  // From Append to DeadlineExceeded, while no broker takes the record; librdkafka looks once a second. At least a second.
  absl::Duration append_timeout = absl::Seconds(20);
  std::string topic_prefix;  // put in front of every topic's name; tests and shared clusters
  // librdkafka's settings for TLS and SASL towards the brokers: names that begin with security., ssl. or sasl.; secrets by file.
  std::map<std::string, std::string> security;
  // Topic settings that win over ours in topics that EnsureTopics creates; for tests (segment.ms=1000).
  std::map<std::string, std::string> topic_overrides;
};

// Connects and waits at most `timeout` for a broker. Unavailable: none answered; the message names the addresses, not why.
absl::StatusOr<std::unique_ptr<Log>> OpenKafkaLog(const KafkaLogOptions& options, const base::Clock* clock,
                                                  base::Metrics* metrics, absl::Duration timeout);

}  // namespace hub::eventlog
