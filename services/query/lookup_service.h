// fraudhub.v1.LookupService without its gRPC side (rpc_bindings.h): what is known about an identifier, why, and what happened.
//
// Every call: purpose (of those who must give one), quota, then the audit record, durable, then the answer, redacted field by field.
// What the caller may not see is answered like what nobody knows. Thread safety: any thread; calls block on the disk (audit).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/access/policy.h"
#include "libs/base/metrics.h"
#include "libs/model/token.h"
#include "libs/replica/replica.h"
#include "services/query/lookup_parts.h"
#include "services/query/verdict_sets.h"

namespace hub::query {

// Who asks, under which policy, and why.
struct Question {
  const access::Policy& policy;
  const access::Principal& caller;
  absl::string_view rpc;
  const std::string& purpose;
  const std::string& case_ref;
};

class LookupService {
 public:
  explicit LookupService(const LookupParts& parts);

  // `*retry_after`: set with ResourceExhausted by quota.
  absl::Status Lookup(const access::Policy& policy, const access::Principal& caller,
                      const fraudhub::v1::LookupRequest& request, fraudhub::v1::LookupResponse* response,
                      absl::Duration* retry_after);
  absl::Status Explain(const access::Policy& policy, const access::Principal& caller,
                       const fraudhub::v1::ExplainRequest& request, fraudhub::v1::ExplainResponse* response,
                       absl::Duration* retry_after);
  absl::Status ListEvents(const access::Policy& policy, const access::Principal& caller,
                          const fraudhub::v1::ListEventsRequest& request, fraudhub::v1::ListEventsResponse* response,
                          absl::Duration* retry_after);
  absl::Status ListLinks(const access::Policy& policy, const access::Principal& caller,
                         const fraudhub::v1::ListLinksRequest& request, fraudhub::v1::ListLinksResponse* response,
                         absl::Duration* retry_after);
  // What LookupService's calls take, of an indicator known by its id: for the board, whose addresses must not hold identifiers. NotFound:
  // no such id, or nothing that the caller may look up and see; that is audited, as Explain's.
  absl::StatusOr<fraudhub::v1::RawIdentifier> Named(const access::Policy& policy, const access::Principal& caller,
                                                    const std::string& indicator_id, const std::string& purpose,
                                                    const std::string& case_ref, absl::Duration* retry_after);
  // GetVerdictSet.
  VerdictSets* sets() { return &sets_; }

 private:
  // Purpose, lengths, quota.
  absl::Status Begin(const Question& question, int cost, absl::Duration* retry_after) const;
  absl::Status Audit(const Question& question, const std::string& subjects, absl::string_view decision) const;
  // Begin, parse, may look up, audit: for calls about one identifier.
  absl::StatusOr<model::Identifier> BeginOne(const Question& question, const fraudhub::v1::RawIdentifier& identifier,
                                             absl::Duration* retry_after) const;
  // The sides of an identifier that the caller may see.
  absl::StatusOr<std::vector<replica::Answer>> Visible(const Question& question,
                                                       const model::RoutingToken& token) const;
  absl::Status AddNamers(const Question& question, const model::Identifier& asked, const std::string& after,
                         size_t room, fraudhub::v1::ListLinksResponse* response) const;
  absl::Status Answer(const model::Filter& visible, bool stale, const model::Identifier& identifier,
                      fraudhub::v1::LookupResult* result) const;
  void Count(fraudhub::v1::LookupVerdict verdict, double by);

  const LookupParts parts_;
  base::Counter found_, not_found_, unknown_, invalid_;
  VerdictSets sets_;
};

}  // namespace hub::query
