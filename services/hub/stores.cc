#include "services/hub/stores.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/local_log.h"
#include "libs/eventlog/topics.h"
#include "libs/registry/processor.h"
#include "libs/replica/replica.h"
#include "services/hub/retry.h"
#include "services/query/receipt_follower.h"

namespace hub::hub_service {
namespace {

namespace fs = std::filesystem;

// How long a broker may take to answer at the start.
constexpr absl::Duration kBrokerTimeout = absl::Seconds(20);
// Folders in data_dir.
constexpr char kLogFolder[] = "/log";
constexpr char kStateFolder[] = "/state";
constexpr char kEventsCopyFolder[] = "/events-copy";
constexpr size_t kEventsCopyCacheBytes = size_t{64} << 20;
constexpr char kStatesFolder[] = "/states";
constexpr size_t kStatesCacheBytes = size_t{32} << 20;  // scanned in order, each part once
constexpr char kAuditFolder[] = "/audit";

// Makes a folder for this user only.
absl::Status MakeFolder(const std::string& path, absl::string_view setting) {
  std::error_code error;
  if (fs::is_directory(path, error)) return absl::OkStatus();
  fs::create_directories(path, error);
  if (error) return absl::UnavailableError(absl::StrCat(setting, ": can't make ", path, ": ", error.message()));
  chmod(path.c_str(), 0700);
  return absl::OkStatus();
}

absl::StatusOr<base::HmacKey> OpenKey(const std::string& path) {
  const bool there = fs::exists(path);
  HUB_ASSIGN_OR_RETURN(base::HmacKey key, base::HmacKey::FromFileOrCreate(path));
  if (!there) HUB_LOG(INFO, "key_made", {{"file", path}});
  return key;
}

absl::StatusOr<std::unique_ptr<eventlog::Log>> OpenLog(const HubConfig& config, const base::Clock* clock,
                                                       base::Metrics* metrics) {
  if (config.log_kind == LogKind::kKafka) return eventlog::OpenKafkaLog(config.kafka, clock, metrics, kBrokerTimeout);
  return eventlog::OpenLocalLog(config.data_dir + kLogFolder, clock, metrics, {});
}

absl::Status OpenAudit(const HubConfig& config, const base::Clock* clock, Stores* stores) {
  store::DatabaseOptions small;
  small.block_cache_bytes = size_t{8} << 20;
  small.write_buffer_bytes = size_t{4} << 20;
  absl::StatusOr<std::unique_ptr<store::Database>> database =
      store::OpenDatabase(config.data_dir + kAuditFolder, {{"audit", store::TableShape::kScans}}, small);
  if (!database.ok()) return base::Annotate(database.status(), "data_dir: the audit record can't be opened");
  stores->audit_database = *std::move(database);
  absl::StatusOr<std::unique_ptr<audit::AuditLog>> audit =
      audit::AuditLog::Open(stores->audit_database.get(), 0, clock);
  if (!audit.ok()) return base::Annotate(audit.status(), "data_dir: the audit record can't be continued");
  stores->audit = *std::move(audit);
  return absl::OkStatus();
}

void Add(const std::vector<store::TableSpec>& more, std::vector<store::TableSpec>* tables) {
  tables->insert(tables->end(), more.begin(), more.end());
}

absl::StatusOr<std::unique_ptr<store::Database>> OpenStates(const HubConfig& config) {
  store::DatabaseOptions options;
  options.block_cache_bytes = kStatesCacheBytes;
  absl::StatusOr<std::unique_ptr<store::Database>> database =
      store::OpenDatabase(config.data_dir + kStatesFolder, replica::ReplicaTables(), options);
  if (!database.ok()) return base::Annotate(database.status(), "data_dir: the states can't be opened");
  return database;
}

}  // namespace

absl::StatusOr<std::map<uint32_t, base::HmacKey>> LoadCursorKeys(const std::string& key_dir) {
  std::map<uint32_t, base::HmacKey> keys;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(key_dir, error)) {
    const std::string name = entry.path().filename().string();
    absl::string_view number = name;
    uint32_t id = 0;
    if (name == "cursor.key") {
      id = 1;
    } else if (!absl::ConsumePrefix(&number, "cursor-") || !absl::ConsumeSuffix(&number, ".key") ||
               !absl::SimpleAtoi(number, &id) || id < 2) {
      continue;
    }
    absl::StatusOr<base::HmacKey> key = base::HmacKey::FromFile(entry.path().string());
    if (!key.ok()) return base::Annotate(key.status(), absl::StrCat("key_dir: ", name));
    keys.emplace(id, *std::move(key));
  }
  if (keys.count(1) == 0) return absl::NotFoundError(absl::StrCat("key_dir: ", key_dir, "/cursor.key is missing"));
  return keys;
}

absl::StatusOr<Keys> OpenKeys(const ServerKind& kind, const HubConfig& config) {
  HUB_RETURN_IF_ERROR(MakeFolder(config.data_dir, "data_dir"));
  HUB_RETURN_IF_ERROR(MakeFolder(config.key_dir, "key_dir"));
  const std::string routing_file = config.key_dir + "/routing.key";
  const bool first = !fs::exists(routing_file);
  if (first && (fs::exists(config.data_dir + kLogFolder) || fs::exists(config.data_dir + kStateFolder))) {
    return absl::FailedPreconditionError(
        absl::StrCat(routing_file, ": missing, but ", config.data_dir,
                     " holds data made under it: put the escrowed key back, or set another data_dir"));
  }
  if (!kind.IsWhole()) {
    for (const char* name : {"/routing.key", "/log.key", "/cursor.key"}) {
      if (fs::exists(config.key_dir + name)) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          "key_dir: ", config.key_dir, name, " is missing: every process of a cluster wants the same, copy it there"));
    }
  }
  HUB_ASSIGN_OR_RETURN(base::HmacKey routing, OpenKey(routing_file));
  HUB_ASSIGN_OR_RETURN(base::HmacKey log, OpenKey(config.key_dir + "/log.key"));
  HUB_RETURN_IF_ERROR(OpenKey(config.key_dir + "/cursor.key").status());
  if (first) {
    HUB_LOG(WARN, "ESCROW_THE_ROUTING_KEY_NOW",
            {{"file", routing_file},
             {"why", "it never rotates; without it neither the data nor a backup of them can be used"}});
  }
  Keys keys;
  const base::Digest check = routing.Mac("fraudhub.routing-check.v1");
  keys.routing_check = absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(check.data()), 8));
  keys.tokeniser = std::make_unique<model::Tokeniser>(std::move(routing), std::move(log));
  HUB_ASSIGN_OR_RETURN(keys.cursors, LoadCursorKeys(config.key_dir));
  return keys;
}

absl::StatusOr<Stores> OpenStores(const ServerKind& kind, const HubConfig& config, const base::Clock* clock,
                                  base::Metrics* metrics) {
  Stores stores;
  absl::StatusOr<std::unique_ptr<eventlog::Log>> log = OpenLog(config, clock, metrics);
  if (!log.ok()) {
    return base::Annotate(log.status(), config.log_kind == LogKind::kKafka
                                            ? "log.kafka_bootstrap: no log without a broker"
                                            : "data_dir: the log can't be opened");
  }
  stores.log = *std::move(log);
  const absl::Status topics = RetryUnavailable(
      clock, kBrokerTimeout, [&] { return stores.log->EnsureTopics(eventlog::HubTopics(config.partitions)); });
  if (absl::IsFailedPrecondition(topics)) {
    return base::Annotate(topics, "log.partitions and the log's topics: want what the log was made with");
  }
  HUB_RETURN_IF_ERROR(base::Annotate(topics, "the log's topics can't be made or checked"));

  if (kind.registry || kind.query) {
    std::vector<store::TableSpec> tables;
    Add(registry::ProcessorTables(), &tables);
    stores.replica_tables = static_cast<store::TableId>(tables.size());
    Add(replica::ReplicaTables(), &tables);
    stores.receipt_tables = static_cast<store::TableId>(tables.size());
    Add(query::ReceiptFollower::Tables(), &tables);
    absl::StatusOr<std::unique_ptr<store::Database>> state =
        store::OpenDatabase(config.data_dir + kStateFolder, tables, {});
    if (!state.ok()) return base::Annotate(state.status(), "data_dir: the state can't be opened");
    stores.state = *std::move(state);
    if (kind.query) stores.replica_database = stores.state.get();
  }
  if (kind.fanout && !kind.query) {
    HUB_ASSIGN_OR_RETURN(stores.states, OpenStates(config));
    stores.replica_database = stores.states.get();
    stores.replica_tables = 0;
  }
  if (kind.Answers()) HUB_RETURN_IF_ERROR(OpenAudit(config, clock, &stores));
  return stores;
}

absl::StatusOr<std::unique_ptr<eventlog::MirroredLog>> OpenEventsCopy(const HubConfig& config, eventlog::Log* log,
                                                                      const base::Clock* clock,
                                                                      base::Metrics* metrics) {
  store::DatabaseOptions options;
  options.block_cache_bytes = kEventsCopyCacheBytes;
  eventlog::MirrorOptions mirror;
  mirror.topic = eventlog::kEventsTopic;
  mirror.partitions = config.partitions;
  absl::StatusOr<std::unique_ptr<store::Database>> database =
      store::OpenDatabase(config.data_dir + kEventsCopyFolder, eventlog::MirrorTables(), options);
  constexpr char kWhat[] = "data_dir: the copy of events can't be opened";
  if (!database.ok()) return base::Annotate(database.status(), kWhat);
  absl::StatusOr<std::unique_ptr<eventlog::MirroredLog>> copy =
      eventlog::MirroredLog::Open(log, *std::move(database), mirror, clock, metrics);
  if (!copy.ok()) return base::Annotate(copy.status(), kWhat);
  return copy;
}

}  // namespace hub::hub_service
