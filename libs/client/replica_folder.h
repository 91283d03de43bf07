// The folder of a local replica's database: opened, or, when its files are damaged, set aside and made anew.
//
// Thread safety: plain functions, one at a time.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/store/database.h"

namespace hub::client {

absl::StatusOr<std::unique_ptr<store::Database>> OpenReplica(const std::string& data_dir);
// Renames the folder to replica.damaged-MILLISECONDS, says so, and removes the copies of earlier damage but the newest: at most two are kept.
// REQUIRES: it is not open.
absl::Status SetReplicaAside(const std::string& data_dir, absl::Time now, const std::string& why);

}  // namespace hub::client
