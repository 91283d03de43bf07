// Reads hub.receipts.v1 into the receipt book, on a thread of its own, and keeps the book from growing for ever; and opens the book of actions
// beside it.
//
// Records that don't decode are counted and passed over. Thread safety: Start and Stop from one thread; Step from the follower's own, if it has one.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/thread.h"
#include "libs/eventlog/log.h"
#include "services/query/action_book.h"
#include "services/query/receipt_book.h"
#include "services/query/replica_feeder.h"

namespace hub::query {

class ReceiptFollower {
 public:
  // Opens the books in tables of the database, of which `table` is the first, and follows from where they stand; `feeder`, not started yet,
  // tells one of events, the other of actions. All pointers outlive the follower, but for the feeder, which ends before it.
  static std::vector<store::TableSpec> Tables();
  static absl::StatusOr<std::unique_ptr<ReceiptFollower>> Start(const base::Clock* clock, eventlog::Log* log,
                                                                store::Database* database, store::TableId table,
                                                                ReplicaFeeder* feeder, base::Metrics* metrics);
  // Follows only when stepped. For tests, and for Start.
  ReceiptFollower(const base::Clock* clock, eventlog::Log* log, std::unique_ptr<ReceiptBook> book,
                  base::Metrics* metrics);
  ~ReceiptFollower();
  void Stop();

  // One read; true when there was anything.
  absl::StatusOr<bool> Step();
  ReceiptBook* book() const { return book_.get(); }
  const ActionBook* actions() const { return actions_.get(); }

 private:
  void Run(const std::stop_token& stop);

  const base::Clock* const clock_;
  eventlog::Log* const log_;
  const std::unique_ptr<ReceiptBook> book_;
  std::unique_ptr<ActionBook> actions_;  // of Start only
  base::Counter records_;
  base::Counter undecodable_;
  absl::Duration prune_at_ = -absl::InfiniteDuration();
  base::Thread thread_;
};

}  // namespace hub::query
