// Command lines against a hub in the process: what they print, and how they end.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "services/hubctl/help_texts.h"
#include "services/hubctl/hubctl_kit_test.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

void SetNumber(v1::Indicator* indicator, const std::string& number) {
  indicator->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  indicator->mutable_identifier()->set_canonical(number);
  indicator->set_level(v1::LEVEL_HIGH);
  indicator->add_reasons(v1::REASON_CITIZEN_REPORTS);
}

// Numbers that end in 7 are known, "bad" is no identifier.
client::FakeHubHooks Knowing() {
  client::FakeHubHooks hooks;
  hooks.lookup = [](const v1::LookupRequest& request, v1::LookupResponse* response) {
    for (const v1::RawIdentifier& identifier : request.identifiers()) {
      v1::LookupResult* result = response->add_results();
      if (identifier.value() == "bad") {
        result->set_verdict(v1::LOOKUP_VERDICT_INVALID);
        result->set_error(v1::ERROR_REASON_TOO_SHORT);
      } else if (absl::EndsWith(identifier.value(), "7")) {
        result->set_verdict(v1::LOOKUP_VERDICT_INDICATOR);
        SetNumber(result->mutable_indicator(), "+915551234567");
      } else {
        result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
      }
    }
    return absl::OkStatus();
  };
  return hooks;
}

// Opens, sends `events`, one progress, and stays until the client goes.
client::FakeHubHooks Sending(std::vector<v1::Event> events) {
  client::FakeHubHooks hooks;
  hooks.subscribe = [events](grpc::ServerContext* context, client::FakeHubHooks::SubscribeStream* stream) {
    v1::SubscribeRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    v1::SubscribeResponse response;
    response.mutable_opened()->set_token("start");
    for (const v1::Event& event : events) *response.add_events() = event;
    (*response.mutable_positions())[0] = 10;
    response.mutable_progress()->set_token("after:" + request.open().token());
    stream->Write(response);
    while (!context->IsCancelled() && stream->Read(&request)) {
    }
    return grpc::Status::OK;
  };
  return hooks;
}

v1::Event Flagged(int number) {
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_FLAGGED);
  event.mutable_version()->set_version(1);
  event.mutable_indicator()->set_indicator_id(absl::StrCat("ind_", number));
  SetNumber(event.mutable_indicator(), absl::StrCat("+91555000000", number));
  return event;
}

size_t LinesOf(const std::string& text) { return static_cast<size_t>(std::count(text.begin(), text.end(), '\n')); }

}  // namespace

TEST_CASE("What is typed wrong ends with 2 and says what is wanted", "[hubctl][usage]") {
  const std::vector<std::vector<std::string>> lines = {
      {"lokup", "MOBILE:5559876543"},
      {"lookup"},
      {"lookup", "5559876543", "--insecure"},
      {"lookup", "COLOUR:red", "--insecure"},
      {"lookup", "MOBILE:5559876543"},  // who are we?
      {"lookup", "MOBILE:5559876543", "--insecure", "--output", "xml"},
      {"lookup", "MOBILE:5559876543", "--insecure", "--timeout", "soon"},
      {"lookup", "MOBILE:5559876543", "--insecure", "--no-such-option"},
      {"report"},
      {"report", "FRAUD", "MOBILE", "5559876543", "--insecure"},
      {"report", "FINANCIAL_FRAUD", "FAX", "5559876543", "--insecure"},
      {"report", "FINANCIAL_FRAUD", "MOBILE", "5559876543", "--insecure", "--observed-at", "yesterday"},
      {"report", "ACTION_TAKEN", "--insecure"},
      {"correct", "MOBILE:5559876543", "--insecure", "--to", "BETTER", "--reason", "X"},
      {"correct", "MOBILE:5559876543", "--insecure", "--to", "CLEARED"},
      {"tenure", "open"},
      {"watch", "--insecure", "--type", "FAX"},
      {"watch", "--insecure", "--min-level", "7"},
      {"watch", "--insecure", "--from", "tomorrow"},
      {"watch", "--insecure", "--until-quiet", "never"},
      {"import", "csv"},
      {"sample", "csv", "excel", "--out", "-"},
      {"completion", "fish"},
      {"config", "check", "whatever.txt"},
      {"help", "lokup"},
  };
  for (const auto& line : lines) {
    CAPTURE(line);
    const Ran ran = Run(line);
    CHECK(ran.code == kUsage);
    CHECK_FALSE(ran.err.empty());
    CHECK_FALSE(Has(ran.err, "5559876543"));
  }
}

TEST_CASE("Help, version and completion need no hub", "[hubctl][usage]") {
  CHECK(Run({}).code == kDone);
  CHECK(Has(Run({"--version"}).out, "hubctl "));
  CHECK(Has(Run({"help"}).out, "hubctl lookup "));
  const Ran import = Run({"help", "import"});
  CHECK(import.code == kDone);
  CHECK(Has(import.out, "--dry-run"));
  CHECK(Has(import.out, "hubctl import csv deploy/samples/bank.csv"));
  const Ran completion = Run({"completion", "bash"});
  CHECK(completion.code == kDone);
  CHECK(Has(completion.out, "'tenure close')"));
  CHECK(Has(completion.out, "complete -o filenames -F _hubctl hubctl"));
  const Ran man = Run({"man"});
  CHECK(man.code == kDone);
  CHECK(Has(man.out, ".SS hubctl evidence export\n"));
  CHECK(Has(man.out, ".B \\-\\-timeout \\fIDURATION\\fR\nHow long"));
  CHECK(Has(man.out, "\nhubctl board \\-\\-limit 10\n"));
}

TEST_CASE("The examples of help are commands", "[hubctl][usage]") {
  for (const HelpTopic& topic : HelpTopics()) {
    if (topic.command == "sample") continue;  // they write files where we are
    for (const absl::string_view line : absl::StrSplit(topic.examples, '\n')) {
      if (!absl::StartsWith(line, "hubctl ")) continue;
      std::vector<std::string> words = {"--server", "127.0.0.1:1", "--insecure", "--timeout", "50ms"};
      bool quoted = false;
      std::string word;
      for (const char c : absl::StrCat(line.substr(7), " ")) {
        if (c == '"') {
          quoted = !quoted;
        } else if (c != ' ' || quoted) {
          word += c;
        } else if (word == "<" || word == ">") {
          break;
        } else {
          if (absl::StartsWith(word, "deploy/")) word = HUB_SOURCE_DIR "/" + word;
          if (absl::StrContains(word, "...")) word = "evt_aaaa";
          words.push_back(std::exchange(word, ""));
        }
      }
      if (absl::StrContains(line, "--rejects") || absl::StrContains(line, "--token-file")) continue;  // likewise
      CAPTURE(words);
      CHECK(Run(words).code != kUsage);
    }
  }
}

TEST_CASE("lookup prints what is known, in each form", "[hubctl][lookup]") {
  client::FakeHub hub(Knowing());
  const Ran table = RunAt(hub.address(), {"lookup", "MOBILE:5551234567", "+915551234568"});
  CHECK(table.code == kDone);
  CHECK(Has(table.out, "MOBILE:+915551234567  INDICATOR     HIGH"));
  CHECK(Has(table.out, "NO_INDICATOR"));
  const Ran json = RunAt(hub.address(), {"--output", "json", "lookup", "MOBILE:5551234567", "+915551234568"});
  CHECK(LinesOf(json.out) == 2);
  CHECK(Has(
      json.out,
      "{\"verdict\":\"LOOKUP_VERDICT_INDICATOR\",\"indicator\":{\"identifier\":{\"type\":\"IDENTIFIER_TYPE_MOBILE\","));
  const Ran csv = RunAt(hub.address(), {"--output", "csv", "lookup", "MOBILE:5551234567"});
  CHECK(absl::StartsWith(csv.out,
                         "identifier,verdict,level,reasons,standing,last_seen,lapses,data_age\nMOBILE:+915551234567,"
                         "INDICATOR,HIGH,CITIZEN_REPORTS,"));
}

TEST_CASE("lookup - reads lines, any number of them, and goes on after one that is none", "[hubctl][lookup]") {
  client::FakeHub hub(Knowing());
  std::string input = "# numbers\n\nMOBILE:bad\nnothing\r\n";
  for (int i = 0; i < 2500; ++i) absl::StrAppend(&input, "MOBILE:55512", 30000 + i, "\n");
  const Ran ran = RunAt(hub.address(), {"--output", "csv", "lookup", "-"}, input);
  CHECK(ran.code == kSomeRejected);
  CHECK(LinesOf(ran.out) == 2503);
  CHECK(Has(ran.out, "\nMOBILE:bad,INVALID TOO_SHORT,"));
  CHECK(Has(ran.out, "\nnothing,INVALID UNKNOWN_TYPE,"));
}

TEST_CASE("links --expand looks up what is linked, up to a bound that it tells of", "[hubctl][lookup]") {
  client::FakeHubHooks hooks = Knowing();
  hooks.list_links = [](const v1::ListLinksRequest&, v1::ListLinksResponse* response) {
    for (int i = 0; i < 103; ++i) {
      v1::Link* link = response->add_links();
      link->set_relation(v1::RELATION_CALLED_WITH);
      link->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
      link->mutable_identifier()->set_canonical(absl::StrCat("+915551234", 100 + i));
    }
    return absl::OkStatus();
  };
  client::FakeHub hub(hooks);
  const Ran ran = RunAt(hub.address(), {"--output", "csv", "links", "MOBILE:5551234567", "--expand"});
  CHECK(ran.code == kDone);
  CHECK(LinesOf(ran.out) == 101);
  CHECK(Has(ran.out, "CALLED_WITH,MOBILE,+915551234107,INDICATOR,HIGH,CITIZEN_REPORTS\n"));
  CHECK(Has(ran.out, "CALLED_WITH,MOBILE,+915551234108,NO_INDICATOR,,\n"));
  CHECK(Has(ran.err, "3 more are not looked up"));
  CHECK(LinesOf(RunAt(hub.address(), {"--output", "csv", "links", "MOBILE:5551234567"}).out) == 104);
}

TEST_CASE("report sends one report and says what became of it", "[hubctl][report]") {
  client::FakeHub hub({});
  const Ran ran = RunAt(hub.address(), {"report", "financial-fraud", "mobile", "5551234567", "--amount", "1,25,000",
                                        "--category", "kyc_bank"});
  INFO(ran.err);
  CHECK(ran.code == kDone);
  CHECK(Has(ran.out, "ACCEPTED  MERGED"));
  const auto reports = hub.reports();
  REQUIRE(reports.size() == 1);
  CHECK(reports.begin()->second.amount_paise() == 12'500'000);
  CHECK(reports.begin()->second.identifier().line_kind() == v1::LINE_KIND_MOBILE);
  CHECK(Has(RunAt(hub.address(), {"report", "status", reports.begin()->first}).out, "MERGED"));
}

TEST_CASE("report ends with 5 when the hub rejects it and with 3 when we may not", "[hubctl][report]") {
  for (const auto& [error, code] :
       {std::pair{v1::ERROR_REASON_TOO_SHORT, kSomeRejected}, std::pair{v1::ERROR_REASON_NOT_ENTITLED, kNotAllowed}}) {
    client::FakeHubHooks hooks;
    hooks.on_report = [error = error](const v1::Report&) {
      v1::ReportVerdict verdict;
      verdict.set_verdict(v1::VERDICT_REJECTED);
      verdict.set_error(error);
      return verdict;
    };
    client::FakeHub hub(hooks);
    CHECK(RunAt(hub.address(), {"report", "FINANCIAL_FRAUD", "MOBILE", "5551234567"}).code == code);
  }
}

TEST_CASE("Errors of the hub have their exit codes and never a stack of words", "[hubctl][errors]") {
  struct Case {
    absl::Status status;
    int code;
    const char* text;
  };
  const Case cases[] = {
      {model::Refuse(model::RefusalCode::kNotEntitled, "", "this role may not"), kNotAllowed,
       "NOT_ENTITLED: this role may not"},
      {model::Refuse(model::RefusalCode::kQuotaExceeded, "", "wait"), kNotAllowed, "QUOTA_EXCEEDED: wait"},
      {model::Refuse(model::RefusalCode::kAmbiguousIdentifier, "identifiers[0]", "several"), kFailed,
       "write it as TYPE:VALUE"},
      {absl::UnauthenticatedError("who"), kNotAllowed, "not allowed: who"},
      {absl::UnavailableError("down"), kUnreachable, "can't be reached: down"},
      {absl::UnimplementedError("ask hub-query"), kFailed, ": ask hub-query"},
      {absl::UnimplementedError(""), kFailed, "doesn't offer this; in a cluster, see --stream-server"},
  };
  for (const Case& one : cases) {
    client::FakeHubHooks hooks;
    hooks.lookup = [&](const v1::LookupRequest&, v1::LookupResponse*) { return one.status; };
    client::FakeHub hub(hooks);
    const Ran ran = RunAt(hub.address(), {"lookup", "MOBILE:5551234567"});
    CHECK(ran.code == one.code);
    CHECK(Has(ran.err, one.text));
    CHECK(LinesOf(ran.err) == 1);
  }
  const Ran nobody = Run({"--server", "127.0.0.1:1", "--insecure", "--timeout", "1s", "digest"});
  CHECK(nobody.code == kUnreachable);
}

TEST_CASE("watch prints events, ends after a number of them, and keeps its token", "[hubctl][watch]") {
  const TestFiles files;
  client::FakeHub hub(Sending({Flagged(1), Flagged(2), Flagged(3)}));
  const Ran two = RunAt(hub.address(), {"watch", "--from", "earliest", "--limit", "2"});
  CHECK(two.code == kDone);
  CHECK(LinesOf(two.out) == 3);
  CHECK(Has(two.out, "MOBILE:+915550000002"));
  const std::string token = files.Path("token");
  const Ran json = RunAt(hub.address(), {"--output", "json", "watch", "--until-quiet", "0.3", "--token-file", token});
  CHECK(json.code == kDone);
  CHECK(LinesOf(json.out) == 3);
  CHECK(Has(json.out, "\"indicatorId\":\"ind_1\""));
  CHECK(Slurp(token) == "YWZ0ZXI6\n");  // "after:"
  CHECK(RunAt(hub.address(), {"watch", "--until-quiet", "0.3", "--token-file", token}).code == kDone);
  CHECK(Slurp(token) == "YWZ0ZXI6YWZ0ZXI6\n");  // resumed from it
  files.Write("token", "!!");
  CHECK(RunAt(hub.address(), {"watch", "--token-file", token}).code == kFailed);
}

TEST_CASE("watch tells a token that is too old from a hub that is away", "[hubctl][watch]") {
  const TestFiles files;
  client::FakeHubHooks hooks;
  hooks.subscribe = [](grpc::ServerContext*, client::FakeHubHooks::SubscribeStream*) {
    return rpc::ToGrpc(model::Refuse(model::RefusalCode::kCursorTooOld, "open.token", "older than the log"));
  };
  client::FakeHub hub(hooks);
  const Ran old = RunAt(hub.address(), {"watch", "--token-file", files.Write("token", "YQ==\n")});
  CHECK(old.code == kFailed);
  CHECK(Has(old.err, "CURSOR_TOO_OLD"));
  CHECK(Has(old.err, "--from earliest"));
  CHECK(Run({"--server", "127.0.0.1:1", "--insecure", "--timeout", "300ms", "watch"}).code == kUnreachable);
}

TEST_CASE("Analysts correct, close tenures and apply rules", "[hubctl][analyst]") {
  const TestFiles files;
  client::FakeHubHooks hooks;
  v1::CorrectRequest corrected;
  hooks.correct = [&](const v1::CorrectRequest& request, v1::CorrectResponse* response) {
    corrected = request;
    response->mutable_verdict()->set_report_id(request.report_id());
    response->mutable_verdict()->set_verdict(v1::VERDICT_ACCEPTED);
    return absl::OkStatus();
  };
  hooks.close_tenure = [](const v1::CloseTenureRequest& request, v1::CloseTenureResponse* response) {
    response->mutable_verdict()->set_verdict(request.has_closed_at() ? v1::VERDICT_ACCEPTED : v1::VERDICT_REJECTED);
    return absl::OkStatus();
  };
  hooks.apply_rules = [](const v1::ApplyRulesRequest& request, v1::ApplyRulesResponse* response) {
    if (request.rules_text() != "good") response->add_problems("line 1: no");
    response->set_version(7);
    return absl::OkStatus();
  };
  client::FakeHub hub(hooks);
  CHECK(
      RunAt(hub.address(), {"correct", "MOBILE:5551234567", "--to", "high", "--reason", "WRONG_NUMBER", "--wait", "0s"})
          .code == kDone);
  CHECK(corrected.correction().kind() == v1::CORRECTION_KIND_SET_LEVEL);
  CHECK(corrected.correction().level() == v1::LEVEL_HIGH);
  CHECK(corrected.correction().note_code() == "WRONG_NUMBER");
  CHECK(RunAt(hub.address(), {"correct", "MOBILE:5551234567", "--to", "RETRACTED", "--reason", "X", "--wait", "0s"})
            .code == kDone);
  CHECK(hub.reports().begin()->second.correction().kind() == v1::CORRECTION_KIND_RETRACTED);
  CHECK(RunAt(hub.address(), {"tenure", "close", "MOBILE:5551234567", "--at", "2026-03-08", "--wait", "0s"}).code ==
        kDone);
  CHECK(Has(RunAt(hub.address(), {"rules", "apply", files.Write("rules", "good")}).out,
            "rules version 7 is on 0 partitions"));
  const Ran bad = RunAt(hub.address(), {"rules", "apply", files.Write("rules", "bad")});
  CHECK(bad.code == kFailed);
  CHECK(Has(bad.err, "rules: line 1: no"));
}

TEST_CASE("health, digest and streams print one object each", "[hubctl][operate]") {
  client::FakeHubHooks hooks;
  hooks.digest = [](const v1::GetStateDigestRequest&, v1::GetStateDigestResponse* response) {
    response->set_indicators(12);
    response->set_digest("00ff");
    (*response->mutable_by_level())[v1::LEVEL_HIGH] = 3;
    return absl::OkStatus();
  };
  hooks.list_streams = [](const v1::ListStreamsRequest&, v1::ListStreamsResponse* response) {
    auto* streams = response->add_stakeholders();
    streams->set_stakeholder("bank-1");
    streams->add_streams()->set_connected(true);
    return absl::OkStatus();
  };
  client::FakeHub hub(hooks);
  const Ran health = RunAt(hub.address(), {"health", "--output", "json"});
  CHECK(health.code == kDone);
  CHECK(Has(health.out, "\"status\":\"SERVING\""));
  CHECK(Has(RunAt(hub.address(), {"digest"}).out, "00ff"));
  CHECK(Has(RunAt(hub.address(), {"--output", "csv", "streams"}).out, "bank-1,,,yes,,0,,,0\n"));
}

TEST_CASE("cursors shows the caller's own, received who has an event and who has not", "[hubctl][cursors]") {
  client::FakeHubHooks hooks;
  hooks.list_subscriptions = [](const v1::ListSubscriptionsRequest&, v1::ListSubscriptionsResponse* response) {
    auto* state = response->add_subscriptions();
    state->set_cursor("core");
    state->set_client_id("server 7");
    state->set_connected(true);
    state->set_mode(v1::STREAM_MODE_LIVE);
    state->set_records_behind(3);
    state->mutable_lag()->set_seconds(2);
    return absl::OkStatus();
  };
  hooks.get_cursor = [](const v1::GetCursorRequest& request, v1::GetCursorResponse* response) -> absl::Status {
    if (request.cursor() != "core") return absl::NotFoundError("cursor: no such cursor of yours");
    response->mutable_state()->set_cursor("core");
    return absl::OkStatus();
  };
  hooks.list_receipts = [](const v1::ListReceiptsRequest& request, v1::ListReceiptsResponse* response) {
    response->set_version(request.version() == 0 ? 9 : request.version());
    auto* told = response->add_receipts();
    told->set_stakeholder("bank-1");
    told->mutable_sent_at()->set_seconds(1'800'000'000);
    told->mutable_confirmed_at()->set_seconds(1'800'000'001);
    response->add_receipts()->set_stakeholder("bank-2");
    response->set_told(1);
    response->set_confirmed(1);
    return absl::OkStatus();
  };
  client::FakeHub hub(hooks);
  CHECK(Has(RunAt(hub.address(), {"--output", "csv", "cursors"}).out, "core,server 7,yes,LIVE,3,2.000,,0\n"));
  CHECK(Has(RunAt(hub.address(), {"--output", "csv", "cursors", "core"}).out, "core,,no,,0,,,0\n"));
  CHECK(RunAt(hub.address(), {"cursors", "other"}).code == kFailed);
  const Ran table = RunAt(hub.address(), {"received", "MOBILE:5551234567"});
  CHECK(Has(table.out, "not yet"));
  CHECK(Has(table.err, "version 9"));
  CHECK(Has(table.err, "2 may see it, 1 were told, 1 have confirmed"));
  const Ran csv = RunAt(hub.address(), {"--output", "csv", "received", "MOBILE:5551234567", "--version", "4"});
  CHECK(Has(csv.out, "bank-2,,\n"));
  CHECK(Has(RunAt(hub.address(), {"--output", "json", "received", "MOBILE:5551234567"}).out, "\"told\":1"));
  CHECK(RunAt(hub.address(), {"watch", "--cursor", "a", "--token-file", "b"}).code == kUsage);
}

TEST_CASE("What the hub says can't move the cursor or break a table", "[hubctl][output]") {
  client::FakeHubHooks hooks;
  hooks.explain = [](const v1::ExplainRequest&, v1::ExplainResponse* response) {
    auto* explanation = response->add_explanations();
    SetNumber(explanation->mutable_indicator(), "+915551234567");
    explanation->add_steps("one \x1b[2J\ntwo \xC2\x9b");
    explanation->add_sources()->set_stakeholder("bank\r\x07,\"x\"");
    return absl::OkStatus();
  };
  client::FakeHub hub(hooks);
  const Ran table = RunAt(hub.address(), {"why", "MOBILE:5551234567"});
  CHECK(table.code == kDone);
  CHECK(Has(table.out, "one \\x1b[2J\\x0atwo \\x9b"));
  CHECK(Has(table.out, "bank\\x0d\\x07,\"x\""));
  for (const char c : {'\x1b', '\r', '\x07'}) CHECK(table.out.find(c) == std::string::npos);
  const Ran csv = RunAt(hub.address(), {"--output", "csv", "why", "MOBILE:5551234567"});
  CHECK(Has(csv.out, "\"one \x1b[2J\ntwo \xC2\x9b\""));
  const Ran json = RunAt(hub.address(), {"--output", "json", "why", "MOBILE:5551234567"});
  CHECK(LinesOf(json.out) == 1);
}

TEST_CASE("A profile says who and where, and its mistakes are told", "[hubctl][usage]") {
  Settings settings;
  CHECK(ParseProfile("# us\nserver: hub.example:7443\nidentity: \"pki/bank\"\n\noutput: json\n", &settings).empty());
  CHECK(settings.server == "hub.example:7443");
  CHECK(settings.identity == "pki/bank");
  CHECK(settings.output == "json");
  const auto problems = ParseProfile("sever: x\nserver y\ninsecure: maybe\ntimeout: soon\n", &settings);
  CHECK(problems.size() == 4);
  CHECK(settings.server == "hub.example:7443");
}

TEST_CASE("An address that is no UNIX socket is never asked in clear text, whatever stands before it",
          "[hubctl][usage]") {
  Settings settings;
  settings.server = "unix:/run/x.sock, hub.example:7446";
  CHECK_FALSE(ConnectionOf(settings, Serves::kQueries).ok());
  settings.identity = "pki/bank";
  const auto mixed = ConnectionOf(settings, Serves::kQueries);
  REQUIRE(mixed.ok());
  CHECK(mixed->identity_dir == "pki/bank");
  settings.identity = "";
  settings.server = "unix:/run/x.sock,unix:/run/y.sock";
  CHECK(ConnectionOf(settings, Serves::kQueries).ok());
}

}  // namespace hub::hubctl
