// Who was told of each urgent event and who has confirmed it: the events as the feeder meets them, and what the fan-out's nodes found out,
// in one table of the process's database. Rebuildable from the log as far as that reaches.
//
// Kept 400 days by the time of the decision, as long as the topic; Prune takes older ones away.
// Thread safety: NoteEvent from the feeder's thread; Apply, next and Prune from the follower's; the rest from any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/model/event.h"
#include "libs/model/records.h"
#include "libs/store/database.h"

namespace hub::query {

class ReceiptBook {
 public:
  static constexpr absl::Duration kKept = absl::Hours(24 * 400);

  static std::vector<store::TableSpec> Tables();
  // `log_id`: when the stored one differs, everything stored is dropped first. The database outlives the book.
  static absl::StatusOr<std::unique_ptr<ReceiptBook>> Open(store::Database* database, store::TableId table,
                                                           const std::string& log_id);

  // Remembers who may see an urgent event: its row now and before. Others are passed over.
  absl::Status NoteEvent(const model::Event& event);

  // Next offset of the receipts topic to apply.
  int64_t next() const;
  // Once or several times the same.
  absl::Status Apply(const std::vector<model::ReceiptUpdate>& updates, int64_t next);
  // Takes away a bounded number of events that are older than kKept; true when there may be more.
  absl::StatusOr<bool> Prune(absl::Time now);

  // Corrections, newest first, each with its receipts by stakeholder: those decided at or after `*since`, `count_max` at most, until the visitor
  // answers false; when there are more, `*since` becomes the decision of the last that was visited.
  using Visitor = std::function<bool(const model::Event&, const std::map<std::string, model::ReceiptUpdate::Receipt>&)>;
  absl::Status VisitCorrections(absl::Time* since, int count_max, const Visitor& visit) const;
  // The event of this version, or the newest at version 0. nullopt: none on record.
  absl::StatusOr<std::optional<model::Event>> Find(const model::IndicatorKey& key, uint64_t version) const;
  // By stakeholder.
  absl::StatusOr<std::map<std::string, model::ReceiptUpdate::Receipt>> ReceiptsOf(const model::IndicatorKey& key,
                                                                                  uint64_t version) const;

 private:
  ReceiptBook(store::Database* database, store::TableId table) : database_(database), table_(table) {}

  store::Database* const database_;
  const store::TableId table_;
  mutable base::Mutex mu_;
  int64_t next_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hub::query
