// Append-only, hash-chained record of who read, decided or changed what.
//
// Each record holds the SHA-256 of the one before it, so that an edit, a gap or a reordering shows. Identifiers appear as keyed tokens
// only. A record is durable when Append returns: answer a read only after that. (Cutting off the tail shows only against a copy
// of the head kept elsewhere: publish head().)
// Thread safety: any thread; appends that arrive together share one sync.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/store/database.h"

namespace hub::audit {

struct Entry {
  std::string principal;  // URI SAN
  std::string action;     // "LookupService.Explain"
  std::string subject;    // keyed token of the identifier, or what else was touched; several are joined by ','
  std::string purpose;    // as the caller gave it
  std::string case_ref;
  std::string decision;  // "granted", "refused: NOT_ENTITLED"
  uint64_t policy_version = 0;
};

struct Head {
  uint64_t next_sequence = 0;
  std::array<uint8_t, 32> hash{};  // of the last record
};

class AuditLog {
 public:
  // Uses `table` of `database` (shape kScans); continues what it holds. DataLoss: the last record doesn't decode.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(store::Database* database, store::TableId table,
                                                        const base::Clock* clock);
  virtual ~AuditLog() = default;
  virtual absl::Status Append(const Entry& entry) = 0;
  virtual Head head() const = 0;
  // Walks the whole chain. DataLoss names the first record that doesn't fit.
  virtual absl::Status Verify() const = 0;
};

}  // namespace hub::audit
