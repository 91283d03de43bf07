// "Is it flagged, and how?", asked of a hub or of a bank's edges. Thread safety: any thread.
//
//   auto lookup = fraudhub::Lookup::Create({.server = "unix:/run/fraudhub-edge/lookup.sock,10.0.0.2:7446"});  // two edges side by side
//   fraudhub::Result<fraudhub::v1::LookupResponse> answer = lookup->Get(request, std::chrono::milliseconds(200));
#pragma once

#include <chrono>
#include <memory>

#include "fraudhub/connection.h"
#include "fraudhub/result.h"
#include "fraudhub/status.h"

namespace hub::client {
class Lookup;
}

namespace fraudhub {

namespace v1 {  // fraudhub/v1/lookup.pb.h
class LookupRequest;
class LookupResponse;
}  // namespace v1

class Lookup {
 public:
  // kInvalidArgument: bad address or identity. It doesn't wait for a connection to stand: everything else shows on the first Get.
  static Result<Lookup> Create(const Connection& connection);
  Lookup(Lookup&&) noexcept;  // one that was moved from may only be assigned to or destroyed
  Lookup& operator=(Lookup&&) noexcept;
  ~Lookup();

  // As many results as identifiers, 1 to 1,000, in their order. LOOKUP_VERDICT_UNKNOWN is never "nothing known": nobody can tell just now.
  //
  // Asks the address that served last, then the others, each at most once, until one knows everything; the next call begins with that one.
  // An address that can't be reached costs next to nothing, one that is silent half of the time that is left, and one whose data is too old
  // (UNKNOWN) a call: where all of them are so, the answer with the fewest UNKNOWN counts.
  // kUnavailable: no address can be reached; kDeadlineExceeded: none of those that were asked within `timeout`, all in all, answered; a
  // refusal of the hub is an answer: nobody else is asked.
  Result<v1::LookupResponse> Get(const v1::LookupRequest& request,
                                 std::chrono::milliseconds timeout = std::chrono::milliseconds(200)) const;

 private:
  explicit Lookup(std::unique_ptr<hub::client::Lookup> lookup);
  std::unique_ptr<hub::client::Lookup> lookup_;
};

}  // namespace fraudhub
