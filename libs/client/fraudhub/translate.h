// Between the types of the public face and those of this tree. Private to this library: not installed. Plain functions.
#pragma once

#include <chrono>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "fraudhub/connection.h"
#include "fraudhub/status.h"
#include "libs/client/connection.h"

namespace hub::client {

// Code, message, and what the hub said besides.
fraudhub::Status Translate(const absl::Status& status);
ConnectionOptions Translate(const fraudhub::Connection& connection);
// Rounded up; what is longer than a year (an infinite pause) is a year.
std::chrono::milliseconds Translate(absl::Duration duration);

// Before anything of gRPC runs in a process of others: absl's detector of deadlocks, which is on in Debian's builds, ends processes for
// inversions that are none. Once is enough, more does no harm.
void PrepareProcess();

}  // namespace hub::client
