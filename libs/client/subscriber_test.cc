#include "libs/client/subscriber.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/client/seen_versions.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "libs/wire/event_runs.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using Stream = FakeHubHooks::SubscribeStream;

v1::SubscribeResponse Batch(std::vector<std::pair<std::string, uint64_t>> events, int64_t position, const std::string& token = "") {
  v1::SubscribeResponse batch;
  for (const auto& [id, version] : events) {
    v1::Event* event = batch.add_events();
    event->mutable_indicator()->set_indicator_id(id);
    event->mutable_version()->set_term(1);
    event->mutable_version()->set_version(version);
  }
  (*batch.mutable_positions())[0] = position;
  if (!token.empty()) batch.mutable_progress()->set_token(token);
  return batch;
}

v1::SubscribeResponse Opened(const std::string& token) {
  v1::SubscribeResponse response;
  response.mutable_opened()->set_token(token);
  return response;
}

SubscriberOptions OptionsFor(const FakeHub& hub) {
  SubscriberOptions options;
  options.connection.server = hub.address();
  options.backoff_base = absl::Milliseconds(1);
  options.backoff_max = absl::Milliseconds(5);
  return options;
}

// Waits until the client goes away; the fake's way of keeping a stream open.
void UntilCancelled(grpc::ServerContext* context) {
  while (!context->IsCancelled()) std::this_thread::yield();
}

// Keeps what each stream was opened with.
class Opens {
 public:
  // The number of this stream, from 1.
  int Add(Stream* stream) {
    v1::SubscribeRequest request;
    stream->Read(&request);
    base::MutexLock lock(&mu_);
    opens_.push_back(request.open());
    return static_cast<int>(opens_.size());
  }
  std::vector<v1::SubscribeOpen> all() const {
    base::MutexLock lock(&mu_);
    return opens_;
  }

 private:
  mutable base::Mutex mu_;
  std::vector<v1::SubscribeOpen> opens_;
};

TEST_CASE("Subscriber goes to another address with its token when one is gone, without a pause", "[client][subscriber]") {
  Opens opens;
  const auto serve = [&](const std::string& name, bool* ended) {
    return [&opens, name, ended](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
      opens.Add(stream);
      stream->Write(Opened("start"));
      stream->Write(Batch({{name, 1}}, 5, "after " + name));
      if (std::exchange(*ended, true)) UntilCancelled(context);
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
    };
  };
  bool one_ended = false, two_ended = false;
  FakeHubHooks one, two;
  one.subscribe = serve("ind_one", &one_ended);
  two.subscribe = serve("ind_two", &two_ended);
  const FakeHub first(one), second(two);
  SubscriberOptions options = OptionsFor(first);
  options.connection.server = absl::StrCat(first.address(), ",127.0.0.1:1,", second.address());
  options.backoff_base = options.backoff_max = absl::Seconds(60);  // a pause would be noticed
  std::stop_source stop;
  std::set<std::string> seen;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event& event) {
    seen.insert(event.indicator().indicator_id());
    return true;
  };
  handlers.on_progress = [&](const v1::Progress&) {
    if (seen.size() == 2) stop.request_stop();
  };
  REQUIRE(Subscriber::Run(options, {}, handlers, stop.get_token()).ok());
  CHECK(seen == std::set<std::string>{"ind_one", "ind_two"});
  REQUIRE(opens.all().size() == 2);
  CHECK(absl::StartsWith(opens.all()[1].token(), "after "));
}

TEST_CASE("Subscriber takes events out of runs, and a damaged run is a break", "[client][subscriber]") {
  const auto in_runs = [](v1::SubscribeResponse batch, bool damaged) {
    v1::SubscribeResponse events;
    events.mutable_events()->Swap(batch.mutable_events());
    std::string bytes = batch.SerializeAsString();
    wire::AppendPackedRun(events.SerializeAsString(), events.events_size() + (damaged ? 1 : 0), &bytes);
    REQUIRE(batch.ParseFromString(bytes));
    return batch;
  };
  Opens opens;
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
    const bool first = opens.Add(stream) == 1;
    stream->Write(Opened("start"));
    stream->Write(in_runs(Batch({{"a", 1}, {"b", 1}}, 2, "after-2"), false));
    stream->Write(in_runs(Batch({{"c", 1}, {"d", 1}}, 4, "after-4"), first));
    UntilCancelled(context);
    return grpc::Status::OK;
  };
  const FakeHub hub(hooks);
  std::vector<std::string> applied;
  std::vector<absl::Status> breaks;
  std::stop_source stop;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event& event) {
    applied.push_back(event.indicator().indicator_id());
    return true;
  };
  handlers.on_disconnected = [&](const absl::Status& why, absl::Duration) { breaks.push_back(why); };
  handlers.on_progress = [&](const v1::Progress& progress) {
    if (progress.token() == "after-4") stop.request_stop();
  };
  REQUIRE(Subscriber::Run(OptionsFor(hub), {}, handlers, stop.get_token()).ok());
  CHECK(applied == std::vector<std::string>{"a", "b", "c", "d"});
  REQUIRE(breaks.size() == 1);
  CHECK(absl::IsDataLoss(breaks[0]));
  REQUIRE(opens.all().size() == 2);
  CHECK(opens.all()[0].packed());
  CHECK(opens.all()[1].token() == "after-2");
}

TEST_CASE("Subscriber resumes from the last progress and applies each version once", "[client][subscriber]") {
  Opens opens;
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
    const int n = opens.Add(stream);
    if (n == 1) {
      stream->Write(Opened("start"));
      stream->Write(Batch({{"a", 1}, {"b", 1}}, 2));
      return {grpc::StatusCode::UNAVAILABLE, "gone"};
    }
    if (n == 2) {
      stream->Write(Opened("start"));
      stream->Write(Batch({{"a", 1}, {"b", 1}, {"a", 2}}, 3, "after-3"));
      stream->Write(Batch({{"c", 1}}, 4));
      return {grpc::StatusCode::UNAVAILABLE, "gone"};
    }
    stream->Write(Opened("after-3"));
    stream->Write(Batch({{"c", 1}, {"a", 1}, {"d", 1}}, 5, "after-5"));
    UntilCancelled(context);
    return grpc::Status::OK;
  };
  FakeHub hub(hooks);
  std::vector<std::string> applied;
  std::stop_source stop;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event& event) {
    applied.push_back(absl::StrCat(event.indicator().indicator_id(), event.version().version()));
    return true;
  };
  handlers.on_progress = [&](const v1::Progress& progress) {
    if (progress.token() == "after-5") stop.request_stop();
  };
  CHECK(Subscriber::Run(OptionsFor(hub), {}, handlers, stop.get_token()).ok());
  CHECK(applied == std::vector<std::string>{"a1", "b1", "a2", "c1", "d1"});
  const auto all = opens.all();
  REQUIRE(all.size() == 3);
  CHECK(all[0].start() == v1::STREAM_START_NOW);
  CHECK(all[1].token() == "start");  // the token of the start: nothing between is lost
  CHECK(all[2].token() == "after-3");
}

TEST_CASE("Subscriber gets an event again that its handler refused", "[client][subscriber]") {
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
    Opens().Add(stream);
    stream->Write(Opened("start"));
    stream->Write(Batch({{"a", 1}, {"b", 1}}, 2, "after-2"));
    UntilCancelled(context);
    return grpc::Status::OK;
  };
  FakeHub hub(hooks);
  std::vector<std::string> applied;
  int refusals = 0;
  int disconnects = 0;
  std::stop_source stop;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event& event) {
    if (event.indicator().indicator_id() == "b" && refusals++ < 2) return false;
    applied.push_back(event.indicator().indicator_id());
    return true;
  };
  handlers.on_disconnected = [&](const absl::Status& why, absl::Duration) { disconnects += absl::IsAborted(why) ? 1 : 0; };
  handlers.on_progress = [&](const v1::Progress&) { stop.request_stop(); };
  CHECK(Subscriber::Run(OptionsFor(hub), {}, handlers, stop.get_token()).ok());
  CHECK(applied == std::vector<std::string>{"a", "b"});
  CHECK(disconnects == 2);
}

TEST_CASE("Subscriber pauses before it tries again what its own handler refused, however many addresses there are", "[client][subscriber]") {
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
    Opens().Add(stream);
    stream->Write(Opened("start"));
    stream->Write(Batch({{"a", 1}}, 1, "after-1"));
    stream->Write(Batch({{"b", 1}}, 2, "after-2"));
    UntilCancelled(context);
    return grpc::Status::OK;
  };
  FakeHub one(hooks), two(hooks);
  SubscriberOptions options = OptionsFor(one);
  options.connection.server = absl::StrCat(one.address(), ",", two.address());
  std::vector<absl::Duration> pauses;
  std::stop_source stop;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event& event) { return event.indicator().indicator_id() == "a"; };
  handlers.on_disconnected = [&](const absl::Status&, absl::Duration pause) {
    pauses.push_back(pause);
    if (pauses.size() == 20) stop.request_stop();
  };
  REQUIRE(Subscriber::Run(options, {}, handlers, stop.get_token()).ok());
  CHECK(std::count(pauses.begin(), pauses.end(), absl::ZeroDuration()) == 0);
}

TEST_CASE("Subscriber pauses when every address breaks right after its start", "[client][subscriber]") {
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext*, Stream* stream) -> grpc::Status {
    Opens().Add(stream);
    stream->Write(Opened("start"));
    stream->Write(Batch({{"a", 1}}, 1, "after-1"));
    return {grpc::StatusCode::INTERNAL, "a fault that all share"};
  };
  FakeHub one(hooks), two(hooks);
  SubscriberOptions options = OptionsFor(one);
  options.connection.server = absl::StrCat(one.address(), ",", two.address());
  std::vector<absl::Duration> pauses;
  std::stop_source stop;
  SubscriberHandlers handlers;
  handlers.on_disconnected = [&](const absl::Status&, absl::Duration pause) {
    pauses.push_back(pause);
    if (pauses.size() == 20) stop.request_stop();
  };
  REQUIRE(Subscriber::Run(options, {}, handlers, stop.get_token()).ok());
  // Only the first turn to the other address is free.
  CHECK(std::count(pauses.begin(), pauses.end(), absl::ZeroDuration()) == 1);
}

TEST_CASE("Subscriber acknowledges every tenth batch, few batches soon, and the rest within a second", "[client][subscriber]") {
  std::vector<int64_t> acks;
  absl::Duration few_took;
  const base::RealClock clock;
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext*, Stream* stream) -> grpc::Status {
    Opens().Add(stream);
    stream->Write(Opened("start"));
    int sent = 0;
    const auto write_to = [&](int end) {
      for (; sent < end; ++sent) stream->Write(Batch({{absl::StrCat("i", sent), 1}}, sent + 1));
    };
    v1::SubscribeRequest request;
    const auto read_to = [&](int end) {
      while (stream->Read(&request)) {
        acks.push_back(request.ack().positions().at(0));
        if (acks.back() == end) return;
      }
    };
    write_to(12);
    read_to(12);
    const absl::Duration before = clock.Monotonic();
    write_to(15);
    read_to(15);
    few_took = clock.Monotonic() - before;
    return {grpc::StatusCode::INVALID_ARGUMENT, "enough"};
  };
  FakeHub hub(hooks);
  CHECK(absl::IsInvalidArgument(Subscriber::Run(OptionsFor(hub), {}, {}, {})));
  REQUIRE(!acks.empty());
  CHECK(acks.size() <= 5);
  CHECK(acks.back() == 15);
  CHECK(few_took < absl::Milliseconds(900));
}

TEST_CASE("Subscriber's slow handler stops the hub's sending", "[client][subscriber]") {
  std::atomic<int> written{0};
  std::atomic<bool> held{true};
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
    Opens().Add(stream);
    stream->Write(Opened("start"));
    v1::SubscribeResponse batch = Batch({}, 1);
    batch.add_events()->mutable_indicator()->set_circle_of_issue(std::string(1 << 20, 'x'));  // 1 MiB
    while (!context->IsCancelled() && written < 500 && stream->Write(batch)) ++written;
    return {grpc::StatusCode::INVALID_ARGUMENT, "enough"};
  };
  FakeHub hub(hooks);
  std::stop_source stop;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event&) {
    held.wait(true);
    return true;
  };
  base::Thread subscriber("subscriber", [&](std::stop_token) { (void)Subscriber::Run(OptionsFor(hub), {}, handlers, stop.get_token()); });
  int before = -1;
  for (int calm = 0; calm < 20;) {  // written stands still
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // tidy:sleep-ok waits for the fake hub's threads
    calm = written == before ? calm + 1 : 0;
    before = written;
  }
  CHECK(written < 100);  // flow control holds at some megabytes
  stop.request_stop();
  held = false;
  held.notify_all();
  subscriber.Stop();
}

TEST_CASE("Subscriber reconnects when the hub falls silent, and waits as long as a drain asks", "[client][subscriber]") {
  Opens opens;
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
    const int n = opens.Add(stream);
    stream->Write(Opened("start"));
    if (n == 1) {
      UntilCancelled(context);
    } else if (n == 2) {
      v1::SubscribeResponse drain = Batch({{"a", 1}}, 1);
      drain.mutable_drain()->set_token("drained");
      drain.mutable_drain()->mutable_reconnect_after()->set_nanos(30'000'000);
      stream->Write(drain);
    } else {
      return {grpc::StatusCode::INVALID_ARGUMENT, "enough"};
    }
    return grpc::Status::OK;
  };
  FakeHub hub(hooks);
  auto options = OptionsFor(hub);
  options.silence_max = absl::Milliseconds(50);
  std::vector<absl::Duration> pauses;
  int events = 0;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event&) { return ++events > 0; };
  handlers.on_disconnected = [&](const absl::Status&, absl::Duration pause) { pauses.push_back(pause); };
  CHECK(absl::IsInvalidArgument(Subscriber::Run(options, {}, handlers, {})));
  CHECK(events == 1);
  REQUIRE(pauses.size() == 2);
  CHECK(pauses[1] >= absl::Milliseconds(30));
  CHECK(opens.all().back().token() == "drained");
}

TEST_CASE("Subscriber ends with a cursor refusal", "[client][subscriber]") {
  for (const auto code : {model::RefusalCode::kCursorTooOld, model::RefusalCode::kLogChanged, model::RefusalCode::kFilterChanged,
                          model::RefusalCode::kCursorInvalid, model::RefusalCode::kNotEntitled, model::RefusalCode::kCursorTaken}) {
    FakeHubHooks hooks;
    hooks.subscribe = [&](grpc::ServerContext*, Stream*) { return rpc::ToGrpc(model::Refuse(code, "", "no")); };
    FakeHub hub(hooks);
    const absl::Status status = Subscriber::Run(OptionsFor(hub), {}, {}, {});
    REQUIRE(model::RefusalOf(status).has_value());
    CHECK(model::RefusalOf(status)->code == code);
  }
}

TEST_CASE("Subscriber with a named cursor names it each time, and keeps no token", "[client][subscriber]") {
  Opens opens;
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext*, Stream* stream) -> grpc::Status {
    const int number = opens.Add(stream);
    stream->Write(Opened("start"));
    stream->Write(Batch({{"a", 1}}, 5, "token"));
    if (number == 1) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
    return rpc::ToGrpc(model::Refuse(model::RefusalCode::kCursorTaken, "open.cursor", "another's"));
  };
  FakeHub hub(hooks);
  SubscriberOptions options = OptionsFor(hub);
  options.cursor = "core";
  options.from_earliest = true;
  int events = 0;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event&) { return ++events > 0; };
  const absl::Status status = Subscriber::Run(options, {}, handlers, {});
  CHECK(model::RefusalOf(status)->code == model::RefusalCode::kCursorTaken);
  REQUIRE(opens.all().size() == 2);
  for (const v1::SubscribeOpen& open : opens.all()) {
    CHECK(open.from_case() == v1::SubscribeOpen::kCursor);
    CHECK(open.cursor() == "core");
    CHECK(open.cursor_start() == v1::STREAM_START_EARLIEST);
  }
  CHECK(events == 1);
}

TEST_CASE("SeenVersions orders by term, version, offset, and is bounded", "[client][subscriber]") {
  SeenVersions seen(2);
  CHECK(seen.IsNew("a", {1, 1, 1}));
  CHECK(seen.Note("a", {1, 5, 1}));
  CHECK_FALSE(seen.IsNew("a", {1, 5, 1}));
  CHECK_FALSE(seen.IsNew("a", {1, 4, 9}));
  CHECK(seen.IsNew("a", {1, 5, 2}));
  CHECK(seen.IsNew("a", {2, 1, 0}));
  CHECK(seen.Note("b", {1, 1, 1}));
  CHECK_FALSE(seen.Note("c", {1, 1, 1}));
  CHECK(seen.IsNew("c", {1, 1, 1}));
  CHECK(seen.Note("a", {2, 1, 0}));  // those it knows go on
  CHECK(seen.size() == 2);
}

}  // namespace
}  // namespace hub::client
