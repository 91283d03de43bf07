// An edge on an invented hub: where it begins, what it does when it is refused, what it does not lose.
#include "libs/client/stream_follower.h"

#include <atomic>

#include "libs/base/thread.h"
#include "libs/client/local_kit_test.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using Stream = FakeHubHooks::SubscribeStream;
using Script = std::function<grpc::Status(Stream*)>;

v1::SubscribeResponse Opened() {
  v1::SubscribeResponse response;
  response.mutable_opened()->set_stakeholder("bank");
  return response;
}
v1::SubscribeResponse Message(const std::vector<Told>& told, const std::string& token = "") {
  v1::SubscribeResponse response;
  for (const Told& one : told) *response.add_events() = Event(one);
  if (!token.empty()) *response.mutable_progress() = Progress(token, kStart, kStart);
  return response;
}
v1::SubscribeResponse Snapshot(const std::vector<Told>& told, const std::string& token) {
  v1::SubscribeResponse response = Message(told, token);
  response.mutable_snapshot()->set_begins(true);
  response.mutable_snapshot()->set_ends(true);
  response.mutable_snapshot()->set_parts(1);
  response.mutable_snapshot()->set_parts_sent(1);
  return response;
}
grpc::Status Refused(model::RefusalCode code) { return rpc::ToGrpc(model::Refuse(code, "open.token", "a test")); }
grpc::Status Gone() { return {grpc::StatusCode::UNAVAILABLE, "gone"}; }

struct Story {
  // The scripts, a stream each; when they are over the follower is stopped.
  void Play(std::vector<Script> scripts) {
    std::stop_source over;
    FakeHubHooks hooks;
    hooks.subscribe = [&](grpc::ServerContext*, Stream* stream) -> grpc::Status {
      v1::SubscribeRequest request;
      stream->Read(&request);
      size_t n = 0;
      {
        base::MutexLock lock(&mu);
        opens.push_back(request.open());
        n = ++played;
      }
      if (n <= scripts.size()) return scripts[n - 1](stream);
      over.request_stop();
      return Gone();
    };
    FakeHub hub(hooks);
    ConnectionOptions connection;
    connection.server = hub.address();
    auto opened = LocalView::Open(&database, 0, &clock, &metrics);
    REQUIRE(opened.ok());
    view = *std::move(opened);
    played = 0;
    StreamFollower(connection, "edge-1").Run(view.get(), over.get_token());
  }
  v1::LookupVerdict Verdict(int number) {
    v1::LookupResult result;
    const absl::Time hub_now = view->freshness().hub_now;
    view->Lookup(Number(number), hub_now, LocalView::Verdict(Number(number), hub_now, view->NewReader().get()),
                 &result);
    return result.verdict();
  }
  bool Flagged(int number) { return Verdict(number) == v1::LOOKUP_VERDICT_INDICATOR; }

  store::MemoryDatabase database{2};
  base::ManualClock clock{kStart};
  base::Metrics metrics;
  std::unique_ptr<LocalView> view;
  base::Mutex mu;
  std::vector<v1::SubscribeOpen> opens;
  size_t played = 0;
};

TEST_CASE("an edge with an empty disk begins with a snapshot, and after a restart goes on from its token",
          "[edge][stream]") {
  Story story;
  story.Play({[](Stream* stream) {
    stream->Write(Snapshot({{.number = 1}}, "t1"));
    stream->Write(Message({{.number = 2}}, "t2"));
    return Gone();
  }});
  CHECK(story.opens[0].start() == v1::STREAM_START_SNAPSHOT);
  CHECK(story.opens[0].urgent());
  CHECK(story.opens[0].client_id() == "edge-1");
  CHECK(story.opens[1].token() == "t2");
  story.Play({[](Stream* stream) {
    stream->Write(Message({{.number = 3}}));
    return Gone();
  }});
  CHECK(story.opens[2].token() == "t2");
  CHECK(story.Flagged(1));
  CHECK(story.Flagged(2));
  CHECK(story.Flagged(3));
}

TEST_CASE("a token that is too old: what is held stays until the snapshot has ended", "[edge][stream]") {
  const model::RefusalCode code = GENERATE(model::RefusalCode::kCursorTooOld, model::RefusalCode::kFilterChanged);
  Story story;
  bool meanwhile = false;
  story.Play({[](Stream* stream) {
                stream->Write(Opened());
                stream->Write(Snapshot({{.number = 1}, {.number = 2, .version = 7}}, "t1"));
                return Gone();
              },
              [&](Stream*) { return Refused(code); },
              [&](Stream* stream) {
                meanwhile = story.Flagged(1);
                stream->Write(Snapshot({{.number = 2, .version = 6}}, "t3"));
                return Gone();
              }});
  CHECK(story.opens[1].token() == "t1");
  CHECK(story.opens[2].start() == v1::STREAM_START_SNAPSHOT);
  CHECK(meanwhile);
  CHECK_FALSE(story.Flagged(1));
  CHECK(story.Flagged(2));
  CHECK(story.view->token() == "t3");
}

TEST_CASE("another log, or another hub: everything is begun afresh", "[edge][stream]") {
  const model::RefusalCode code = GENERATE(model::RefusalCode::kLogChanged, model::RefusalCode::kCursorInvalid);
  Story story;
  bool meanwhile = true;
  v1::LookupResult result;
  story.Play({[](Stream* stream) {
                stream->Write(Opened());
                stream->Write(Snapshot({{.number = 1}, {.number = 2, .version = 70, .term = 9}}, "t1"));
                return Gone();
              },
              [&](Stream*) { return Refused(code); },
              [&](Stream* stream) {
                meanwhile = story.Flagged(1);
                stream->Write(Snapshot({{.number = 2, .version = 3}}, "u1"));
                return Gone();
              }});
  CHECK_FALSE(meanwhile);
  story.view->Lookup(Number(2), kStart, {}, &result);
  CHECK(result.version().version() == 3);  // the first log's greater version says nothing
  CHECK(story.view->token() == "u1");
}

}  // namespace
}  // namespace hub::client
