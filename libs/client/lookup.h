// Lookups at a hub or at a bank's edges. (The in-process replica comes with issue D.) Thread safety: any thread.
//
//   auto lookup = Lookup::Create({.server = "unix:/run/fraudhub-edge/lookup.sock,10.0.0.2:7446", ...});   // two edges side by side
//   absl::StatusOr<fraudhub::v1::LookupResponse> answer = (*lookup)->Get(request, absl::Milliseconds(200));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/client/connection.h"

namespace fraudhub::v1 {
class LookupRequest;
class LookupResponse;
}  // namespace fraudhub::v1

namespace hub::client {

class Lookup {
 public:
  // InvalidArgument: bad address or identity.
  static absl::StatusOr<std::unique_ptr<Lookup>> Create(const ConnectionOptions& options);
  virtual ~Lookup() = default;
  // Asks the address that served last, then the others, each at most once, until one knows everything; the next call begins with that one.
  // An address that can't be reached costs next to nothing, one that is silent half of the time that is left, and one whose data is too old
  // (UNKNOWN) a call: where all of them are so, the answer with the fewest UNKNOWN counts. As many results as identifiers, in their order.
  // An identifier that is not UTF-8 is INVALID, as each of another wrong form; a purpose or case that is not: InvalidArgument.
  // Unavailable: no address can be reached; DeadlineExceeded: none of those that were asked within `timeout`, all in all, answered; a refusal
  // of the hub as model::Refuse made it, which is an answer: nobody else is asked.
  virtual absl::StatusOr<fraudhub::v1::LookupResponse> Get(const fraudhub::v1::LookupRequest& request,
                                                           absl::Duration timeout) = 0;
};

}  // namespace hub::client
