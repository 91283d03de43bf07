// One import: reads the file, makes a report of each row, sends them with many batches in flight, and says what became of them.
//
// Memory is bounded by the rows without a verdict (kInFlightMax) and a bit per row not decided yet. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/hubctl/column_map.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {

inline constexpr int kInFlightMax = 8000;

enum class ImportFormat { kRevocationList, kCsv };

struct ImportOptions {
  ImportFormat format = ImportFormat::kCsv;
  std::string path;
  std::optional<ColumnMap> map;                   // none: a revocation list's own, or columns by our names
  std::string rejects_path;                       // empty: none
  std::string list_id;                            // empty: of the file's content
  absl::Time observed_at = absl::InfinitePast();  // of rows without; InfinitePast: the file's time of change
  bool dry_run = false;
  bool follow_status = true;
  absl::Duration status_patience = absl::Seconds(30);
};

struct ImportResult {
  std::string list_id;
  uint64_t rows = 0;
  uint64_t accepted = 0;
  std::map<std::string, uint64_t> rejected;  // by code
  std::map<std::string, uint64_t> outcomes;  // of the accepted ones, when followed
  uint64_t undecided = 0;
  absl::Duration took;
  absl::Status file_status;    // the file breaks off; what came before it is in
  absl::Status status_status;  // why outcomes are not known
  bool interrupted = false;
};

// A name for what the file holds: equal for equal bytes. NotFound or DataLoss when it can't be read.
absl::StatusOr<std::string> ListIdOfFile(const std::string& path);

// Errors: the file can't be opened or has the wrong columns; the hub can't be reached or refuses us.
absl::StatusOr<ImportResult> RunImport(const ImportOptions& options, const Environment& env);

}  // namespace hub::hubctl
