// A subscriber that begins with a snapshot or is sent one: what it sweeps, where it goes on, what it acknowledges.
#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/client/seen_versions.h"
#include "libs/client/subscriber.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using Stream = FakeHubHooks::SubscribeStream;

v1::SubscribeResponse Events(std::vector<std::pair<std::string, uint64_t>> events) {
  v1::SubscribeResponse response;
  for (const auto& [id, version] : events) {
    v1::Event* event = response.add_events();
    event->mutable_indicator()->set_indicator_id(id);
    event->mutable_version()->set_term(1);
    event->mutable_version()->set_version(version);
  }
  return response;
}
v1::SubscribeResponse Marked(v1::SubscribeResponse response, uint32_t sent, uint32_t parts,
                             const std::string& token = "") {
  response.mutable_snapshot()->set_parts_sent(sent);
  response.mutable_snapshot()->set_parts(parts);
  response.mutable_snapshot()->set_token(token);
  return response;
}
v1::SubscribeResponse Begins(v1::SubscribeResponse response) {
  response.mutable_snapshot()->set_begins(true);
  return response;
}
v1::SubscribeResponse Ends(v1::SubscribeResponse response, const std::string& token) {
  response.mutable_snapshot()->set_ends(true);
  response.mutable_progress()->set_token(token);
  return response;
}
v1::SubscribeResponse Opened(const std::string& token, bool resumed = false) {
  v1::SubscribeResponse response;
  response.mutable_opened()->set_token(token);
  response.mutable_opened()->set_snapshot_resumed(resumed);
  return response;
}

// A client that keeps what it is told, on a hub whose streams are scripts, one after the other; the last one ends it.
struct Story {
  using Script = std::function<grpc::Status(Stream*)>;
  absl::Status Play(SubscriberOptions options, std::vector<Script> scripts) {
    FakeHubHooks hooks;
    hooks.subscribe = [&](grpc::ServerContext*, Stream* stream) -> grpc::Status {
      v1::SubscribeRequest request;
      stream->Read(&request);
      size_t n = 0;
      {
        base::MutexLock lock(&mu);
        opens.push_back(request.open());
        n = opens.size();
      }
      if (n > scripts.size()) return {grpc::StatusCode::INVALID_ARGUMENT, "no more"};
      return scripts[n - 1](stream);
    };
    FakeHub hub(hooks);
    options.connection.server = hub.address();
    options.backoff_base = absl::Milliseconds(1);
    options.backoff_max = absl::Milliseconds(5);
    SubscriberHandlers handlers;
    handlers.on_event = [&](const v1::Event& event) {
      const std::string& id = event.indicator().indicator_id();
      history.push_back(event.left_view() ? absl::StrCat(id, "-") : absl::StrCat(id, event.version().version()));
      if (event.left_view()) {
        held.erase(id);
      } else {
        held[id] = event.version().version();
      }
      told.insert(event.indicator().indicator_id());
      return true;
    };
    handlers.on_unchanged = [&](const std::string& id) { told.insert(id); };
    handlers.on_removed = [&](const std::string& id) {
      removed.insert(id);
      held.erase(id);
    };
    handlers.on_snapshot_begins = [&] {
      ++begun;
      told.clear();
    };
    handlers.on_log_changed = [&] { ++logs; };
    handlers.on_snapshot_ends = [&] { ++ended; };
    handlers.on_view_changed = [&](const v1::ViewChanged&) { ++views; };
    return Subscriber::Run(options, {}, handlers, {});
  }
  static grpc::Status Breaks() { return {grpc::StatusCode::UNAVAILABLE, "gone"}; }
  static grpc::Status Over() { return {grpc::StatusCode::INVALID_ARGUMENT, "enough"}; }

  base::Mutex mu;
  std::vector<v1::SubscribeOpen> opens;
  std::map<std::string, uint64_t> held;
  std::vector<std::string> history;  // events handled: version, or - for what left the view
  std::set<std::string> removed;
  std::set<std::string> told;  // since the last snapshot began
  int begun = 0, ended = 0, views = 0, logs = 0;
};

TEST_CASE("A snapshot in the middle of a stream tells of everything that stays, also of what is handled already",
          "[client][subscriber][snapshot]") {
  Story story;
  const absl::Status end = story.Play({}, {[](Stream* stream) {
                                         stream->Write(Opened("start"));
                                         v1::SubscribeResponse before = Events({{"kept", 3}, {"raised", 1}, {"gone", 4}});
                                         v1::UrgentCopy* ahead = before.add_urgent();
                                         *ahead->mutable_event() = Events({{"ahead", 7}}).events(0);
                                         ahead->set_position(100);
                                         stream->Write(before);
                                         v1::SubscribeResponse changed = Begins(Events({{"kept", 3}, {"raised", 2}, {"ahead", 6}}));
                                         changed.mutable_view_changed();
                                         stream->Write(Marked(changed, 1, 1));
                                         stream->Write(Ends(Events({}), "after"));
                                         return Story::Over();
                                       }});
  CHECK(absl::IsInvalidArgument(end));
  CHECK(story.told == std::set<std::string>{"ahead", "kept", "raised"});
  CHECK(story.removed == std::set<std::string>{"gone"});
}

TEST_CASE("Subscriber forgets at a snapshot's end what it was not told of", "[client][subscriber][snapshot]") {
  Story story;
  SubscriberOptions options;
  options.snapshot_when_lost = true;
  const absl::Status end = story.Play(
      options, {[](Stream* stream) {
                  stream->Write(Opened("start"));
                  v1::SubscribeResponse first = Events({{"kept", 3}, {"raised", 1}, {"gone", 4}});
                  first.mutable_progress()->set_token("live");
                  stream->Write(first);
                  return Story::Breaks();
                },
                [](Stream*) {
                  return rpc::ToGrpc(model::Refuse(model::RefusalCode::kCursorTooOld, "open.token", "too old"),
                                     absl::ZeroDuration());
                },
                [](Stream* stream) {
                  stream->Write(Opened("inside"));
                  // An older version is no news, but the stream told of the indicator.
                  stream->Write(Begins(Marked(Events({{"kept", 2}}), 0, 2, "inside-0")));
                  stream->Write(Marked(Events({{"raised", 2}, {"new", 1}}), 2, 2));
                  stream->Write(Marked(Ends(Events({{"late", 1}}), "after"), 2, 2));
                  return Story::Over();
                }});
  CHECK(absl::IsInvalidArgument(end));
  CHECK(story.held == std::map<std::string, uint64_t>{{"kept", 3}, {"raised", 2}, {"new", 1}, {"late", 1}});
  CHECK(story.removed == std::set<std::string>{"gone"});
  CHECK(story.begun == 1);
  CHECK(story.logs == 0);
  CHECK(story.ended == 1);
  CHECK(story.opens[1].token() == "live");
  CHECK(story.opens[2].start() == v1::STREAM_START_SNAPSHOT);
}

TEST_CASE("Subscriber without the option ends with the refusal", "[client][subscriber][snapshot]") {
  Story story;
  SubscriberOptions options;
  options.token = "old";
  const absl::Status end =
      story.Play(options, {[](Stream*) {
                   return rpc::ToGrpc(model::Refuse(model::RefusalCode::kLogChanged, "open.token", "another log"),
                                      absl::ZeroDuration());
                 }});
  CHECK(model::RefusalOf(end)->code == model::RefusalCode::kLogChanged);
}

TEST_CASE("Subscriber takes versions of another log at their word", "[client][subscriber][snapshot]") {
  Story story;
  SubscriberOptions options;
  options.snapshot_when_lost = true;
  (void)story.Play(options, {[](Stream* stream) {
                               stream->Write(Opened("start"));
                               stream->Write(Events({{"a", 9}, {"b", 9}}));
                               return Story::Breaks();
                             },
                             [](Stream*) {
                               return rpc::ToGrpc(
                                   model::Refuse(model::RefusalCode::kLogChanged, "open.token", "another"),
                                   absl::ZeroDuration());
                             },
                             [](Stream* stream) {
                               stream->Write(Opened("inside"));
                               stream->Write(Begins(Marked(Events({{"a", 2}}), 1, 1)));
                               stream->Write(Marked(Ends({}, "after"), 1, 1));
                               return Story::Over();
                             }});
  CHECK(story.held == std::map<std::string, uint64_t>{{"a", 2}});
  CHECK(story.logs == 1);
}

TEST_CASE("Subscriber goes on inside a snapshot, with what it was told before the break",
          "[client][subscriber][snapshot]") {
  Story story;
  SubscriberOptions options;
  options.from_snapshot = true;
  (void)story.Play(options, {[](Stream* stream) {
                               stream->Write(Opened("inside-0"));
                               stream->Write(Begins(Marked(Events({{"a", 1}}), 1, 2, "inside-1")));
                               return Story::Breaks();
                             },
                             [](Stream* stream) {
                               stream->Write(Opened("inside-1", /*resumed=*/true));
                               stream->Write(Marked(Events({{"b", 1}}), 2, 2));
                               stream->Write(Marked(Ends({}, "after"), 2, 2));
                               return Story::Breaks();
                             },
                             [](Stream*) { return Story::Over(); }});
  CHECK(story.opens[0].start() == v1::STREAM_START_SNAPSHOT);
  CHECK(story.opens[1].token() == "inside-1");
  CHECK(story.opens[2].token() == "after");
  CHECK(story.removed.empty());
  CHECK(story.held.size() == 2);
  CHECK(story.ended == 1);
}

TEST_CASE("Subscriber does not go on inside a snapshot whose beginning another process saw",
          "[client][subscriber][snapshot]") {
  Story story;
  SubscriberOptions options;
  options.token = "inside-1";
  (void)story.Play(options, {[](Stream* stream) {
                               stream->Write(Opened("inside-1", /*resumed=*/true));
                               v1::SubscribeRequest request;
                               stream->Read(&request);  // until the client goes
                               return Story::Breaks();
                             },
                             [](Stream*) { return Story::Over(); }});
  REQUIRE(story.opens.size() == 2);
  CHECK(story.opens[1].start() == v1::STREAM_START_SNAPSHOT);
}

TEST_CASE("Subscriber follows a change of its view by the snapshot that comes with it",
          "[client][subscriber][snapshot]") {
  Story story;
  (void)story.Play({}, {[](Stream* stream) {
                          stream->Write(Opened("start"));
                          v1::SubscribeResponse first = Events({{"a", 1}, {"b", 1}});
                          first.mutable_progress()->set_token("live");
                          stream->Write(first);
                          v1::SubscribeResponse changed;
                          changed.mutable_view_changed();
                          stream->Write(changed);
                          return Story::Breaks();  // before the snapshot: the old token is worth nothing
                        },
                        [](Stream* stream) {
                          stream->Write(Opened("inside"));
                          stream->Write(Begins(Marked(Events({{"a", 1}}), 1, 1)));
                          stream->Write(Marked(Ends({}, "after"), 1, 1));
                          return Story::Over();
                        }});
  CHECK(story.views == 1);
  REQUIRE(story.opens.size() == 2);
  CHECK(story.opens[1].start() == v1::STREAM_START_SNAPSHOT);
  CHECK(story.held == std::map<std::string, uint64_t>{{"a", 1}});
}

TEST_CASE("What left a narrow view is there again when the view is wide again, though its version is the same", "[client][subscriber][snapshot]") {
  Story story;
  (void)story.Play({}, {[](Stream* stream) {
                          stream->Write(Opened("start"));
                          stream->Write(Events({{"back", 1}, {"away", 1}}));
                          v1::SubscribeResponse left = Events({{"back", 2}});
                          left.mutable_events(0)->set_left_view(true);
                          stream->Write(left);
                          v1::SubscribeResponse wide = Begins(Events({{"back", 2}, {"away", 1}}));
                          wide.mutable_view_changed();
                          stream->Write(Ends(wide, "wide"));
                          // Narrow again; the log's tail tells anew of what a part had not shown any more.
                          v1::SubscribeResponse narrow = Begins(Events({{"away", 1}}));
                          narrow.mutable_view_changed();
                          narrow.mutable_events(0)->set_left_view(true);
                          stream->Write(Ends(narrow, "narrow"));
                          return Story::Over();
                        }});
  CHECK(story.history == std::vector<std::string>{"back1", "away1", "back-", "back2", "away-"});
  CHECK(story.removed == std::set<std::string>{"back"});
  CHECK(story.held.empty());
}

TEST_CASE("Subscriber acknowledges the parts of a snapshot", "[client][subscriber][snapshot]") {
  Story story;
  SubscriberOptions options;
  options.from_snapshot = true;
  std::vector<uint32_t> acked;
  (void)story.Play(options, {[&](Stream* stream) {
                     stream->Write(Opened("inside-0"));
                     for (uint32_t part = 1; part <= 12; ++part) {
                       v1::SubscribeResponse response = Marked(Events({{absl::StrCat("i", part), 1}}), part, 20);
                       stream->Write(part == 1 ? Begins(response) : response);
                     }
                     v1::SubscribeRequest request;
                     while (stream->Read(&request)) {
                       acked.push_back(request.ack().snapshot_parts());
                       if (acked.back() == 12) break;
                     }
                     return Story::Over();
                   }});
  CHECK(acked == std::vector<uint32_t>{10, 12});
}

TEST_CASE("SeenVersions spares what was told of while a snapshot ran", "[client][snapshot]") {
  SeenVersions seen(3, /*keep_ids=*/true);
  CHECK(seen.Note("a", {1, 1, 0}));
  CHECK(seen.Note("b", {1, 1, 0}));
  CHECK(seen.Note("left", {1, 1, 0}, /*held=*/false));
  CHECK(!seen.Note("d", {1, 1, 0}));
  seen.Tell("b");  // before it begins: counts for nothing
  seen.BeginSnapshot(false);
  seen.Tell("a");
  std::vector<std::string> removed;
  seen.Sweep([&](const std::string& id) { removed.push_back(id); });
  CHECK(removed == std::vector<std::string>{"b"});
  CHECK(seen.size() == 1);
  CHECK(!seen.IsNew("a", {1, 1, 0}));
  CHECK(seen.IsNew("b", {1, 1, 0}));
}

}  // namespace
}  // namespace hub::client
