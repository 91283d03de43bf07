// The board's standings: corrections somebody owes a confirmation of, and actions, each counted once.
#include "services/query/standings.h"

#include <memory>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "libs/store/database.h"
#include "libs/wire/wire.h"
#include "services/query/receipt_book.h"
#include "tests/catch.h"

namespace hub::query {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

model::IndicatorKey Key(uint8_t number) {
  model::IndicatorKey key;
  key.token[0] = number;
  return key;
}

model::Event Urgent(uint8_t number, uint64_t version, absl::Time decided_at,
                    model::EventKind kind = model::EventKind::kCleared) {
  model::Event event;
  event.kind = kind;
  event.state.key = Key(number);
  event.state.version = version;
  event.state.attributes.level = model::Level::kNone;
  event.previous = event.state.attributes;
  event.previous->level = model::Level::kHigh;
  event.decided_at = decided_at;
  event.urgent = true;
  return event;
}

std::shared_ptr<const access::Policy> SomePolicy() {
  auto spec = wire::ParsePolicy(R"(
version: 1
trust_domain: "dev.hub.example"
stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK" principals { name: "main" } }
stakeholders { id: "bank-2" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK" principals { name: "main" } }
stakeholders { id: "portal" role: ROLE_CITIZEN_PORTAL kind: "PORTAL" principals { name: "main" } }
grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: "SubscriptionService.Subscribe" may_see { level_min: LEVEL_MEDIUM } }
grants { role: ROLE_CITIZEN_PORTAL rpcs: "LookupService.Lookup" may_see {} }
)");
  REQUIRE(spec.ok());
  auto policy = access::Policy::Build(*std::move(spec));
  REQUIRE(policy.ok());
  return *std::move(policy);
}

replica::FedRecord Acted(int64_t offset, const std::string& stakeholder,
                         model::Outcome outcome = model::Outcome::kMerged) {
  model::HistoryEntry entry;
  entry.report_kind = model::InputKind::kActionTaken;
  entry.action = model::Action::kAccountFrozen;
  entry.outcome = outcome;
  entry.reporter.stakeholder = stakeholder;
  entry.decided_at = kNow + absl::Seconds(offset);
  entry.reports_offset = offset;
  return {0, offset, 1, entry};
}
// What a registry that lost its disk tells again: the same report, further on in the history.
replica::FedRecord ToldAgain(replica::FedRecord record, model::Outcome outcome = model::Outcome::kMerged) {
  record.offset += 1000;
  std::get<model::HistoryEntry>(record.body).outcome = outcome;
  return record;
}

}  // namespace

TEST_CASE("Who was to have a correction and has not confirmed it owes it, since the oldest", "[query][standings]") {
  const auto policy = SomePolicy();
  Standings standings(*policy);
  const absl::Time never = absl::InfiniteFuture();
  standings.AddCorrection(Urgent(1, 5, kNow), {{"bank-1", {"bank-1", kNow, kNow}}, {"gone", {"gone", kNow, never}}});
  standings.AddCorrection(Urgent(2, 6, kNow - absl::Hours(1)), {{"bank-1", {"bank-1", kNow, kNow}}});
  model::Event unseen = Urgent(3, 7, kNow);
  unseen.previous.reset();  // banks never saw it
  standings.AddCorrection(unseen, {});
  standings.AddActions("bank-2", {3, kNow});
  fraudhub::v1::ListStandingsResponse response;
  standings.Finish(&response);
  REQUIRE(response.standings_size() == 3);
  CHECK(response.standings(0).stakeholder() == "bank-1");
  CHECK(response.standings(0).corrections() == 2);
  CHECK(response.standings(0).confirmed() == 2);
  CHECK_FALSE(response.standings(0).has_oldest_unconfirmed());
  CHECK(response.standings(1).stakeholder() == "bank-2");
  CHECK(response.standings(1).corrections() == 2);
  CHECK(response.standings(1).confirmed() == 0);
  CHECK(response.standings(1).oldest_unconfirmed().seconds() == absl::ToUnixSeconds(kNow) - 3600);
  CHECK(response.standings(1).actions() == 3);
  CHECK(response.standings(2).stakeholder() == "gone");
  CHECK(response.standings(2).corrections() == 1);
}

TEST_CASE("The receipt book tells of corrections newest first, within a time and a number", "[query][standings]") {
  store::MemoryDatabase database(1);
  auto book = ReceiptBook::Open(&database, 0, "log");
  REQUIRE(book.ok());
  for (uint8_t i = 1; i <= 5; ++i) REQUIRE((*book)->NoteEvent(Urgent(i, i, kNow - absl::Hours(i))).ok());
  REQUIRE((*book)->NoteEvent(Urgent(9, 9, kNow, model::EventKind::kFlagged)).ok());
  model::ReceiptUpdate update;
  update.key = Key(2);
  update.version = 2;
  update.decided_at = kNow - absl::Hours(2);
  update.receipts = {{"bank-1", kNow, kNow}};
  REQUIRE((*book)->Apply({update}, 1).ok());
  uint64_t last = 0;  // none
  const auto visited = [&](absl::Duration reach, int most, absl::Time* since) {
    std::string versions;
    *since = kNow - reach;
    REQUIRE((*book)
                ->VisitCorrections(since, most,
                                   [&](const model::Event& event, const auto& receipts) {
                                     absl::StrAppend(&versions, event.state.version, receipts.empty() ? " " : "r ");
                                     return event.state.version != last;
                                   })
                .ok());
    return versions;
  };
  absl::Time since;
  CHECK(visited(absl::Hours(100), 10, &since) == "1 2r 3 4 5 ");
  CHECK(since == kNow - absl::Hours(100));
  CHECK(visited(absl::Hours(3), 10, &since) == "1 2r 3 ");
  CHECK(visited(absl::Hours(100), 2, &since) == "1 2r ");
  CHECK(since == kNow - absl::Hours(2));
  last = 3;
  CHECK(visited(absl::Hours(100), 10, &since) == "1 2r 3 ");
  CHECK(since == kNow - absl::Hours(3));
}

TEST_CASE("Actions count once, however often the history is fed, and begin anew with another log",
          "[query][standings]") {
  store::MemoryDatabase database(1);
  {
    const auto book = ActionBook::Open(&database, 0, "log");
    REQUIRE(book.ok());
    REQUIRE((*book)
                ->Apply({Acted(1, "bank-1"), Acted(2, "bank-2"), Acted(3, "bank-1"),
                         Acted(4, "bank-1", model::Outcome::kDuplicate)})
                .ok());
    REQUIRE((*book)->Apply({Acted(2, "bank-2"), Acted(3, "bank-1"), Acted(5, "bank-1")}).ok());
    replica::FedRecord elsewhere = Acted(1, "bank-2");
    elsewhere.partition = 1;
    REQUIRE((*book)->Apply({elsewhere}).ok());
  }
  const auto book = ActionBook::Open(&database, 0, "log");
  const auto totals = (*book)->Totals();
  REQUIRE(totals.ok());
  CHECK(totals->at("bank-1").actions == 3);
  CHECK(totals->at("bank-1").last_at == kNow + absl::Seconds(5));
  CHECK(totals->at("bank-2").actions == 2);
  CHECK((*(*ActionBook::Open(&database, 0, "another"))->Totals()).empty());
}

TEST_CASE("An action that a rebuilt registry decides again counts once, as it was told first", "[query][standings]") {
  store::MemoryDatabase database(1);
  const auto book = ActionBook::Open(&database, 0, "log");
  REQUIRE(book.ok());
  const replica::FedRecord first = Acted(5, "bank-1");
  const replica::FedRecord repeat = Acted(6, "bank-1", model::Outcome::kDuplicate);
  REQUIRE((*book)->Apply({first, repeat}).ok());
  REQUIRE((*book)->Apply({ToldAgain(first), ToldAgain(repeat)}).ok());
  CHECK((*book)->Totals()->at("bank-1").actions == 1);
  // Its ids may be forgotten by then.
  REQUIRE((*book)->Apply({ToldAgain(repeat, model::Outcome::kMerged)}).ok());
  CHECK((*book)->Totals()->at("bank-1").actions == 1);
  REQUIRE((*book)->Apply({ToldAgain(Acted(7, "bank-1"))}).ok());
  CHECK((*book)->Totals()->at("bank-1").actions == 2);
}

}  // namespace hub::query
