// LookupService.GetVerdictSet without its gRPC side (rpc_bindings.h): all verdicts of a caller's view, in compact parts.
//
// A caller is told what its stream would tell it: rows of its entitlement, and of those only identifier and level. The states lie in the order
// of their keyed tokens, so a part is a range of tokens, read in one go, sorted, and sent in blocks: a walk holds one part, 20 MB at ten million,
// and can be gone on with from any part. Every call is audited before the first part is read. One walk at a time: a set that is read beside
// others is old when it comes.
// Thread safety: any thread; a Walk belongs to one at a time, and Next takes seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/access/policy.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/replica/verdict_set.h"
#include "libs/rpc/worker_pool.h"
#include "services/query/lookup_parts.h"

namespace hub::query {

class VerdictSets {
 public:
  // Who takes nothing for so long, or takes it so slowly, gives way to a newcomer; it may go on from its last whole part later.
  static constexpr absl::Duration kStalledMax = absl::Seconds(10);
  static constexpr absl::Duration kWalkMax = absl::Minutes(2);
  // Who was refused first is the next, if it comes again within this time.
  static constexpr absl::Duration kTurnKept = absl::Seconds(10);

  // The one place of those who read a set; free when this is gone.
  class Turn {
   public:
    ~Turn();

   private:
    friend class VerdictSets;
    Turn(VerdictSets* sets, absl::Duration now, std::function<void()> cut)
        : sets_(sets), began_(now), waits_since_(now), cut_(std::move(cut)) {}
    void WaitsSince(absl::Duration monotonic);

    VerdictSets* const sets_;
    const absl::Duration began_;  // monotonic, as the next
    absl::Duration waits_since_;  // under the sets' lock; for the next call of Walk::Next. Infinite: it is under way
    const std::function<void()> cut_;
  };

  class Walk {
   public:
    // The next message; false: there are no more.
    absl::StatusOr<bool> Next(fraudhub::v1::GetVerdictSetResponse* response);

   private:
    friend class VerdictSets;
    Walk(VerdictSets* sets, std::unique_ptr<Turn> turn, model::Filter filter, uint32_t parts, uint32_t part)
        : sets_(sets), turn_(std::move(turn)), filter_(std::move(filter)), parts_(parts), part_(part) {}
    absl::Status ReadPart();

    VerdictSets* const sets_;
    const std::unique_ptr<Turn> turn_;
    const model::Filter filter_;
    const uint32_t parts_;
    uint32_t part_;
    bool read_ = false;  // part_ is in verdicts_, sent up to sent_
    std::vector<replica::PackedVerdict> verdicts_;
    size_t sent_ = 0;
    replica::SetDigest digest_;
    absl::Time complete_until_, hub_time_;
  };

  static constexpr uint64_t kPartStates = 2'500'000;

  // `part_states`: aim; a part may grow to twice as many, more are refused.
  explicit VerdictSets(const LookupParts& parts, uint64_t part_states = kPartStates);
  // Never blocks: before anything is queued for it, a caller has its turn or is refused. `cut` is called, from any thread, when the turn must
  // end; it must not block, nor end it itself. `*retry_after`: set with ResourceExhausted. The sets outlive the turns.
  absl::StatusOr<std::unique_ptr<Turn>> Enter(const access::Principal& caller, std::function<void()> cut,
                                              absl::Duration* retry_after);
  // On the one thread that makes messages: reading all states must not cost more than one CPU. Whoever has no turn has nothing to do there.
  absl::Status Run(std::function<void()> job) { return worker_.Run(std::move(job)); }
  // On that thread.
  absl::StatusOr<std::unique_ptr<Walk>> Begin(const access::Policy& policy, const access::Principal& caller,
                                              const fraudhub::v1::GetVerdictSetRequest& request,
                                              std::unique_ptr<Turn> turn);

 private:
  absl::StatusOr<uint32_t> CountParts(const fraudhub::v1::GetVerdictSetRequest& request) const;

  const LookupParts parts_;
  const uint64_t part_states_;
  base::Counter begun_, refused_, verdicts_, bytes_;
  base::Mutex mu_;
  Turn* turn_ ABSL_GUARDED_BY(mu_) = nullptr;  // null: nobody's
  std::string next_ ABSL_GUARDED_BY(mu_);      // whose turn is next, until then; monotonic
  absl::Duration next_until_ ABSL_GUARDED_BY(mu_);
  rpc::WorkerPool worker_;
};

}  // namespace hub::query
