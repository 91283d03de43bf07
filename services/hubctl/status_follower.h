// Finds out what became of the rows of an import, behind it: asks in blocks of up to 1,000, in their order, and no faster than the
// hub decides; again for those not decided yet.
//
// Keeps a bit per row that is not decided, 1,000 rows to a block: 10 M rows at once would be 2 MB. Thread safety: any thread.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"

namespace fraudhub::v1 {
class ReportStatus;
}

namespace hub::hubctl {

class StatusFollower {
 public:
  // Answers in the order of the ids. PermissionDenied and Unimplemented end the following; other errors are tried again.
  using Ask =
      std::function<absl::StatusOr<std::vector<fraudhub::v1::ReportStatus>>(const std::vector<std::string>& ids)>;
  using IdOf = std::function<std::string(uint64_t row)>;

  // `started`: an outcome decided clearly before it is of an earlier import of the same list, and asked for again.
  StatusFollower(Ask ask, IdOf id_of, const base::Clock* clock, absl::Time started);

  // The hub has accepted this row.
  void Accepted(uint64_t row);
  // Waits until all rows are decided, or none was for `patience`. Nothing is accepted after it.
  void Finish(absl::Duration patience);

  // "MERGED", "DUPLICATE", "HELD PROTECTED_IDENTIFIER", ...: rows.
  std::map<std::string, uint64_t> outcomes() const;
  uint64_t undecided() const;
  // Why it stopped following, if it did.
  absl::Status failure() const;

 private:
  static constexpr uint64_t kBlockRows = 1000;  // as many as one call may ask for
  struct Block {
    std::bitset<kBlockRows> waiting;
    absl::Duration ask_at;
  };

  void Run(std::stop_token stop);
  bool NextDue(uint64_t* number, std::vector<uint64_t>* rows, absl::Duration* pause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Until all are decided, or none was for `patience`.
  void WaitForDecisions(absl::Duration patience) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Note(uint64_t number, const std::vector<uint64_t>& rows, const std::vector<fraudhub::v1::ReportStatus>& statuses)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Ask ask_;
  const IdOf id_of_;
  const base::Clock* const clock_;
  const absl::Time started_;
  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::map<uint64_t, Block> blocks_ ABSL_GUARDED_BY(mu_);  // by row / kBlockRows; none is empty
  uint64_t undecided_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, uint64_t> outcomes_ ABSL_GUARDED_BY(mu_);
  absl::Duration last_decided_ ABSL_GUARDED_BY(mu_);
  absl::Duration hold_until_ ABSL_GUARDED_BY(mu_);  // nothing is worth asking before
  absl::Duration look_again_ ABSL_GUARDED_BY(mu_);  // after an answer that decided little
  bool all_sent_ ABSL_GUARDED_BY(mu_) = false;
  bool old_ones_too_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  base::Thread thread_;
};

}  // namespace hub::hubctl
