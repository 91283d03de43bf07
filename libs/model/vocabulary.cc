#include "libs/model/vocabulary.h"

#include <iterator>

#include "absl/strings/match.h"

namespace hub::model {
namespace {

template <typename E>
struct Word {
  E value;
  absl::string_view name;
};

constexpr absl::string_view kUnspecifiedName = "UNSPECIFIED";

// One table per enum: the only place that knows its words.
constexpr Word<IdentifierType> kIdentifierTypes[] = {
    {IdentifierType::kMobile, "MOBILE"},
    {IdentifierType::kLandline, "LANDLINE"},
    {IdentifierType::kMachine, "MACHINE"},
    {IdentifierType::kForeignPhone, "FOREIGN_PHONE"},
    {IdentifierType::kService1600, "SERVICE_1600"},
    {IdentifierType::kPromotional140, "PROMOTIONAL_140"},
    {IdentifierType::kTollFree, "TOLL_FREE"},
    {IdentifierType::kImei, "IMEI"},
    {IdentifierType::kImsi, "IMSI"},
    {IdentifierType::kIccid, "ICCID"},
    {IdentifierType::kUpiAddress, "UPI_ADDRESS"},
    {IdentifierType::kBankAccount, "BANK_ACCOUNT"},
    {IdentifierType::kSmsHeader, "SMS_HEADER"},
    {IdentifierType::kUrl, "URL"},
    {IdentifierType::kWhatsApp, "WHATSAPP"},
    {IdentifierType::kTelegram, "TELEGRAM"},
    {IdentifierType::kEmail, "EMAIL"},
    {IdentifierType::kApp, "APP"},
    {IdentifierType::kIpAddress, "IP_ADDRESS"},
    {IdentifierType::kPointOfSale, "POINT_OF_SALE"},
    {IdentifierType::kHelpline, "HELPLINE"},
};
static_assert(std::size(kIdentifierTypes) == kIdentifierTypeMax);

constexpr Word<LineKind> kLineKinds[] = {
    {LineKind::kMobile, "MOBILE"},
    {LineKind::kFixed, "FIXED"},
    {LineKind::kUnknown, "UNKNOWN"},
};

constexpr Word<Facet> kFacets[] = {
    {Facet::kRisk, "RISK"},
    {Facet::kConnection, "CONNECTION"},
    {Facet::kTrace, "TRACE"},
};

constexpr Word<Level> kLevels[] = {
    {Level::kNone, "NONE"},
    {Level::kMedium, "MEDIUM"},
    {Level::kHigh, "HIGH"},
    {Level::kVeryHigh, "VERY_HIGH"},
};

constexpr Word<Reason> kReasons[] = {
    {Reason::kLeaReportedCybercrime, "LEA_REPORTED_CYBERCRIME"},
    {Reason::kForgedDocuments, "FORGED_DOCUMENTS"},
    {Reason::kFailedReverification, "FAILED_REVERIFICATION"},
    {Reason::kDisconnectedDormant, "DISCONNECTED_DORMANT"},
    {Reason::kTspInternalAnalysis, "TSP_INTERNAL_ANALYSIS"},
    {Reason::kOtherStakeholder, "OTHER_STAKEHOLDER"},
    {Reason::kOverLimitPerPerson, "OVER_LIMIT_PER_PERSON"},
    {Reason::kNotMyNumber, "NOT_MY_NUMBER"},
    {Reason::kSurrendered, "SURRENDERED"},
    {Reason::kImeiBlocklist, "IMEI_BLOCKLIST"},
    {Reason::kPosBlacklist, "POS_BLACKLIST"},
    {Reason::kOrderPublicInterest, "ORDER_PUBLIC_INTEREST"},
    {Reason::kCitizenReports, "CITIZEN_REPORTS"},
    {Reason::kFinancialInstitution, "FINANCIAL_INSTITUTION"},
    {Reason::kRevocationList, "REVOCATION_LIST"},
    {Reason::kAnalystDecision, "ANALYST_DECISION"},
};
static_assert(std::size(kReasons) == kReasonMax);

constexpr Word<InputKind> kInputKinds[] = {
    {InputKind::kSuspectedCommunication, "SUSPECTED_COMMUNICATION"},
    {InputKind::kFinancialFraud, "FINANCIAL_FRAUD"},
    {InputKind::kNotMyConnection, "NOT_MY_CONNECTION"},
    {InputKind::kHandsetLost, "HANDSET_LOST"},
    {InputKind::kHandsetFound, "HANDSET_FOUND"},
    {InputKind::kHandsetTraced, "HANDSET_TRACED"},
    {InputKind::kDisconnected, "DISCONNECTED"},
    {InputKind::kReverified, "REVERIFIED"},
    {InputKind::kTenureClosed, "TENURE_CLOSED"},
    {InputKind::kSpoofedCli, "SPOOFED_CLI"},
    {InputKind::kActionTaken, "ACTION_TAKEN"},
    {InputKind::kCorrection, "CORRECTION"},
};
static_assert(std::size(kInputKinds) == kInputKindMax);

constexpr Word<EventKind> kEventKinds[] = {
    {EventKind::kReported, "REPORTED"},
    {EventKind::kFlagged, "FLAGGED"},
    {EventKind::kLevelRaised, "LEVEL_RAISED"},
    {EventKind::kLevelLowered, "LEVEL_LOWERED"},
    {EventKind::kDetailsChanged, "DETAILS_CHANGED"},
    {EventKind::kCleared, "CLEARED"},
    {EventKind::kRetracted, "RETRACTED"},
    {EventKind::kRescinded, "RESCINDED"},
    {EventKind::kExpired, "EXPIRED"},
    {EventKind::kTenureClosed, "TENURE_CLOSED"},
    {EventKind::kHandsetBlocked, "HANDSET_BLOCKED"},
    {EventKind::kHandsetUnblocked, "HANDSET_UNBLOCKED"},
    {EventKind::kHandsetTraced, "HANDSET_TRACED"},
    {EventKind::kReverificationRequested, "REVERIFICATION_REQUESTED"},
    {EventKind::kReverified, "REVERIFIED"},
};
static_assert(std::size(kEventKinds) == kEventKindMax);

constexpr Word<CorrectionKind> kCorrectionKinds[] = {
    {CorrectionKind::kCleared, "CLEARED"},
    {CorrectionKind::kRetracted, "RETRACTED"},
    {CorrectionKind::kRescinded, "RESCINDED"},
    {CorrectionKind::kSetLevel, "SET_LEVEL"},
};

constexpr Word<Role> kRoles[] = {
    {Role::kFinancialInstitution, "FINANCIAL_INSTITUTION"},
    {Role::kTelecomOperator, "TELECOM_OPERATOR"},
    {Role::kLawEnforcement, "LAW_ENFORCEMENT"},
    {Role::kFinancialIntelligence, "FINANCIAL_INTELLIGENCE"},
    {Role::kRegulator, "REGULATOR"},
    {Role::kPlatform, "PLATFORM"},
    {Role::kCitizenPortal, "CITIZEN_PORTAL"},
    {Role::kAnalyst, "ANALYST"},
};
static_assert(std::size(kRoles) == kRoleMax);

constexpr Word<Outcome> kOutcomes[] = {
    {Outcome::kMerged, "MERGED"},
    {Outcome::kDuplicate, "DUPLICATE"},
    {Outcome::kConflict, "CONFLICT"},
    {Outcome::kHeld, "HELD"},
};

constexpr Word<HeldReason> kHeldReasons[] = {
    {HeldReason::kProtectedIdentifier, "PROTECTED_IDENTIFIER"},
    {HeldReason::kClosedTenure, "CLOSED_TENURE"},
    {HeldReason::kNothingToCorrect, "NOTHING_TO_CORRECT"},
    {HeldReason::kAwaitingSecondAnalyst, "AWAITING_SECOND_ANALYST"},
    {HeldReason::kSpoofedNumber, "SPOOFED_NUMBER"},
    {HeldReason::kTooOld, "TOO_OLD"},
};

constexpr Word<Action> kActions[] = {
    {Action::kTransactionAlerted, "TRANSACTION_ALERTED"},
    {Action::kTransactionDelayed, "TRANSACTION_DELAYED"},
    {Action::kTransactionDeclined, "TRANSACTION_DECLINED"},
    {Action::kAccountFrozen, "ACCOUNT_FROZEN"},
    {Action::kLienMarked, "LIEN_MARKED"},
    {Action::kEnhancedMonitoring, "ENHANCED_MONITORING"},
    {Action::kNoCustomerFound, "NO_CUSTOMER_FOUND"},
    {Action::kFalsePositive, "FALSE_POSITIVE"},
    {Action::kReverifyRequested, "REVERIFY_REQUESTED"},
    {Action::kDisconnected, "DISCONNECTED"},
    {Action::kHandsetBlocked, "HANDSET_BLOCKED"},
    {Action::kHandsetUnblocked, "HANDSET_UNBLOCKED"},
    {Action::kAccountDisengaged, "ACCOUNT_DISENGAGED"},
    {Action::kContentRemoved, "CONTENT_REMOVED"},
    {Action::kCaseLinked, "CASE_LINKED"},
    {Action::kNoFurtherAction, "NO_FURTHER_ACTION"},
};
static_assert(std::size(kActions) == kActionMax);

// Rows stand in the order of their numbers from 1 on, so that a name is found by index.
template <typename E, size_t N>
constexpr bool InOrder(const Word<E> (&table)[N]) {
  for (size_t i = 0; i < N; ++i) {
    if (static_cast<size_t>(table[i].value) != i + 1) return false;
  }
  return true;
}
static_assert(InOrder(kIdentifierTypes) && InOrder(kLineKinds) && InOrder(kFacets) && InOrder(kLevels) &&
              InOrder(kReasons) && InOrder(kInputKinds) && InOrder(kEventKinds) && InOrder(kCorrectionKinds) &&
              InOrder(kRoles) && InOrder(kOutcomes) && InOrder(kHeldReasons) && InOrder(kActions));

template <typename E, size_t N>
absl::string_view NameIn(const Word<E> (&table)[N], E value) {
  const size_t index = static_cast<size_t>(value);
  return index >= 1 && index <= N ? table[index - 1].name : kUnspecifiedName;
}

template <typename E, size_t N>
bool ParseIn(const Word<E> (&table)[N], absl::string_view name, E* value) {
  for (const Word<E>& word : table) {
    if (absl::EqualsIgnoreCase(word.name, name)) {
      *value = word.value;
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

absl::string_view Name(IdentifierType v) { return NameIn(kIdentifierTypes, v); }
absl::string_view Name(Facet v) { return NameIn(kFacets, v); }
absl::string_view Name(Level v) { return NameIn(kLevels, v); }
absl::string_view Name(Reason v) { return NameIn(kReasons, v); }
absl::string_view Name(InputKind v) { return NameIn(kInputKinds, v); }
absl::string_view Name(EventKind v) { return NameIn(kEventKinds, v); }
absl::string_view Name(CorrectionKind v) { return NameIn(kCorrectionKinds, v); }
absl::string_view Name(Role v) { return NameIn(kRoles, v); }
absl::string_view Name(Outcome v) { return NameIn(kOutcomes, v); }
absl::string_view Name(HeldReason v) { return NameIn(kHeldReasons, v); }
absl::string_view Name(Action v) { return NameIn(kActions, v); }
absl::string_view Name(LineKind v) { return NameIn(kLineKinds, v); }

bool Parse(absl::string_view name, IdentifierType* v) { return ParseIn(kIdentifierTypes, name, v); }
bool Parse(absl::string_view name, Facet* v) { return ParseIn(kFacets, name, v); }
bool Parse(absl::string_view name, Level* v) { return ParseIn(kLevels, name, v); }
bool Parse(absl::string_view name, Reason* v) { return ParseIn(kReasons, name, v); }
bool Parse(absl::string_view name, InputKind* v) { return ParseIn(kInputKinds, name, v); }
bool Parse(absl::string_view name, EventKind* v) { return ParseIn(kEventKinds, name, v); }
bool Parse(absl::string_view name, CorrectionKind* v) { return ParseIn(kCorrectionKinds, name, v); }
bool Parse(absl::string_view name, Role* v) { return ParseIn(kRoles, name, v); }
bool Parse(absl::string_view name, Action* v) { return ParseIn(kActions, name, v); }
bool Parse(absl::string_view name, LineKind* v) { return ParseIn(kLineKinds, name, v); }

}  // namespace hub::model
