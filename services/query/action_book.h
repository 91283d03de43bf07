// How many actions each stakeholder has reported and when the last one was, counted as the feeder meets them in the history: each kind of
// action once per event within the dedupe window, as the registry decided.
//
// In a table of the process's database, with the place among the reports in the same commit: what is fed twice counts once, and so does what
// a registry that lost its disk decides and tells again. It begins where the feeder stands when the table is new: with a new database at
// the first record that the log still has, on a node that was upgraded where the replica's place in the history was.
// Thread safety: Apply from the feeder's thread, Totals from any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/replica/replica.h"
#include "libs/store/database.h"

namespace hub::query {

class ActionBook {
 public:
  struct Total {
    uint64_t actions = 0;
    absl::Time last_at = absl::InfinitePast();
  };

  static std::vector<store::TableSpec> Tables();
  // `log_id`: when the stored one differs, everything stored is dropped first. The database outlives the book.
  static absl::StatusOr<std::unique_ptr<ActionBook>> Open(store::Database* database, store::TableId table,
                                                          const std::string& log_id);
  // Records of the history, in order per partition; others than actions are passed over.
  absl::Status Apply(const std::vector<replica::FedRecord>& records);
  // By stakeholder.
  absl::StatusOr<std::map<std::string, Total>> Totals() const;

 private:
  ActionBook(store::Database* database, store::TableId table) : database_(database), table_(table) {}

  store::Database* const database_;
  const store::TableId table_;
};

}  // namespace hub::query
