// What callers of a local replica are answered: per item, and as a whole.
#include "libs/client/local_lookup.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/client/local_kit_test.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

struct Desk {
  Desk() {
    auto opened = LocalView::Open(&database, 0, &clock, &metrics);
    REQUIRE(opened.ok());
    view = *std::move(opened);
    view->OnSnapshotBegins();
    view->OnEvent(Event({.number = 1}));
    REQUIRE(view->OnBatch().ok());
    REQUIRE(view->OnSnapshotEnds().ok());
    REQUIRE(view->OnProgress(Progress("t1", kStart, kStart)).ok());
  }
  v1::LookupResponse Ask(const std::vector<std::string>& mobiles) {
    v1::LookupRequest request;
    for (const std::string& mobile : mobiles) {
      request.add_identifiers()->set_value(mobile);
      request.mutable_identifiers()->rbegin()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    }
    v1::LookupResponse response;
    LocalLookup lookup({[this] { return view; }, &clock, &metrics, absl::Seconds(60), /*allow_test_range=*/true});
    status = lookup.Lookup(request, &response);
    return response;
  }

  store::MemoryDatabase database{2};
  base::ManualClock clock{kStart};
  base::Metrics metrics;
  std::shared_ptr<LocalView> view;
  absl::Status status;
};

TEST_CASE("each identifier is answered for itself, however it is written", "[edge][lookup]") {
  Desk desk;
  const v1::LookupResponse response = desk.Ask({"0 55500-00001", "5550000002", "123"});
  REQUIRE(desk.status.ok());
  REQUIRE(response.results_size() == 3);
  CHECK(response.results(0).verdict() == v1::LOOKUP_VERDICT_INDICATOR);
  CHECK(response.results(0).complete_until().seconds() == absl::ToUnixSeconds(kStart));
  CHECK(response.results(1).verdict() == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(response.results(2).verdict() == v1::LOOKUP_VERDICT_INVALID);
  CHECK(response.results(2).field() == "identifiers[2].value");
  CHECK(response.results(2).error() != v1::ERROR_REASON_UNSPECIFIED);
}

TEST_CASE("data that is too old is UNKNOWN, for what is there and for what is not", "[edge][lookup][age]") {
  Desk desk;
  desk.clock.Advance(absl::Seconds(60));
  CHECK(desk.Ask({"5550000001"}).results(0).verdict() == v1::LOOKUP_VERDICT_INDICATOR);
  desk.clock.Advance(absl::Seconds(1));
  const v1::LookupResponse response = desk.Ask({"5550000001", "5550000002", "123"});
  CHECK(response.results(0).verdict() == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK_FALSE(response.results(0).has_indicator());
  CHECK(response.results(1).verdict() == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(response.results(2).verdict() == v1::LOOKUP_VERDICT_INVALID);
  desk.view = nullptr;  // the files are being fetched again
  CHECK(desk.Ask({"5550000001"}).results(0).verdict() == v1::LOOKUP_VERDICT_UNKNOWN);
}

TEST_CASE("each verdict's time and each answer's time are counted under how it ended", "[edge][lookup][metrics]") {
  Desk desk;
  desk.Ask({"5550000001", "5550000002", "5550000003", "123"});
  const std::string text = desk.metrics.Exposition();
  for (const char* what : {"verdict", "answer"}) {
    for (const auto& [ending, count] :
         {std::pair("indicator", 1), std::pair("no_indicator", 2), std::pair("invalid", 1), std::pair("unknown", 0)}) {
      const std::string line =
          absl::StrCat("fraudhub_edge_", what, "_seconds_count{verdict=\"", ending, "\"} ", count, "\n");
      CAPTURE(line);
      CHECK(absl::StrContains(text, line));
    }
  }
}

TEST_CASE("no identifier, or more than a thousand, is refused as a whole", "[edge][lookup]") {
  Desk desk;
  desk.Ask({});
  CHECK(model::RefusalOf(desk.status)->code == model::RefusalCode::kMissing);
  desk.Ask(std::vector<std::string>(1001, "5550000001"));
  CHECK(model::RefusalOf(desk.status)->code == model::RefusalCode::kTooManyItems);
  CHECK(desk.Ask(std::vector<std::string>(1000, "5550000001")).results_size() == 1000);
}

}  // namespace
}  // namespace hub::client
