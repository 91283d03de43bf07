#include "services/query/board.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"
#include "services/query/board_fields.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;
using model::Refuse;

constexpr char kExplain[] = "LookupService.Explain";
constexpr char kStandings[] = "OperationsService.ListStandings";
constexpr char kDigest[] = "OperationsService.GetStateDigest";
constexpr char kIndicatorPath[] = "/indicator/";
constexpr int kCorrectionsMax = 15;
constexpr int kEventsMax = 200;

const std::string& Field(const rpc::HttpRequest& request, const char* name) {
  static const std::string kNone;
  const auto field = request.fields.find(name);
  return field == request.fields.end() ? kNone : field->second;
}

// A link or a form of another site would have the browser's owner look something up, on record, without knowing it.
absl::Status CheckOwnPage(const rpc::HttpRequest& request) {
  if (!request.from_elsewhere) return absl::OkStatus();
  return absl::PermissionDeniedError("another site's page asked for this; open the board and look from there");
}

template <class Request>
Request Asking(const rpc::HttpRequest& request, const v1::RawIdentifier& identifier) {
  Request asking;
  *asking.mutable_identifier() = identifier;
  asking.set_purpose(Field(request, "purpose"));
  asking.set_case_ref(Field(request, "case_ref"));
  return asking;
}

struct Problem {
  int code;
  const char* title;
};
Problem ProblemOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:  // a certificate is there, so 401 and its dialogue would not help
    case absl::StatusCode::kPermissionDenied:
      return {403, "Not allowed"};
    case absl::StatusCode::kInvalidArgument:
      return {400, "Not understood"};
    case absl::StatusCode::kNotFound:
      return {404, "Nothing here"};
    case absl::StatusCode::kResourceExhausted:
      return {429, "Too much at a time"};
    default:
      return {503, "Not now"};
  }
}

}  // namespace

rpc::HttpAnswer Board::Answer(const rpc::HttpRequest& request) {
  if (request.path == "/board.css" && !request.post) return {200, BoardStyle(), "text/css"};
  const PageFrame frame{request.caller.value_or("nobody"), parts_.clock->TimeNow()};
  absl::StatusOr<std::string> page = absl::NotFoundError("the board has no such page");
  if (request.path == "/lookup") {
    page = Lookup(request, frame);
  } else if (request.post) {
    return {405, "only /lookup is posted to\n", "text/plain"};
  } else if (request.path == "/") {
    page = Front(request, frame);
  } else if (absl::StartsWith(request.path, kIndicatorPath)) {
    page = Indicator(request, frame);
  }
  if (page.ok()) return {200, *std::move(page)};
  const Problem problem = ProblemOf(page.status());
  return {problem.code, ProblemPage(frame, problem.title, std::string(page.status().message()))};
}

absl::StatusOr<std::string> Board::Front(const rpc::HttpRequest& request, const PageFrame& frame) {
  HUB_ASSIGN_OR_RETURN(const access::Principal caller, parts_.gate->AdmitUri(request.caller, kStandings));
  const std::shared_ptr<const access::Policy> policy = parts_.gate->policy();
  const auto may = [&](const char* rpc) { return policy->AuthorizeRpc(caller, rpc).ok(); };

  Overview overview;
  overview.complete_until = parts_.replica->CompleteUntil();
  const wire::AudienceSet audiences(policy->Fields(caller));
  HUB_RETURN_IF_ERROR(parts_.operations->NoteShown(*policy, caller, kStandings));
  const auto count_standings = [&](v1::ListStandingsResponse* standings) {
    return parts_.operations->CountStandings(*policy, standings);
  };
  if (const auto counted = standings_.Get(policy->version(), *parts_.clock, count_standings); counted != nullptr) {
    overview.standings = counted->answer;
  } else {  // another tab is the first, and counts
    HUB_RETURN_IF_ERROR(count_standings(&overview.standings));
  }
  wire::Redact(audiences, &overview.standings);
  if (may("OperationsService.ListStreams")) {
    v1::ListStreamsResponse streams;
    const absl::Status listed = parts_.operations->ListStreams(*policy, caller, &streams);
    if (listed.ok()) overview.streams = std::move(streams);
    if (!listed.ok() && !absl::IsUnimplemented(listed)) return listed;  // the fan-out's, in a cluster
  }
  if (may("OperationsService.ListReceipts")) {
    HUB_RETURN_IF_ERROR(parts_.operations->ListCorrections(*policy, caller, kCorrectionsMax, &overview.corrections));
  }
  if (may(kDigest)) {
    const auto counted = digest_.Get(
        0, *parts_.clock, [&](v1::GetStateDigestResponse* digest) { return parts_.operations->CountStates(digest); });
    if (counted != nullptr) {
      HUB_RETURN_IF_ERROR(parts_.operations->NoteShown(*policy, caller, kDigest));
      overview.numbers = counted->answer;
      wire::Redact(audiences, &*overview.numbers);
      overview.counted_at = counted->at;
    }
  }
  return OverviewPage(frame, overview);
}

absl::StatusOr<std::string> Board::Lookup(const rpc::HttpRequest& request, const PageFrame& frame) {
  HUB_RETURN_IF_ERROR(CheckOwnPage(request));
  HUB_ASSIGN_OR_RETURN(const access::Principal caller, parts_.gate->AdmitUri(request.caller, kExplain));
  if (!request.post) return LookupPage(frame, "");
  v1::RawIdentifier identifier;
  identifier.set_value(Field(request, "value"));
  v1::IdentifierType type = v1::IDENTIFIER_TYPE_UNSPECIFIED;
  v1::IdentifierType_Parse("IDENTIFIER_TYPE_" + Field(request, "type"), &type);
  identifier.set_type(type);
  if (type == v1::IDENTIFIER_TYPE_MOBILE) identifier.set_line_kind(v1::LINE_KIND_MOBILE);
  if (type == v1::IDENTIFIER_TYPE_LANDLINE) identifier.set_line_kind(v1::LINE_KIND_FIXED);
  HUB_ASSIGN_OR_RETURN(const Found found, Find(*parts_.gate->policy(), caller, identifier, request));
  if (found.why.explanations().empty()) {
    return LookupPage(frame, "There is no indicator that you may see. That is not the same as harmless.");
  }
  return IndicatorPage(frame, found);
}

absl::StatusOr<std::string> Board::Indicator(const rpc::HttpRequest& request, const PageFrame& frame) {
  HUB_RETURN_IF_ERROR(CheckOwnPage(request));
  HUB_ASSIGN_OR_RETURN(const access::Principal caller, parts_.gate->AdmitUri(request.caller, kExplain));
  const std::shared_ptr<const access::Policy> policy = parts_.gate->policy();
  const std::string id(absl::StripPrefix(request.path, kIndicatorPath));
  if (Field(request, "purpose").empty() && policy->MustGivePurpose(caller)) {
    if (!model::ParseIndicatorId(id).ok()) return absl::NotFoundError("want an indicator's id, ind_...");
    return PurposePage(frame, id);
  }
  absl::Duration retry_after;
  HUB_ASSIGN_OR_RETURN(
      const v1::RawIdentifier identifier,
      parts_.lookup->Named(*policy, caller, id, Field(request, "purpose"), Field(request, "case_ref"), &retry_after));
  HUB_ASSIGN_OR_RETURN(const Found found, Find(*policy, caller, identifier, request));
  if (found.why.explanations().empty())
    return absl::NotFoundError("there is no such indicator, or none that you may see");
  return IndicatorPage(frame, found);
}

absl::StatusOr<Found> Board::Find(const access::Policy& policy, const access::Principal& caller,
                                  const v1::RawIdentifier& identifier, const rpc::HttpRequest& request) {
  Found found;
  absl::Duration retry_after;
  HUB_RETURN_IF_ERROR(parts_.lookup->Explain(policy, caller, Asking<v1::ExplainRequest>(request, identifier),
                                             &found.why, &retry_after));
  if (found.why.explanations().empty() || !policy.AuthorizeRpc(caller, "LookupService.ListEvents").ok()) return found;
  auto asking = Asking<v1::ListEventsRequest>(request, identifier);
  asking.set_page_size(kEventsMax);
  HUB_RETURN_IF_ERROR(parts_.lookup->ListEvents(policy, caller, asking, &found.events, &retry_after));
  return found;
}

}  // namespace hub::query
