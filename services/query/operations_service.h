// fraudhub.v1.OperationsService without its gRPC side (rpc_bindings.h): what analysts and operators do. Everything is audited first.
//
// Thread safety: any thread; calls block (audit, log, a walk through the replica).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fraudhub/v1/operations.pb.h"
#include "libs/access/policy.h"
#include "libs/audit/audit.h"
#include "libs/base/clock.h"
#include "libs/eventlog/log.h"
#include "libs/model/rules.h"
#include "libs/model/token.h"
#include "libs/replica/replica.h"
#include "services/query/action_book.h"
#include "services/query/receipt_book.h"
#include "services/query/receipt_list.h"

namespace hub::query {

// What is in force at this process.
struct ControlSummary {
  uint64_t policy_version = 0;
  std::string policy_hash;
  uint64_t rules_version = 0;
  std::string rules_hash;
  uint32_t cursor_key_id = 0;
};

// The other parts of the hub that operations reach into; wired by the app. What is null or empty is another process's task: its RPCs
// answer Unimplemented and name that process. Clock, audit and tokeniser must be there.
struct OperationsParts {
  const base::Clock* clock = nullptr;
  const replica::Replica* replica = nullptr;
  audit::AuditLog* audit = nullptr;
  const model::Tokeniser* tokeniser = nullptr;
  bool allow_test_range = false;
  // Takes one report the way ingest does; answers when it is durable, on another thread perhaps.
  using OnVerdict = std::function<void(absl::Status, fraudhub::v1::ReportVerdict, absl::Duration retry_after)>;
  std::function<void(const access::Policy&, const access::Principal&, const fraudhub::v1::Report&, OnVerdict)> submit;
  std::function<absl::StatusOr<std::map<int32_t, int64_t>>(const model::Rules&)> apply_rules;
  // FailedPrecondition: the version is not above the one in force. Answers the text's short hash.
  std::function<absl::StatusOr<std::string>(uint64_t version, const std::string& text)> apply_policy;
  std::function<absl::StatusOr<uint64_t>(uint32_t key_id)> use_cursor_key;
  std::function<ControlSummary()> control;
  eventlog::Log* log = nullptr;  // for the quarantine
  std::function<std::vector<fraudhub::v1::StakeholderStreams>()> streams;
  const ReceiptBook* receipts = nullptr;
  const ActionBook* actions = nullptr;  // goes with receipts
};

class OperationsService {
 public:
  using Done = std::function<void(absl::Status, absl::Duration retry_after)>;
  explicit OperationsService(OperationsParts parts) : parts_(std::move(parts)) {}

  // `done` runs once, when the verdict is known.
  void Correct(const access::Policy& policy, const access::Principal& caller,
               const fraudhub::v1::CorrectRequest& request, fraudhub::v1::CorrectResponse* response, Done done);
  void CloseTenure(const access::Policy& policy, const access::Principal& caller,
                   const fraudhub::v1::CloseTenureRequest& request, fraudhub::v1::CloseTenureResponse* response,
                   Done done);
  absl::Status ApplyRules(const access::Policy& policy, const access::Principal& caller,
                          const fraudhub::v1::ApplyRulesRequest& request, fraudhub::v1::ApplyRulesResponse* response);
  absl::Status ApplyPolicy(const access::Policy& policy, const access::Principal& caller,
                           const fraudhub::v1::ApplyPolicyRequest& request,
                           fraudhub::v1::ApplyPolicyResponse* response);
  absl::Status UseCursorKey(const access::Policy& policy, const access::Principal& caller,
                            const fraudhub::v1::UseCursorKeyRequest& request,
                            fraudhub::v1::UseCursorKeyResponse* response);
  absl::Status GetControl(const access::Policy& policy, const access::Principal& caller,
                          fraudhub::v1::GetControlResponse* response);
  absl::Status ListQuarantine(const access::Policy& policy, const access::Principal& caller,
                              const fraudhub::v1::ListQuarantineRequest& request,
                              fraudhub::v1::ListQuarantineResponse* response);
  absl::Status ListStreams(const access::Policy& policy, const access::Principal& caller,
                           fraudhub::v1::ListStreamsResponse* response);
  absl::Status ListReceipts(const access::Policy& policy, const access::Principal& caller,
                            const fraudhub::v1::ListReceiptsRequest& request,
                            fraudhub::v1::ListReceiptsResponse* response);
  absl::Status ListStandings(const access::Policy& policy, const access::Principal& caller,
                             fraudhub::v1::ListStandingsResponse* response);
  absl::Status GetStateDigest(const access::Policy& policy, const access::Principal& caller,
                              fraudhub::v1::GetStateDigestResponse* response);

  // --- for the board, which nobody calls by gRPC ---

  // The newest corrections of rows that the caller may see, each with what ListReceipts answers about it; those among the newest thousand.
  absl::Status ListCorrections(const access::Policy& policy, const access::Principal& caller, int count_max,
                               std::vector<CorrectionReceipts>* corrections);
  // What GetStateDigest and ListStandings answer, neither audited nor redacted.
  absl::Status CountStates(fraudhub::v1::GetStateDigestResponse* response) const;
  absl::Status CountStandings(const access::Policy& policy, fraudhub::v1::ListStandingsResponse* response) const;
  // Their audit record, before the caller is shown what was counted for another; an error: it must not be shown.
  absl::Status NoteShown(const access::Policy& policy, const access::Principal& caller, absl::string_view rpc);

 private:
  absl::Status Audit(const access::Policy& policy, const access::Principal& caller, absl::string_view rpc,
                     std::string subject);
  std::string Subject(const fraudhub::v1::RawIdentifier& identifier) const;

  const OperationsParts parts_;
};

}  // namespace hub::query
