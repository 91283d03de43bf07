// librdkafka's settings as this project wants them, and its errors as statuses. Private to kafka_log.
//
// Plain functions. STACK.md has the reason for each setting; nothing is left to defaults that matter.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/eventlog/log.h"

namespace RdKafka {
class Conf;
class EventCb;
class Message;
class Producer;
}  // namespace RdKafka

namespace hub::eventlog::kafka {

// The name under which everybody reads. Nobody joins or commits, but librdkafka asks for its coordinator all the same.
inline constexpr char kReadersGroup[] = "fraudhub-readers";

using Settings = std::vector<std::pair<std::string, std::string>>;

// For every client. InvalidArgument: a name in `security` that is not about security.
absl::StatusOr<Settings> ClientSettings(const std::string& bootstrap_servers,
                                        const std::map<std::string, std::string>& security);
// `append_timeout`: then a record's fate is "unknown".
Settings ProducerSettings(const Settings& client, absl::Duration append_timeout);
Settings ConsumerSettings(const Settings& client);

// InvalidArgument: librdkafka refuses a setting. Events (logs, errors) go to our log.
absl::StatusOr<std::unique_ptr<RdKafka::Conf>> MakeConf(const Settings& settings);

// A client that neither produces nor consumes: for admin calls and metadata.
absl::StatusOr<std::unique_ptr<RdKafka::Producer>> MakeAdminClient(const Settings& client);

// What librdkafka last said about a connection that failed, in this process: ": credentials refused (...)"; empty when it said nothing.
std::string WhyNoConnection();

// What a consumer has received. REQUIRES: no error.
StoredRecord ToRecord(const RdKafka::Message& message);

// `error`: RdKafka::ErrorCode or rd_kafka_resp_err_t, the same numbers. Never OK.
absl::Status ToStatus(int error, absl::string_view what);

inline int ToMillis(absl::Duration duration) {
  return static_cast<int>(
      absl::ToInt64Milliseconds(std::max(absl::ZeroDuration(), std::min(duration, absl::Hours(1)))));
}

}  // namespace hub::eventlog::kafka
