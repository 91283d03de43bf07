// Who may do, report, see and look up what. An immutable value made from policy.textproto; a new policy is a new value.
//
// Thread safety: immutable; share by std::shared_ptr<const Policy>. PolicyHolder swaps it atomically.
//
//   auto policy = Policy::Build(spec);                       // all problems at once
//   auto caller = (*policy)->Identify(uri);                  // Unauthenticated when unknown or denied
//   HUB_RETURN_IF_ERROR((*policy)->AuthorizeRpc(*caller, "LookupService.Lookup"));
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/access/principal.h"
#include "libs/base/mutex.h"
#include "libs/model/filter.h"
#include "libs/model/policy_spec.h"
#include "libs/model/report.h"

namespace hub::access {

class Policy {
 public:
  // InvalidArgument: every problem, one a line.
  static absl::StatusOr<std::shared_ptr<const Policy>> Build(model::PolicySpec spec);
  virtual ~Policy() = default;

  // The principal with exactly this URI SAN. Unauthenticated otherwise, and when it is on the deny list.
  virtual absl::StatusOr<Principal> Identify(absl::string_view uri) const = 0;
  // `rpc`: "Service.Method". PermissionDenied with Refuse(kNotEntitled).
  virtual absl::Status AuthorizeRpc(const Principal& caller, absl::string_view rpc) const = 0;
  // May the caller say this? Kind by role; case references, victims' numbers and units from law enforcement only (a unit also from
  // a portal, for a lost handset); corrections: reporters RETRACTED only. Field paths relative to the report.
  virtual absl::Status AuthorizeReport(const Principal& caller, const model::Report& report) const = 0;
  // Rows the caller may see. Combine with its own filter by And.
  virtual model::Filter Entitlement(const Principal& caller) const = 0;
  // Audiences beyond kAll whose fields it may see.
  virtual std::vector<model::FieldAudience> Fields(const Principal& caller) const = 0;
  virtual bool MayLookUp(const Principal& caller, model::IdentifierType type) const = 0;
  // Lookups by these roles must say why.
  virtual bool MustGivePurpose(const Principal& caller) const = 0;
  virtual const model::RoleGrant& Grant(model::Role role) const = 0;
  virtual const model::PolicySpec& spec() const = 0;
  virtual uint64_t version() const = 0;
};

// The policy in force.
class PolicyHolder {
 public:
  explicit PolicyHolder(std::shared_ptr<const Policy> policy) : policy_(std::move(policy)) {}
  std::shared_ptr<const Policy> Get() const {
    base::MutexLock lock(&mu_);
    return policy_;
  }
  void Set(std::shared_ptr<const Policy> policy) {
    base::MutexLock lock(&mu_);
    policy_ = std::move(policy);
    changes_.fetch_add(1, std::memory_order_release);
  }
  // How often it was set; cheap to ask before each message.
  uint64_t changes() const { return changes_.load(std::memory_order_acquire); }

 private:
  mutable base::Mutex mu_;
  std::shared_ptr<const Policy> policy_ ABSL_GUARDED_BY(mu_);
  std::atomic<uint64_t> changes_{
      0};  // release after policy_ was set: who sees it and then takes the lock gets that policy
};

// Every RPC of fraudhub.v1, "Service.Method". A test compares it with the descriptors.
const std::vector<std::string>& AllRpcs();

}  // namespace hub::access
