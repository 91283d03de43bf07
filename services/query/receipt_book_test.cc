// Receipts as hub-query keeps them: put together from all nodes, beside who must have the event.
#include "services/query/receipt_book.h"

#include <memory>
#include <string>

#include "libs/access/policy.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"
#include "services/query/receipt_follower.h"
#include "services/query/receipt_list.h"
#include "tests/catch.h"

namespace hub::query {
namespace {

using model::ReceiptUpdate;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

model::IndicatorKey Key(uint8_t number) {
  model::IndicatorKey key;
  key.token.fill(number);
  return key;
}

model::Attributes Row(model::Level level) {
  model::Attributes row;
  row.facet = model::Facet::kRisk;
  row.type = model::IdentifierType::kMobile;
  row.level = level;
  return row;
}

model::Event Cleared(uint8_t number, uint64_t version, absl::Time decided_at = kNow) {
  model::Event event;
  event.kind = model::EventKind::kCleared;
  event.state.key = Key(number);
  event.state.version = version;
  event.state.attributes = Row(model::Level::kNone);
  event.previous = Row(model::Level::kHigh);
  event.decided_at = decided_at;
  event.urgent = true;
  return event;
}

ReceiptUpdate By(const std::string& node, uint8_t number, uint64_t version, std::vector<ReceiptUpdate::Receipt> receipts,
                 absl::Time decided_at = kNow) {
  return {node, 0, 10, Key(number), version, decided_at, std::move(receipts)};
}

std::unique_ptr<ReceiptBook> Open(store::Database* database, const std::string& log_id = "log") {
  auto book = ReceiptBook::Open(database, 0, log_id);
  REQUIRE(book.ok());
  return *std::move(book);
}

TEST_CASE("Of all that the nodes found out the earliest counts", "[query][receipts]") {
  store::MemoryDatabase database(1);
  const auto book = Open(&database);
  const absl::Time never = absl::InfiniteFuture();
  REQUIRE(book->Apply({By("a", 1, 5, {{"bank", kNow + absl::Seconds(4), never}, {"police", kNow, never}}),
                       By("b", 1, 5, {{"bank", kNow + absl::Seconds(2), kNow + absl::Seconds(9)}})}, 2).ok());
  REQUIRE(book->Apply({By("a", 1, 5, {{"bank", never, kNow + absl::Seconds(8)}}), By("a", 1, 6, {{"bank", kNow, kNow}})}, 4)
              .ok());
  const auto receipts = book->ReceiptsOf(Key(1), 5);
  REQUIRE(receipts.ok());
  CHECK(receipts->size() == 2);
  CHECK(receipts->at("bank").sent_at == kNow + absl::Seconds(2));
  CHECK(receipts->at("bank").confirmed_at == kNow + absl::Seconds(8));
  CHECK(receipts->at("police").confirmed_at == never);
  // It goes on where it was, and starts afresh with another log.
  CHECK(Open(&database)->next() == 4);
  const auto afresh = Open(&database, "another");
  CHECK(afresh->next() == 0);
  CHECK(afresh->ReceiptsOf(Key(1), 5)->empty());
}

TEST_CASE("An urgent event is found by its version, or as the newest", "[query][receipts]") {
  store::MemoryDatabase database(1);
  const auto book = Open(&database);
  model::Event calm = Cleared(1, 9);
  calm.urgent = false;
  for (const model::Event& event : {Cleared(1, 5), Cleared(1, 7), calm, Cleared(2, 8)}) REQUIRE(book->NoteEvent(event).ok());
  CHECK((*book->Find(Key(1), 0))->state.version == 7);
  CHECK((*book->Find(Key(1), 5))->previous->level == model::Level::kHigh);
  CHECK_FALSE(book->Find(Key(1), 9)->has_value());
  CHECK_FALSE(book->Find(Key(3), 0)->has_value());
}

TEST_CASE("What is older than it is kept goes, with its receipts", "[query][receipts]") {
  store::MemoryDatabase database(1);
  const auto book = Open(&database);
  const absl::Time old = kNow - ReceiptBook::kKept - absl::Hours(1);
  REQUIRE(book->NoteEvent(Cleared(1, 5, old)).ok());
  REQUIRE(book->NoteEvent(Cleared(1, 6)).ok());
  REQUIRE(book->Apply({By("a", 1, 5, {{"bank", old, old}}, old), By("a", 1, 6, {{"bank", kNow, kNow}})}, 2).ok());
  CHECK_FALSE(*book->Prune(kNow));
  CHECK_FALSE(book->Find(Key(1), 5)->has_value());
  CHECK(book->ReceiptsOf(Key(1), 5)->empty());
  CHECK(book->Find(Key(1), 6)->has_value());
  CHECK(book->ReceiptsOf(Key(1), 6)->size() == 1);
}

TEST_CASE("The follower takes in the topic, passes over what it can't read, and goes on there", "[query][receipts]") {
  base::ManualClock clock(kNow);
  base::Metrics metrics;
  store::MemoryDatabase database(1);
  eventlog::MemoryLogOptions manual;
  manual.manual_pump = true;
  eventlog::MemoryLog log(&clock, manual);
  REQUIRE(log.EnsureTopics(eventlog::HubTopics(1)).ok());
  const auto put = [&](const std::string& value) {
    log.Append({eventlog::kReceiptsTopic, 0}, {"", value}, [](const auto&) {});
    log.Pump();
  };
  put("rubbish");
  put(wire::EncodeRecord({}, By("a", 1, 5, {{"bank", kNow, kNow}})));
  ReceiptFollower follower(&clock, &log, Open(&database), &metrics);
  CHECK(*follower.Step());
  CHECK_FALSE(*follower.Step());
  CHECK(follower.book()->next() == 2);
  CHECK(follower.book()->ReceiptsOf(Key(1), 5)->size() == 1);
}

TEST_CASE("Whoever may see the row, now or before, must have it, and who has it all the same is shown too", "[query][receipts]") {
  const auto spec = wire::ParsePolicy(R"(
version: 1
trust_domain: "dev.hub.example"
stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK" principals { name: "main" } }
stakeholders { id: "bank-2" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK" principals { name: "main" } }
stakeholders { id: "portal" role: ROLE_CITIZEN_PORTAL kind: "PORTAL" principals { name: "main" } }
stakeholders { id: "tsp" role: ROLE_TELECOM_OPERATOR kind: "TSP" principals { name: "main" } }
grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: "SubscriptionService.Subscribe" may_see { level_min: LEVEL_MEDIUM } }
grants { role: ROLE_TELECOM_OPERATOR rpcs: "SubscriptionService.Subscribe" may_see { facets: FACET_CONNECTION } }
grants { role: ROLE_CITIZEN_PORTAL rpcs: "LookupService.Lookup" may_see {} }
)");
  INFO(spec.status().ToString());
  REQUIRE(spec.ok());
  const auto policy = access::Policy::Build(*spec);
  INFO(policy.status().ToString());
  REQUIRE(policy.ok());
  fraudhub::v1::ListReceiptsResponse response;
  ListReceipts(**policy, Cleared(1, 5),
               {{"bank-1", {"bank-1", absl::InfiniteFuture(), kNow}}, {"gone", {"gone", kNow, absl::InfiniteFuture()}}},
               &response);
  REQUIRE(response.receipts_size() == 3);
  CHECK(response.receipts(0).stakeholder() == "bank-1");
  CHECK(response.receipts(0).sent_at().seconds() == absl::ToUnixSeconds(kNow));  // confirmed: so it was told
  CHECK(response.receipts(0).has_confirmed_at());
  CHECK(response.receipts(1).stakeholder() == "bank-2");
  CHECK_FALSE(response.receipts(1).has_sent_at());
  CHECK(response.receipts(2).stakeholder() == "gone");
  CHECK(response.told() == 2);
  CHECK(response.confirmed() == 1);
  CHECK(response.version() == 5);
}

}  // namespace
}  // namespace hub::query
