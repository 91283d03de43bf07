// board and streams against two fan-out processes: what both say is put together, and one that is down hides nothing of the other.
#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/client/testing/fake_hub.h"
#include "services/hubctl/hubctl_kit_test.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kNobody[] = "127.0.0.1:1";

// bank-1's cursor "core", and an unnamed stream.
client::FakeHubHooks StreamsOf(bool connected, int64_t behind) {
  client::FakeHubHooks hooks;
  hooks.list_streams = [=](const v1::ListStreamsRequest&, v1::ListStreamsResponse* response) {
    auto* line = response->add_stakeholders();
    line->set_stakeholder("bank-1");
    auto* named = line->add_streams();
    named->set_cursor("core");
    named->set_connected(connected);
    named->set_records_behind(behind);
    line->add_streams()->set_connected(true);
    return absl::OkStatus();
  };
  hooks.list_standings = [](const v1::ListStandingsRequest&, v1::ListStandingsResponse* response) {
    response->add_standings()->set_stakeholder("bank-2");
    return absl::OkStatus();
  };
  return hooks;
}

}  // namespace

TEST_CASE("board puts the worst first, joins the word of all fan-out processes, and goes on with --watch",
          "[hubctl][board]") {
  const auto streams = [](bool connected, int64_t behind) {
    return [=](const v1::ListStreamsRequest&, v1::ListStreamsResponse* response) {
      for (const char* name : {"bank-1", "bank-2", "bank-3"}) {
        auto* line = response->add_stakeholders();
        line->set_stakeholder(name);
        auto* cursor = line->add_streams();
        cursor->set_cursor("core");
        cursor->set_connected(connected);
        cursor->set_records_behind(behind);
        cursor->mutable_lag()->set_seconds(name == std::string("bank-3") ? 90 : 1);
      }
      return absl::OkStatus();
    };
  };
  client::FakeHubHooks hooks, elsewhere;
  hooks.list_streams = streams(false, 1000);
  elsewhere.list_streams = streams(true, 3);
  hooks.list_standings = [](const v1::ListStandingsRequest&, v1::ListStandingsResponse* response) {
    for (const char* name : {"bank-1", "bank-2"}) {
      auto* standing = response->add_standings();
      standing->set_stakeholder(name);
      standing->set_corrections(5);
      standing->set_confirmed(name == std::string("bank-1") ? 5 : 4);
    }
    response->mutable_standings(1)->mutable_oldest_unconfirmed()->set_seconds(1'700'000'000);
    return absl::OkStatus();
  };
  client::FakeHub hub(hooks), other(elsewhere);
  const std::string both = absl::StrCat(hub.address(), ",", other.address());
  const Ran csv = RunAt(hub.address(), {"--stream-server", both, "--output", "csv", "board"});
  CHECK(csv.out ==
        "stakeholder,open,behind,lag,acked,owes,since,actions\n"
        "bank-2,1,3,1.000,,1/5,2023-11-14T22:13:20Z,\n"
        "bank-3,1,3,90.000,,,,\n"
        "bank-1,1,3,1.000,,0/5,,\n");
  const Ran watched =
      RunAt(hub.address(), {"board", "--watch", "--interval", "100ms", "--rounds", "2", "--limit", "1"});
  CHECK(watched.code == kDone);
  CHECK(std::count(watched.out.begin(), watched.out.end(), '\n') == 4);
  CHECK(Has(watched.out, "0.0\n"));  // the rate since the round before
  CHECK(RunAt(hub.address(), {"board", "--watch", "--interval", "now"}).code == kUsage);
}

TEST_CASE("A fan-out process that is down darkens neither board nor streams, and is named", "[hubctl][board]") {
  client::FakeHub hub(StreamsOf(true, 3));
  for (const std::string& servers :
       {absl::StrCat(kNobody, ",", hub.address()), absl::StrCat(hub.address(), ",", kNobody)}) {
    const Ran board = RunAt(hub.address(), {"--stream-server", servers, "--output", "csv", "board"});
    CHECK(board.code == kUnreachable);
    CHECK(Has(board.out, "\nbank-1,2,3,"));
    CHECK(Has(board.err, "127.0.0.1:1 can't be reached"));
    const Ran streams = RunAt(hub.address(), {"--stream-server", servers, "--output", "csv", "streams"});
    CHECK(streams.code == kUnreachable);
    CHECK(Has(streams.out, "bank-1,core,,yes,,3,"));
    CHECK(Has(streams.err, "127.0.0.1:1 can't be reached"));
  }
  // None at all: the standings are there all the same.
  const Ran dark = RunAt(hub.address(), {"--stream-server", "127.0.0.1:1,127.0.0.1:2", "--output", "csv", "board"});
  CHECK(dark.code == kUnreachable);
  CHECK(Has(dark.out, "\nbank-2,0,"));
  CHECK(Has(dark.err, "127.0.0.1:1 can't be reached"));
  CHECK(Has(dark.err, "127.0.0.1:2 can't be reached"));
  const Ran watched = RunAt(hub.address(), {"--stream-server", absl::StrCat(kNobody, ",", hub.address()), "board",
                                            "--watch", "--interval", "100ms", "--rounds", "2"});
  CHECK(watched.code == kDone);
  CHECK(std::count(watched.out.begin(), watched.out.end(), '\n') == 6);
  CHECK(Has(watched.err, "127.0.0.1:1 can't be reached"));
}

TEST_CASE("streams shows a named cursor once, as the process that has its stream knows it", "[hubctl][board]") {
  client::FakeHub has(StreamsOf(true, 3)), has_not(StreamsOf(false, 1000));
  for (const std::string& servers :
       {absl::StrCat(has.address(), ",", has_not.address()), absl::StrCat(has_not.address(), ",", has.address())}) {
    const Ran ran = RunAt(has.address(), {"--stream-server", servers, "--output", "csv", "streams"});
    CHECK(ran.code == kDone);
    CHECK(Has(ran.out, "bank-1,core,,yes,,3,"));
    CHECK_FALSE(Has(ran.out, "1000"));
    CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 4);  // a head, the cursor, two streams without a name
  }
}

}  // namespace hub::hubctl
