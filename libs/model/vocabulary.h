// The hub's fixed words: levels, reasons, kinds of input and of events, roles. Plain enums.
//
// Every number here is stored and sent: frozen, and equal to the number of the same value in proto/fraudhub/v1 (libs/wire checks that
// when it compiles). Zero always means "not given" and never leaves the parser. Sources: DOMAIN.md, research sections 2.3, 5, 11.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace hub::model {

enum class IdentifierType : uint8_t {
  kUnspecified = 0,
  kMobile = 1,         // Indian mobile: +91 and ten digits
  kLandline = 2,       // Indian fixed line: +91, area code and number
  kMachine = 3,        // Indian machine-to-machine number: 13 digits
  kForeignPhone = 4,   // E.164 outside +91
  kService1600 = 5,    // 1600/1601 series of government and regulated institutions
  kPromotional140 = 6,
  kTollFree = 7,       // 1800, 1803, 1860
  kImei = 8,
  kImsi = 9,
  kIccid = 10,
  kUpiAddress = 11,
  kBankAccount = 12,   // IFSC:account
  kSmsHeader = 13,
  kUrl = 14,           // host and path; a bare host is a domain
  kWhatsApp = 15,
  kTelegram = 16,
  kEmail = 17,
  kApp = 18,           // package name and signing certificate, or package hash
  kIpAddress = 19,
  kPointOfSale = 20,   // TSP:id
  kHelpline = 21,      // short codes such as 112 and 1930
};
inline constexpr int kIdentifierTypeMax = 21;

// What the sender knows about a phone number's line; ten bare digits are ambiguous, so this is carried, never guessed.
enum class LineKind : uint8_t { kUnspecified = 0, kMobile = 1, kFixed = 2, kUnknown = 3 };

// One side of an identifier with its own version and its own audience (libs/decisions/0002-facets.md).
enum class Facet : uint8_t {
  kUnspecified = 0,
  kRisk = 1,        // what is suspected: the flag
  kConnection = 2,  // "not my connection": re-verification asked for and answered
  kTrace = 3,       // where a lost handset was seen
};

enum class Level : uint8_t { kUnspecified = 0, kNone = 1, kMedium = 2, kHigh = 3, kVeryHigh = 4 };

enum class Reason : uint8_t {
  kUnspecified = 0,
  kLeaReportedCybercrime = 1,
  kForgedDocuments = 2,
  kFailedReverification = 3,
  kDisconnectedDormant = 4,
  kTspInternalAnalysis = 5,
  kOtherStakeholder = 6,
  kOverLimitPerPerson = 7,
  kNotMyNumber = 8,
  kSurrendered = 9,
  kImeiBlocklist = 10,
  kPosBlacklist = 11,
  kOrderPublicInterest = 12,
  kCitizenReports = 13,
  kFinancialInstitution = 14,
  kRevocationList = 15,
  kAnalystDecision = 16,
};
inline constexpr int kReasonMax = 16;

enum class InputKind : uint8_t {
  kUnspecified = 0,
  kSuspectedCommunication = 1,
  kFinancialFraud = 2,
  kNotMyConnection = 3,
  kHandsetLost = 4,
  kHandsetFound = 5,
  kHandsetTraced = 6,
  kDisconnected = 7,
  kReverified = 8,
  kTenureClosed = 9,
  kSpoofedCli = 10,
  kActionTaken = 11,
  kCorrection = 12,
};
inline constexpr int kInputKindMax = 12;

enum class EventKind : uint8_t {
  kUnspecified = 0,
  kReported = 1,           // known, not flagged
  kFlagged = 2,            // from no level to one, again after a withdrawal too
  kLevelRaised = 3,
  kLevelLowered = 4,       // correction
  kDetailsChanged = 5,     // a reason or another filterable attribute, same level
  kCleared = 6,            // correction
  kRetracted = 7,          // correction: the reporters took it back
  kRescinded = 8,          // correction: the order behind it was rescinded
  kExpired = 9,            // correction: lapsed by itself
  kTenureClosed = 10,      // correction: the subscriber changed
  kHandsetBlocked = 11,
  kHandsetUnblocked = 12,  // correction
  kHandsetTraced = 13,
  kReverificationRequested = 14,
  kReverified = 15,
};
inline constexpr int kEventKindMax = 15;

// True for events that take something back from somebody. They are delivered first, in the urgent lane.
bool IsCorrection(EventKind kind);

// What a CORRECTION report asks for.
enum class CorrectionKind : uint8_t {
  kUnspecified = 0,
  kCleared = 1,    // analyst: wrong flag
  kRetracted = 2,  // reporter: takes back what it said
  kRescinded = 3,  // analyst: the order was rescinded
  kSetLevel = 4,   // analyst: exactly this level for what is known until now
};

enum class Role : uint8_t {
  kUnspecified = 0,
  kFinancialInstitution = 1,  // banks, payment apps, NBFCs, payment operators
  kTelecomOperator = 2,
  kLawEnforcement = 3,        // state police, central agencies, the 1930 desk
  kFinancialIntelligence = 4,
  kRegulator = 5,
  kPlatform = 6,              // messaging, social, commerce
  kCitizenPortal = 7,
  kAnalyst = 8,
};
inline constexpr int kRoleMax = 8;

// Who may see a field; the value of the proto option (fraudhub.v1.visible_to).
enum class FieldAudience : uint8_t {
  kUnspecified = 0,      // never sent: a field that nobody annotated
  kAll = 1,              // everyone who may see the message at all
  kTelecom = 2,          // operators, law enforcement, analysts
  kLawEnforcement = 3,   // law enforcement, analysts
  kAnalyst = 4,          // analysts
  kInput = 5,            // requests only; never sent by the hub
};

// What became of a report.
enum class Outcome : uint8_t {
  kUnspecified = 0,
  kMerged = 1,
  kDuplicate = 2,  // the same id and body again; counted once
  kConflict = 3,   // the same reporter and id with another body; the first one stands
  kHeld = 4,       // kept as evidence, without effect on the level (see HeldReason)
};

enum class HeldReason : uint8_t {
  kUnspecified = 0,
  kProtectedIdentifier = 1,
  kClosedTenure = 2,     // observed before the present subscriber
  kNothingToCorrect = 3,  // a retraction of what was never said, a trace of a handset nobody registered
  kAwaitingSecondAnalyst = 4,
  kSpoofedNumber = 5,    // evidence that somebody imitated this number
  kTooOld = 6,           // its id is older than the dedupe window
};

// What a stakeholder did about an event.
enum class Action : uint8_t {
  kUnspecified = 0,
  kTransactionAlerted = 1,
  kTransactionDelayed = 2,
  kTransactionDeclined = 3,
  kAccountFrozen = 4,
  kLienMarked = 5,
  kEnhancedMonitoring = 6,
  kNoCustomerFound = 7,
  kFalsePositive = 8,
  kReverifyRequested = 9,
  kDisconnected = 10,
  kHandsetBlocked = 11,
  kHandsetUnblocked = 12,
  kAccountDisengaged = 13,
  kContentRemoved = 14,
  kCaseLinked = 15,
  kNoFurtherAction = 16,
};
inline constexpr int kActionMax = 16;

// Short names as people and files write them: "VERY_HIGH", "MOBILE". Unknown numbers give "UNSPECIFIED".
absl::string_view Name(IdentifierType v);
absl::string_view Name(Facet v);
absl::string_view Name(Level v);
absl::string_view Name(Reason v);
absl::string_view Name(InputKind v);
absl::string_view Name(EventKind v);
absl::string_view Name(CorrectionKind v);
absl::string_view Name(Role v);
absl::string_view Name(Outcome v);
absl::string_view Name(HeldReason v);
absl::string_view Name(Action v);
absl::string_view Name(LineKind v);

// The reverse, case-insensitive; false when unknown (also for "UNSPECIFIED").
bool Parse(absl::string_view name, IdentifierType* v);
bool Parse(absl::string_view name, Facet* v);
bool Parse(absl::string_view name, Level* v);
bool Parse(absl::string_view name, Reason* v);
bool Parse(absl::string_view name, InputKind* v);
bool Parse(absl::string_view name, EventKind* v);
bool Parse(absl::string_view name, CorrectionKind* v);
bool Parse(absl::string_view name, Role* v);
bool Parse(absl::string_view name, Action* v);
bool Parse(absl::string_view name, LineKind* v);

}  // namespace hub::model
