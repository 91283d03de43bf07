#include "services/ingest/report_status.h"

#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/model/report_id.h"
#include "libs/rpc/proto_time.h"
#include "services/ingest/report_intake.h"

namespace hub::ingest {
namespace {

namespace v1 = ::fraudhub::v1;

// How far back a correction is looked for; an identifier with a longer history since the report is as good as corrected-unknown.
constexpr size_t kHistoryMax = 256;

absl::StatusOr<bool> CorrectedSince(const replica::Replica& replica, const model::HistoryEntry& entry) {
  HUB_ASSIGN_OR_RETURN(const std::vector<model::HistoryEntry> history,
                       replica.ListHistory(entry.key.token, std::numeric_limits<int64_t>::max(), kHistoryMax));
  for (const model::HistoryEntry& later : history) {
    if (later.reports_offset <= entry.reports_offset) break;
    if (later.correction && later.key == entry.key) return true;
  }
  return false;
}

// `history` is fed apart from `events`: a decision may be known before the state it led to. Told then, "level now" would be the level before
// it, so the report stays undecided until the state is here, or everything up to the decision is (a state may have left since).
bool StateIsBehind(const replica::Replica& replica, const model::HistoryEntry& entry,
                   const std::optional<replica::Answer>& now) {
  const uint64_t version = now ? now->state.version : 0;
  return version < entry.version_after && replica.CompleteUntil() <= entry.decided_at;
}

absl::Status Fill(const replica::Replica& replica, const model::Filter& visible, const model::HistoryEntry& entry,
                  v1::ReportStatus* status) {
  HUB_ASSIGN_OR_RETURN(const std::optional<replica::Answer> now, replica.Get(entry.key));
  if (StateIsBehind(replica, entry, now)) return absl::OkStatus();
  status->set_outcome(static_cast<v1::Outcome>(entry.outcome));
  status->set_held_reason(static_cast<v1::HeldReason>(entry.held_reason));
  if (rpc::IsFinite(entry.decided_at)) rpc::ToProto(entry.decided_at, status->mutable_decided_at());
  status->set_level_then(static_cast<v1::Level>(entry.level_after));
  if (!now) return absl::OkStatus();
  if (visible.Matches(now->state.attributes))
    status->set_level_now(static_cast<v1::Level>(now->state.attributes.level));
  if (now->state.version > entry.version_after) {
    HUB_ASSIGN_OR_RETURN(const bool corrected, CorrectedSince(replica, entry));
    status->set_corrected_since(corrected);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status GetReportStatus(const replica::Replica& replica, const access::Policy& policy,
                             const access::Principal& caller, const v1::GetReportStatusRequest& request,
                             v1::GetReportStatusResponse* response) {
  if (request.report_ids().empty()) {
    return model::Refuse(model::RefusalCode::kMissing, "report_ids", "want at least one id");
  }
  if (request.report_ids_size() > kReportsPerCallMax) {
    return model::Refuse(model::RefusalCode::kTooManyItems, "report_ids",
                         absl::StrCat("want at most ", kReportsPerCallMax, " ids"));
  }
  const model::Filter visible = policy.Entitlement(caller);
  for (int i = 0; i < request.report_ids_size(); ++i) {
    const absl::StatusOr<model::ReportId> id = model::ParseReportId(request.report_ids(i));
    if (!id.ok()) {
      return model::Refuse(model::RefusalCode::kBadReportId, absl::StrCat("report_ids[", i, "]"), "want a UUID");
    }
    v1::ReportStatus* status = response->add_statuses();
    status->set_report_id(request.report_ids(i));
    HUB_ASSIGN_OR_RETURN(const std::optional<model::HistoryEntry> entry, replica.GetReport(caller.stakeholder, *id));
    if (entry) HUB_RETURN_IF_ERROR(Fill(replica, visible, *entry, status));
  }
  return absl::OkStatus();
}

}  // namespace hub::ingest
