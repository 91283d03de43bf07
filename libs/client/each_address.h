// One unary call that any of several addresses may answer. Private to this library; only .cc files include it.
#pragma once

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "libs/client/connection.h"

namespace hub::client {

// Calls `call(channel)` at the address that served last, then at each other one, as long as they can't be reached. An address that let the
// time run out isn't asked again in this call, but the next one begins behind it.
// Thread safety: several threads may share `channels` and `first`.
template <class Call>
absl::Status TryEachAddress(const Channels& channels, std::atomic<size_t>* first, Call call) {
  // Relaxed: an old value costs a try, nothing else.
  const size_t start = first->load(std::memory_order_relaxed);
  absl::Status status;
  for (size_t i = 0; i < channels.size(); ++i) {
    status = call(channels.at(start + i));
    const bool silent = absl::IsDeadlineExceeded(status);
    if (absl::IsUnavailable(status)) continue;
    first->store(start + i + (silent ? 1 : 0), std::memory_order_relaxed);
    return status;
  }
  return status;
}

}  // namespace hub::client
