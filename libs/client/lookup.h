// Lookups at a hub. (The in-process replica comes with issue D.) Thread safety: any thread.
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
  // One try at each address, until one can be reached. As many results as identifiers, in their order. Unavailable: no address can be
  // reached; DeadlineExceeded: the one that was reached did not answer within `timeout`, and the next call begins at another; a refusal of
  // the hub as model::Refuse made it.
  virtual absl::StatusOr<fraudhub::v1::LookupResponse> Get(const fraudhub::v1::LookupRequest& request,
                                                           absl::Duration timeout) = 0;
};

}  // namespace hub::client
