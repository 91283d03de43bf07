#include "services/query/operations_service.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/wire.h"
#include "services/query/audience.h"
#include "services/query/quarantine_pages.h"
#include "services/query/standings.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int kStakeholdersMax = 12'000;
// A record of the log holds 900 KiB.
constexpr size_t kRulesBytesMax = size_t{512} << 10;
constexpr size_t kPolicyBytesMax = size_t{800} << 10;

// For what this process has no part for.
absl::Status Elsewhere(absl::string_view rpc, absl::string_view process) {
  return absl::UnimplementedError(absl::StrCat("OperationsService.", rpc, " is not served here: ask ", process));
}
// What ListStandings looks at, and ListCorrections passes in search of those that are seen: about half a second of work at the most.
constexpr absl::Duration kStandingsReach = absl::Hours(24 * 30);
constexpr int kCorrectionsPassedMax = 1000;
constexpr char kQuery[] = "hub-query";
constexpr char kFanout[] = "hub-fanout";

}  // namespace

void OperationsService::Correct(const access::Policy& policy, const access::Principal& caller,
                                const v1::CorrectRequest& request, v1::CorrectResponse* response, Done done) {
  if (!parts_.submit) return done(Elsewhere("Correct", kQuery), absl::ZeroDuration());
  if (absl::Status kept = Audit(policy, caller, "OperationsService.Correct", Subject(request.identifier()));
      !kept.ok()) {
    return done(std::move(kept), absl::ZeroDuration());
  }
  v1::Report report;
  report.set_report_id(request.report_id());
  report.set_kind(v1::INPUT_KIND_CORRECTION);
  *report.mutable_identifier() = request.identifier();
  *report.mutable_correction() = request.correction();
  rpc::ToProto(parts_.clock->TimeNow(), report.mutable_observed_at());
  parts_.submit(
      policy, caller, report,
      [response, done = std::move(done)](absl::Status status, v1::ReportVerdict verdict, absl::Duration retry_after) {
        *response->mutable_verdict() = std::move(verdict);
        done(std::move(status), retry_after);
      });
}

void OperationsService::CloseTenure(const access::Policy& policy, const access::Principal& caller,
                                    const v1::CloseTenureRequest& request, v1::CloseTenureResponse* response,
                                    Done done) {
  if (!parts_.submit) return done(Elsewhere("CloseTenure", kQuery), absl::ZeroDuration());
  if (absl::Status kept = Audit(policy, caller, "OperationsService.CloseTenure", Subject(request.identifier()));
      !kept.ok()) {
    return done(std::move(kept), absl::ZeroDuration());
  }
  v1::Report report;
  report.set_report_id(request.report_id());
  report.set_kind(v1::INPUT_KIND_TENURE_CLOSED);
  *report.mutable_identifier() = request.identifier();
  if (request.has_closed_at()) *report.mutable_observed_at() = request.closed_at();
  parts_.submit(
      policy, caller, report,
      [response, done = std::move(done)](absl::Status status, v1::ReportVerdict verdict, absl::Duration retry_after) {
        if (verdict.field() == "observed_at") verdict.set_field("closed_at");  // as this request calls it
        *response->mutable_verdict() = std::move(verdict);
        done(std::move(status), retry_after);
      });
}

absl::Status OperationsService::ApplyRules(const access::Policy& policy, const access::Principal& caller,
                                           const v1::ApplyRulesRequest& request, v1::ApplyRulesResponse* response) {
  if (!parts_.apply_rules) return Elsewhere("ApplyRules", kQuery);
  if (request.rules_text().empty())
    return model::Refuse(model::RefusalCode::kMissing, "rules_text", "want rules.textproto as text");
  if (request.rules_text().size() > kRulesBytesMax) {
    return model::Refuse(model::RefusalCode::kTooLong, "rules_text", "want at most 512 KiB");
  }
  const absl::StatusOr<model::Rules> rules = wire::ParseRules(request.rules_text());
  if (!rules.ok()) {
    for (const absl::string_view problem : absl::StrSplit(rules.status().message(), '\n', absl::SkipEmpty())) {
      response->add_problems(std::string(problem));
    }
    return absl::OkStatus();
  }
  response->set_version(rules->version);
  if (request.validate_only()) return absl::OkStatus();
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.ApplyRules", absl::StrCat("rules ", rules->version)));
  const absl::StatusOr<std::map<int32_t, int64_t>> positions = parts_.apply_rules(*rules);
  if (absl::IsFailedPrecondition(positions.status())) {
    response->add_problems(std::string(positions.status().message()));
    return absl::OkStatus();
  }
  HUB_RETURN_IF_ERROR(positions.status());
  response->mutable_positions()->insert(positions->begin(), positions->end());
  return absl::OkStatus();
}

absl::Status OperationsService::ApplyPolicy(const access::Policy& policy, const access::Principal& caller,
                                            const v1::ApplyPolicyRequest& request, v1::ApplyPolicyResponse* response) {
  if (!parts_.apply_policy) return Elsewhere("ApplyPolicy", kQuery);
  if (request.policy_text().empty())
    return model::Refuse(model::RefusalCode::kMissing, "policy_text", "want policy.textproto as text");
  if (request.policy_text().size() > kPolicyBytesMax) {
    return model::Refuse(model::RefusalCode::kTooLong, "policy_text", "want at most 800 KiB");
  }
  const auto add_problems = [response](absl::string_view text) {
    for (const absl::string_view problem : absl::StrSplit(text, '\n', absl::SkipEmpty()))
      response->add_problems(std::string(problem));
  };
  absl::StatusOr<model::PolicySpec> spec = wire::ParsePolicy(request.policy_text());
  absl::Status good = spec.status();
  if (good.ok()) {
    response->set_version(spec->version);
    good = access::Policy::Build(*std::move(spec)).status();
  }
  if (!good.ok()) {
    add_problems(good.message());
    return absl::OkStatus();
  }
  if (request.validate_only()) return absl::OkStatus();
  HUB_RETURN_IF_ERROR(
      Audit(policy, caller, "OperationsService.ApplyPolicy", absl::StrCat("policy ", response->version())));
  absl::StatusOr<std::string> hash = parts_.apply_policy(response->version(), request.policy_text());
  if (absl::IsFailedPrecondition(hash.status())) {
    add_problems(hash.status().message());
    return absl::OkStatus();
  }
  HUB_RETURN_IF_ERROR(hash.status());
  response->set_hash(*std::move(hash));
  return absl::OkStatus();
}

absl::Status OperationsService::UseCursorKey(const access::Policy& policy, const access::Principal& caller,
                                             const v1::UseCursorKeyRequest& request,
                                             v1::UseCursorKeyResponse* response) {
  if (!parts_.use_cursor_key) return Elsewhere("UseCursorKey", kQuery);
  if (request.key_id() == 0) return model::Refuse(model::RefusalCode::kMissing, "key_id", "want a number from 1");
  HUB_RETURN_IF_ERROR(
      Audit(policy, caller, "OperationsService.UseCursorKey", absl::StrCat("cursor key ", request.key_id())));
  HUB_ASSIGN_OR_RETURN(const uint64_t version, parts_.use_cursor_key(request.key_id()));
  response->set_version(version);
  return absl::OkStatus();
}

absl::Status OperationsService::GetControl(const access::Policy& policy, const access::Principal& caller,
                                           v1::GetControlResponse* response) {
  if (!parts_.control) return Elsewhere("GetControl", kQuery);
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.GetControl", ""));
  ControlSummary control = parts_.control();
  response->set_policy_version(control.policy_version);
  response->set_policy_hash(std::move(control.policy_hash));
  response->set_rules_version(control.rules_version);
  response->set_rules_hash(std::move(control.rules_hash));
  response->set_cursor_key_id(control.cursor_key_id);
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status OperationsService::ListQuarantine(const access::Policy& policy, const access::Principal& caller,
                                               const v1::ListQuarantineRequest& request,
                                               v1::ListQuarantineResponse* response) {
  if (parts_.log == nullptr) return Elsewhere("ListQuarantine", kQuery);
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.ListQuarantine", ""));
  HUB_RETURN_IF_ERROR(ReadQuarantinePage(parts_.log, request, response));
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status OperationsService::ListStreams(const access::Policy& policy, const access::Principal& caller,
                                            v1::ListStreamsResponse* response) {
  if (!parts_.streams) return Elsewhere("ListStreams", kFanout);
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.ListStreams", ""));
  for (v1::StakeholderStreams& streams : parts_.streams()) {
    if (response->stakeholders_size() == kStakeholdersMax) break;
    *response->add_stakeholders() = std::move(streams);
  }
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status OperationsService::ListReceipts(const access::Policy& policy, const access::Principal& caller,
                                             const v1::ListReceiptsRequest& request,
                                             v1::ListReceiptsResponse* response) {
  if (parts_.receipts == nullptr) return Elsewhere("ListReceipts", kQuery);
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.ListReceipts", Subject(request.identifier())));
  const absl::StatusOr<model::CanonicalIdentifier> parsed =
      wire::FromProto(request.identifier(), parts_.allow_test_range);
  if (!parsed.ok()) return model::WithFieldPrefix(parsed.status(), "identifier");
  const model::RoutingToken token = parts_.tokeniser->Routing(parsed->identifier);
  for (const model::Facet facet : {model::Facet::kRisk, model::Facet::kConnection, model::Facet::kTrace}) {
    HUB_ASSIGN_OR_RETURN(const std::optional<model::Event> event,
                         parts_.receipts->Find({token, facet}, request.version()));
    if (!event) continue;
    HUB_ASSIGN_OR_RETURN(const auto receipts, parts_.receipts->ReceiptsOf(event->state.key, event->state.version));
    query::ListReceipts(policy, *event, receipts, response);
    wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      "version: no urgent event of this indicator is on record; receipts are kept of those only");
}

absl::Status OperationsService::ListCorrections(const access::Policy& policy, const access::Principal& caller,
                                                int count_max, std::vector<CorrectionReceipts>* corrections) {
  if (parts_.receipts == nullptr) return Elsewhere("ListReceipts", kQuery);
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.ListReceipts", "the newest corrections"));
  const model::Filter visible = policy.Entitlement(caller);
  const wire::AudienceSet audiences(policy.Fields(caller));
  absl::Time since = parts_.clock->TimeNow() - kStandingsReach;
  return parts_.receipts->VisitCorrections(
      &since, kCorrectionsPassedMax,
      [&](const model::Event& event, const std::map<std::string, model::ReceiptUpdate::Receipt>& receipts) {
        if (!MaySee(visible, event)) return true;
        CorrectionReceipts& correction = corrections->emplace_back();
        wire::ToProto(event, &correction.event);
        const model::Attributes& now = event.state.attributes;
        correction.event.mutable_indicator()->mutable_identifier()->set_type(static_cast<v1::IdentifierType>(now.type));
        if (event.previous) correction.before.set_level(static_cast<v1::Level>(event.previous->level));
        query::ListReceipts(policy, event, receipts, &correction.receipts);
        wire::Redact(audiences, &correction.event);
        wire::Redact(audiences, &correction.before);
        wire::Redact(audiences, &correction.receipts);
        return static_cast<int>(corrections->size()) < count_max;
      });
}

absl::Status OperationsService::ListStandings(const access::Policy& policy, const access::Principal& caller,
                                              v1::ListStandingsResponse* response) {
  if (parts_.receipts == nullptr || parts_.actions == nullptr) return Elsewhere("ListStandings", kQuery);
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.ListStandings", ""));
  HUB_RETURN_IF_ERROR(CountStandings(policy, response));
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status OperationsService::NoteShown(const access::Policy& policy, const access::Principal& caller,
                                          absl::string_view rpc) {
  return Audit(policy, caller, rpc, "");
}

absl::Status OperationsService::CountStandings(const access::Policy& policy,
                                               v1::ListStandingsResponse* response) const {
  if (parts_.receipts == nullptr || parts_.actions == nullptr) return Elsewhere("ListStandings", kQuery);
  Standings standings(policy);
  absl::Time since = parts_.clock->TimeNow() - kStandingsReach;
  HUB_RETURN_IF_ERROR(parts_.receipts->VisitCorrections(
      &since, kCorrectionsPassedMax,
      [&](const model::Event& event, const std::map<std::string, model::ReceiptUpdate::Receipt>& receipts) {
        standings.AddCorrection(event, receipts);
        return true;
      }));
  HUB_ASSIGN_OR_RETURN(const auto actions, parts_.actions->Totals());
  for (const auto& [stakeholder, total] : actions) standings.AddActions(stakeholder, total);
  standings.Finish(response);
  rpc::ToProto(since, response->mutable_since());
  return absl::OkStatus();
}

absl::Status OperationsService::GetStateDigest(const access::Policy& policy, const access::Principal& caller,
                                               v1::GetStateDigestResponse* response) {
  if (parts_.replica == nullptr) return Elsewhere("GetStateDigest", kQuery);
  HUB_RETURN_IF_ERROR(Audit(policy, caller, "OperationsService.GetStateDigest", ""));
  HUB_RETURN_IF_ERROR(CountStates(response));
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status OperationsService::CountStates(v1::GetStateDigestResponse* response) const {
  if (parts_.replica == nullptr) return Elsewhere("GetStateDigest", kQuery);
  const absl::Time complete_until =
      parts_.replica->CompleteUntil();  // before the walk: what it finds is at least that new
  HUB_ASSIGN_OR_RETURN(const replica::StateDigest digest, parts_.replica->Digest());
  response->set_indicators(digest.indicators);
  response->set_flagged(digest.flagged);
  response->set_reports(digest.reports);
  response->set_digest(absl::StrFormat("%016x%016x", digest.digest[0], digest.digest[1]));
  for (size_t level = 1; level < digest.by_level.size(); ++level) {
    (*response->mutable_by_level())[static_cast<int32_t>(level)] = digest.by_level[level];
  }
  if (rpc::IsFinite(complete_until)) rpc::ToProto(complete_until, response->mutable_complete_until());
  return absl::OkStatus();
}

absl::Status OperationsService::Audit(const access::Policy& policy, const access::Principal& caller,
                                      absl::string_view rpc, std::string subject) {
  audit::Entry entry;
  entry.principal = caller.uri;
  entry.action = std::string(rpc);
  entry.subject = std::move(subject);
  entry.decision = "granted";
  entry.policy_version = policy.version();
  if (parts_.audit->Append(entry).ok()) return absl::OkStatus();
  return absl::UnavailableError("the audit record can't be written, so nothing is done");
}

std::string OperationsService::Subject(const v1::RawIdentifier& identifier) const {
  const absl::StatusOr<model::CanonicalIdentifier> parsed = wire::FromProto(identifier, parts_.allow_test_range);
  return parsed.ok() ? parts_.tokeniser->ForLogs(parsed->identifier) : "invalid identifier";
}

}  // namespace hub::query
