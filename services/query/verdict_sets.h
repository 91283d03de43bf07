// LookupService.GetVerdictSet without its gRPC side (rpc_bindings.h): all verdicts of a caller's view, in compact parts.
//
// A caller is told what its stream would tell it: rows of its entitlement, and of those only identifier and level. The states lie in the order
// of their keyed tokens, so a part is a range of tokens, read in one go, sorted, and sent in blocks: a walk holds one part, 20 MB at ten million,
// and can be gone on with from any part. Every call is audited before the first part is read.
// Thread safety: any thread; a Walk belongs to one at a time, and Next takes seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
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
  static constexpr int kWalksMax = 4;               // more are refused, to come again
  static constexpr int kWalksOfOneStakeholder = 2;  // its two edges
  static constexpr absl::Duration kStalledMax =
      absl::Seconds(30);  // who takes nothing for so long gives way to a newcomer

  class Walk {
   public:
    ~Walk();
    // The next message; false: there are no more.
    absl::StatusOr<bool> Next(fraudhub::v1::GetVerdictSetResponse* response);

   private:
    friend class VerdictSets;
    struct Entry {
      std::string stakeholder;
      absl::Duration moved;  // monotonic, at the last call of Next
      std::function<void()> cut;
    };
    Walk(VerdictSets* sets, model::Filter filter, uint32_t parts, uint32_t part, std::list<Entry>::iterator entry)
        : sets_(sets), filter_(std::move(filter)), parts_(parts), part_(part), entry_(entry) {}
    absl::Status ReadPart();

    VerdictSets* const sets_;
    const model::Filter filter_;
    const uint32_t parts_;
    uint32_t part_;
    const std::list<Entry>::iterator entry_;
    bool read_ = false;  // part_ is in verdicts_, sent up to sent_
    std::vector<replica::PackedVerdict> verdicts_;
    size_t sent_ = 0;
    replica::SetDigest digest_;
    absl::Time complete_until_, hub_time_;
  };

  static constexpr uint64_t kPartStates = 2'500'000;

  // `part_states`: aim; a part may grow to twice as many, more are refused.
  explicit VerdictSets(const LookupParts& parts, uint64_t part_states = kPartStates);
  // On the one thread that makes messages: reading all states must not cost more than one CPU. ResourceExhausted: too much waits for it.
  absl::Status Run(std::function<void()> job) { return worker_.Run(std::move(job)); }
  // `cut` is called, from any thread, when the walk must end; it must not block, nor touch the walk. `*retry_after`: set with ResourceExhausted.
  // The sets outlive their walks.
  absl::StatusOr<std::unique_ptr<Walk>> Begin(const access::Policy& policy, const access::Principal& caller,
                                              const fraudhub::v1::GetVerdictSetRequest& request,
                                              std::function<void()> cut, absl::Duration* retry_after);

 private:
  absl::StatusOr<uint32_t> CountParts(const fraudhub::v1::GetVerdictSetRequest& request) const;
  absl::Status Admit(const std::string& stakeholder, absl::Duration* retry_after);

  const LookupParts parts_;
  const uint64_t part_states_;
  base::Counter begun_, refused_, verdicts_, bytes_;
  base::Mutex mu_;
  std::list<Walk::Entry> walks_ ABSL_GUARDED_BY(mu_);
  rpc::WorkerPool worker_;
};

}  // namespace hub::query
