#include "libs/client/first_verdicts.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/proto_time.h"

namespace hub::client {

namespace v1 = ::fraudhub::v1;

void VerdictCollector::Ask(absl::Duration monotonic, v1::GetVerdictSetRequest* request) {
  if (part_ == 0) {  // nothing is kept, so the times are this call's
    Reset();
    asked_ = monotonic;
  }
  verdicts_.resize(whole_);
  request->set_parts(parts_);
  request->set_first_part(part_);
}

absl::Status VerdictCollector::Take(const v1::GetVerdictSetResponse& response) {
  const bool fits = response.parts() > 0 && response.part() < response.parts() && response.part() == part_ &&
                    (parts_ == 0 || response.parts() == parts_) && response.has_complete_until() &&
                    response.has_hub_time();
  if (!fits) return absl::DataLossError("verdict set: a part that was not to come next");
  parts_ = response.parts();
  if (!response.block().empty()) HUB_RETURN_IF_ERROR(replica::DecodeBlock(response.block(), &verdicts_));
  if (verdicts_.size() > kVerdictsMax) return absl::FailedPreconditionError("verdict set: too large for this replica");
  const absl::Time hub_time = rpc::FromProto(response.hub_time());
  // The hub's clock was read after the call began: so much was it then, at most.
  if (hub_time_ == absl::InfinitePast()) hub_time_ = hub_time;
  complete_until_ = std::min(complete_until_, rpc::FromProto(response.complete_until()));
  read_until_ = std::max(read_until_, hub_time);
  if (!response.has_digest()) return absl::OkStatus();

  replica::SetDigest digest;
  for (const replica::PackedVerdict verdict : absl::MakeConstSpan(verdicts_).subspan(whole_)) digest.Add(verdict);
  const replica::SetDigest told{response.digest().count(), {response.digest().sum(), response.digest().other_sum()}};
  if (digest != told) return absl::DataLossError("verdict set: a part is not what the hub hashed");
  digest_.Add(digest);
  whole_ = verdicts_.size();
  ++part_;
  return absl::OkStatus();
}

absl::StatusOr<FirstVerdicts> VerdictCollector::Finish() {
  HUB_CHECK(whole());
  VerdictCollector done = std::exchange(*this, VerdictCollector());
  HUB_ASSIGN_OR_RETURN(replica::VerdictSet set, replica::VerdictSet::Build(std::move(done.verdicts_)));
  return FirstVerdicts{std::move(set),   done.digest_,   done.complete_until_,
                       done.read_until_, done.hub_time_, done.asked_};
}

}  // namespace hub::client
