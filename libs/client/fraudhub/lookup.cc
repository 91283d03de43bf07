#include "fraudhub/lookup.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fraudhub/translate.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/client/lookup.h"

namespace fraudhub {

using hub::client::Translate;

Result<Lookup> Lookup::Create(const Connection& connection) {
  hub::client::PrepareProcess();
  auto lookup = hub::client::Lookup::Create(Translate(connection));
  if (!lookup.ok()) return Translate(lookup.status());
  return Lookup(*std::move(lookup));
}

Lookup::Lookup(std::unique_ptr<hub::client::Lookup> lookup) : lookup_(std::move(lookup)) {}
Lookup::Lookup(Lookup&&) noexcept = default;
Lookup& Lookup::operator=(Lookup&&) noexcept = default;
Lookup::~Lookup() = default;

Result<v1::LookupResponse> Lookup::Get(const v1::LookupRequest& request, std::chrono::milliseconds timeout) const {
  auto answer = lookup_->Get(request, absl::FromChrono(timeout));
  if (!answer.ok()) return Translate(answer.status());
  return *std::move(answer);
}

}  // namespace fraudhub
