// Messages of a compact set, as an invented hub makes them. Plain functions.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "fraudhub/v1/lookup.pb.h"  // tidy:third-party-ok tests of this folder include it
#include "libs/client/local_kit_test.h"
#include "libs/replica/verdict_set.h"
#include "libs/rpc/proto_time.h"

namespace hub::client {

inline replica::PackedVerdict Verdict(int number, model::Level level = model::Level::kHigh) {
  return replica::Pack(5'550'000'000 + static_cast<uint64_t>(number), level);
}

// The last message of a part, which holds all of it.
inline fraudhub::v1::GetVerdictSetResponse Part(uint32_t part, uint32_t parts,
                                                const std::vector<replica::PackedVerdict>& verdicts,
                                                absl::Time complete_until = kStart, absl::Time hub_time = kStart) {
  fraudhub::v1::GetVerdictSetResponse response;
  response.set_part(part);
  response.set_parts(parts);
  if (!verdicts.empty()) response.set_block(replica::EncodeBlock(verdicts));
  replica::SetDigest digest;
  for (const replica::PackedVerdict verdict : verdicts) digest.Add(verdict);
  response.mutable_digest()->set_count(digest.count);
  response.mutable_digest()->set_sum(digest.sums[0]);
  response.mutable_digest()->set_other_sum(digest.sums[1]);
  rpc::ToProto(complete_until, response.mutable_complete_until());
  rpc::ToProto(hub_time, response.mutable_hub_time());
  return response;
}

}  // namespace hub::client
