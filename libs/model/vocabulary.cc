#include "libs/model/vocabulary.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"

namespace hub::model {
namespace {

// One table per enum: a name's place is its number.
constexpr absl::string_view kTypes[] = {
    "UNSPECIFIED", "MOBILE",      "LANDLINE",     "MACHINE",    "FOREIGN_PHONE", "SERVICE_1600", "PROMOTIONAL_140", "TOLL_FREE",
    "IMEI",        "IMSI",        "ICCID",        "UPI_ADDRESS", "BANK_ACCOUNT", "SMS_HEADER",   "URL",             "WHATSAPP",
    "TELEGRAM",    "EMAIL",       "APP",          "IP_ADDRESS", "POINT_OF_SALE", "HELPLINE"};
constexpr absl::string_view kLineKinds[] = {"UNSPECIFIED", "MOBILE", "FIXED", "UNKNOWN"};
constexpr absl::string_view kFacets[] = {"UNSPECIFIED", "RISK", "CONNECTION", "TRACE"};
constexpr absl::string_view kLevels[] = {"UNSPECIFIED", "NONE", "MEDIUM", "HIGH", "VERY_HIGH"};
constexpr absl::string_view kReasons[] = {
    "UNSPECIFIED",          "LEA_REPORTED_CYBERCRIME", "FORGED_DOCUMENTS",  "FAILED_REVERIFICATION", "DISCONNECTED_DORMANT",
    "TSP_INTERNAL_ANALYSIS", "OTHER_STAKEHOLDER",      "OVER_LIMIT_PER_PERSON", "NOT_MY_NUMBER",     "SURRENDERED",
    "IMEI_BLOCKLIST",       "POS_BLACKLIST",           "ORDER_PUBLIC_INTEREST", "CITIZEN_REPORTS",   "FINANCIAL_INSTITUTION",
    "REVOCATION_LIST",      "ANALYST_DECISION"};
constexpr absl::string_view kInputKinds[] = {
    "UNSPECIFIED",    "SUSPECTED_COMMUNICATION", "FINANCIAL_FRAUD", "NOT_MY_CONNECTION", "HANDSET_LOST",
    "HANDSET_FOUND",  "HANDSET_TRACED",          "DISCONNECTED",    "REVERIFIED",        "TENURE_CLOSED",
    "SPOOFED_CLI",    "ACTION_TAKEN",            "CORRECTION"};
constexpr absl::string_view kEventKinds[] = {
    "UNSPECIFIED", "REPORTED",  "FLAGGED", "LEVEL_RAISED",  "LEVEL_LOWERED",   "DETAILS_CHANGED",   "CLEARED",        "RETRACTED",
    "RESCINDED",   "EXPIRED",   "TENURE_CLOSED", "HANDSET_BLOCKED", "HANDSET_UNBLOCKED", "HANDSET_TRACED",
    "REVERIFICATION_REQUESTED", "REVERIFIED"};
constexpr absl::string_view kCorrections[] = {"UNSPECIFIED", "CLEARED", "RETRACTED", "RESCINDED", "SET_LEVEL"};
constexpr absl::string_view kRoles[] = {"UNSPECIFIED",            "FINANCIAL_INSTITUTION", "TELECOM_OPERATOR",
                                        "LAW_ENFORCEMENT",        "FINANCIAL_INTELLIGENCE", "REGULATOR",
                                        "PLATFORM",               "CITIZEN_PORTAL",        "ANALYST"};
constexpr absl::string_view kOutcomes[] = {"UNSPECIFIED", "MERGED", "DUPLICATE", "CONFLICT", "HELD"};
constexpr absl::string_view kHeldReasons[] = {"UNSPECIFIED",        "PROTECTED_IDENTIFIER",    "CLOSED_TENURE",
                                              "NOTHING_TO_CORRECT", "AWAITING_SECOND_ANALYST", "SPOOFED_NUMBER",
                                              "TOO_OLD"};
constexpr absl::string_view kActions[] = {
    "UNSPECIFIED",    "TRANSACTION_ALERTED", "TRANSACTION_DELAYED", "TRANSACTION_DECLINED", "ACCOUNT_FROZEN",
    "LIEN_MARKED",    "ENHANCED_MONITORING", "NO_CUSTOMER_FOUND",   "FALSE_POSITIVE",       "REVERIFY_REQUESTED",
    "DISCONNECTED",   "HANDSET_BLOCKED",     "HANDSET_UNBLOCKED",   "ACCOUNT_DISENGAGED",   "CONTENT_REMOVED",
    "CASE_LINKED",    "NO_FURTHER_ACTION"};

static_assert(std::size(kTypes) == kIdentifierTypeMax + 1);
static_assert(std::size(kReasons) == kReasonMax + 1);
static_assert(std::size(kInputKinds) == kInputKindMax + 1);
static_assert(std::size(kEventKinds) == kEventKindMax + 1);
static_assert(std::size(kRoles) == kRoleMax + 1);
static_assert(std::size(kActions) == kActionMax + 1);

template <size_t n, class Enum>
absl::string_view NameIn(const absl::string_view (&table)[n], Enum value) {
  const auto number = static_cast<size_t>(value);
  return number < n ? table[number] : table[0];
}

template <size_t n, class Enum>
bool ParseIn(const absl::string_view (&table)[n], absl::string_view name, Enum* value) {
  for (size_t number = 1; number < n; ++number) {
    if (absl::EqualsIgnoreCase(table[number], name)) {
      *value = static_cast<Enum>(number);
      return true;
    }
  }
  return false;
}

}  // namespace

bool IsCorrection(EventKind kind) {
  switch (kind) {
    case EventKind::kLevelLowered:
    case EventKind::kCleared:
    case EventKind::kRetracted:
    case EventKind::kRescinded:
    case EventKind::kExpired:
    case EventKind::kTenureClosed:
    case EventKind::kHandsetUnblocked:
      return true;
    default:
      return false;
  }
}

absl::string_view Name(IdentifierType v) { return NameIn(kTypes, v); }
absl::string_view Name(Facet v) { return NameIn(kFacets, v); }
absl::string_view Name(Level v) { return NameIn(kLevels, v); }
absl::string_view Name(Reason v) { return NameIn(kReasons, v); }
absl::string_view Name(InputKind v) { return NameIn(kInputKinds, v); }
absl::string_view Name(EventKind v) { return NameIn(kEventKinds, v); }
absl::string_view Name(CorrectionKind v) { return NameIn(kCorrections, v); }
absl::string_view Name(Role v) { return NameIn(kRoles, v); }
absl::string_view Name(Outcome v) { return NameIn(kOutcomes, v); }
absl::string_view Name(HeldReason v) { return NameIn(kHeldReasons, v); }
absl::string_view Name(Action v) { return NameIn(kActions, v); }
absl::string_view Name(LineKind v) { return NameIn(kLineKinds, v); }

bool Parse(absl::string_view name, IdentifierType* v) { return ParseIn(kTypes, name, v); }
bool Parse(absl::string_view name, Facet* v) { return ParseIn(kFacets, name, v); }
bool Parse(absl::string_view name, Level* v) { return ParseIn(kLevels, name, v); }
bool Parse(absl::string_view name, Reason* v) { return ParseIn(kReasons, name, v); }
bool Parse(absl::string_view name, InputKind* v) { return ParseIn(kInputKinds, name, v); }
bool Parse(absl::string_view name, EventKind* v) { return ParseIn(kEventKinds, name, v); }
bool Parse(absl::string_view name, CorrectionKind* v) { return ParseIn(kCorrections, name, v); }
bool Parse(absl::string_view name, Role* v) { return ParseIn(kRoles, name, v); }
bool Parse(absl::string_view name, Action* v) { return ParseIn(kActions, name, v); }
bool Parse(absl::string_view name, LineKind* v) { return ParseIn(kLineKinds, name, v); }

}  // namespace hub::model
