// A subscriber whose owner compares versions itself: every delivery reaches it, message by message.
#include <set>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/client/subscriber.h"
#include "libs/client/testing/fake_hub.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using Stream = FakeHubHooks::SubscribeStream;

void Add(const std::string& id, uint64_t version, v1::Event* event) {
  event->mutable_indicator()->set_indicator_id(id);
  event->mutable_version()->set_term(1);
  event->mutable_version()->set_version(version);
}

struct Play {
  absl::Status Run(std::vector<v1::SubscribeResponse> stream) {
    FakeHubHooks hooks;
    hooks.subscribe = [&](grpc::ServerContext*, Stream* out) -> grpc::Status {
      v1::SubscribeRequest request;
      out->Read(&request);
      {
        base::MutexLock lock(&mu);
        tokens.push_back(request.open().token());
        if (tokens.size() > 3) return {grpc::StatusCode::INVALID_ARGUMENT, "enough"};
      }
      for (const v1::SubscribeResponse& response : stream) out->Write(response);
      return {grpc::StatusCode::UNAVAILABLE, "gone"};
    };
    FakeHub hub(hooks);
    SubscriberOptions options;
    options.connection.server = hub.address();
    options.every_delivery = true;
    options.backoff_base = options.backoff_max = absl::Milliseconds(1);
    SubscriberHandlers handlers;
    handlers.on_event = [&](const v1::Event& event) {
      heard.push_back(absl::StrCat(event.indicator().indicator_id(), event.version().version()));
      return true;
    };
    handlers.on_batch = [&] {
      heard.push_back("|");
      return stores;
    };
    handlers.on_snapshot_begins = [&] { heard.push_back("begins"); };
    handlers.on_snapshot_ends = [&] { heard.push_back("ends"); };
    handlers.on_unchanged = [&](const std::string& id) { heard.push_back(absl::StrCat("unchanged ", id)); };
    handlers.on_progress = [&](const v1::Progress& progress) { heard.push_back(progress.token()); };
    return Subscriber::Run(options, {}, handlers, {});
  }
  base::Mutex mu;
  std::vector<std::string> tokens;
  std::vector<std::string> heard;
  bool stores = true;
};

TEST_CASE("Subscriber with every_delivery hands on what is old, a message at a time, before its token",
          "[client][subscriber]") {
  v1::SubscribeResponse first, second;
  Add("a", 2, first.add_events());
  Add("a", 1, first.add_events());
  Add("a", 2, second.add_events());
  second.mutable_progress()->set_token("t");
  Play play;
  CHECK(absl::IsInvalidArgument(play.Run({first, second})));
  REQUIRE(play.heard.size() == 3 * 6);
  play.heard.resize(6);
  CHECK(play.heard == std::vector<std::string>{"a2", "a1", "|", "a2", "|", "t"});
  CHECK(play.tokens == std::vector<std::string>{"", "t", "t", "t"});
}

TEST_CASE("a message that was not stored comes again, and its token does not count", "[client][subscriber]") {
  v1::SubscribeResponse message;
  Add("a", 1, message.add_events());
  message.mutable_progress()->set_token("t");
  Play play;
  play.stores = false;
  CHECK(absl::IsInvalidArgument(play.Run({message})));
  CHECK(play.heard == std::vector<std::string>{"a1", "|", "a1", "|", "a1", "|"});
  CHECK(play.tokens == std::vector<std::string>{"", "", "", ""});
}

TEST_CASE("a copy that was not stored is not taken for applied ahead", "[client][subscriber][urgent]") {
  v1::SubscribeResponse ahead;
  v1::UrgentCopy* copy = ahead.add_urgent();
  Add("u", 5, copy->mutable_event());
  copy->set_position(100);
  Play play;
  play.stores = false;
  CHECK(absl::IsInvalidArgument(play.Run({ahead})));
  CHECK(play.heard == std::vector<std::string>{"u5", "|", "u5", "|", "u5", "|"});
}

TEST_CASE("what was applied ahead of the order is spared when a snapshot begins", "[client][subscriber][snapshot]") {
  v1::SubscribeResponse ahead, begins, ends;
  v1::UrgentCopy* copy = ahead.add_urgent();
  Add("u", 5, copy->mutable_event());
  copy->set_position(100);
  begins.mutable_snapshot()->set_begins(true);
  begins.mutable_snapshot()->set_parts(1);
  Add("u", 4, begins.add_events());
  ends.mutable_snapshot()->set_ends(true);
  ends.mutable_snapshot()->set_parts(1);
  ends.mutable_snapshot()->set_parts_sent(1);
  ends.mutable_progress()->set_token("t");
  Play play;
  CHECK(absl::IsInvalidArgument(play.Run({ahead, begins, ends})));
  REQUIRE(play.heard.size() >= 8);
  play.heard.resize(8);
  CHECK(play.heard == std::vector<std::string>{"u5", "|", "begins", "unchanged u", "u4", "|", "ends", "t"});
}

}  // namespace
}  // namespace hub::client
