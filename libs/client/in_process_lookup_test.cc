// A replica inside of a program, on an invented hub and a real disk: what it answers while it is told, when the hub is gone, and after the
// program was ended.
#include "libs/client/in_process_lookup.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/client/local_kit_test.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using Stream = FakeHubHooks::SubscribeStream;

// The hub: a snapshot with one flag to who has no token, then what the test says, until the program leaves.
struct Bank {
  Bank() {
    hooks.subscribe = [this](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
      v1::SubscribeRequest request;
      stream->Read(&request);
      if (away) return {grpc::StatusCode::UNAVAILABLE, "away"};
      v1::SubscribeResponse response;
      response.mutable_opened()->set_stakeholder("bank");
      if (request.open().start() == v1::STREAM_START_SNAPSHOT) {
        ++snapshots;
        response.mutable_snapshot()->set_begins(true);
        response.mutable_snapshot()->set_ends(true);
        response.mutable_snapshot()->set_parts(1);
        response.mutable_snapshot()->set_parts_sent(1);
        *response.add_events() = Event({.number = 1});
        *response.mutable_progress() = Progress("t1", kStart, kStart);
      }
      stream->Write(response);
      const auto over = [&] { return context->IsCancelled() || away; };
      Eventually([&] { return over() || cleared; }, absl::Hours(1));
      if (!over()) {
        v1::SubscribeResponse event;
        *event.add_events() = Event({.number = 1, .version = 2, .left_view = true});
        *event.mutable_progress() = Progress("t2", kStart, kStart);
        stream->Write(event);
      }
      Eventually(over, absl::Hours(1));
      return {grpc::StatusCode::UNAVAILABLE, "over"};
    };
    hub = std::make_unique<FakeHub>(hooks);
  }

  absl::StatusOr<std::unique_ptr<InProcessLookup>> Open() {
    const ConnectionOptions connection{.server = hub->address()};
    return InProcessLookup::Open({folder.path(), connection, connection, "program", absl::Seconds(60)},
                                 /*allow_test_range=*/true, &clock);
  }
  void Start() {
    lookup.reset();
    auto opened = Open();
    REQUIRE(opened.ok());
    lookup = *std::move(opened);
  }
  v1::LookupVerdict Ask(int number) {
    v1::LookupRequest request;
    v1::RawIdentifier* const identifier = request.add_identifiers();
    identifier->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    identifier->set_value(Number(number).canonical);
    const auto answer = lookup->Get(request, absl::ZeroDuration());
    return answer.ok() ? answer->results(0).verdict() : v1::LOOKUP_VERDICT_UNSPECIFIED;
  }
  bool Soon(int number, v1::LookupVerdict verdict) {
    return Eventually([&] { return Ask(number) == verdict; });
  }

  store::TempDir folder;
  base::ManualClock clock{kStart};
  std::atomic<bool> away{false}, cleared{false};
  std::atomic<int> snapshots{0};
  FakeHubHooks hooks;
  std::unique_ptr<FakeHub> hub;
  std::unique_ptr<InProcessLookup> lookup;
};

TEST_CASE("a program's own replica answers what the hub told it, and otherwise after a correction",
          "[client][in_process]") {
  Bank bank;
  bank.Start();
  CHECK(bank.Soon(1, v1::LOOKUP_VERDICT_INDICATOR));
  CHECK(bank.Ask(2) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(bank.lookup->age() == absl::ZeroDuration());
  CHECK(
      absl::StrContains(bank.lookup->metrics().Exposition(), "fraudhub_edge_lookups_total{verdict=\"indicator\"} 1\n"));
  bank.cleared = true;
  CHECK(bank.Soon(1, v1::LOOKUP_VERDICT_NO_INDICATOR));
  CHECK(bank.Ask(1) == v1::LOOKUP_VERDICT_NO_INDICATOR);
}

TEST_CASE("with the hub away it answers from its own disk, also after it was ended, until that is too old",
          "[client][in_process]") {
  Bank bank;
  bank.Start();
  CHECK(bank.Ask(1) != v1::LOOKUP_VERDICT_NO_INDICATOR);  // nothing is known before it is complete
  CHECK(bank.Soon(1, v1::LOOKUP_VERDICT_INDICATOR));
  bank.away = true;
  bank.Start();
  CHECK(bank.Ask(1) == v1::LOOKUP_VERDICT_INDICATOR);  // at once
  CHECK(bank.Ask(2) == v1::LOOKUP_VERDICT_NO_INDICATOR);
  bank.clock.Advance(absl::Seconds(60));
  CHECK(bank.Ask(1) == v1::LOOKUP_VERDICT_INDICATOR);
  bank.clock.Advance(absl::Seconds(1));
  CHECK(bank.Ask(1) == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(bank.Ask(2) == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK(bank.lookup->age() == absl::Seconds(61));
  CHECK(bank.snapshots == 1);
}

TEST_CASE("a folder is one program's at a time, and an address must be one", "[client][in_process]") {
  Bank bank;
  bank.Start();
  CHECK(absl::IsFailedPrecondition(bank.Open().status()));
  const auto bad = InProcessLookup::Open({bank.folder.path(), {.server = "nowhere"}, {.server = "nowhere"}},
                                         /*allow_test_range=*/true, &bank.clock);
  CHECK(absl::IsInvalidArgument(bad.status()));
}

TEST_CASE("a folder whose files are damaged is set aside, and what it held is fetched again", "[client][in_process]") {
  Bank bank;
  bank.Start();
  CHECK(bank.Soon(1, v1::LOOKUP_VERDICT_INDICATOR));
  bank.lookup.reset();
  for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat(bank.folder.path(), "/replica"))) {
    if (absl::StartsWith(entry.path().filename().string(), "MANIFEST")) {
      std::ofstream(entry.path(), std::ios::binary) << "not what RocksDB wrote";
    }
  }
  bank.Start();
  CHECK(Eventually([&] {
    bank.clock.Advance(absl::Milliseconds(100));  // it waits a little before it opens them anew
    return bank.Ask(1) == v1::LOOKUP_VERDICT_INDICATOR;
  }));
  CHECK(bank.snapshots == 2);
  bool kept = false;
  for (const auto& entry : std::filesystem::directory_iterator(bank.folder.path())) {
    kept = kept || absl::StartsWith(entry.path().filename().string(), "replica.damaged-");
  }
  CHECK(kept);
}

}  // namespace
}  // namespace hub::client
