// One unary call whose answer is wanted as the bytes that came, not as a message. Thread safety: plain function.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
}

namespace hub::hubctl {

// `method`: "/fraudhub.v1.LookupService/Explain". `request`: an encoded message. Blocks for `timeout` at most.
absl::StatusOr<std::string> RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                                    const std::string& request, absl::Duration timeout);

}  // namespace hub::hubctl
