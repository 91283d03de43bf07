// Who may do what by the shipped policy, written out: every RPC, every kind of report, every audience of fields, by role. The RPCs are
// compared with the descriptors, so that a new one fails here until somebody has decided who may call it.
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/operations.pb.h"
#include "fraudhub/v1/report.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"
#include "tests/unit/shipped_files.h"

namespace hub::test {
namespace {

namespace v1 = ::fraudhub::v1;
using model::Facet;
using model::IdentifierType;
using model::InputKind;
using model::Level;
using model::Role;

// One letter per role, in the order of the tables below.
constexpr std::pair<char, Role> kRoles[] = {
    {'F', Role::kFinancialInstitution},  {'T', Role::kTelecomOperator}, {'L', Role::kLawEnforcement},
    {'I', Role::kFinancialIntelligence}, {'R', Role::kRegulator},       {'P', Role::kPlatform},
    {'C', Role::kCitizenPortal},         {'A', Role::kAnalyst},
};
static_assert(std::size(kRoles) == model::kRoleMax);

// Who may call it.
const std::map<std::string, std::string> kRpcs = {
    {"ReportService.SubmitReports", "FTLIRPCA"},
    {"ReportService.StreamReports", "FTLIRPCA"},
    {"ReportService.GetReportStatus", "FTLIRPCA"},
    {"SubscriptionService.Subscribe", "FTLIRP A"},
    {"SubscriptionService.GetCursor", "FTLIRP A"},
    {"SubscriptionService.ListSubscriptions", "FTLIRP A"},
    {"LookupService.Lookup", "FTLIRP A"},
    {"LookupService.Explain", "  L    A"},
    {"LookupService.ListEvents", "  L    A"},
    {"LookupService.ListLinks", "  L    A"},
    {"LookupService.GetVerdictSet", "FTLIRP A"},
    {"OperationsService.Correct", "       A"},
    {"OperationsService.CloseTenure", "       A"},
    {"OperationsService.ApplyRules", "       A"},
    {"OperationsService.ApplyPolicy", "       A"},
    {"OperationsService.UseCursorKey", "       A"},
    {"OperationsService.GetControl", "       A"},
    {"OperationsService.ListReceipts", "       A"},
    {"OperationsService.ListStandings", "       A"},
    {"OperationsService.ListStreams", "       A"},
    {"OperationsService.ListQuarantine", "       A"},
    {"OperationsService.GetStateDigest", "       A"},
};

// Who may say it.
const std::map<InputKind, std::string> kKinds = {
    {InputKind::kSuspectedCommunication, "      C "},
    {InputKind::kFinancialFraud, "F LI    "},
    {InputKind::kNotMyConnection, "      C "},
    {InputKind::kHandsetLost, "  L   C "},
    {InputKind::kHandsetFound, "  L   C "},
    {InputKind::kHandsetTraced, " T      "},
    {InputKind::kDisconnected, " T  R  A"},
    {InputKind::kReverified, " T      "},
    {InputKind::kTenureClosed, " T     A"},
    {InputKind::kSpoofedCli, "FT      "},
    {InputKind::kActionTaken, "FTLIRP A"},
    {InputKind::kCorrection, "FTLIRPCA"},
};

// Who gets fields of this audience.
const std::map<v1::FieldAudience, std::string> kAudiences = {
    {v1::FIELD_AUDIENCE_ALL, "FTLIRPCA"},
    {v1::FIELD_AUDIENCE_TELECOM, " TL    A"},
    {v1::FIELD_AUDIENCE_LAW_ENFORCEMENT, "  L    A"},
    {v1::FIELD_AUDIENCE_ANALYST, "       A"},
    {v1::FIELD_AUDIENCE_INPUT, "        "},
};

// Who may see the row. `attributes.operator_id` and handling units: those of the caller where `own`.
struct RowCase {
  std::string what;
  Facet facet;
  IdentifierType type;
  Level level;
  std::vector<model::Reason> reasons;
  bool own;
  std::string who;
};
const std::vector<RowCase> kRows = {
    {"a flagged number of somebody else", Facet::kRisk, IdentifierType::kMobile, Level::kMedium, {}, false, "F LIRP A"},
    {"a flagged number of the caller's own",
     Facet::kRisk,
     IdentifierType::kMobile,
     Level::kMedium,
     {},
     true,
     "FTLIRP A"},
    {"a number without a flag", Facet::kRisk, IdentifierType::kMobile, Level::kNone, {}, false, "  L    A"},
    {"a protected number with evidence",
     Facet::kRisk,
     IdentifierType::kService1600,
     Level::kNone,
     {},
     false,
     "  L    A"},
    {"a payment address", Facet::kRisk, IdentifierType::kUpiAddress, Level::kHigh, {}, false, "F LIR  A"},
    {"a bank account", Facet::kRisk, IdentifierType::kBankAccount, Level::kHigh, {}, false, "F LIR  A"},
    {"a link", Facet::kRisk, IdentifierType::kUrl, Level::kHigh, {}, false, "FTLIRP A"},
    {"an SMS header", Facet::kRisk, IdentifierType::kSmsHeader, Level::kHigh, {}, false, "FTLIR  A"},
    {"a messaging account", Facet::kRisk, IdentifierType::kWhatsApp, Level::kHigh, {}, false, "F LIRP A"},
    {"a handset used in fraud", Facet::kRisk, IdentifierType::kImei, Level::kHigh, {}, false, " TLIR  A"},
    {"a blocked handset",
     Facet::kRisk,
     IdentifierType::kImei,
     Level::kNone,
     {model::Reason::kImeiBlocklist},
     false,
     " TL    A"},
    {"a subscriber's card", Facet::kRisk, IdentifierType::kImsi, Level::kHigh, {}, false, "  LIR  A"},
    {"a seller of cards", Facet::kRisk, IdentifierType::kPointOfSale, Level::kHigh, {}, false, " TLIR  A"},
    {"another's request to verify", Facet::kConnection, IdentifierType::kMobile, Level::kNone, {}, false, "       A"},
    {"the caller's request to verify", Facet::kConnection, IdentifierType::kMobile, Level::kNone, {}, true, " T     A"},
    {"a trace for another unit", Facet::kTrace, IdentifierType::kImei, Level::kNone, {}, false, "       A"},
    {"a trace for the caller's unit", Facet::kTrace, IdentifierType::kImei, Level::kNone, {}, true, "  L    A"},
};

bool Allowed(const std::string& who, char letter) { return absl::StrContains(who, std::string(1, letter)); }

// A caller per role, each named in failures.
template <typename Check>
void ForEachRole(const Check& check) {
  const auto policy = ShippedPolicy();
  for (const auto& [letter, role] : kRoles) {
    const access::Principal caller = SomebodyWith(*policy, role);
    CAPTURE(letter, caller.uri);
    check(*policy, caller, letter);
  }
}

std::set<std::string> RpcsOfDescriptors() {
  const google::protobuf::FileDescriptor* files[] = {
      v1::SubmitReportsRequest::descriptor()->file(), v1::SubscribeRequest::descriptor()->file(),
      v1::LookupRequest::descriptor()->file(), v1::CorrectRequest::descriptor()->file()};
  std::set<std::string> rpcs;
  for (const google::protobuf::FileDescriptor* file : files) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int k = 0; k < file->service(i)->method_count(); ++k) {
        rpcs.insert(absl::StrCat(file->service(i)->name(), ".", file->service(i)->method(k)->name()));
      }
    }
  }
  return rpcs;
}

template <typename Map>
std::set<std::string> Keys(const Map& map) {
  std::set<std::string> keys;
  for (const auto& [key, value] : map) keys.insert(key);
  return keys;
}

TEST_CASE("every RPC of the API is in the table and in access::AllRpcs", "[policy][rpc]") {
  const std::set<std::string> rpcs = RpcsOfDescriptors();
  CHECK(Keys(kRpcs) == rpcs);
  CHECK(std::set<std::string>(access::AllRpcs().begin(), access::AllRpcs().end()) == rpcs);
  CHECK(access::AllRpcs().size() == rpcs.size());
}

TEST_CASE("every file of the API that has a service is looked at", "[policy][rpc]") {
  int services = 0;
  for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat(HUB_SOURCE_DIR, "/proto/fraudhub/v1"))) {
    const std::string text = "\n" + ReadShipped("proto/fraudhub/v1/" + entry.path().filename().string());
    for (size_t at = 0; (at = text.find("\nservice ", at)) != std::string::npos; ++at) ++services;
  }
  std::set<std::string> known;
  for (const std::string& rpc : RpcsOfDescriptors()) known.insert(rpc.substr(0, rpc.find('.')));
  CHECK(services == static_cast<int>(known.size()));
}

TEST_CASE("each role may call what the table says and nothing else", "[policy][rpc]") {
  ForEachRole([](const access::Policy& policy, const access::Principal& caller, char letter) {
    for (const auto& [rpc, who] : kRpcs) {
      CAPTURE(rpc);
      const absl::Status status = policy.AuthorizeRpc(caller, rpc);
      CHECK(status.ok() == Allowed(who, letter));
      if (!status.ok()) CHECK(model::RefusalOf(status)->code == model::RefusalCode::kNotEntitled);
    }
    CHECK_FALSE(policy.AuthorizeRpc(caller, "ReportService.NoSuchMethod").ok());
    CHECK_FALSE(policy.AuthorizeRpc(caller, "").ok());
  });
}

TEST_CASE("each role may report what the table says and nothing else", "[policy][report]") {
  REQUIRE(kKinds.size() == model::kInputKindMax);
  ForEachRole([](const access::Policy& policy, const access::Principal& caller, char letter) {
    for (const auto& [kind, who] : kKinds) {
      CAPTURE(std::string(model::Name(kind)));
      model::Report report;
      report.kind = kind;
      report.correction.kind = model::CorrectionKind::kRetracted;
      CHECK(policy.AuthorizeReport(caller, report).ok() == Allowed(who, letter));
    }
    CHECK_FALSE(policy.AuthorizeReport(caller, model::Report()).ok());
  });
}

TEST_CASE("each role gets the fields that the table says and no others", "[policy][fields]") {
  // Every audience of the API has a line.
  REQUIRE(kAudiences.size() == static_cast<size_t>(v1::FieldAudience_descriptor()->value_count() - 1));
  v1::Indicator full;
  full.set_level(v1::LEVEL_HIGH);
  full.set_operator_id("tsp-01");
  full.set_victim_phone("+915550000001");
  full.add_case_refs("FIR-1");
  full.add_links();
  full.set_independent_sources(3);
  ForEachRole([&](const access::Policy& policy, const access::Principal& caller, char letter) {
    const wire::AudienceSet audiences(policy.Fields(caller));
    for (const auto& [audience, who] : kAudiences) {
      CAPTURE(v1::FieldAudience_Name(audience));
      CHECK(audiences.Has(static_cast<model::FieldAudience>(audience)) == Allowed(who, letter));
    }
    v1::Indicator seen = full;
    wire::Redact(audiences, &seen);
    CHECK(seen.level() == v1::LEVEL_HIGH);
    CHECK(seen.operator_id().empty() != Allowed(kAudiences.at(v1::FIELD_AUDIENCE_TELECOM), letter));
    const bool investigates = Allowed(kAudiences.at(v1::FIELD_AUDIENCE_LAW_ENFORCEMENT), letter);
    CHECK(seen.victim_phone().empty() != investigates);
    CHECK(seen.case_refs().empty() != investigates);
    CHECK(seen.links().empty() != investigates);
    CHECK((seen.independent_sources() == 0) != investigates);
  });
}

TEST_CASE("each role sees the rows that the table says and no others", "[policy][rows]") {
  ForEachRole([](const access::Policy& policy, const access::Principal& caller, char letter) {
    const model::Filter visible = policy.Entitlement(caller);
    for (const RowCase& row : kRows) {
      CAPTURE(row.what);
      model::Attributes attributes;
      attributes.facet = row.facet;
      attributes.type = row.type;
      attributes.level = row.level;
      attributes.reasons = row.reasons;
      attributes.operator_id = row.own ? caller.stakeholder : "somebody-else";
      attributes.handling_units = {row.own ? caller.stakeholder : "somebody-else"};
      CHECK(visible.Matches(attributes) == Allowed(row.who, letter));
    }
  });
}

TEST_CASE("who may look up has types to look up, and the other way round", "[policy][lookup]") {
  ForEachRole([](const access::Policy& policy, const access::Principal& caller, char letter) {
    const bool may = Allowed(kRpcs.at("LookupService.Lookup"), letter);
    CHECK(policy.MayLookUp(caller, IdentifierType::kMobile) == may);
    CHECK_FALSE(policy.MayLookUp(caller, IdentifierType::kUnspecified));
    // Subscribers' cards are for operators, police and analysts.
    CHECK(policy.MayLookUp(caller, IdentifierType::kImsi) == Allowed("TLA", letter));
    CHECK(policy.MayLookUp(caller, IdentifierType::kBankAccount) == Allowed("FLIA", letter));
  });
}

}  // namespace
}  // namespace hub::test
