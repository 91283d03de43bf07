// What is open now: the streams of every stakeholder, for ListSubscriptions, ListStreams and the bound on streams per stakeholder.
//
// Thread safety: any thread. A stream's entry lives from Open until its handle is destroyed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fraudhub/v1/operations.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/mutex.h"

namespace hub::fanout_service {

class StreamBoard {
 public:
  // One open stream's line on the board.
  class Entry {
   public:
    Entry(StreamBoard* board, std::string stakeholder) : board_(board), stakeholder_(std::move(stakeholder)) {}
    ~Entry();
    void Update(fraudhub::v1::SubscriptionState state);

   private:
    friend class StreamBoard;
    StreamBoard* const board_;
    const std::string stakeholder_;
    fraudhub::v1::SubscriptionState state_ ABSL_GUARDED_BY(board_->mu_);
  };

  // ResourceExhausted (kQuotaExceeded): the stakeholder has `streams_max` open.
  absl::StatusOr<std::unique_ptr<Entry>> Open(const std::string& stakeholder, uint32_t streams_max);

  // At most 1,000.
  std::vector<fraudhub::v1::SubscriptionState> Of(const std::string& stakeholder) const;
  // Ordered by stakeholder.
  std::vector<fraudhub::v1::StakeholderStreams> All() const;

 private:
  mutable base::Mutex mu_;
  std::map<std::string, std::set<const Entry*>> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hub::fanout_service
