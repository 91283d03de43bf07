// Lookups at a hub or at a bank's edges. Outsiders know it as fraudhub::Lookup, and fraudhub/lookup.h documents it; this is the same with
// absl's types. Thread safety: any thread.
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
  static absl::StatusOr<std::unique_ptr<Lookup>> Create(const ConnectionOptions& options);
  virtual ~Lookup() = default;
  // A refusal of the hub comes as model::Refuse made it.
  virtual absl::StatusOr<fraudhub::v1::LookupResponse> Get(const fraudhub::v1::LookupRequest& request,
                                                           absl::Duration timeout) = 0;
};

}  // namespace hub::client
