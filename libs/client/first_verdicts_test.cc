// The hub's compact set at an edge: how it is collected, and who is right when the stream says otherwise.
#include "libs/client/first_verdicts.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fraudhub/v1/lookup.pb.h"
#include "libs/client/local_lookup.h"
#include "libs/client/local_view.h"
#include "libs/client/set_kit_test.h"
#include "libs/rpc/proto_time.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using model::Level;
using replica::PackedVerdict;

std::shared_ptr<const FirstVerdicts> SetOf(const std::vector<PackedVerdict>& verdicts, absl::Duration monotonic,
                                           absl::Time complete_until = kStart, absl::Time hub_time = kStart) {
  VerdictCollector collector;
  v1::GetVerdictSetRequest request;
  collector.Ask(monotonic, &request);
  REQUIRE(collector.Take(Part(0, 1, verdicts, complete_until, hub_time)).ok());
  auto set = collector.Finish();
  REQUIRE(set.ok());
  return std::make_shared<const FirstVerdicts>(*std::move(set));
}

TEST_CASE("a set is collected part by part, and gone on with after the last whole one", "[edge][first]") {
  VerdictCollector collector;
  v1::GetVerdictSetRequest request;
  collector.Ask(absl::Seconds(1), &request);
  CHECK(request.parts() == 0);
  CHECK(request.first_part() == 0);
  REQUIRE(collector.Take(Part(0, 2, {Verdict(2), Verdict(4)}, kStart, kStart + absl::Seconds(1))).ok());
  // Half of the second part, then the call breaks.
  v1::GetVerdictSetResponse half = Part(1, 2, {Verdict(1)});
  half.clear_digest();
  REQUIRE(collector.Take(half).ok());
  CHECK_FALSE(collector.whole());
  collector.Ask(absl::Seconds(9), &request);
  CHECK(request.parts() == 2);
  CHECK(request.first_part() == 1);
  REQUIRE(
      collector.Take(Part(1, 2, {Verdict(1), Verdict(3)}, kStart + absl::Seconds(5), kStart + absl::Seconds(6))).ok());
  REQUIRE(collector.whole());
  const auto set = collector.Finish();
  REQUIRE(set.ok());
  CHECK(set->set.size() == 4);
  CHECK(set->digest.count == 4);
  CHECK(set->complete_until == kStart);
  CHECK(set->read_until == kStart + absl::Seconds(6));
  CHECK(set->HubNow(absl::Seconds(1)) == kStart + absl::Seconds(1));
  CHECK_FALSE(collector.whole());
}

TEST_CASE("a part that is not what the hub hashed, or not the next, is refused and comes again", "[edge][first]") {
  VerdictCollector collector;
  v1::GetVerdictSetRequest request;
  collector.Ask(absl::ZeroDuration(), &request);
  CHECK(absl::IsDataLoss(collector.Take(Part(1, 2, {Verdict(1)}))));
  CHECK(absl::IsDataLoss(collector.Take(Part(0, 0, {}))));
  v1::GetVerdictSetResponse other = Part(0, 2, {Verdict(1)});
  other.set_block(replica::EncodeBlock(std::vector<PackedVerdict>{Verdict(1, Level::kMedium)}));
  CHECK(absl::IsDataLoss(collector.Take(other)));
  other.set_block("no block");
  CHECK(absl::IsDataLoss(collector.Take(other)));
  collector.Ask(absl::ZeroDuration(), &request);
  CHECK(request.first_part() == 0);
  REQUIRE(collector.Take(Part(0, 2, {Verdict(1)})).ok());
  CHECK(absl::IsDataLoss(collector.Take(Part(1, 4, {Verdict(2)}))));
}

struct Newcomer {
  Newcomer() {
    auto opened = LocalView::Open(&database, 0, &clock, &metrics);
    REQUIRE(opened.ok());
    view = *std::move(opened);
    view->OnSnapshotBegins();
  }
  void Use(const std::vector<PackedVerdict>& verdicts) {
    view->UseFirstVerdicts(view->view_number(), SetOf(verdicts, clock.Monotonic()));
  }
  // By the stream; `decided` after the set was complete. A snapshot's states have no such time.
  void Tell(const Told& told, std::optional<absl::Duration> decided) {
    v1::Event event = Event(told);
    if (decided) rpc::ToProto(kStart + *decided, event.mutable_decided_at());
    view->OnEvent(event);
    REQUIRE(view->OnBatch().ok());
  }
  v1::LookupResult Ask(const std::string& type_and_value) {
    v1::LookupRequest request;
    request.add_identifiers()->set_type(type_and_value[0] == 'u' ? v1::IDENTIFIER_TYPE_UPI_ADDRESS
                                                                 : v1::IDENTIFIER_TYPE_MOBILE);
    request.mutable_identifiers(0)->set_value(type_and_value.substr(1));
    v1::LookupResponse response;
    base::Metrics fresh;
    LocalLookup lookup({[this] { return view; }, &clock, &fresh, absl::Seconds(60), true});
    REQUIRE(lookup.Lookup(request, &response).ok());
    return response.results(0);
  }
  v1::LookupResult Ask(int number) { return Ask("m" + std::to_string(5'550'000'000 + number)); }
  v1::LookupVerdict VerdictOf(int number) { return Ask(number).verdict(); }

  store::MemoryDatabase database{2};
  base::ManualClock clock{kStart};
  base::Metrics metrics;
  std::shared_ptr<LocalView> view;
};

TEST_CASE("an edge answers from the set before its snapshot has ended, and says what is still on its way",
          "[edge][first]") {
  Newcomer edge;
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(edge.view->incomplete());
  edge.Use({Verdict(1, Level::kVeryHigh)});
  const v1::LookupResult result = edge.Ask(1);
  CHECK(result.verdict() == v1::LOOKUP_VERDICT_INDICATOR);
  CHECK(result.details_pending());
  CHECK(result.indicator().level() == v1::LEVEL_VERY_HIGH);
  CHECK(result.indicator().identifier().canonical() == Number(1).canonical);
  CHECK(result.complete_until().seconds() == absl::ToUnixSeconds(kStart));
  CHECK(edge.VerdictOf(2) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(edge.Ask("usomebody@testpsp").verdict() == v1::LOOKUP_VERDICT_UNKNOWN);  // the set can't tell
  edge.Tell({.number = 1, .level = v1::LEVEL_VERY_HIGH}, std::nullopt);
  CHECK_FALSE(edge.Ask(1).details_pending());  // its details have come
  CHECK(edge.Ask(1).indicator().reasons_size() == 1);
  // The snapshot ends: from then on the stream's word alone.
  REQUIRE(edge.view->OnSnapshotEnds().ok());
  REQUIRE(edge.view->OnProgress(Progress("t1", kStart, kStart)).ok());
  CHECK_FALSE(edge.view->incomplete());
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_INDICATOR);
  CHECK(edge.VerdictOf(2) == v1::LOOKUP_VERDICT_NO_INDICATOR);
}

TEST_CASE("a flag that only the set told of is gone when the snapshot ends without it", "[edge][first]") {
  Newcomer edge;
  edge.Use({Verdict(1)});
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_INDICATOR);
  REQUIRE(edge.view->OnSnapshotEnds().ok());
  REQUIRE(edge.view->OnProgress(Progress("t1", kStart, kStart)).ok());
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_NO_INDICATOR);
}

TEST_CASE("a correction by the stream wins over the set, whichever came first", "[edge][first]") {
  Newcomer edge;
  edge.Tell({.number = 1, .version = 2, .left_view = true}, absl::Seconds(1));
  edge.Tell({.number = 3, .version = 2, .left_view = true}, std::nullopt);
  edge.Use({Verdict(1), Verdict(2), Verdict(3)});
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(edge.VerdictOf(3) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  edge.Tell({.number = 2, .version = 2, .left_view = true}, absl::Seconds(1));
  CHECK(edge.VerdictOf(2) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  edge.Tell({.number = 2, .version = 1}, std::nullopt);  // an older state, late, from the snapshot
  CHECK(edge.VerdictOf(2) == v1::LOOKUP_VERDICT_NO_INDICATOR);
}

TEST_CASE("a state that a snapshot told before does not bring back what the set knows to be withdrawn",
          "[edge][first]") {
  Newcomer edge;
  edge.Use({Verdict(2, Level::kMedium)});
  edge.Tell({.number = 1}, std::nullopt);       // of a block that was read before the correction
  edge.Tell({.number = 3}, -absl::Seconds(5));  // likewise, by the tail, which is behind the set
  edge.Tell({.number = 2}, -absl::Seconds(5));  // HIGH then, MEDIUM as of the set
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(edge.VerdictOf(3) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(edge.Ask(2).indicator().level() == v1::LEVEL_MEDIUM);
  CHECK(edge.Ask(2).details_pending());
}

TEST_CASE("a flag that is newer than the set is told, one that may be older than its last look is UNKNOWN",
          "[edge][first]") {
  Newcomer edge;
  edge.Use({Verdict(3, Level::kMedium), Verdict(4, Level::kMedium), Verdict(5, Level::kVeryHigh)});
  edge.Tell({.number = 1}, absl::Seconds(1));  // the set was read until about then
  edge.Tell({.number = 2}, absl::Seconds(30));
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(edge.VerdictOf(2) == v1::LOOKUP_VERDICT_INDICATOR);
  // As much as the set tells is told by both; more may have been withdrawn.
  for (const int number : {3, 5}) edge.Tell({.number = number}, absl::Seconds(1));  // HIGH
  edge.Tell({.number = 4}, absl::Seconds(30));
  CHECK(edge.VerdictOf(3) == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(edge.Ask(4).indicator().level() == v1::LEVEL_HIGH);
  CHECK(edge.Ask(5).indicator().level() == v1::LEVEL_HIGH);
}

TEST_CASE("a set that is older than the bound answers UNKNOWN", "[edge][first][age]") {
  Newcomer edge;
  edge.Use({Verdict(1)});
  edge.clock.Advance(absl::Seconds(60));
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_INDICATOR);
  edge.clock.Advance(absl::Seconds(1));
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(edge.VerdictOf(2) == v1::LOOKUP_VERDICT_UNKNOWN);
}

TEST_CASE("a set of other rights, or of another log, is not used", "[edge][first]") {
  Newcomer edge;
  const uint64_t before = edge.view->view_number();
  edge.Use({Verdict(1)});
  REQUIRE(edge.view->OnViewChanged({}).ok());
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_UNKNOWN);
  edge.view->UseFirstVerdicts(before, SetOf({Verdict(1)}, edge.clock.Monotonic()));  // was under way
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_UNKNOWN);
  edge.Use({Verdict(1)});
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_INDICATOR);
  v1::Opened opened;  // the same rights: it stays
  opened.set_snapshot_resumed(true);
  REQUIRE(edge.view->OnOpened(opened).ok());
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_INDICATOR);
  opened.mutable_effective_filter()->add_any_of()->set_level_min(v1::LEVEL_HIGH);  // they changed while it was away
  REQUIRE(edge.view->OnOpened(opened).ok());
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_UNKNOWN);
  edge.Use({Verdict(1)});
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_INDICATOR);
  REQUIRE(edge.view->Forget().ok());
  CHECK(edge.VerdictOf(1) == v1::LOOKUP_VERDICT_UNKNOWN);
}

TEST_CASE("rows of the format before are read", "[edge][rows]") {
  Row row;
  row.level = Level::kHigh;
  row.stamp = {3, 7, 9};
  row.answer = "answer";
  row.decided_at = kStart;
  const std::string bytes = EncodeRow(row);
  std::string before = bytes.substr(0, 39) + bytes.substr(47);
  before[0] = 1;
  const auto decoded = DecodeRow(before);
  REQUIRE(decoded.ok());
  CHECK(decoded->answer == "answer");
  CHECK(decoded->stamp == row.stamp);
  CHECK(decoded->decided_at == absl::InfinitePast());
  CHECK(DecodeRow(bytes)->decided_at == kStart);
  CHECK(DecodeRow(bytes)->answer == "answer");
  CHECK_FALSE(DecodeRow(bytes.substr(0, 44)).ok());
}

}  // namespace
}  // namespace hub::client
