// The numbers of the model's enums are those of fraudhub.v1: checked here, value by value, when this file compiles.
#include "fraudhub/v1/errors.pb.h"
#include "fraudhub/v1/visibility.pb.h"
#include "fraudhub/v1/vocabulary.pb.h"
#include "libs/model/identifier.h"
#include "libs/model/refusal.h"
#include "libs/model/vocabulary.h"

namespace hub::wire {
namespace {

namespace v1 = fraudhub::v1;

template <typename ModelEnum, typename ProtoEnum>
constexpr bool Same(ModelEnum ours, ProtoEnum theirs) {
  return static_cast<int>(ours) == static_cast<int>(theirs);
}

// IdentifierType
static_assert(Same(model::IdentifierType::kUnspecified, v1::IDENTIFIER_TYPE_UNSPECIFIED));
static_assert(Same(model::IdentifierType::kMobile, v1::IDENTIFIER_TYPE_MOBILE));
static_assert(Same(model::IdentifierType::kLandline, v1::IDENTIFIER_TYPE_LANDLINE));
static_assert(Same(model::IdentifierType::kMachine, v1::IDENTIFIER_TYPE_MACHINE));
static_assert(Same(model::IdentifierType::kForeignPhone, v1::IDENTIFIER_TYPE_FOREIGN_PHONE));
static_assert(Same(model::IdentifierType::kService1600, v1::IDENTIFIER_TYPE_SERVICE_1600));
static_assert(Same(model::IdentifierType::kPromotional140, v1::IDENTIFIER_TYPE_PROMOTIONAL_140));
static_assert(Same(model::IdentifierType::kTollFree, v1::IDENTIFIER_TYPE_TOLL_FREE));
static_assert(Same(model::IdentifierType::kImei, v1::IDENTIFIER_TYPE_IMEI));
static_assert(Same(model::IdentifierType::kImsi, v1::IDENTIFIER_TYPE_IMSI));
static_assert(Same(model::IdentifierType::kIccid, v1::IDENTIFIER_TYPE_ICCID));
static_assert(Same(model::IdentifierType::kUpiAddress, v1::IDENTIFIER_TYPE_UPI_ADDRESS));
static_assert(Same(model::IdentifierType::kBankAccount, v1::IDENTIFIER_TYPE_BANK_ACCOUNT));
static_assert(Same(model::IdentifierType::kSmsHeader, v1::IDENTIFIER_TYPE_SMS_HEADER));
static_assert(Same(model::IdentifierType::kUrl, v1::IDENTIFIER_TYPE_URL));
static_assert(Same(model::IdentifierType::kWhatsApp, v1::IDENTIFIER_TYPE_WHATSAPP));
static_assert(Same(model::IdentifierType::kTelegram, v1::IDENTIFIER_TYPE_TELEGRAM));
static_assert(Same(model::IdentifierType::kEmail, v1::IDENTIFIER_TYPE_EMAIL));
static_assert(Same(model::IdentifierType::kApp, v1::IDENTIFIER_TYPE_APP));
static_assert(Same(model::IdentifierType::kIpAddress, v1::IDENTIFIER_TYPE_IP_ADDRESS));
static_assert(Same(model::IdentifierType::kPointOfSale, v1::IDENTIFIER_TYPE_POINT_OF_SALE));
static_assert(Same(model::IdentifierType::kHelpline, v1::IDENTIFIER_TYPE_HELPLINE));

// LineKind
static_assert(Same(model::LineKind::kUnspecified, v1::LINE_KIND_UNSPECIFIED));
static_assert(Same(model::LineKind::kMobile, v1::LINE_KIND_MOBILE));
static_assert(Same(model::LineKind::kFixed, v1::LINE_KIND_FIXED));
static_assert(Same(model::LineKind::kUnknown, v1::LINE_KIND_UNKNOWN));

// Facet
static_assert(Same(model::Facet::kUnspecified, v1::FACET_UNSPECIFIED));
static_assert(Same(model::Facet::kRisk, v1::FACET_RISK));
static_assert(Same(model::Facet::kConnection, v1::FACET_CONNECTION));
static_assert(Same(model::Facet::kTrace, v1::FACET_TRACE));

// Level
static_assert(Same(model::Level::kUnspecified, v1::LEVEL_UNSPECIFIED));
static_assert(Same(model::Level::kNone, v1::LEVEL_NONE));
static_assert(Same(model::Level::kMedium, v1::LEVEL_MEDIUM));
static_assert(Same(model::Level::kHigh, v1::LEVEL_HIGH));
static_assert(Same(model::Level::kVeryHigh, v1::LEVEL_VERY_HIGH));

// Reason
static_assert(Same(model::Reason::kUnspecified, v1::REASON_UNSPECIFIED));
static_assert(Same(model::Reason::kLeaReportedCybercrime, v1::REASON_LEA_REPORTED_CYBERCRIME));
static_assert(Same(model::Reason::kForgedDocuments, v1::REASON_FORGED_DOCUMENTS));
static_assert(Same(model::Reason::kFailedReverification, v1::REASON_FAILED_REVERIFICATION));
static_assert(Same(model::Reason::kDisconnectedDormant, v1::REASON_DISCONNECTED_DORMANT));
static_assert(Same(model::Reason::kTspInternalAnalysis, v1::REASON_TSP_INTERNAL_ANALYSIS));
static_assert(Same(model::Reason::kOtherStakeholder, v1::REASON_OTHER_STAKEHOLDER));
static_assert(Same(model::Reason::kOverLimitPerPerson, v1::REASON_OVER_LIMIT_PER_PERSON));
static_assert(Same(model::Reason::kNotMyNumber, v1::REASON_NOT_MY_NUMBER));
static_assert(Same(model::Reason::kSurrendered, v1::REASON_SURRENDERED));
static_assert(Same(model::Reason::kImeiBlocklist, v1::REASON_IMEI_BLOCKLIST));
static_assert(Same(model::Reason::kPosBlacklist, v1::REASON_POS_BLACKLIST));
static_assert(Same(model::Reason::kOrderPublicInterest, v1::REASON_ORDER_PUBLIC_INTEREST));
static_assert(Same(model::Reason::kCitizenReports, v1::REASON_CITIZEN_REPORTS));
static_assert(Same(model::Reason::kFinancialInstitution, v1::REASON_FINANCIAL_INSTITUTION));
static_assert(Same(model::Reason::kRevocationList, v1::REASON_REVOCATION_LIST));
static_assert(Same(model::Reason::kAnalystDecision, v1::REASON_ANALYST_DECISION));

// InputKind
static_assert(Same(model::InputKind::kUnspecified, v1::INPUT_KIND_UNSPECIFIED));
static_assert(Same(model::InputKind::kSuspectedCommunication, v1::INPUT_KIND_SUSPECTED_COMMUNICATION));
static_assert(Same(model::InputKind::kFinancialFraud, v1::INPUT_KIND_FINANCIAL_FRAUD));
static_assert(Same(model::InputKind::kNotMyConnection, v1::INPUT_KIND_NOT_MY_CONNECTION));
static_assert(Same(model::InputKind::kHandsetLost, v1::INPUT_KIND_HANDSET_LOST));
static_assert(Same(model::InputKind::kHandsetFound, v1::INPUT_KIND_HANDSET_FOUND));
static_assert(Same(model::InputKind::kHandsetTraced, v1::INPUT_KIND_HANDSET_TRACED));
static_assert(Same(model::InputKind::kDisconnected, v1::INPUT_KIND_DISCONNECTED));
static_assert(Same(model::InputKind::kReverified, v1::INPUT_KIND_REVERIFIED));
static_assert(Same(model::InputKind::kTenureClosed, v1::INPUT_KIND_TENURE_CLOSED));
static_assert(Same(model::InputKind::kSpoofedCli, v1::INPUT_KIND_SPOOFED_CLI));
static_assert(Same(model::InputKind::kActionTaken, v1::INPUT_KIND_ACTION_TAKEN));
static_assert(Same(model::InputKind::kCorrection, v1::INPUT_KIND_CORRECTION));

// EventKind
static_assert(Same(model::EventKind::kUnspecified, v1::EVENT_KIND_UNSPECIFIED));
static_assert(Same(model::EventKind::kReported, v1::EVENT_KIND_REPORTED));
static_assert(Same(model::EventKind::kFlagged, v1::EVENT_KIND_FLAGGED));
static_assert(Same(model::EventKind::kLevelRaised, v1::EVENT_KIND_LEVEL_RAISED));
static_assert(Same(model::EventKind::kLevelLowered, v1::EVENT_KIND_LEVEL_LOWERED));
static_assert(Same(model::EventKind::kDetailsChanged, v1::EVENT_KIND_DETAILS_CHANGED));
static_assert(Same(model::EventKind::kCleared, v1::EVENT_KIND_CLEARED));
static_assert(Same(model::EventKind::kRetracted, v1::EVENT_KIND_RETRACTED));
static_assert(Same(model::EventKind::kRescinded, v1::EVENT_KIND_RESCINDED));
static_assert(Same(model::EventKind::kExpired, v1::EVENT_KIND_EXPIRED));
static_assert(Same(model::EventKind::kTenureClosed, v1::EVENT_KIND_TENURE_CLOSED));
static_assert(Same(model::EventKind::kHandsetBlocked, v1::EVENT_KIND_HANDSET_BLOCKED));
static_assert(Same(model::EventKind::kHandsetUnblocked, v1::EVENT_KIND_HANDSET_UNBLOCKED));
static_assert(Same(model::EventKind::kHandsetTraced, v1::EVENT_KIND_HANDSET_TRACED));
static_assert(Same(model::EventKind::kReverificationRequested, v1::EVENT_KIND_REVERIFICATION_REQUESTED));
static_assert(Same(model::EventKind::kReverified, v1::EVENT_KIND_REVERIFIED));

// CorrectionKind
static_assert(Same(model::CorrectionKind::kUnspecified, v1::CORRECTION_KIND_UNSPECIFIED));
static_assert(Same(model::CorrectionKind::kCleared, v1::CORRECTION_KIND_CLEARED));
static_assert(Same(model::CorrectionKind::kRetracted, v1::CORRECTION_KIND_RETRACTED));
static_assert(Same(model::CorrectionKind::kRescinded, v1::CORRECTION_KIND_RESCINDED));
static_assert(Same(model::CorrectionKind::kSetLevel, v1::CORRECTION_KIND_SET_LEVEL));

// Role
static_assert(Same(model::Role::kUnspecified, v1::ROLE_UNSPECIFIED));
static_assert(Same(model::Role::kFinancialInstitution, v1::ROLE_FINANCIAL_INSTITUTION));
static_assert(Same(model::Role::kTelecomOperator, v1::ROLE_TELECOM_OPERATOR));
static_assert(Same(model::Role::kLawEnforcement, v1::ROLE_LAW_ENFORCEMENT));
static_assert(Same(model::Role::kFinancialIntelligence, v1::ROLE_FINANCIAL_INTELLIGENCE));
static_assert(Same(model::Role::kRegulator, v1::ROLE_REGULATOR));
static_assert(Same(model::Role::kPlatform, v1::ROLE_PLATFORM));
static_assert(Same(model::Role::kCitizenPortal, v1::ROLE_CITIZEN_PORTAL));
static_assert(Same(model::Role::kAnalyst, v1::ROLE_ANALYST));

// FieldAudience
static_assert(Same(model::FieldAudience::kUnspecified, v1::FIELD_AUDIENCE_UNSPECIFIED));
static_assert(Same(model::FieldAudience::kAll, v1::FIELD_AUDIENCE_ALL));
static_assert(Same(model::FieldAudience::kTelecom, v1::FIELD_AUDIENCE_TELECOM));
static_assert(Same(model::FieldAudience::kLawEnforcement, v1::FIELD_AUDIENCE_LAW_ENFORCEMENT));
static_assert(Same(model::FieldAudience::kAnalyst, v1::FIELD_AUDIENCE_ANALYST));
static_assert(Same(model::FieldAudience::kInput, v1::FIELD_AUDIENCE_INPUT));

// Outcome
static_assert(Same(model::Outcome::kUnspecified, v1::OUTCOME_UNSPECIFIED));
static_assert(Same(model::Outcome::kMerged, v1::OUTCOME_MERGED));
static_assert(Same(model::Outcome::kDuplicate, v1::OUTCOME_DUPLICATE));
static_assert(Same(model::Outcome::kConflict, v1::OUTCOME_CONFLICT));
static_assert(Same(model::Outcome::kHeld, v1::OUTCOME_HELD));

// HeldReason
static_assert(Same(model::HeldReason::kUnspecified, v1::HELD_REASON_UNSPECIFIED));
static_assert(Same(model::HeldReason::kProtectedIdentifier, v1::HELD_REASON_PROTECTED_IDENTIFIER));
static_assert(Same(model::HeldReason::kClosedTenure, v1::HELD_REASON_CLOSED_TENURE));
static_assert(Same(model::HeldReason::kNothingToCorrect, v1::HELD_REASON_NOTHING_TO_CORRECT));
static_assert(Same(model::HeldReason::kAwaitingSecondAnalyst, v1::HELD_REASON_AWAITING_SECOND_ANALYST));
static_assert(Same(model::HeldReason::kSpoofedNumber, v1::HELD_REASON_SPOOFED_NUMBER));
static_assert(Same(model::HeldReason::kTooOld, v1::HELD_REASON_TOO_OLD));

// Action
static_assert(Same(model::Action::kUnspecified, v1::ACTION_UNSPECIFIED));
static_assert(Same(model::Action::kTransactionAlerted, v1::ACTION_TRANSACTION_ALERTED));
static_assert(Same(model::Action::kTransactionDelayed, v1::ACTION_TRANSACTION_DELAYED));
static_assert(Same(model::Action::kTransactionDeclined, v1::ACTION_TRANSACTION_DECLINED));
static_assert(Same(model::Action::kAccountFrozen, v1::ACTION_ACCOUNT_FROZEN));
static_assert(Same(model::Action::kLienMarked, v1::ACTION_LIEN_MARKED));
static_assert(Same(model::Action::kEnhancedMonitoring, v1::ACTION_ENHANCED_MONITORING));
static_assert(Same(model::Action::kNoCustomerFound, v1::ACTION_NO_CUSTOMER_FOUND));
static_assert(Same(model::Action::kFalsePositive, v1::ACTION_FALSE_POSITIVE));
static_assert(Same(model::Action::kReverifyRequested, v1::ACTION_REVERIFY_REQUESTED));
static_assert(Same(model::Action::kDisconnected, v1::ACTION_DISCONNECTED));
static_assert(Same(model::Action::kHandsetBlocked, v1::ACTION_HANDSET_BLOCKED));
static_assert(Same(model::Action::kHandsetUnblocked, v1::ACTION_HANDSET_UNBLOCKED));
static_assert(Same(model::Action::kAccountDisengaged, v1::ACTION_ACCOUNT_DISENGAGED));
static_assert(Same(model::Action::kContentRemoved, v1::ACTION_CONTENT_REMOVED));
static_assert(Same(model::Action::kCaseLinked, v1::ACTION_CASE_LINKED));
static_assert(Same(model::Action::kNoFurtherAction, v1::ACTION_NO_FURTHER_ACTION));

// Relation
static_assert(Same(model::Relation::kUnspecified, v1::RELATION_UNSPECIFIED));
static_assert(Same(model::Relation::kUpiAddressOf, v1::RELATION_UPI_ADDRESS_OF));
static_assert(Same(model::Relation::kHostOf, v1::RELATION_HOST_OF));
static_assert(Same(model::Relation::kSameHandset, v1::RELATION_SAME_HANDSET));
static_assert(Same(model::Relation::kSamePointOfSale, v1::RELATION_SAME_POINT_OF_SALE));
static_assert(Same(model::Relation::kAccountOf, v1::RELATION_ACCOUNT_OF));
static_assert(Same(model::Relation::kCalledWith, v1::RELATION_CALLED_WITH));
static_assert(Same(model::Relation::kHasUpiAddress, v1::RELATION_HAS_UPI_ADDRESS));
static_assert(Same(model::Relation::kHasUrl, v1::RELATION_HAS_URL));
static_assert(Same(model::Relation::kHasAccount, v1::RELATION_HAS_ACCOUNT));

// RefusalCode
static_assert(Same(model::RefusalCode::kUnspecified, v1::ERROR_REASON_UNSPECIFIED));
static_assert(Same(model::RefusalCode::kEmpty, v1::ERROR_REASON_EMPTY));
static_assert(Same(model::RefusalCode::kTooShort, v1::ERROR_REASON_TOO_SHORT));
static_assert(Same(model::RefusalCode::kTooLong, v1::ERROR_REASON_TOO_LONG));
static_assert(Same(model::RefusalCode::kBadCharacter, v1::ERROR_REASON_BAD_CHARACTER));
static_assert(Same(model::RefusalCode::kBadLeadingDigit, v1::ERROR_REASON_BAD_LEADING_DIGIT));
static_assert(Same(model::RefusalCode::kBadCheckDigit, v1::ERROR_REASON_BAD_CHECK_DIGIT));
static_assert(Same(model::RefusalCode::kBadFormat, v1::ERROR_REASON_BAD_FORMAT));
static_assert(Same(model::RefusalCode::kAmbiguousIdentifier, v1::ERROR_REASON_AMBIGUOUS_IDENTIFIER));
static_assert(Same(model::RefusalCode::kSensitiveIdentifierRefused, v1::ERROR_REASON_SENSITIVE_IDENTIFIER_REFUSED));
static_assert(Same(model::RefusalCode::kTestRangeRefused, v1::ERROR_REASON_TEST_RANGE_REFUSED));
static_assert(Same(model::RefusalCode::kUnknownType, v1::ERROR_REASON_UNKNOWN_TYPE));
static_assert(Same(model::RefusalCode::kMissing, v1::ERROR_REASON_MISSING));
static_assert(Same(model::RefusalCode::kOutOfRange, v1::ERROR_REASON_OUT_OF_RANGE));
static_assert(Same(model::RefusalCode::kBadReportId, v1::ERROR_REASON_BAD_REPORT_ID));
static_assert(Same(model::RefusalCode::kFromTheFuture, v1::ERROR_REASON_FROM_THE_FUTURE));
static_assert(Same(model::RefusalCode::kTooOld, v1::ERROR_REASON_TOO_OLD));
static_assert(Same(model::RefusalCode::kKindNotForType, v1::ERROR_REASON_KIND_NOT_FOR_TYPE));
static_assert(Same(model::RefusalCode::kNotEntitled, v1::ERROR_REASON_NOT_ENTITLED));
static_assert(Same(model::RefusalCode::kTooManyItems, v1::ERROR_REASON_TOO_MANY_ITEMS));
static_assert(Same(model::RefusalCode::kUnknownEvent, v1::ERROR_REASON_UNKNOWN_EVENT));
static_assert(Same(model::RefusalCode::kMessageTooLarge, v1::ERROR_REASON_MESSAGE_TOO_LARGE));
static_assert(Same(model::RefusalCode::kQuotaExceeded, v1::ERROR_REASON_QUOTA_EXCEEDED));
static_assert(Same(model::RefusalCode::kOverloaded, v1::ERROR_REASON_OVERLOADED));
static_assert(Same(model::RefusalCode::kStorageFull, v1::ERROR_REASON_STORAGE_FULL));
static_assert(Same(model::RefusalCode::kCursorInvalid, v1::ERROR_REASON_CURSOR_INVALID));
static_assert(Same(model::RefusalCode::kCursorTooOld, v1::ERROR_REASON_CURSOR_TOO_OLD));
static_assert(Same(model::RefusalCode::kLogChanged, v1::ERROR_REASON_LOG_CHANGED));
static_assert(Same(model::RefusalCode::kFilterChanged, v1::ERROR_REASON_FILTER_CHANGED));
static_assert(Same(model::RefusalCode::kFilterTooLarge, v1::ERROR_REASON_FILTER_TOO_LARGE));
static_assert(Same(model::RefusalCode::kFilterMatchesNothing, v1::ERROR_REASON_FILTER_MATCHES_NOTHING));
static_assert(Same(model::RefusalCode::kUnauthenticated, v1::ERROR_REASON_UNAUTHENTICATED));
static_assert(Same(model::RefusalCode::kCursorTaken, v1::ERROR_REASON_CURSOR_TAKEN));
static_assert(Same(model::RefusalCode::kCursorTaken, v1::ERROR_REASON_CURSOR_TAKEN));
// A value added to the API without one in the model shows here.
static_assert(Same(model::IdentifierType::kHelpline, v1::IdentifierType_MAX));
static_assert(Same(model::LineKind::kUnknown, v1::LineKind_MAX));
static_assert(Same(model::Facet::kTrace, v1::Facet_MAX));
static_assert(Same(model::Level::kVeryHigh, v1::Level_MAX));
static_assert(Same(model::Reason::kAnalystDecision, v1::Reason_MAX));
static_assert(Same(model::InputKind::kCorrection, v1::InputKind_MAX));
static_assert(Same(model::EventKind::kReverified, v1::EventKind_MAX));
static_assert(Same(model::CorrectionKind::kSetLevel, v1::CorrectionKind_MAX));
static_assert(Same(model::Role::kAnalyst, v1::Role_MAX));
static_assert(Same(model::FieldAudience::kInput, v1::FieldAudience_MAX));
static_assert(Same(model::Outcome::kHeld, v1::Outcome_MAX));
static_assert(Same(model::HeldReason::kTooOld, v1::HeldReason_MAX));
static_assert(Same(model::Action::kNoFurtherAction, v1::Action_MAX));
static_assert(Same(model::Relation::kHasAccount, v1::Relation_MAX));
static_assert(Same(model::RefusalCode::kCursorTaken, v1::ErrorReason_MAX));

}  // namespace
}  // namespace hub::wire
