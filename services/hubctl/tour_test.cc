// A tour of the commands on a prepared hub: what each prints as a table on a terminal of 80 columns and as JSON, and how it ends, beside the
// golden files. HUB_UPDATE_GOLDEN=1 writes them anew: look at the difference before it is committed.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "services/hubctl/hubctl_kit_test.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int64_t kNow = 1'772'960'405;  // 2026-03-08 14:30:05 in India
constexpr size_t kColumns = 80;

void SetTime(google::protobuf::Timestamp* at, int64_t seconds_ago) { at->set_seconds(kNow - seconds_ago); }

void Describe(v1::Indicator* indicator) {
  indicator->set_indicator_id("ind_aaaa");
  indicator->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  indicator->mutable_identifier()->set_canonical("+915551234567");
  indicator->set_facet(v1::FACET_RISK);
  indicator->set_level(v1::LEVEL_VERY_HIGH);
  indicator->add_reasons(v1::REASON_LEA_REPORTED_CYBERCRIME);
  indicator->add_reasons(v1::REASON_CITIZEN_REPORTS);
  indicator->add_categories(v1::FRAUD_CATEGORY_KYC_BANK);
  indicator->set_standing(v1::EVENT_KIND_LEVEL_RAISED);
  SetTime(indicator->mutable_last_seen(), 3600);
  SetTime(indicator->mutable_expires_at(), -90 * 86400);
  SetTime(indicator->mutable_review_due(), -30 * 86400);
}

void AddEntry(v1::ListEventsResponse* response, int64_t ago, v1::EventKind kind, v1::Level level, uint64_t version,
              v1::InputKind report, v1::Role role, const char* reporter, v1::Action action = v1::ACTION_UNSPECIFIED) {
  v1::HistoryEntry* entry = response->add_entries();
  SetTime(entry->mutable_decided_at(), ago);
  entry->set_event_kind(kind);
  entry->set_level(level);
  entry->set_version(version);
  entry->set_report_kind(report);
  entry->set_outcome(v1::OUTCOME_MERGED);
  entry->set_reporter_role(role);
  entry->set_reporter(reporter);
  entry->set_action(action);
  if (action != v1::ACTION_UNSPECIFIED) entry->set_action_version(version);
  entry->set_facet(v1::FACET_RISK);
  entry->set_tenure(1);
}

void SetLookups(client::FakeHubHooks* hooks) {
  hooks->lookup = [](const v1::LookupRequest& request, v1::LookupResponse* response) -> absl::Status {
    for (const v1::RawIdentifier& identifier : request.identifiers()) {
      v1::LookupResult* result = response->add_results();
      SetTime(result->mutable_complete_until(), 1);
      if (absl::EndsWith(identifier.value(), "567")) {
        result->set_verdict(v1::LOOKUP_VERDICT_INDICATOR);
        result->set_event_id("evt_aaaa");
        Describe(result->mutable_indicator());
      } else if (identifier.value().size() < 10) {
        result->set_verdict(v1::LOOKUP_VERDICT_INVALID);
        result->set_error(v1::ERROR_REASON_TOO_SHORT);
      } else {
        result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
      }
    }
    return absl::OkStatus();
  };
  hooks->explain = [](const v1::ExplainRequest& request, v1::ExplainResponse* response) -> absl::Status {
    if (request.purpose() == "NONE") return model::Refuse(model::RefusalCode::kNotEntitled, "", "this role may not");
    v1::Explanation* explanation = response->add_explanations();
    Describe(explanation->mutable_indicator());
    explanation->set_rules_version(7);
    v1::Source* police = explanation->add_sources();
    police->set_role(v1::ROLE_LAW_ENFORCEMENT);
    police->set_stakeholder("police-mh");
    police->set_ownership_group("police-mh");
    police->set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
    police->set_reason(v1::REASON_LEA_REPORTED_CYBERCRIME);
    police->set_level(v1::LEVEL_VERY_HIGH);
    police->set_count(1);
    SetTime(police->mutable_last_observed(), 3600);
    SetTime(police->mutable_lapses_at(), -90 * 86400);
    explanation->add_steps("FINANCIAL_FRAUD of law enforcement gives VERY_HIGH");
    return absl::OkStatus();
  };
  hooks->list_events = [](const v1::ListEventsRequest&, v1::ListEventsResponse* response) {
    AddEntry(response, 60, v1::EVENT_KIND_UNSPECIFIED, v1::LEVEL_VERY_HIGH, 2, v1::INPUT_KIND_ACTION_TAKEN,
             v1::ROLE_FINANCIAL_INSTITUTION, "bank-psb-01", v1::ACTION_ACCOUNT_FROZEN);
    AddEntry(response, 3600, v1::EVENT_KIND_LEVEL_RAISED, v1::LEVEL_VERY_HIGH, 2, v1::INPUT_KIND_FINANCIAL_FRAUD,
             v1::ROLE_LAW_ENFORCEMENT, "police-mh");
    AddEntry(response, 7200, v1::EVENT_KIND_FLAGGED, v1::LEVEL_MEDIUM, 1, v1::INPUT_KIND_SUSPECTED_COMMUNICATION,
             v1::ROLE_CITIZEN_PORTAL, "portal-01");
    return absl::OkStatus();
  };
  hooks->list_links = [](const v1::ListLinksRequest&, v1::ListLinksResponse* response) {
    v1::Link* link = response->add_links();
    link->set_relation(v1::RELATION_UPI_ADDRESS_OF);
    link->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_UPI_ADDRESS);
    link->mutable_identifier()->set_canonical("5551234567@testpsp");
    return absl::OkStatus();
  };
}

void AddStream(v1::StakeholderStreams* streams, const char* cursor, bool connected, int64_t behind, int64_t lag) {
  v1::SubscriptionState* state = streams->add_streams();
  state->set_cursor(cursor);
  state->set_client_id("core");
  state->set_connected(connected);
  state->set_mode(connected ? v1::STREAM_MODE_LIVE : v1::STREAM_MODE_UNSPECIFIED);
  state->set_records_behind(behind);
  if (lag > 0) state->mutable_lag()->set_seconds(lag);
  SetTime(state->mutable_acked_at(), lag);
  state->set_events_sent(1200);
}

void SetOperations(client::FakeHubHooks* hooks) {
  hooks->list_streams = [](const v1::ListStreamsRequest&, v1::ListStreamsResponse* response) {
    v1::StakeholderStreams* live = response->add_stakeholders();
    live->set_stakeholder("bank-psb-01");
    AddStream(live, "", true, 0, 1);
    v1::StakeholderStreams* away = response->add_stakeholders();
    away->set_stakeholder("bank-ucb-007");
    AddStream(away, "desk", false, 4711, 7300);
    return absl::OkStatus();
  };
  hooks->list_standings = [](const v1::ListStandingsRequest&, v1::ListStandingsResponse* response) {
    for (const char* name : {"bank-psb-01", "bank-ucb-007", "police-mh"}) {
      v1::Standing* standing = response->add_standings();
      standing->set_stakeholder(name);
      standing->set_corrections(12);
      standing->set_confirmed(12);
    }
    response->mutable_standings(0)->set_actions(340);
    response->mutable_standings(1)->set_confirmed(9);
    SetTime(response->mutable_standings(1)->mutable_oldest_unconfirmed(), 7200);
    return absl::OkStatus();
  };
  hooks->list_receipts = [](const v1::ListReceiptsRequest&, v1::ListReceiptsResponse* response) {
    response->set_version(3);
    SetTime(response->mutable_decided_at(), 100);
    v1::Receipt* told = response->add_receipts();
    told->set_stakeholder("bank-psb-01");
    SetTime(told->mutable_sent_at(), 100);
    SetTime(told->mutable_confirmed_at(), 99);
    response->add_receipts()->set_stakeholder("bank-ucb-007");
    response->set_told(1);
    response->set_confirmed(1);
    return absl::OkStatus();
  };
  hooks->list_quarantine = [](const v1::ListQuarantineRequest&, v1::ListQuarantineResponse* response) {
    v1::QuarantinedRecord* record = response->add_records();
    record->set_topic("hub.reports.v1");
    record->set_offset(42);
    record->set_reason("not a record");
    SetTime(record->mutable_set_aside_at(), 500);
    record->set_bytes_kept(17);
    record->set_sha256(std::string(64, 'a'));
    return absl::OkStatus();
  };
  hooks->digest = [](const v1::GetStateDigestRequest&, v1::GetStateDigestResponse* response) {
    response->set_indicators(1200);
    response->set_flagged(900);
    response->set_reports(5000);
    response->set_digest("00112233445566778899aabbccddeeff");
    SetTime(response->mutable_complete_until(), 1);
    return absl::OkStatus();
  };
  hooks->correct = [](const v1::CorrectRequest& request, v1::CorrectResponse* response) {
    response->mutable_verdict()->set_report_id(request.report_id());
    response->mutable_verdict()->set_verdict(v1::VERDICT_ACCEPTED);
    return absl::OkStatus();
  };
  hooks->close_tenure = [](const v1::CloseTenureRequest& request, v1::CloseTenureResponse* response) {
    response->mutable_verdict()->set_report_id(request.report_id());
    response->mutable_verdict()->set_verdict(v1::VERDICT_ACCEPTED);
    return absl::OkStatus();
  };
  hooks->apply_rules = [](const v1::ApplyRulesRequest&, v1::ApplyRulesResponse* response) {
    response->set_version(8);
    return absl::OkStatus();
  };
}

void SetStreams(client::FakeHubHooks* hooks) {
  hooks->subscribe = [](grpc::ServerContext* context, client::FakeHubHooks::SubscribeStream* stream) {
    v1::SubscribeRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    v1::SubscribeResponse response;
    response.mutable_opened()->set_token("start");
    v1::Event* event = response.add_events();
    event->set_event_id("evt_aaaa");
    event->set_kind(v1::EVENT_KIND_FLAGGED);
    event->mutable_version()->set_version(1);
    SetTime(event->mutable_decided_at(), 5);
    Describe(event->mutable_indicator());
    stream->Write(response);
    while (!context->IsCancelled() && stream->Read(&request)) {
    }
    return grpc::Status::OK;
  };
  hooks->list_subscriptions = [](const v1::ListSubscriptionsRequest&, v1::ListSubscriptionsResponse* response) {
    v1::StakeholderStreams mine;
    AddStream(&mine, "core-banking", true, 3, 2);
    *response->add_subscriptions() = mine.streams(0);
    return absl::OkStatus();
  };
}

const char* const kTour[] = {
    "health",
    "report FINANCIAL_FRAUD MOBILE 5551234567 --category KYC_BANK --amount 1,25,000",
    "report ACTION_TAKEN --in-reply-to evt_aaaa --action ACCOUNT_FROZEN",
    "lookup MOBILE:5551234567 MOBILE:5550000000 MOBILE:12",
    "watch --limit 1",
    "cursors",
    "--purpose CASE_REVIEW why MOBILE:5551234567",
    "--purpose NONE why MOBILE:5551234567",
    "--purpose CASE_REVIEW timeline MOBILE:5551234567",
    "--purpose CASE_REVIEW links MOBILE:5551234567",
    "--purpose CASE_REVIEW links MOBILE:5551234567 --expand",
    "correct MOBILE:5551234567 --to CLEARED --reason WRONG_NUMBER --wait 0s",
    "received MOBILE:5551234567",
    "tenure close MOBILE:5551234567 --at 2026-03-08 --wait 0s",
    "board",
    "streams",
    "digest",
    "quarantine list",
    "rules apply RULES --check",
    "evidence export MOBILE:5551234567 --case FIR-12 --out BUNDLE",
    "evidence verify BUNDLE",
    "evidence verify RULES",
    "lookup nothing",
};

// What differs from run to run, by names of the same meaning.
std::string Steady(std::string text, const std::string& server) {
  // As long as the address, so that columns stay where they are: ports that the kernel hands out have five digits.
  text = absl::StrReplaceAll(text, {{server, "hub.example:743"}});
  static const std::regex uuid("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");
  static const std::regex took("[0-9.]+ ms");
  static const std::regex hash("[0-9a-f]{64}");
  text = std::regex_replace(text, uuid, "0190a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b");
  text = std::regex_replace(text, took, "1.0 ms");
  return std::regex_replace(text, hash, std::string(64, 'f'));
}

std::string Tour(const std::string& form) {
  client::FakeHubHooks hooks;
  SetLookups(&hooks);
  SetOperations(&hooks);
  SetStreams(&hooks);
  client::FakeHub hub(hooks);
  const TestFiles files;
  files.Write("RULES", "version: 8\n");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(files.Path("."));  // names of files are short, whatever the folder is
  std::string told;
  for (const char* line : kTour) {
    std::vector<std::string> words = {"--server", hub.address(), "--insecure", "--timeout", "5s", "--output", form};
    for (const absl::string_view word : absl::StrSplit(line, ' ')) {
      words.emplace_back(word);
    }
    const base::ManualClock clock(absl::FromUnixSeconds(kNow));
    const Ran ran = Run(words, "", &clock, kColumns);
    absl::StrAppend(&told, "$ hubctl ", line, "\n", Steady(ran.out + ran.err, hub.address()));
    if (ran.code != kDone) absl::StrAppend(&told, "[ended with ", ran.code, "]\n");
    absl::StrAppend(&told, "\n");
  }
  std::filesystem::current_path(before);
  return told;
}

size_t WidthOf(absl::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void CompareWithGolden(const std::string& name, const std::string& told) {
  const std::string path = absl::StrCat(HUB_SOURCE_DIR, "/services/hubctl/golden/", name);
  if (std::getenv("HUB_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << told;
  const std::vector<std::string> want = absl::StrSplit(Slurp(path), '\n'), have = absl::StrSplit(told, '\n');
  for (size_t i = 0; i < std::max(want.size(), have.size()); ++i) {
    INFO(name << ":" << i + 1);
    REQUIRE((i < have.size() ? have[i] : "(nothing)") == (i < want.size() ? want[i] : "(nothing)"));
  }
}

}  // namespace

TEST_CASE("The tour as tables fits a terminal of 80 columns and is as in the golden file", "[hubctl][tour]") {
  const std::string told = Tour("table");
  for (const absl::string_view line : absl::StrSplit(told, '\n')) {
    // Sentences may be longer, and a hash is as long as it is.
    const bool table =
        !absl::StartsWith(line, "$ ") && !absl::StrContains(line, "hubctl: ") && !absl::StrContains(line, "ffffffff");
    CAPTURE(line);
    if (table) CHECK(WidthOf(line) <= kColumns);
  }
  CompareWithGolden("tour-table.txt", told);
}

TEST_CASE("The tour as JSON is one object a line, as in the golden file", "[hubctl][tour]") {
  CompareWithGolden("tour-json.txt", Tour("json"));
}

}  // namespace hub::hubctl
