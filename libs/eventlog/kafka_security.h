// The file that says how to reach the brokers: TLS and SASL.
//
//   # how this process proves who it is
//   security.protocol = SASL_SSL
//   sasl.mechanism = SCRAM-SHA-512
//   sasl.username = registry
//   sasl.password = ...
//   ssl.ca.location = /etc/fraudhub/kafka/ca.pem
//
// One of librdkafka's settings a line; names that begin with security., ssl. or sasl. only. Plain functions.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hub::eventlog {

// InvalidArgument: every problem, "line 3: ...", one a line; values never appear in it.
absl::StatusOr<std::map<std::string, std::string>> ParseKafkaSecurity(absl::string_view text);
// The same of a file; also InvalidArgument when others may read a file that holds a password.
absl::StatusOr<std::map<std::string, std::string>> LoadKafkaSecurity(const std::string& path);

}  // namespace hub::eventlog
