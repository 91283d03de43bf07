// Who sees what on the board: rights, redaction, audit, and that no page says an identifier to whom it isn't for.
#include "services/query/board.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/store/database.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;
using model::Level;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);  // 2027-01-15 13:30:00 IST
constexpr char kNumber[] = "+915550001234";
constexpr char kDigits[] = "5550001234";

constexpr char kPolicy[] = R"(
version: 3
trust_domain: "dev.hub.example"
stakeholders { id: "diu" role: ROLE_ANALYST kind: "HUB" principals { name: "analyst-1" } }
stakeholders { id: "police-mh" role: ROLE_LAW_ENFORCEMENT kind: "POLICE_STATE" principals { name: "main" } }
stakeholders { id: "police-ka" role: ROLE_LAW_ENFORCEMENT kind: "POLICE_STATE" principals { name: "main" } }
stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" principals { name: "main" } }
stakeholders { id: "bank-2" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" principals { name: "main" } }
grants {
  role: ROLE_ANALYST may_see {}
  rpcs: ["LookupService.Explain", "LookupService.ListEvents", "OperationsService.ListReceipts",
         "OperationsService.ListStandings", "OperationsService.ListStreams", "OperationsService.GetStateDigest"]
  fields: [FIELD_AUDIENCE_TELECOM, FIELD_AUDIENCE_LAW_ENFORCEMENT, FIELD_AUDIENCE_ANALYST]
  may_look_up: IDENTIFIER_TYPE_MOBILE lookups_per_second: 100
}
grants {
  role: ROLE_LAW_ENFORCEMENT may_see { facets: FACET_RISK }
  rpcs: ["LookupService.Explain", "LookupService.ListEvents"]
  fields: [FIELD_AUDIENCE_TELECOM, FIELD_AUDIENCE_LAW_ENFORCEMENT]
  may_look_up: IDENTIFIER_TYPE_MOBILE lookups_per_second: 100
}
stakeholders { id: "cell" role: ROLE_REGULATOR kind: "REGULATOR" principals { name: "desk" } }
grants {
  role: ROLE_REGULATOR may_see { level_min: LEVEL_HIGH }
  rpcs: ["OperationsService.ListReceipts", "OperationsService.ListStandings"]
}
grants {
  role: ROLE_FINANCIAL_INSTITUTION may_see { level_min: LEVEL_MEDIUM }
  rpcs: ["LookupService.Lookup", "SubscriptionService.Subscribe"]
  may_look_up: IDENTIFIER_TYPE_MOBILE lookups_per_second: 100
}
)";

class Recorder final : public audit::AuditLog {
 public:
  absl::Status Append(const audit::Entry& entry) override {
    entries.push_back(entry);
    return answer;
  }
  audit::Head head() const override { return {}; }
  absl::Status Verify() const override { return absl::OkStatus(); }

  std::vector<audit::Entry> entries;
  absl::Status answer;
};

class World {
 public:
  World() {
    auto spec = wire::ParsePolicy(kPolicy);
    INFO(spec.status().ToString());
    REQUIRE(spec.ok());
    auto built = access::Policy::Build(*std::move(spec));
    INFO(built.status().ToString());
    REQUIRE(built.ok());
    policy.emplace(*std::move(built));
    gate.emplace(&*policy, &metrics, rpc::ServerOptions());
    replica = *replica::Replica::Open(&states, 0, 1, "log-1", &clock, &metrics);
    receipts = *ReceiptBook::Open(&book, 0, "log-1");
    actions = *ActionBook::Open(&book, static_cast<store::TableId>(ReceiptBook::Tables().size()), "log-1");

    LookupParts lookups;
    lookups.clock = &clock;
    lookups.metrics = &metrics;
    lookups.replica = replica.get();
    lookups.audit = &audit;
    lookups.tokeniser = &tokeniser;
    lookups.quota = &quota;
    lookups.rules = [] { return std::make_shared<const model::Rules>(); };
    lookups.allow_test_range = true;
    lookup.emplace(lookups);
    OperationsParts parts;
    parts.clock = &clock;
    parts.replica = replica.get();
    parts.audit = &audit;
    parts.tokeniser = &tokeniser;
    parts.receipts = receipts.get();
    parts.actions = actions.get();
    operations.emplace(parts);
    Feed();
    MakeBoard();
  }

  void MakeBoard() { board.emplace(BoardParts{&clock, &*gate, replica.get(), &*lookup, &*operations}); }

  // A number that was VERY_HIGH and is cleared, with everything in its state that only some may see.
  void Feed() {
    state.identifier = {model::IdentifierType::kMobile, kNumber};
    state.key = {tokeniser.Routing(state.identifier), model::Facet::kRisk};
    state.version = 4;
    state.attributes.type = model::IdentifierType::kMobile;
    state.attributes.level = model::Level::kHigh;
    state.attributes.case_refs = {"FIR <12> & \"co\""};
    state.attributes.operator_id = "tsp-01";
    state.victim_phone = "+915550009999";
    state.loss_paise = 12'50'000;
    state.report_count = 7;
    state.last_seen = kNow - absl::Hours(1);
    state.contributions.push_back({{"bank-1", "main", "bank-group", model::Role::kFinancialInstitution},
                                   model::InputKind::kFinancialFraud,
                                   "",
                                   model::Reason::kUnspecified,
                                   model::Level::kHigh});
    model::Event event;
    event.kind = model::EventKind::kCleared;
    event.state = state;
    event.previous = state.attributes;
    event.previous->level = model::Level::kVeryHigh;
    event.decided_at = kNow - absl::Minutes(30);
    event.urgent = true;
    event.rules_version = 1;
    REQUIRE(receipts->NoteEvent(event).ok());
    model::ReceiptUpdate told;
    told.key = state.key;
    told.version = state.version;
    told.decided_at = event.decided_at;
    told.receipts = {{"bank-1", kNow, kNow}};
    REQUIRE(receipts->Apply({told}, 1).ok());
    REQUIRE(replica->ApplyEvents({{0, 0, 1, event}, {0, 1, 1, model::Tick{kNow, 1}}}, 0, 2, true).ok());
    model::HistoryEntry entry;
    entry.key = state.key;
    entry.outcome = model::Outcome::kMerged;
    entry.report_kind = model::InputKind::kFinancialFraud;
    entry.reporter = {"bank-1", "main", "bank-group", model::Role::kFinancialInstitution};
    entry.event_kind = model::EventKind::kFlagged;
    entry.level_after = model::Level::kVeryHigh;
    entry.decided_at = kNow - absl::Hours(2);
    entry.reports_offset = 5;
    REQUIRE(replica->ApplyHistory({{0, 0, 1, entry}}, 0, 1).ok());
    id = model::IndicatorIdText(state.key);
  }

  // Another one's correction, newer than the first.
  model::Event Cleared(uint8_t n, Level from, Level to) const {
    model::Event event;
    event.kind = model::EventKind::kCleared;
    event.state = state;
    event.state.key.token[0] ^= n;
    event.state.attributes.level = to;
    event.previous = event.state.attributes;
    event.previous->level = from;
    event.decided_at = kNow - absl::Minutes(n);
    event.urgent = true;
    event.rules_version = 1;
    return event;
  }

  rpc::HttpAnswer Get(const std::string& who, const std::string& path, std::map<std::string, std::string> fields = {}) {
    rpc::HttpRequest request;
    request.caller = "fraudhub://dev.hub.example/" + who;
    request.path = path;
    request.fields = std::move(fields);
    return board->Answer(request);
  }
  rpc::HttpAnswer Post(const std::string& who, std::map<std::string, std::string> fields) {
    rpc::HttpRequest request;
    request.caller = "fraudhub://dev.hub.example/" + who;
    request.post = true;
    request.path = "/lookup";
    request.fields = std::move(fields);
    return board->Answer(request);
  }
  std::vector<std::string> Audited() const {
    std::vector<std::string> actions_of;
    for (const audit::Entry& entry : audit.entries) actions_of.push_back(entry.action);
    return actions_of;
  }

  base::ManualClock clock{kNow};
  base::Metrics metrics;
  store::MemoryDatabase states{replica::ReplicaTables().size()};
  store::MemoryDatabase book{ReceiptBook::Tables().size() + ActionBook::Tables().size()};
  Recorder audit;
  const model::Tokeniser tokeniser{base::HmacKey("routing"), base::HmacKey("logs")};
  access::Quota quota{&clock};
  std::optional<access::PolicyHolder> policy;
  std::optional<rpc::Gate> gate;
  std::unique_ptr<replica::Replica> replica;
  std::unique_ptr<ReceiptBook> receipts;
  std::unique_ptr<ActionBook> actions;
  std::optional<LookupService> lookup;
  std::optional<OperationsService> operations;
  std::optional<Board> board;
  model::IndicatorState state;
  std::string id;
};

bool Has(const rpc::HttpAnswer& page, const std::string& part) { return absl::StrContains(page.body, part); }
// In any form a page might say it.
bool SaysTheNumber(const rpc::HttpAnswer& page) { return Has(page, kDigits); }

constexpr char kAnalyst[] = "diu/analyst-1";

TEST_CASE("An analyst's overview has the numbers, the standings and the corrections, and no identifier",
          "[query][board]") {
  World world;
  const rpc::HttpAnswer page = world.Get(kAnalyst, "/");
  CHECK(page.code == 200);
  CHECK(Has(page, "<span>Reports</span><b>7</b>"));
  CHECK(Has(page, "<span>Data age</span><b>0 s</b>"));
  CHECK(Has(page, "<span>HIGH</span><b>1</b>"));
  CHECK(
      Has(page, "bank-2</td><td class=\"alarm\">1 of 1</td><td class=\"alarm\"><time>2027-01-15 13:00:00</time></td>"));
  CHECK(Has(page, "CLEARED"));
  CHECK(Has(page, "<a href=\"/indicator/" + world.id + "\">"));
  CHECK(Has(page, "<td>1 of 2</td><td>1</td><td class=\"alarm names\">bank-2 (not told)</td>"));
  CHECK(Has(page, "http-equiv=\"refresh\""));
  CHECK(Has(page, "This process doesn&#39;t know") == false);
  CHECK(Has(page, "doesn't know who is connected"));
  CHECK_FALSE(SaysTheNumber(page));
  CHECK(world.Audited() == std::vector<std::string>{"OperationsService.ListStandings", "OperationsService.ListReceipts",
                                                    "OperationsService.GetStateDigest"});
}

TEST_CASE("Where streams are served the overview tells who is behind, since when", "[query][board]") {
  World world;
  OperationsParts parts;
  parts.clock = &world.clock;
  parts.replica = world.replica.get();
  parts.audit = &world.audit;
  parts.tokeniser = &world.tokeniser;
  parts.receipts = world.receipts.get();
  parts.actions = world.actions.get();
  parts.streams = [] {
    v1::StakeholderStreams streams;
    streams.set_stakeholder("bank-1");
    auto* stream = streams.add_streams();
    stream->set_connected(true);
    stream->set_records_behind(4711);
    stream->set_events_sent(99);
    stream->mutable_lag()->set_seconds(7200);
    return std::vector<v1::StakeholderStreams>{streams};
  };
  world.operations.emplace(parts);
  world.MakeBoard();
  const rpc::HttpAnswer page = world.Get(kAnalyst, "/");
  CHECK(Has(page, "<span>Streams connected</span><b>1</b>"));
  CHECK(Has(page, "<td>4711</td><td class=\"warn\">2 h</td><td class=\"warn\"><time>2027-01-15 11:30:00</time></td>"));
  CHECK(Has(page, "1 are more than a minute behind"));
  CHECK_FALSE(Has(page, "doesn't know who is connected"));
}

TEST_CASE("Who lacks the right gets 403 and a reason, and nothing else", "[query][board]") {
  World world;
  for (const char* who : {"bank-1/main", "police-mh/main", "nobody/main"}) {
    INFO(who);
    const rpc::HttpAnswer page = world.Get(who, "/");
    CHECK(page.code == 403);
    CHECK_FALSE(Has(page, "Newest corrections"));
  }
  CHECK(Has(world.Get("bank-1/main", "/"), "this role may not call OperationsService.ListStandings"));
  const rpc::HttpAnswer found = world.Get("bank-1/main", "/indicator/" + world.id, {{"purpose", "TEST"}});
  CHECK(found.code == 403);
  CHECK_FALSE(SaysTheNumber(found));
  const rpc::HttpAnswer posted =
      world.Post("bank-1/main", {{"type", "MOBILE"}, {"value", kNumber}, {"purpose", "TEST"}});
  CHECK(posted.code == 403);
  CHECK_FALSE(SaysTheNumber(posted));
  CHECK(world.audit.entries.empty());
  rpc::HttpRequest unnamed;
  unnamed.caller = absl::UnauthenticatedError("want a client certificate with exactly one URI SAN");
  unnamed.path = "/";
  CHECK(world.board->Answer(unnamed).code == 403);
}

TEST_CASE("An indicator's page shows what each role may see, hostile text as text", "[query][board]") {
  World world;
  const auto page_of = [&](const char* who) { return world.Get(who, "/indicator/" + world.id, {{"purpose", "TEST"}}); };
  const rpc::HttpAnswer analyst = page_of(kAnalyst);
  CHECK(analyst.code == 200);
  for (const char* part : {kNumber, "MOBILE", "FIR &lt;12&gt; &amp; &quot;co&quot;", "+915550009999", "Rs 12500.00",
                           "bank-group", "<td>bank-1</td>", "2027-01-15 11:30:00", "FINANCIAL_FRAUD"}) {
    INFO(part);
    CHECK(Has(analyst, part));
  }
  CHECK_FALSE(Has(analyst, "FIR <12>"));
  // The police: everything but who said it.
  const rpc::HttpAnswer police = page_of("police-ka/main");
  CHECK(police.code == 200);
  for (const char* part : {kNumber, "+915550009999", "Report count", "Case refs"}) {
    INFO(part);
    CHECK(Has(police, part));
  }
  for (const char* part : {"bank-1", "bank-group", "Ownership group", "<th>Stakeholder", "<th>Reporter</th>"}) {
    INFO(part);
    CHECK_FALSE(Has(police, part));
  }
}

TEST_CASE("A lookup by form is answered, and audited with its purpose, by token", "[query][board]") {
  World world;
  const rpc::HttpAnswer page =
      world.Post(kAnalyst, {{"type", "MOBILE"}, {"value", kNumber}, {"purpose", "DESK"}, {"case_ref", "C-1"}});
  CHECK(page.code == 200);
  CHECK(SaysTheNumber(page));
  REQUIRE(world.Audited() == std::vector<std::string>{"LookupService.Explain", "LookupService.ListEvents"});
  for (const audit::Entry& entry : world.audit.entries) {
    CHECK(entry.principal == "fraudhub://dev.hub.example/diu/analyst-1");
    CHECK(entry.subject == world.tokeniser.ForLogs(world.state.identifier));
    CHECK(entry.purpose == "DESK");
    CHECK(entry.case_ref == "C-1");
  }
  const rpc::HttpAnswer unknown =
      world.Post(kAnalyst, {{"type", "MOBILE"}, {"value", "+915550001111"}, {"purpose", "DESK"}});
  CHECK(unknown.code == 200);
  CHECK(Has(unknown, "There is no indicator that you may see"));
  const rpc::HttpAnswer nonsense =
      world.Post(kAnalyst, {{"type", "MOBILE"}, {"value", "<b>12</b>"}, {"purpose", "DESK"}});
  CHECK(nonsense.code == 400);
  CHECK_FALSE(Has(nonsense, "12</b>"));
  world.audit.answer = absl::UnavailableError("disk full");
  const rpc::HttpAnswer unaudited = world.Post(kAnalyst, {{"type", "MOBILE"}, {"value", kNumber}, {"purpose", "DESK"}});
  CHECK(unaudited.code == 503);
  CHECK_FALSE(SaysTheNumber(unaudited));
  CHECK(world.Get(kAnalyst, "/").code == 503);
}

TEST_CASE("A purpose or a case is plain text, or nothing is answered and nothing put on record", "[query][board]") {
  World world;
  const std::string bad = GENERATE(std::string("\xFF\xFE"), std::string("a\0b", 3), std::string("a\nb"),
                                   std::string("\xE2\x80\xAE"
                                               "DESK"),
                                   std::string(65, 'x'));
  CHECK(world.Get(kAnalyst, "/indicator/" + world.id, {{"purpose", bad}}).code == 400);
  CHECK(world.Post(kAnalyst, {{"type", "MOBILE"}, {"value", kNumber}, {"purpose", bad}}).code == 400);
  CHECK(world.Post(kAnalyst, {{"type", "MOBILE"}, {"value", kNumber}, {"purpose", "DESK"}, {"case_ref", bad}}).code ==
        400);
  CHECK(world.audit.entries.empty());
}

TEST_CASE("Without a purpose the page asks for one and says nothing yet", "[query][board]") {
  World world;
  const rpc::HttpAnswer asks = world.Get(kAnalyst, "/indicator/" + world.id);
  CHECK(asks.code == 200);
  CHECK(Has(asks, "name=\"purpose\""));
  CHECK_FALSE(SaysTheNumber(asks));
  CHECK(world.audit.entries.empty());
  CHECK(world.Post(kAnalyst, {{"type", "MOBILE"}, {"value", kNumber}}).code == 400);
}

TEST_CASE("An id of nothing that the caller may see is not found, and that it asked is on record", "[query][board]") {
  World world;
  model::IndicatorKey other = world.state.key;
  other.token[0] ^= 1;
  const std::map<std::string, std::string> purpose = {{"purpose", "TEST"}};
  CHECK(world.Get(kAnalyst, "/indicator/" + model::IndicatorIdText(other), purpose).code == 404);
  REQUIRE(world.audit.entries.size() == 1);
  CHECK(world.audit.entries[0].action == "LookupService.Explain");
  CHECK(world.audit.entries[0].subject == model::IndicatorIdText(other));
  for (const char* bad : {"", "ind_", "evt_x", "../etc", "+915550001234", "<script>"}) {
    INFO(bad);
    const rpc::HttpAnswer page = world.Get(kAnalyst, absl::StrCat("/indicator/", bad), purpose);
    CHECK(page.code == 404);
    CHECK_FALSE(SaysTheNumber(page));
    CHECK_FALSE(Has(page, "<script>"));
  }
  CHECK(world.Get(kAnalyst, "/metrics").code == 404);
}

TEST_CASE("Nothing is looked up because another site's page asked for it", "[query][board]") {
  World world;
  rpc::HttpRequest request;
  request.caller = "fraudhub://dev.hub.example/diu/analyst-1";
  request.from_elsewhere = true;
  request.fields = {{"purpose", "TEST"}, {"type", "MOBILE"}, {"value", kNumber}};
  request.path = "/indicator/" + world.id;
  CHECK(world.board->Answer(request).code == 403);
  request.post = true;
  request.path = "/lookup";
  CHECK(world.board->Answer(request).code == 403);
  CHECK(world.audit.entries.empty());
  request.path = "/";
  CHECK(world.board->Answer(request).code == 405);
}

TEST_CASE("Corrections that a reader may not see take nobody's place", "[query][board]") {
  World world;
  for (uint8_t i = 1; i <= 20; ++i) {
    REQUIRE(world.receipts->NoteEvent(world.Cleared(i, Level::kMedium, Level::kNone)).ok());
  }
  const rpc::HttpAnswer page = world.Get("cell/desk", "/");
  CHECK(page.code == 200);
  CHECK(Has(page, world.id));
  CHECK_FALSE(Has(page, "MEDIUM"));
}

TEST_CASE("States are counted again after a while, not for each page", "[query][board]") {
  World world;
  const rpc::HttpAnswer before = world.Get(kAnalyst, "/");
  CHECK(Has(before, "<span>Reports</span><b>7</b>"));
  CHECK(Has(before, "bank-2</td><td class=\"alarm\">1 of 1</td>"));
  REQUIRE(world.receipts->NoteEvent(world.Cleared(1, Level::kVeryHigh, Level::kHigh)).ok());
  CHECK(Has(world.Get(kAnalyst, "/"), "bank-2</td><td class=\"alarm\">1 of 1</td>"));
  world.state.report_count = 8;
  world.state.version = 5;
  model::Event event;
  event.kind = model::EventKind::kLevelRaised;
  event.state = world.state;
  REQUIRE(world.replica->ApplyEvents({{0, 2, 1, event}}, 0, 3, true).ok());
  CHECK(Has(world.Get(kAnalyst, "/"), "<span>Reports</span><b>7</b>"));
  world.clock.Advance(absl::Seconds(11));
  const rpc::HttpAnswer page = world.Get(kAnalyst, "/");
  CHECK(Has(page, "<span>Reports</span><b>8</b>"));
  CHECK(Has(page, "bank-2</td><td class=\"alarm\">2 of 2</td>"));
  CHECK(Has(page, "<span>Data age</span><b>11 s</b>"));
}

}  // namespace
}  // namespace hub::query
