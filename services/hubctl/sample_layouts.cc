#include "services/hubctl/sample_layouts.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "services/hubctl/output.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

constexpr char kProtectedNumber[] = "+91 555 000 0199";  // verified customer care in deploy/config/rules.textproto

constexpr absl::string_view kStates[] = {"MH", "DL", "KA", "UP", "TN", "WB", "GJ", "RJ", "TG", "KL"};
constexpr absl::string_view kCircles[] = {"MH", "DL", "KA", "UE", "TN", "WB", "GJ", "RJ", "AP", "KL"};

template <size_t n>
absl::string_view Pick(SampleRandom* random, const absl::string_view (&choices)[n]) {
  return choices[random->Below(n)];
}

std::string Line(const std::vector<std::string>& fields) {
  return absl::StrJoin(fields, ",",
                       [](std::string* out, const std::string& field) { absl::StrAppend(out, CsvField(field)); });
}

// Few identifiers get most of the reports, as in life.
uint64_t Draw(SampleSource* source) {
  const double unit = source->random.Unit();
  return static_cast<uint64_t>(static_cast<double>(source->pool) * unit * unit * unit);
}

bool Bad(SampleSource* source) { return source->bad_share > 0 && source->random.Unit() < source->bad_share; }

// One number as different people write it; now and then with a digit missing.
std::string Written(SampleSource* source, std::string digits) {
  if (Bad(source)) digits.pop_back();
  switch (source->random.Below(5)) {
    case 0:
      return absl::StrCat("+91", digits);
    case 1:
      return absl::StrCat("0", digits);
    case 2:
      return absl::StrCat("+91 ", digits.substr(0, 5), " ", digits.substr(5));
    case 3:
      return absl::StrCat(digits.substr(0, 3), "-", digits.substr(3, 3), "-", digits.substr(6));
    default:
      return digits;
  }
}

std::string Phone(SampleSource* source) { return Written(source, SampleNumber(Draw(source))); }

absl::Time Moment(SampleSource* source) {
  return source->as_of - absl::Seconds(static_cast<int64_t>(source->random.Below(20 * 24 * 3600)));
}
std::string Text(const char* format, absl::Time time) { return absl::FormatTime(format, time, IndianTime()); }

std::string Imei(SampleSource* source, uint64_t k) {
  std::string digits = absl::StrFormat("00100%09d", (k * 7654321 + 31) % 1'000'000'000);  // TAC 00100xxx: for tests
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    const int digit = digits[i] - '0';
    sum += i % 2 == 0 ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
  }
  const int check = (10 - sum % 10) % 10;
  // A wrong check digit is never 0: networks send 0, so that one is taken.
  return absl::StrCat(digits, Bad(source) ? check % 9 + 1 : check);
}

std::string Upi(SampleSource* source) {
  const uint64_t k = Draw(source);
  return k % 3 == 0 ? absl::StrCat(SampleNumber(k), "@testpsp") : absl::StrFormat("pay.%06d@testbank", k % 1'000'000);
}

std::string Link(SampleSource* source) {
  const uint64_t k = Draw(source);
  return absl::StrFormat("https://kyc-update-%05d.example/verify?id=%d", k % 100'000, source->random.Below(1000));
}

// --- a citizens' portal: suspected communications -----------------------------------------------------------------------------

constexpr absl::string_view kChakshuMap =
    R"map(# A citizens' portal: suspected calls, messages and links (Chakshu-like).
constant kind = SUSPECTED_COMMUNICATION
column "Suspect Number/Header/Link" = identifier
column Medium = type
value type Call = MOBILE
value type SMS = MOBILE
value type "SMS Header" = SMS_HEADER
value type WhatsApp = WHATSAPP
value type Link = URL
column Category = category
value category "KYC / payment related to bank" = KYC_BANK
value category "Impersonation as government official" = IMPERSONATE_DOT_TRAI
value category "Digital arrest" = IMPERSONATE_POLICE_DIGITAL_ARREST
value category "Fake customer care" = FAKE_CUSTOMER_CARE
value category "Online job, lottery, gift, loan offer" = TASK_PART_TIME_JOB
value category "Investment and trading" = INVESTMENT_STOCK_IPO
value category "Malicious link" = PHISHING_LINK
value category * = OTHER
column Date = observed_at
column Time = observed_at
time_format = "%d-%m-%Y %H:%M"
time_zone = IST
column "Citizen Token" = citizen
)map";

std::string ChakshuRow(SampleSource* source, uint64_t number) {
  constexpr absl::string_view kMedia[] = {"Call", "Call", "Call", "SMS", "SMS Header", "WhatsApp", "Link"};
  constexpr absl::string_view kCategories[] = {"KYC / payment related to bank",
                                               "Impersonation as government official",
                                               "Digital arrest",
                                               "Fake customer care",
                                               "Online job, lottery, gift, loan offer",
                                               "Investment and trading",
                                               "Malicious link",
                                               "Any other"};
  const absl::string_view medium = Pick(&source->random, kMedia);
  std::string suspect;
  if (medium == "SMS Header") {
    suspect = absl::StrFormat("VM-T%05d-S", source->random.Below(50));
  } else if (medium == "Link") {
    suspect = Link(source);
  } else {
    suspect = Phone(source);
  }
  if (number == 3) suspect = kProtectedNumber;
  const absl::Time when = Moment(source);
  const std::string date = Bad(source) ? "yesterday" : Text("%d-%m-%Y", when);
  const std::string remark = number % 7 == 2 ? "Caller said \"act now\",\nthen hung up" : "";
  return Line({absl::StrFormat("CK%09d", number), std::string(number == 3 ? "Call" : medium), suspect,
               std::string(Pick(&source->random, kCategories)), date, Text("%H:%M", when),
               absl::StrFormat("c-%016x", source->random.Next()), remark});
}

// --- police: complaints with a loss -----------------------------------------------------------------------------------------------

constexpr absl::string_view kNcrpMap = R"map(# Police: complaints of financial fraud (NCRP-like).
constant kind = FINANCIAL_FRAUD
column "Suspect Detail" = identifier
column "Suspect Type" = type
value type "Mobile Number" = MOBILE
value type "UPI Id" = UPI_ADDRESS
value type "Bank Account" = BANK_ACCOUNT
value type "Website" = URL
column IFSC = ifsc
column "Sub Category" = category
value category "UPI Related Fraud" = MARKETPLACE_QR_COLLECT
value category "Investment Fraud" = INVESTMENT_STOCK_IPO
value category "Digital Arrest" = IMPERSONATE_POLICE_DIGITAL_ARREST
value category "Loan App" = LOAN_APP
value category "Internet Banking Related Fraud" = KYC_BANK
value category * = OTHER
column "Incident Date and Time" = observed_at
time_format = "%Y-%m-%d %H:%M:%S"
time_zone = IST
column "Amount Lost (Rs)" = amount_rupees
column "Acknowledgement No" = case
column "Victim State" = state
column "Victim Mobile" = victim_phone
)map";

std::string NcrpRow(SampleSource* source, uint64_t number) {
  constexpr absl::string_view kTypes[] = {"Mobile Number", "Mobile Number", "Mobile Number", "UPI Id",
                                          "UPI Id",        "Bank Account",  "Website"};
  constexpr absl::string_view kCategories[] = {
      "UPI Related Fraud", "Investment Fraud", "Digital Arrest", "Loan App", "Internet Banking Related Fraud", "Other"};
  const std::string type(number == 1 ? "Mobile Number" : Pick(&source->random, kTypes));
  std::string suspect, ifsc;
  if (type == "UPI Id") {
    suspect = Upi(source);
  } else if (type == "Bank Account") {
    const uint64_t k = Draw(source);
    suspect = absl::StrFormat("0%010d", k * 7919 % 10'000'000'000);
    ifsc = absl::StrFormat("TEST0%06d", k % 50);
  } else if (type == "Website") {
    suspect = Link(source);
  } else {
    suspect = number == 1 ? SampleNumber(0) : Phone(source);
  }
  const absl::Time when = Moment(source);
  const uint64_t rupees = 500 + source->random.Below(900'000);
  const std::string amount =
      rupees > 100'000 ? absl::StrFormat("%d,%02d,%03d.00", rupees / 100'000, rupees / 1000 % 100, rupees % 1000)
                       : absl::StrCat(rupees);
  return Line({absl::StrFormat("3%013d", number * 17 + 40'000'000'000), std::string(Pick(&source->random, kStates)),
               std::string(Pick(&source->random, kCategories)), type, suspect, ifsc, Text("%Y-%m-%d %H:%M:%S", when),
               Bad(source) ? "a lot" : amount, SampleNumber(kSampleNumbers - 1 - source->random.Below(100'000))});
}

// --- citizens checking the connections in their name -------------------------------------------------------------------------------

constexpr absl::string_view kNotMyNumberMap = R"map(# Citizens checking the connections in their name: "not my number".
constant kind = NOT_MY_CONNECTION
constant type = MOBILE
column "Mobile Number" = identifier
column "Requested On" = observed_at
time_format = "%d/%m/%Y %H:%M:%S"
time_zone = IST
column LSA = lsa
column Operator = operator
value operator "Operator TSP-01" = tsp-01
value operator "Operator TSP-02" = tsp-02
value operator "Operator TSP-03" = tsp-03
value operator "Operator TSP-04" = tsp-04
column "Claimant Token" = citizen
)map";

std::string NotMyNumberRow(SampleSource* source, uint64_t number) {
  return Line({absl::StrFormat("NMN%08d", number), Phone(source),
               absl::StrFormat("Operator TSP-%02d", 1 + source->random.Below(4)),
               std::string(Pick(&source->random, kCircles)), "Not my number", Text("%d/%m/%Y %H:%M:%S", Moment(source)),
               absl::StrFormat("c-%016x", source->random.Next())});
}

// --- lost handsets ---------------------------------------------------------------------------------------------------------------

constexpr absl::string_view kHandsetMap = R"map(# Lost and found handsets, as a police unit registers them.
constant type = IMEI
column IMEI = identifier
column Status = kind
value kind "Lost / Stolen" = HANDSET_LOST
value kind Recovered = HANDSET_FOUND
column "Date of Loss" = observed_at
time_format = "%d-%b-%Y"
time_zone = IST
column "Complaint No" = case
column State = suspect_state
delimiter = ;
)map";

std::string HandsetRow(SampleSource* source, uint64_t number) {
  constexpr absl::string_view kModels[] = {"Testphone One", "Testphone Two", "Example 5G", "Sample Lite"};
  const std::string status = source->random.Below(6) == 0 ? "Recovered" : "Lost / Stolen";
  // No field holds a delimiter here.
  return absl::StrJoin(
      std::vector<std::string>{absl::StrFormat("HS/%07d", number), Imei(source, Draw(source)),
                               std::string(Pick(&source->random, kModels)), Text("%d-%b-%Y", Moment(source)),
                               std::string(Pick(&source->random, kStates)), status},
      ";");
}

// --- a bank, in our own names --------------------------------------------------------------------------------------------------------

constexpr absl::string_view kBankMap = R"map(# A bank's own export, in the hub's names.
column kind = kind
column type = type
column identifier = identifier
column observed_at = observed_at
column category = category
column amount_rupees = amount_rupees
)map";

std::string BankRow(SampleSource* source, uint64_t) {
  constexpr absl::string_view kCategories[] = {"KYC_BANK", "MULE_ACCOUNT", "INVESTMENT_STOCK_IPO", "OTP_THEFT",
                                               "IMPERSONATE_BANK_STAFF"};
  const bool upi = source->random.Below(4) == 0;
  const absl::Time when = Moment(source);
  return Line({"FINANCIAL_FRAUD", upi ? "UPI_ADDRESS" : "MOBILE", upi ? Upi(source) : Phone(source),
               absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", when, absl::UTCTimeZone()),
               std::string(Pick(&source->random, kCategories)), absl::StrCat(100 + source->random.Below(500'000))});
}

// --- an operator: disconnected and verified again -----------------------------------------------------------------------------------

constexpr absl::string_view kOperatorMap = R"map(# An operator: connections it ended or verified again.
constant type = MOBILE
column MSISDN = identifier
column Action = kind
value kind Disconnected = DISCONNECTED
value kind "Re-verified" = REVERIFIED
column Reason = reason
value reason "Failed re-verification" = FAILED_REVERIFICATION
value reason "Forged documents" = FORGED_DOCUMENTS
value reason "Internal analysis" = TSP_INTERNAL_ANALYSIS
value reason "More than nine connections" = OVER_LIMIT_PER_PERSON
value reason Surrendered = SURRENDERED
column Date = observed_at
time_zone = IST
column LSA = lsa
column Operator = operator
)map";

std::string OperatorRow(SampleSource* source, uint64_t) {
  constexpr absl::string_view kReasons[] = {"Failed re-verification", "Forged documents", "Internal analysis",
                                            "More than nine connections", "Surrendered"};
  const bool verified = source->random.Below(8) == 0;
  return Line({Phone(source), verified ? "Re-verified" : "Disconnected",
               verified ? "" : std::string(Pick(&source->random, kReasons)), Text("%Y-%m-%d %H:%M", Moment(source)),
               std::string(Pick(&source->random, kCircles)), source->operator_id});
}

}  // namespace

std::string SampleNumber(uint64_t k) {
  // 7654321 has no factor 2 or 5, so every k below 10^7 gets a number of its own.
  return absl::StrFormat("555%07d", (k % kSampleNumbers * 7'654'321 + 1'234'567) % kSampleNumbers);
}

const std::vector<SampleLayout>& SampleLayouts() {
  static const auto* const layouts = new std::vector<SampleLayout>{
      {"chakshu", "a citizens' portal: suspected calls, messages, links", kChakshuMap,
       "Ref No,Medium,Suspect Number/Header/Link,Category,Date,Time,Citizen Token,Remarks", ChakshuRow},
      {"ncrp", "police: complaints of financial fraud", kNcrpMap,
       "Acknowledgement No,Victim State,Sub Category,Suspect Type,Suspect Detail,IFSC,Incident Date and Time,Amount "
       "Lost (Rs),Victim Mobile",
       NcrpRow},
      {"not-my-number", "citizens: connections in their name that are not theirs", kNotMyNumberMap,
       "Request Id,Mobile Number,Operator,LSA,Claim,Requested On,Claimant Token", NotMyNumberRow},
      {"handset", "police: lost and found handsets", kHandsetMap, "Complaint No;IMEI;Model;Date of Loss;State;Status",
       HandsetRow},
      {"bank", "a bank, in the hub's own names", kBankMap, "kind,type,identifier,observed_at,category,amount_rupees",
       BankRow},
      {"operator", "an operator: disconnected, verified again", kOperatorMap, "MSISDN,Action,Reason,Date,LSA,Operator",
       OperatorRow},
  };
  return *layouts;
}

const SampleLayout* FindSampleLayout(absl::string_view name) {
  const std::vector<SampleLayout>& layouts = SampleLayouts();
  const auto found =
      std::find_if(layouts.begin(), layouts.end(), [&](const SampleLayout& one) { return one.name == name; });
  return found == layouts.end() ? nullptr : &*found;
}

}  // namespace hub::hubctl
