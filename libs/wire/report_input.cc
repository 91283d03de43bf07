// Reports as stakeholders send them: every check that needs no policy, each with its code and field path.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/wire/places.h"
#include "libs/wire/text_check.h"
#include "libs/wire/wire.h"

namespace hub::wire {
namespace {

namespace api = fraudhub::v1;
using model::IdentifierType;
using model::InputKind;
using model::RefusalCode;
using model::Refuse;
using model::Role;

constexpr int64_t kAmountMax = 1'000'000'000'000'000;  // paise; ten trillion rupees

bool ValidTimestamp(int64_t seconds, int32_t nanos) {
  // The range that google.protobuf.Timestamp allows: years 1 to 9999.
  return seconds >= -62'135'596'800 && seconds <= 253'402'300'799 && nanos >= 0 && nanos <= 999'999'999;
}

absl::Status CheckAmount(int64_t amount, absl::string_view field) {
  if (amount < 0 || amount > kAmountMax) return Refuse(RefusalCode::kOutOfRange, field, "want 0 to 10^15 paise");
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> TimeIn(const google::protobuf::Timestamp& stamp, absl::Time latest,
                                  absl::string_view field) {
  if (!ValidTimestamp(stamp.seconds(), stamp.nanos())) {
    return Refuse(RefusalCode::kOutOfRange, field, "want a time of the years 1 to 9999");
  }
  const absl::Time time = absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
  if (time > latest) return Refuse(RefusalCode::kFromTheFuture, field, "want a time that has come");
  return time;
}

// What a kind of report may be about.
bool KindFitsType(InputKind kind, IdentifierType type) {
  const bool imei = type == IdentifierType::kImei;
  switch (kind) {
    case InputKind::kHandsetLost:
    case InputKind::kHandsetFound:
    case InputKind::kHandsetTraced:
      return imei;
    case InputKind::kDisconnected:
    case InputKind::kReverified:
    case InputKind::kTenureClosed:
    case InputKind::kNotMyConnection:
    case InputKind::kSpoofedCli:
      return model::IsPhone(type);
    case InputKind::kSuspectedCommunication:
      return model::IsPhone(type) || type == IdentifierType::kSmsHeader || type == IdentifierType::kUrl ||
             type == IdentifierType::kWhatsApp || type == IdentifierType::kTelegram || type == IdentifierType::kEmail;
    case InputKind::kFinancialFraud:
      return type != IdentifierType::kImsi && type != IdentifierType::kIccid;
    case InputKind::kCorrection:
      return true;
    default:
      return false;
  }
}

absl::Status ReadCorrection(const api::Report& report, model::Report* out) {
  if (!report.has_correction()) return Refuse(RefusalCode::kMissing, "correction", "want what is asked for");
  const api::CorrectionDetails& details = report.correction();
  if (details.kind() == 0) return Refuse(RefusalCode::kMissing, "correction.kind", "missing");
  if (!api::CorrectionKind_IsValid(details.kind()))
    return Refuse(RefusalCode::kOutOfRange, "correction.kind", "want a known kind");
  out->correction.kind = static_cast<model::CorrectionKind>(details.kind());
  const bool sets_level = out->correction.kind == model::CorrectionKind::kSetLevel;
  if (sets_level && details.level() == 0)
    return Refuse(RefusalCode::kMissing, "correction.level", "SET_LEVEL wants a level");
  if (!sets_level && details.level() != 0)
    return Refuse(RefusalCode::kOutOfRange, "correction.level", "goes with SET_LEVEL only");
  if (!api::Level_IsValid(details.level()))
    return Refuse(RefusalCode::kOutOfRange, "correction.level", "want a known level");
  out->correction.level = static_cast<model::Level>(details.level());
  if (details.override_protected() && !sets_level) {
    return Refuse(RefusalCode::kOutOfRange, "correction.override_protected", "goes with SET_LEVEL only");
  }
  out->correction.override_protected = details.override_protected();
  HUB_RETURN_IF_ERROR(CheckText(details.note_code(), "correction.note_code"));
  out->correction.note_code = details.note_code();
  return absl::OkStatus();
}

absl::Status ReadAction(const api::Report& report, absl::Time latest, model::Report* out) {
  if (!report.has_action()) return Refuse(RefusalCode::kMissing, "action", "want what was done");
  if (!report.identifier().value().empty()) {
    return Refuse(RefusalCode::kOutOfRange, "identifier", "want none: the event says which");
  }
  const api::ActionDetails& details = report.action();
  auto event = model::ParseEventId(details.in_reply_to());
  if (!event.ok()) return model::WithFieldPrefix(event.status(), "action.in_reply_to");
  out->action.in_reply_to = *event;
  if (details.action() == 0) return Refuse(RefusalCode::kMissing, "action.action", "missing");
  if (!api::Action_IsValid(details.action()))
    return Refuse(RefusalCode::kOutOfRange, "action.action", "want a known action");
  out->action.action = static_cast<model::Action>(details.action());
  HUB_RETURN_IF_ERROR(CheckAmount(details.amount_paise(), "action.amount_paise"));
  out->action.amount_paise = details.amount_paise();
  out->action.acted_at = out->observed_at;
  if (details.has_acted_at()) {
    HUB_ASSIGN_OR_RETURN(out->action.acted_at, TimeIn(details.acted_at(), latest, "action.acted_at"));
  }
  return absl::OkStatus();
}

absl::Status ReadId(const api::Report& report, const InputContext& context, model::Report* out) {
  if (report.report_id().empty())
    return Refuse(RefusalCode::kMissing, "report_id", "want a UUID of the reporter's making");
  auto id = model::ParseReportId(report.report_id());
  if (!id.ok()) return model::WithFieldPrefix(id.status(), "report_id");
  if (const auto made = model::TimeOf(*id); made.has_value()) {
    if (*made > context.now + context.future_max)
      return Refuse(RefusalCode::kFromTheFuture, "report_id", "made in the future");
    if (*made < context.now - context.dedupe_window) {
      return Refuse(RefusalCode::kTooOld, "report_id", "older than the 35 days within which a repeat is recognised");
    }
  }
  out->id = *id;
  return absl::OkStatus();
}

absl::StatusOr<std::string> PhoneIn(const std::string& text, bool allow_test_range, absl::string_view field) {
  if (text.empty()) return text;
  auto canonical = model::Canonicalise(IdentifierType::kMobile, text, model::LineKind::kUnspecified,
                                       {.allow_test_range = allow_test_range});
  if (canonical.ok()) return canonical->identifier.canonical;
  const auto refusal = model::RefusalOf(canonical.status());
  return Refuse(refusal->code, field, refusal->message);
}

absl::Status ReadPlaces(const api::Report& report, model::Report* out) {
  if (!report.circle_of_issue().empty() && !CanonicalCircle(report.circle_of_issue(), &out->circle_of_issue)) {
    return Refuse(RefusalCode::kOutOfRange, "circle_of_issue", "want the code of a telecom circle");
  }
  if (!report.victim_state().empty() && !CanonicalState(report.victim_state(), &out->victim_state)) {
    return Refuse(RefusalCode::kOutOfRange, "victim_state", "want a state of ISO 3166-2:IN");
  }
  if (!report.suspect_state().empty() && !CanonicalState(report.suspect_state(), &out->suspect_state)) {
    return Refuse(RefusalCode::kOutOfRange, "suspect_state", "want a state of ISO 3166-2:IN");
  }
  return absl::OkStatus();
}

absl::Status ReadIdentifier(const api::Report& report, const InputContext& context, model::Report* out) {
  if (!report.has_identifier()) return Refuse(RefusalCode::kMissing, "identifier", "missing");
  auto canonical = FromProto(report.identifier(), context.allow_test_range);
  if (!canonical.ok()) return model::WithFieldPrefix(canonical.status(), "identifier");
  out->identifier = std::move(canonical->identifier);
  out->line_kind = canonical->line_kind;
  out->links = std::move(canonical->links);
  if (!KindFitsType(out->kind, out->identifier.type)) {
    return Refuse(RefusalCode::kKindNotForType, "kind",
                  absl::StrCat(model::Name(out->kind), " can't be about ", model::Name(out->identifier.type)));
  }
  return absl::OkStatus();
}

absl::Status ReadReport(const api::Report& report, const InputContext& context, model::Report* result) {
  model::Report& out = *result;
  out.reporter = context.reporter;
  out.received_at = context.now;
  HUB_RETURN_IF_ERROR(ReadId(report, context, &out));
  if (report.kind() == 0) return Refuse(RefusalCode::kMissing, "kind", "missing");
  if (!api::InputKind_IsValid(report.kind())) return Refuse(RefusalCode::kOutOfRange, "kind", "want a known kind");
  out.kind = static_cast<InputKind>(report.kind());
  const absl::Time latest = context.now + context.future_max;
  if (!report.has_observed_at()) return Refuse(RefusalCode::kMissing, "observed_at", "want when it happened");
  HUB_ASSIGN_OR_RETURN(out.observed_at, TimeIn(report.observed_at(), latest, "observed_at"));

  if (out.kind == InputKind::kActionTaken) {
    HUB_RETURN_IF_ERROR(ReadAction(report, latest, &out));
  } else {
    if (report.has_action()) return Refuse(RefusalCode::kOutOfRange, "action", "goes with ACTION_TAKEN only");
    HUB_RETURN_IF_ERROR(ReadIdentifier(report, context, &out));
  }
  if (out.kind == InputKind::kCorrection) {
    HUB_RETURN_IF_ERROR(ReadCorrection(report, &out));
  } else if (report.has_correction()) {
    return Refuse(RefusalCode::kOutOfRange, "correction", "goes with CORRECTION only");
  }

  if (!api::Reason_IsValid(report.reason())) return Refuse(RefusalCode::kOutOfRange, "reason", "want a known reason");
  out.reason = static_cast<model::Reason>(report.reason());
  // Categories of newer reporters are kept as numbers; below zero there are none.
  if (report.category() < 0 || report.category() > 9999)
    return Refuse(RefusalCode::kOutOfRange, "category", "want 0 to 9999");
  out.category = report.category();
  HUB_RETURN_IF_ERROR(ReadPlaces(report, &out));
  struct Text {
    const std::string& from;
    std::string* to;
    absl::string_view field;
  };
  for (const Text& text :
       {Text{report.citizen_pseudonym(), &out.citizen_pseudonym, "citizen_pseudonym"},
        Text{report.list_id(), &out.list_id, "list_id"}, Text{report.case_ref(), &out.case_ref, "case_ref"}}) {
    HUB_RETURN_IF_ERROR(CheckText(text.from, text.field));
    *text.to = text.from;
  }
  HUB_RETURN_IF_ERROR(CheckStakeholderId(report.handling_unit(), "handling_unit"));
  HUB_RETURN_IF_ERROR(CheckStakeholderId(report.operator_id(), "operator_id"));
  out.handling_unit = report.handling_unit();
  out.operator_id = report.operator_id();
  // Independent citizens are counted by pseudonym: a portal's report without one would count as nobody.
  if (context.reporter.role == Role::kCitizenPortal && out.kind == InputKind::kSuspectedCommunication &&
      out.citizen_pseudonym.empty()) {
    return Refuse(RefusalCode::kMissing, "citizen_pseudonym", "portals give a pseudonym per citizen");
  }
  HUB_ASSIGN_OR_RETURN(out.victim_phone, PhoneIn(report.victim_phone(), context.allow_test_range, "victim_phone"));
  HUB_ASSIGN_OR_RETURN(out.traced_with, PhoneIn(report.traced_with(), context.allow_test_range, "traced_with"));
  if (out.kind == InputKind::kHandsetTraced && out.traced_with.empty()) {
    return Refuse(RefusalCode::kMissing, "traced_with", "want the number seen in the handset");
  }
  HUB_RETURN_IF_ERROR(CheckAmount(report.amount_paise(), "amount_paise"));
  out.amount_paise = report.amount_paise();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<model::CanonicalIdentifier> FromProto(const api::RawIdentifier& identifier, bool allow_test_range) {
  if (!api::IdentifierType_IsValid(identifier.type()))
    return Refuse(RefusalCode::kUnknownType, "type", "want a known type");
  if (!api::LineKind_IsValid(identifier.line_kind()))
    return Refuse(RefusalCode::kOutOfRange, "line_kind", "want a known kind of line");
  return model::Canonicalise(static_cast<IdentifierType>(identifier.type()), identifier.value(),
                             static_cast<model::LineKind>(identifier.line_kind()),
                             {.allow_test_range = allow_test_range});
}

// Filled in place: moving a report costs as much as half of the checks.
absl::StatusOr<model::Report> FromProto(const api::Report& report, const InputContext& context) {
  absl::StatusOr<model::Report> result(absl::in_place);
  if (absl::Status status = ReadReport(report, context, &*result); !status.ok()) result = std::move(status);
  return result;
}

}  // namespace hub::wire
