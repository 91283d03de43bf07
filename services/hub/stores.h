// What the hub keeps on this machine: keys, databases, and the log or the way to it.
//
// A plain value whose parts are destroyed in reverse.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/audit/audit.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/eventlog/mirrored_log.h"
#include "libs/model/token.h"
#include "libs/store/database.h"
#include "services/hub/hub_config.h"

namespace hub::hub_service {

struct Keys {
  std::unique_ptr<const model::Tokeniser> tokeniser;
  std::map<uint32_t, base::HmacKey> cursors;  // by id: cursor.key is 1, cursor-N.key is N
  std::string routing_check;                  // tells whether two have the same routing key; doesn't tell the key
};

// At least cursor.key. Errors name the file.
absl::StatusOr<std::map<uint32_t, base::HmacKey>> LoadCursorKeys(const std::string& key_dir);

// hub-all makes keys that are missing on its first start, and says aloud that routing.key must be escrowed; the processes of a cluster
// want to be given theirs. FailedPrecondition: routing.key is missing and may not be made.
absl::StatusOr<Keys> OpenKeys(const ServerKind& kind, const HubConfig& config);

struct Stores {
  std::unique_ptr<eventlog::Log> log;               // with the hub's topics
  std::unique_ptr<store::Database> state;           // can be rebuilt from the log; for registry and query
  store::TableId registry_tables = 0;               // first of registry::ProcessorTables() in `state`
  store::TableId replica_tables = 0;                // first of replica::ReplicaTables()
  store::TableId receipt_tables = 0;                // first of query::ReceiptFollower::Tables()
  std::unique_ptr<store::Database> states;          // of a fan-out without query, for snapshots; can be rebuilt
  store::Database* replica_database = nullptr;      // one of the two, for query and fan-out
  std::unique_ptr<store::Database> audit_database;  // can't be rebuilt; for query and fan-out
  std::unique_ptr<audit::AuditLog> audit;
};

// REQUIRES: OpenKeys has made the folders. Errors say in one line what to do.
// Unavailable: the log is not there yet; another try may do.
absl::StatusOr<Stores> OpenStores(const ServerKind& kind, const HubConfig& config, const base::Clock* clock,
                                  base::Metrics* metrics);

// The log with a copy of its events on this machine: streams that are behind read that, and never hold up the others by asking a broker.
absl::StatusOr<std::unique_ptr<eventlog::MirroredLog>> OpenEventsCopy(const HubConfig& config, eventlog::Log* log,
                                                                      const base::Clock* clock, base::Metrics* metrics);

}  // namespace hub::hub_service
