#include "libs/client/replica_folder.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/client/local_rows.h"

namespace hub::client {
namespace {

namespace fs = std::filesystem;

constexpr char kFolder[] = "replica";
constexpr char kDamaged[] = "replica.damaged-";
// At 200 events a second it is full after two minutes; what it holds is read again from the log at a start after a crash.
constexpr size_t kWriteBufferBytes = size_t{8} << 20;
constexpr size_t kBlockCacheBytes = size_t{32} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<store::Database>> OpenReplica(const std::string& data_dir) {
  std::error_code error;
  fs::create_directories(data_dir, error);
  if (error) return absl::UnavailableError(absl::StrCat("data_dir: ", error.message()));
  store::DatabaseOptions options;
  options.write_buffer_bytes = kWriteBufferBytes;
  options.block_cache_bytes = kBlockCacheBytes;
  return store::OpenDatabase(absl::StrCat(data_dir, "/", kFolder), LocalTables(), options);
}

absl::Status SetReplicaAside(const std::string& data_dir, absl::Time now, const std::string& why) {
  std::error_code error;
  std::vector<fs::path> copies;
  for (const fs::directory_entry& entry : fs::directory_iterator(data_dir, error)) {
    if (absl::StartsWith(entry.path().filename().string(), kDamaged)) copies.push_back(entry.path());
  }
  std::sort(copies.begin(), copies.end());
  for (size_t i = 0; i + 1 < copies.size(); ++i) fs::remove_all(copies[i], error);
  const fs::path from = fs::path(data_dir) / kFolder;
  fs::path to = fs::path(data_dir) / absl::StrCat(kDamaged, absl::ToUnixMillis(now));
  fs::rename(from, to, error);
  if (error) return absl::UnavailableError(absl::StrCat("the damaged replica can't be set aside: ", error.message()));
  HUB_LOG(ERROR, "replica_damaged",
          {{"why", why}, {"kept_as", to.string()}, {"effect", "it is fetched from the hub again"}});
  return absl::OkStatus();
}

}  // namespace hub::client
