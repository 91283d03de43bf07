#include "libs/wire/stored.h"

#include <limits>
#include <string>
#include <utility>

#include "fraudhub/internal/v1/record.pb.h"
#include "libs/base/status_macros.h"

namespace hub::wire {
namespace {

// Overloads below would hide those of stored.h.
using wire::FromStored;
using wire::ToStored;

namespace internal = fraudhub::internal::v1;

template <typename E>
constexpr uint32_t Number(E value) {
  return static_cast<uint32_t>(value);
}

void ToStored(const model::Identifier& identifier, internal::StoredIdentifier* out) {
  out->set_type(Number(identifier.type));
  out->set_canonical(identifier.canonical);
}

absl::Status FromStored(const internal::StoredIdentifier& stored, model::Identifier* out) {
  HUB_RETURN_IF_ERROR(StoredEnum(stored.type(), model::IdentifierType::kHelpline, "identifier.type", &out->type));
  out->canonical = stored.canonical();
  return absl::OkStatus();
}

void ToStored(const model::Link& link, internal::StoredLink* out) {
  out->set_relation(Number(link.relation));
  ToStored(link.identifier, out->mutable_identifier());
}

absl::Status FromStored(const internal::StoredLink& stored, model::Link* out) {
  HUB_RETURN_IF_ERROR(StoredEnum(stored.relation(), model::Relation::kCalledWith, "links.relation", &out->relation));
  return FromStored(stored.identifier(), &out->identifier);
}

void ToStored(const model::Contribution& contribution, internal::StoredContribution* out) {
  ToStored(contribution.reporter, out->mutable_reporter());
  out->set_kind(Number(contribution.kind));
  out->set_list_id(contribution.list_id);
  out->set_reason(Number(contribution.reason));
  out->set_level(Number(contribution.level));
  out->set_count(contribution.count);
  out->mutable_citizens()->Add(contribution.citizens.begin(), contribution.citizens.end());
  out->set_first_observed(ToMicros(contribution.first_observed));
  out->set_last_observed(ToMicros(contribution.last_observed));
  out->set_last_received(ToMicros(contribution.last_received));
  out->set_lapses_at(ToMicros(contribution.lapses_at));
  out->set_withdrawn(contribution.withdrawn);
}

absl::Status FromStored(const internal::StoredContribution& stored, model::Contribution* out) {
  HUB_RETURN_IF_ERROR(FromStored(stored.reporter(), &out->reporter));
  HUB_RETURN_IF_ERROR(StoredEnum(stored.kind(), model::InputKind::kCorrection, "contributions.kind", &out->kind));
  out->list_id = stored.list_id();
  HUB_RETURN_IF_ERROR(
      StoredEnum(stored.reason(), model::Reason::kAnalystDecision, "contributions.reason", &out->reason));
  HUB_RETURN_IF_ERROR(StoredEnum(stored.level(), model::Level::kVeryHigh, "contributions.level", &out->level));
  out->count = stored.count();
  out->citizens.assign(stored.citizens().begin(), stored.citizens().end());
  out->first_observed = FromMicros(stored.first_observed());
  out->last_observed = FromMicros(stored.last_observed());
  out->last_received = FromMicros(stored.last_received());
  out->lapses_at = FromMicros(stored.lapses_at());
  out->withdrawn = stored.withdrawn();
  return absl::OkStatus();
}

void ToStored(const model::ClosedTenure& tenure, internal::StoredTenure* out) {
  out->set_tenure(tenure.tenure);
  out->set_closed_at(ToMicros(tenure.closed_at));
  out->set_final_level(Number(tenure.final_level));
}

absl::Status FromStored(const internal::StoredTenure& stored, model::ClosedTenure* out) {
  out->tenure = stored.tenure();
  out->closed_at = FromMicros(stored.closed_at());
  return StoredEnum(stored.final_level(), model::Level::kVeryHigh, "closed_tenures.final_level", &out->final_level);
}

}  // namespace

int64_t ToMicros(absl::Time time) { return absl::ToUnixMicros(time); }

absl::Time FromMicros(int64_t micros) {
  if (micros == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
  if (micros == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
  return absl::FromUnixMicros(micros);
}

absl::Status BadStoredNumber(absl::string_view field) {
  return absl::DataLossError(absl::StrCat("stored record: ", field, ": a number this release does not know"));
}

absl::Status KeyFromStored(absl::string_view bytes, model::IndicatorKey* out) {
  absl::StatusOr<model::IndicatorKey> key = model::IndicatorKeyFromBytes(bytes);
  if (!key.ok()) return absl::DataLossError("stored record: not the key of an indicator");
  *out = *key;
  return absl::OkStatus();
}

void ToStored(const model::Reporter& reporter, internal::StoredReporter* out) {
  out->set_stakeholder(reporter.stakeholder);
  out->set_principal(reporter.principal);
  out->set_ownership_group(reporter.ownership_group);
  out->set_role(Number(reporter.role));
}

absl::Status FromStored(const internal::StoredReporter& stored, model::Reporter* out) {
  out->stakeholder = stored.stakeholder();
  out->principal = stored.principal();
  out->ownership_group = stored.ownership_group();
  return StoredEnum(stored.role(), model::Role::kAnalyst, "reporter.role", &out->role);
}

void ToStored(const model::Attributes& attributes, internal::StoredAttributes* out) {
  out->set_facet(Number(attributes.facet));
  out->set_type(Number(attributes.type));
  out->set_level(Number(attributes.level));
  for (model::Reason reason : attributes.reasons) out->add_reasons(Number(reason));
  out->mutable_categories()->Add(attributes.categories.begin(), attributes.categories.end());
  out->set_circle_of_issue(attributes.circle_of_issue);
  out->mutable_victim_states()->Add(attributes.victim_states.begin(), attributes.victim_states.end());
  out->mutable_handling_units()->Add(attributes.handling_units.begin(), attributes.handling_units.end());
  out->mutable_case_refs()->Add(attributes.case_refs.begin(), attributes.case_refs.end());
  out->set_operator_id(attributes.operator_id);
}

absl::Status FromStored(const internal::StoredAttributes& stored, model::Attributes* out) {
  HUB_RETURN_IF_ERROR(StoredEnum(stored.facet(), model::Facet::kTrace, "attributes.facet", &out->facet));
  HUB_RETURN_IF_ERROR(StoredEnum(stored.type(), model::IdentifierType::kHelpline, "attributes.type", &out->type));
  HUB_RETURN_IF_ERROR(StoredEnum(stored.level(), model::Level::kVeryHigh, "attributes.level", &out->level));
  out->reasons.resize(static_cast<size_t>(stored.reasons_size()));
  for (int i = 0; i < stored.reasons_size(); ++i) {
    HUB_RETURN_IF_ERROR(StoredEnum(stored.reasons(i), model::Reason::kAnalystDecision, "attributes.reasons",
                                   &out->reasons[static_cast<size_t>(i)]));
  }
  out->categories.assign(stored.categories().begin(), stored.categories().end());
  out->circle_of_issue = stored.circle_of_issue();
  out->victim_states.assign(stored.victim_states().begin(), stored.victim_states().end());
  out->handling_units.assign(stored.handling_units().begin(), stored.handling_units().end());
  out->case_refs.assign(stored.case_refs().begin(), stored.case_refs().end());
  out->operator_id = stored.operator_id();
  return absl::OkStatus();
}

void ToStored(const model::IndicatorState& state, internal::StoredIndicator* out) {
  out->set_key(model::ToBytes(state.key));
  ToStored(state.identifier, out->mutable_identifier());
  out->set_line_kind(Number(state.line_kind));
  for (const model::Link& link : state.links) ToStored(link, out->add_links());
  out->set_version(state.version);
  out->set_standing(Number(state.standing));
  ToStored(state.attributes, out->mutable_attributes());
  out->set_tenure(state.tenure);
  out->set_tenure_started_at(ToMicros(state.tenure_started_at));
  for (const model::ClosedTenure& tenure : state.closed_tenures) ToStored(tenure, out->add_closed_tenures());
  out->set_report_count(state.report_count);
  out->set_independent_sources(state.independent_sources);
  out->set_independent_citizens(state.independent_citizens);
  out->set_first_seen(ToMicros(state.first_seen));
  out->set_last_seen(ToMicros(state.last_seen));
  out->set_expires_at(ToMicros(state.expires_at));
  out->set_next_check_at(ToMicros(state.next_check_at));
  out->set_review_due(ToMicros(state.review_due));
  out->set_ceiling(Number(state.ceiling));
  out->set_ceiling_at(ToMicros(state.ceiling_at));
  out->set_protected_identifier(state.protected_identifier);
  out->mutable_override_votes()->Add(state.override_votes.begin(), state.override_votes.end());
  out->set_registered_by(state.registered_by);
  out->set_traced_with(state.traced_with);
  out->set_traced_at(ToMicros(state.traced_at));
  out->set_suspect_state(state.suspect_state);
  out->set_victim_phone(state.victim_phone);
  out->set_loss_paise(state.loss_paise);
  for (const model::Contribution& contribution : state.contributions) ToStored(contribution, out->add_contributions());
}

absl::Status FromStored(const internal::StoredIndicator& stored, model::IndicatorState* out) {
  HUB_RETURN_IF_ERROR(KeyFromStored(stored.key(), &out->key));
  HUB_RETURN_IF_ERROR(FromStored(stored.identifier(), &out->identifier));
  HUB_RETURN_IF_ERROR(StoredEnum(stored.line_kind(), model::LineKind::kUnknown, "line_kind", &out->line_kind));
  out->links.resize(static_cast<size_t>(stored.links_size()));
  for (int i = 0; i < stored.links_size(); ++i) {
    HUB_RETURN_IF_ERROR(FromStored(stored.links(i), &out->links[static_cast<size_t>(i)]));
  }
  out->version = stored.version();
  HUB_RETURN_IF_ERROR(StoredEnum(stored.standing(), model::EventKind::kReverified, "standing", &out->standing));
  HUB_RETURN_IF_ERROR(FromStored(stored.attributes(), &out->attributes));
  out->tenure = stored.tenure();
  out->tenure_started_at = FromMicros(stored.tenure_started_at());
  out->closed_tenures.resize(static_cast<size_t>(stored.closed_tenures_size()));
  for (int i = 0; i < stored.closed_tenures_size(); ++i) {
    HUB_RETURN_IF_ERROR(FromStored(stored.closed_tenures(i), &out->closed_tenures[static_cast<size_t>(i)]));
  }
  out->report_count = stored.report_count();
  out->independent_sources = stored.independent_sources();
  out->independent_citizens = stored.independent_citizens();
  out->first_seen = FromMicros(stored.first_seen());
  out->last_seen = FromMicros(stored.last_seen());
  out->expires_at = FromMicros(stored.expires_at());
  out->next_check_at = FromMicros(stored.next_check_at());
  out->review_due = FromMicros(stored.review_due());
  HUB_RETURN_IF_ERROR(StoredEnum(stored.ceiling(), model::Level::kVeryHigh, "ceiling", &out->ceiling));
  out->ceiling_at = FromMicros(stored.ceiling_at());
  out->protected_identifier = stored.protected_identifier();
  out->override_votes.assign(stored.override_votes().begin(), stored.override_votes().end());
  out->registered_by = stored.registered_by();
  out->traced_with = stored.traced_with();
  out->traced_at = FromMicros(stored.traced_at());
  out->suspect_state = stored.suspect_state();
  out->victim_phone = stored.victim_phone();
  out->loss_paise = stored.loss_paise();
  out->contributions.resize(static_cast<size_t>(stored.contributions_size()));
  for (int i = 0; i < stored.contributions_size(); ++i) {
    HUB_RETURN_IF_ERROR(FromStored(stored.contributions(i), &out->contributions[static_cast<size_t>(i)]));
  }
  return absl::OkStatus();
}

void ToStored(const model::Report& report, internal::StoredReport* out) {
  out->set_id(std::string(report.id.bytes.begin(), report.id.bytes.end()));
  out->set_kind(Number(report.kind));
  ToStored(report.identifier, out->mutable_identifier());
  out->set_line_kind(Number(report.line_kind));
  for (const model::Link& link : report.links) ToStored(link, out->add_links());
  ToStored(report.reporter, out->mutable_reporter());
  out->set_citizen_pseudonym(report.citizen_pseudonym);
  out->set_list_id(report.list_id);
  out->set_reason(Number(report.reason));
  out->set_category(report.category);
  out->set_circle_of_issue(report.circle_of_issue);
  out->set_victim_state(report.victim_state);
  out->set_suspect_state(report.suspect_state);
  out->set_handling_unit(report.handling_unit);
  out->set_case_ref(report.case_ref);
  out->set_victim_phone(report.victim_phone);
  out->set_operator_id(report.operator_id);
  out->set_amount_paise(report.amount_paise);
  out->set_traced_with(report.traced_with);
  out->set_observed_at(ToMicros(report.observed_at));
  out->set_received_at(ToMicros(report.received_at));
  out->set_correction_kind(Number(report.correction.kind));
  out->set_correction_level(Number(report.correction.level));
  out->set_override_protected(report.correction.override_protected);
  out->set_note_code(report.correction.note_code);
  if (report.kind != model::InputKind::kActionTaken) return;
  out->set_action_key(model::ToBytes(report.action.in_reply_to.key));
  out->set_action_version(report.action.in_reply_to.version);
  out->set_action(Number(report.action.action));
  out->set_action_amount_paise(report.action.amount_paise);
  out->set_acted_at(ToMicros(report.action.acted_at));
}

absl::Status FromStored(const internal::StoredReport& stored, model::Report* out) {
  if (stored.id().size() != out->id.bytes.size()) return absl::DataLossError("stored record: report id: want 16 bytes");
  std::copy(stored.id().begin(), stored.id().end(), out->id.bytes.begin());
  HUB_RETURN_IF_ERROR(StoredEnum(stored.kind(), model::InputKind::kCorrection, "report.kind", &out->kind));
  HUB_RETURN_IF_ERROR(FromStored(stored.identifier(), &out->identifier));
  HUB_RETURN_IF_ERROR(StoredEnum(stored.line_kind(), model::LineKind::kUnknown, "report.line_kind", &out->line_kind));
  out->links.resize(static_cast<size_t>(stored.links_size()));
  for (int i = 0; i < stored.links_size(); ++i) {
    HUB_RETURN_IF_ERROR(FromStored(stored.links(i), &out->links[static_cast<size_t>(i)]));
  }
  HUB_RETURN_IF_ERROR(FromStored(stored.reporter(), &out->reporter));
  out->citizen_pseudonym = stored.citizen_pseudonym();
  out->list_id = stored.list_id();
  HUB_RETURN_IF_ERROR(StoredEnum(stored.reason(), model::Reason::kAnalystDecision, "report.reason", &out->reason));
  out->category = stored.category();
  out->circle_of_issue = stored.circle_of_issue();
  out->victim_state = stored.victim_state();
  out->suspect_state = stored.suspect_state();
  out->handling_unit = stored.handling_unit();
  out->case_ref = stored.case_ref();
  out->victim_phone = stored.victim_phone();
  out->operator_id = stored.operator_id();
  out->amount_paise = stored.amount_paise();
  out->traced_with = stored.traced_with();
  out->observed_at = FromMicros(stored.observed_at());
  out->received_at = FromMicros(stored.received_at());
  HUB_RETURN_IF_ERROR(StoredEnum(stored.correction_kind(), model::CorrectionKind::kSetLevel, "report.correction_kind",
                                 &out->correction.kind));
  HUB_RETURN_IF_ERROR(
      StoredEnum(stored.correction_level(), model::Level::kVeryHigh, "report.correction_level", &out->correction.level));
  out->correction.override_protected = stored.override_protected();
  out->correction.note_code = stored.note_code();
  if (out->kind != model::InputKind::kActionTaken) return absl::OkStatus();
  HUB_RETURN_IF_ERROR(KeyFromStored(stored.action_key(), &out->action.in_reply_to.key));
  out->action.in_reply_to.version = stored.action_version();
  HUB_RETURN_IF_ERROR(StoredEnum(stored.action(), model::Action::kNoFurtherAction, "report.action", &out->action.action));
  out->action.amount_paise = stored.action_amount_paise();
  out->action.acted_at = FromMicros(stored.acted_at());
  return absl::OkStatus();
}

}  // namespace hub::wire
