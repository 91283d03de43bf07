#include "services/query/lookup_service.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/lookup_items.h"
#include "libs/wire/text_check.h"
#include "libs/wire/wire.h"
#include "services/query/explanation.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;
using model::Refuse;

constexpr int kPageDefault = 100;
constexpr int kPageMax = 1000;
constexpr double kBurstFactor = 10;
constexpr char kLinksTokenPrefix[] = "l1:";  // the rest is the key of the last state, in hex
constexpr size_t kStateKeyBytes = 17;
constexpr char kTokenPrefix[] = "p1:";  // of page tokens; the rest is a position of `reports`
constexpr model::Facet kFacets[] = {model::Facet::kRisk, model::Facet::kConnection, model::Facet::kTrace};

// A state's key; empty: the first page.
absl::StatusOr<std::string> ParseLinksToken(absl::string_view token) {
  if (token.empty()) return "";
  const bool ours = absl::ConsumePrefix(&token, kLinksTokenPrefix) && token.size() == 2 * kStateKeyBytes &&
                    std::all_of(token.begin(), token.end(), absl::ascii_isxdigit);
  if (!ours) return Refuse(RefusalCode::kBadFormat, "page_token", "want the token of the page before");
  return absl::HexStringToBytes(token);
}

absl::StatusOr<int> PageSize(int asked) {
  if (asked < 0 || asked > kPageMax) return Refuse(RefusalCode::kOutOfRange, "page_size", "want 0 to 1,000");
  return asked == 0 ? kPageDefault : asked;
}

absl::StatusOr<int64_t> ParsePageToken(absl::string_view token) {
  if (token.empty()) return std::numeric_limits<int64_t>::max();
  int64_t before = 0;
  if (!absl::ConsumePrefix(&token, kTokenPrefix) || !absl::SimpleHexAtoi(token, &before) || before < 0) {
    return Refuse(RefusalCode::kBadFormat, "page_token", "want the token of the page before");
  }
  return before;
}

bool SeesReports(const access::Policy& policy, const access::Principal& caller) {
  return wire::AudienceSet(policy.Fields(caller)).Has(model::FieldAudience::kLawEnforcement);
}

bool IsAnalyst(const access::Policy& policy, const access::Principal& caller) {
  return wire::AudienceSet(policy.Fields(caller)).Has(model::FieldAudience::kAnalyst);
}

void ToProto(const model::HistoryEntry& entry, bool analyst, v1::HistoryEntry* out) {
  if (rpc::IsFinite(entry.decided_at)) rpc::ToProto(entry.decided_at, out->mutable_decided_at());
  out->set_event_kind(static_cast<v1::EventKind>(entry.event_kind));
  out->set_level(static_cast<v1::Level>(entry.level_after));
  out->set_version(entry.version_after);
  out->set_report_kind(static_cast<v1::InputKind>(entry.report_kind));
  out->set_outcome(static_cast<v1::Outcome>(entry.outcome));
  out->set_reporter_role(static_cast<v1::Role>(ShownRole(entry.reporter.role, analyst)));
  out->set_reporter(entry.reporter.stakeholder);
  out->set_action(static_cast<v1::Action>(entry.action));
  out->set_action_version(entry.action_version);
  out->set_facet(static_cast<v1::Facet>(entry.key.facet));
  out->set_tenure(entry.tenure);
}

}  // namespace

LookupService::LookupService(const LookupParts& parts) : parts_(parts), sets_(parts) {
  const auto counter = [&](const char* verdict) {
    return parts.metrics->AddCounter("fraudhub_query_lookups_total", "Identifiers looked up, by verdict",
                                     {{"verdict", verdict}});
  };
  found_ = counter("indicator");
  not_found_ = counter("no_indicator");
  unknown_ = counter("unknown");
  invalid_ = counter("invalid");
}

absl::Status LookupService::Lookup(const access::Policy& policy, const access::Principal& caller,
                                   const v1::LookupRequest& request, v1::LookupResponse* response,
                                   absl::Duration* retry_after) {
  const Question question{policy, caller, "LookupService.Lookup", request.purpose(), request.case_ref()};
  const int count = request.identifiers_size();
  HUB_RETURN_IF_ERROR(wire::CheckLookup(request));
  HUB_RETURN_IF_ERROR(Begin(question, count, retry_after));

  std::vector<absl::StatusOr<model::Identifier>> asked;
  std::vector<std::string> subjects, refused;
  asked.reserve(static_cast<size_t>(count));
  subjects.reserve(static_cast<size_t>(count));
  response->mutable_results()->Reserve(count);
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<model::CanonicalIdentifier> parsed =
        wire::FromProto(request.identifiers(i), parts_.allow_test_range);
    const auto path = [i] { return absl::StrCat("identifiers[", i, "]"); };
    if (!parsed.ok()) {
      asked.push_back(model::WithFieldPrefix(parsed.status(), path()));
    } else if (!policy.MayLookUp(caller, parsed->identifier.type)) {
      refused.push_back(parts_.tokeniser->ForLogs(parsed->identifier));
      asked.push_back(
          Refuse(RefusalCode::kNotEntitled, absl::StrCat(path(), ".type"), "your role may not look up this type"));
    } else {
      subjects.push_back(parts_.tokeniser->ForLogs(parsed->identifier));
      asked.push_back(std::move(parsed->identifier));
    }
  }
  if (!refused.empty()) HUB_RETURN_IF_ERROR(Audit(question, absl::StrJoin(refused, ","), "refused: NOT_ENTITLED"));
  if (!subjects.empty()) HUB_RETURN_IF_ERROR(Audit(question, absl::StrJoin(subjects, ","), "granted"));

  const model::Filter visible = policy.Entitlement(caller);
  const absl::Time complete_until = parts_.replica->CompleteUntil();
  const bool stale = parts_.clock->TimeNow() - complete_until > parts_.age_max;
  for (const absl::StatusOr<model::Identifier>& identifier : asked) {
    v1::LookupResult* result = response->add_results();
    if (!identifier.ok()) {
      wire::SetInvalid(identifier.status(), result);
    } else {
      HUB_RETURN_IF_ERROR(Answer(visible, stale, *identifier, result));
      if (rpc::IsFinite(complete_until)) rpc::ToProto(complete_until, result->mutable_complete_until());
    }
    Count(result->verdict(), 1);
  }
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status LookupService::Answer(const model::Filter& visible, bool stale, const model::Identifier& identifier,
                                   v1::LookupResult* result) const {
  if (stale) {
    result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
    return absl::OkStatus();
  }
  const model::IndicatorKey key{parts_.tokeniser->Routing(identifier), model::Facet::kRisk};
  HUB_ASSIGN_OR_RETURN(const std::optional<replica::Answer> known, parts_.replica->Get(key));
  // A row that the caller may not see looks like one that isn't there.
  if (!known || !visible.Matches(known->state.attributes)) {
    result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
    return absl::OkStatus();
  }
  result->set_verdict(v1::LOOKUP_VERDICT_INDICATOR);
  wire::ToProto(known->state, result->mutable_indicator());
  result->mutable_version()->set_term(known->stamp.term);
  result->mutable_version()->set_version(known->stamp.version);
  result->mutable_version()->set_reports_offset(known->stamp.reports_offset);
  result->set_event_id(model::EventIdText(key, known->state.version));
  return absl::OkStatus();
}

absl::Status LookupService::Explain(const access::Policy& policy, const access::Principal& caller,
                                    const v1::ExplainRequest& request, v1::ExplainResponse* response,
                                    absl::Duration* retry_after) {
  const Question question{policy, caller, "LookupService.Explain", request.purpose(), request.case_ref()};
  HUB_ASSIGN_OR_RETURN(const model::Identifier asked, BeginOne(question, request.identifier(), retry_after));
  const model::RoutingToken token = parts_.tokeniser->Routing(asked);
  HUB_ASSIGN_OR_RETURN(const std::vector<replica::Answer> sides, Visible(question, token));
  const std::shared_ptr<const model::Rules> rules = parts_.rules();
  for (const replica::Answer& side : sides) {
    query::Explain(side, *rules, parts_.clock->TimeNow(), IsAnalyst(policy, caller), response->add_explanations());
  }
  const absl::Time complete_until = parts_.replica->CompleteUntil();
  if (rpc::IsFinite(complete_until)) rpc::ToProto(complete_until, response->mutable_complete_until());
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status LookupService::ListEvents(const access::Policy& policy, const access::Principal& caller,
                                       const v1::ListEventsRequest& request, v1::ListEventsResponse* response,
                                       absl::Duration* retry_after) {
  const Question question{policy, caller, "LookupService.ListEvents", request.purpose(), request.case_ref()};
  HUB_ASSIGN_OR_RETURN(const int page_size, PageSize(request.page_size()));
  HUB_ASSIGN_OR_RETURN(const int64_t before, ParsePageToken(request.page_token()));
  HUB_ASSIGN_OR_RETURN(const model::Identifier asked, BeginOne(question, request.identifier(), retry_after));
  const model::RoutingToken token = parts_.tokeniser->Routing(asked);
  HUB_ASSIGN_OR_RETURN(const std::vector<replica::Answer> sides, Visible(question, token));

  // One record of `reports` may change several sides; a page never ends between them, so it may be short by two, or long by two.
  const auto page = static_cast<size_t>(page_size);
  HUB_ASSIGN_OR_RETURN(const std::vector<model::HistoryEntry> entries,
                       parts_.replica->ListHistory(token, before, page + 3));
  size_t end = std::min(page, entries.size());
  while (end > 1 && end < entries.size() && entries[end].reports_offset == entries[end - 1].reports_offset) --end;
  while (end < entries.size() && entries[end].reports_offset == entries[end - 1].reports_offset) ++end;

  const bool analyst = IsAnalyst(policy, caller), sees_reports = SeesReports(policy, caller);
  for (size_t i = 0; i < end; ++i) {
    const model::HistoryEntry& entry = entries[i];
    const bool side_visible = std::any_of(sides.begin(), sides.end(),
                                          [&](const replica::Answer& side) { return side.state.key == entry.key; });
    const bool own = entry.reporter.stakeholder == caller.stakeholder;
    const bool silent = entry.event_kind == model::EventKind::kUnspecified;  // its very number tells how many reported
    const bool action = entry.report_kind == model::InputKind::kActionTaken;
    if (!side_visible || (silent && !sees_reports && !own) || (action && !analyst && !own)) continue;
    ToProto(entry, analyst, response->add_entries());
  }
  if (end < entries.size()) {
    response->set_next_page_token(
        absl::StrCat(kTokenPrefix, absl::Hex(static_cast<uint64_t>(entries[end - 1].reports_offset))));
  }
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

absl::Status LookupService::ListLinks(const access::Policy& policy, const access::Principal& caller,
                                      const v1::ListLinksRequest& request, v1::ListLinksResponse* response,
                                      absl::Duration* retry_after) {
  const Question question{policy, caller, "LookupService.ListLinks", request.purpose(), request.case_ref()};
  HUB_ASSIGN_OR_RETURN(const int page_size, PageSize(request.page_size()));
  HUB_ASSIGN_OR_RETURN(const std::string after, ParseLinksToken(request.page_token()));
  HUB_ASSIGN_OR_RETURN(const model::Identifier asked, BeginOne(question, request.identifier(), retry_after));
  const model::RoutingToken token = parts_.tokeniser->Routing(asked);
  HUB_ASSIGN_OR_RETURN(const std::vector<replica::Answer> sides, Visible(question, token));
  for (const replica::Answer& side : sides) {
    if (side.state.key.facet != model::Facet::kRisk || !after.empty()) continue;  // its own are on the first page
    v1::Indicator indicator;
    wire::ToProto(side.state, &indicator);
    response->mutable_links()->Swap(indicator.mutable_links());
  }
  const auto room = static_cast<size_t>(std::max(1, page_size - response->links_size()));
  HUB_RETURN_IF_ERROR(AddNamers(question, asked, after, room, response));
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), response);
  return absl::OkStatus();
}

// The links of others to this identifier, the other way round. A page may hold fewer than asked for, and others follow.
absl::Status LookupService::AddNamers(const Question& question, const model::Identifier& asked,
                                      const std::string& after, size_t room, v1::ListLinksResponse* response) const {
  HUB_ASSIGN_OR_RETURN(const replica::Namers namers, parts_.replica->ListNamers(asked, after, room));
  const model::Filter visible = question.policy.Entitlement(question.caller);
  for (const replica::Answer& namer : namers.answers) {
    const model::IndicatorState& state = namer.state;
    if (state.key.facet != model::Facet::kRisk || !visible.Matches(state.attributes) ||
        !question.policy.MayLookUp(question.caller, state.attributes.type)) {
      continue;
    }
    v1::Indicator indicator;
    wire::ToProto(state, &indicator);
    for (const model::Link& link : state.links) {
      if (link.identifier != asked) continue;
      v1::Link* added = response->add_links();
      added->set_relation(static_cast<v1::Relation>(model::Inverse(link.relation)));
      *added->mutable_identifier() = indicator.identifier();
    }
  }
  if (!namers.next.empty()) {
    response->set_next_page_token(absl::StrCat(kLinksTokenPrefix, absl::BytesToHexString(namers.next)));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::RawIdentifier> LookupService::Named(const access::Policy& policy, const access::Principal& caller,
                                                       const std::string& indicator_id, const std::string& purpose,
                                                       const std::string& case_ref, absl::Duration* retry_after) {
  const Question question{policy, caller, "LookupService.Explain", purpose, case_ref};
  const absl::Status nothing = absl::NotFoundError("there is no such indicator, or none that you may see");
  HUB_RETURN_IF_ERROR(Begin(question, 1, retry_after));
  const absl::StatusOr<model::IndicatorKey> key = model::ParseIndicatorId(indicator_id);
  if (!key.ok()) return nothing;
  HUB_ASSIGN_OR_RETURN(const std::vector<replica::Answer> sides, Visible(question, key->token));
  if (sides.empty() || !policy.MayLookUp(caller, sides[0].state.identifier.type)) {
    HUB_RETURN_IF_ERROR(Audit(question, model::IndicatorIdText(*key), "granted: nothing to see"));
    return nothing;
  }
  const model::Identifier& identifier = sides[0].state.identifier;
  v1::RawIdentifier named;
  named.set_type(static_cast<v1::IdentifierType>(identifier.type));
  named.set_value(identifier.canonical);
  if (identifier.type == model::IdentifierType::kMobile) named.set_line_kind(v1::LINE_KIND_MOBILE);
  if (identifier.type == model::IdentifierType::kLandline) named.set_line_kind(v1::LINE_KIND_FIXED);
  return named;
}

absl::Status LookupService::Begin(const Question& question, int cost, absl::Duration* retry_after) const {
  // They go on record, where they are read for years.
  HUB_RETURN_IF_ERROR(wire::CheckText(question.purpose, "purpose"));
  HUB_RETURN_IF_ERROR(wire::CheckText(question.case_ref, "case_ref"));
  if (question.purpose.empty() && question.policy.MustGivePurpose(question.caller)) {
    return Refuse(RefusalCode::kMissing, "purpose", "your role must say why it looks: a short code");
  }
  const double rate = question.policy.Grant(question.caller.role).lookups_per_second;
  const access::Rate limit{rate, std::max(1.0, rate * kBurstFactor)};
  *retry_after = parts_.quota->Take(question.caller.stakeholder, "lookups",
                                    std::min(static_cast<double>(cost), limit.burst), limit);
  if (*retry_after > absl::ZeroDuration())
    return Refuse(RefusalCode::kQuotaExceeded, "", "too many lookups; wait and try again");
  return absl::OkStatus();
}

absl::Status LookupService::Audit(const Question& question, const std::string& subjects,
                                  absl::string_view decision) const {
  audit::Entry entry;
  entry.principal = question.caller.uri;
  entry.action = std::string(question.rpc);
  entry.subject = subjects;
  entry.purpose = question.purpose;
  entry.case_ref = question.case_ref;
  entry.decision = std::string(decision);
  entry.policy_version = question.policy.version();
  const absl::Status kept = parts_.audit->Append(entry);
  if (kept.ok()) return kept;
  return absl::UnavailableError("the audit record can't be written, so nothing is answered");
}

absl::StatusOr<model::Identifier> LookupService::BeginOne(const Question& question, const v1::RawIdentifier& identifier,
                                                          absl::Duration* retry_after) const {
  HUB_RETURN_IF_ERROR(Begin(question, 1, retry_after));
  const absl::StatusOr<model::CanonicalIdentifier> parsed = wire::FromProto(identifier, parts_.allow_test_range);
  if (!parsed.ok()) return model::WithFieldPrefix(parsed.status(), "identifier");
  const std::string subject = parts_.tokeniser->ForLogs(parsed->identifier);
  if (!question.policy.MayLookUp(question.caller, parsed->identifier.type)) {
    HUB_RETURN_IF_ERROR(Audit(question, subject, "refused: NOT_ENTITLED"));
    return Refuse(RefusalCode::kNotEntitled, "identifier.type", "your role may not look up this type");
  }
  HUB_RETURN_IF_ERROR(Audit(question, subject, "granted"));
  return parsed->identifier;
}

absl::StatusOr<std::vector<replica::Answer>> LookupService::Visible(const Question& question,
                                                                    const model::RoutingToken& token) const {
  const model::Filter visible = question.policy.Entitlement(question.caller);
  std::vector<replica::Answer> sides;
  for (const model::Facet facet : kFacets) {
    HUB_ASSIGN_OR_RETURN(std::optional<replica::Answer> known, parts_.replica->Get({token, facet}));
    if (known && visible.Matches(known->state.attributes)) sides.push_back(*std::move(known));
  }
  return sides;
}

void LookupService::Count(v1::LookupVerdict verdict, double by) {
  (verdict == v1::LOOKUP_VERDICT_INDICATOR      ? found_
   : verdict == v1::LOOKUP_VERDICT_NO_INDICATOR ? not_found_
   : verdict == v1::LOOKUP_VERDICT_UNKNOWN      ? unknown_
                                                : invalid_)
      .Increment(by);
}

}  // namespace hub::query
