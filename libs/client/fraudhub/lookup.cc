#include "fraudhub/lookup.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fraudhub/translate.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/base/clock.h"
#include "libs/client/in_process_lookup.h"
#include "libs/client/lookup.h"

namespace fraudhub {

using hub::client::Translate;

struct Lookup::Impl {
  hub::base::RealClock clock;
  std::unique_ptr<hub::client::Lookup> remote;  // one of the two
  std::unique_ptr<hub::client::InProcessLookup> replica;
};

Result<Lookup> Lookup::Create(const Connection& connection) {
  hub::client::PrepareProcess();
  auto lookup = hub::client::Lookup::Create(Translate(connection));
  if (!lookup.ok()) return Translate(lookup.status());
  auto impl = std::make_unique<Impl>();
  impl->remote = *std::move(lookup);
  return Lookup(std::move(impl));
}

Result<Lookup> Lookup::Open(const std::string& folder, const ReplicaOptions& options) {
  hub::client::PrepareProcess();
  auto impl = std::make_unique<Impl>();
  hub::client::LocalReplicaOptions replica;
  replica.data_dir = folder;
  replica.hub = replica.query = Translate(options.hub);
  if (!options.query_server.empty()) replica.query.server = options.query_server;
  replica.client_id = options.client_id;
  replica.age_max = absl::FromChrono(options.age_max);
  auto opened = hub::client::InProcessLookup::Open(replica, options.allow_test_range, &impl->clock);
  if (!opened.ok()) return Translate(opened.status());
  impl->replica = *std::move(opened);
  return Lookup(std::move(impl));
}

Lookup::Lookup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Lookup::Lookup(Lookup&&) noexcept = default;
Lookup& Lookup::operator=(Lookup&&) noexcept = default;
Lookup::~Lookup() = default;

Result<v1::LookupResponse> Lookup::Get(const v1::LookupRequest& request, std::chrono::milliseconds timeout) const {
  const absl::Duration limit = absl::FromChrono(timeout);
  auto answer = impl_->replica ? impl_->replica->Get(request, limit) : impl_->remote->Get(request, limit);
  if (!answer.ok()) return Translate(answer.status());
  return *std::move(answer);
}

std::optional<std::chrono::milliseconds> Lookup::age() const {
  if (!impl_->replica) return std::nullopt;
  const absl::Duration age = impl_->replica->age();
  if (age == absl::InfiniteDuration()) return std::nullopt;
  return Translate(age);
}

std::string Lookup::Metrics() const { return impl_->replica ? impl_->replica->metrics().Exposition() : ""; }

}  // namespace fraudhub
