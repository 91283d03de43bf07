// Urgent copies at the client: applied once, before their order, and never undone by what the order brings later.
#include "libs/client/applied_ahead.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/client/subscriber.h"
#include "libs/client/testing/fake_hub.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using Stream = FakeHubHooks::SubscribeStream;

TEST_CASE("an entry lasts until the stream has passed its event", "[client][urgent]") {
  AppliedAhead ahead(10);
  ahead.Note("a", {1, 5, 0}, 0, 100);
  ahead.Note("b", {1, 2, 0}, 1, 7);
  CHECK(ahead.Covers("a", {1, 4, 0}));
  CHECK(ahead.Covers("a", {1, 5, 0}));
  CHECK_FALSE(ahead.Covers("a", {1, 6, 0}));
  CHECK_FALSE(ahead.Covers("c", {1, 1, 0}));
  ahead.Passed(0, 100);  // up to, not past
  CHECK(ahead.Spares("a"));
  ahead.Passed(0, 101);
  CHECK_FALSE(ahead.Spares("a"));
  CHECK(ahead.Spares("b"));
  ahead.Note("b", {1, 3, 0}, 1, 20);  // a newer one takes its place
  ahead.Passed(1, 8);
  CHECK(ahead.Spares("b"));
  ahead.Passed(1, 21);
  CHECK(ahead.size() == 0);
}

TEST_CASE("what can't be remembered is not to be applied", "[client][urgent]") {
  AppliedAhead ahead(1);
  CHECK(ahead.CanNote("a"));
  ahead.Note("a", {1, 1, 0}, 0, 5);
  CHECK(ahead.CanNote("a"));
  CHECK_FALSE(ahead.CanNote("b"));
  ahead.Passed(0, 6);
  CHECK(ahead.CanNote("b"));
}

void Set(v1::Event* event, const std::string& id, uint64_t version) {
  event->mutable_indicator()->set_indicator_id(id);
  event->mutable_version()->set_term(1);
  event->mutable_version()->set_version(version);
}

void AddCopy(v1::SubscribeResponse* batch, const std::string& id, uint64_t version, int64_t position) {
  Set(batch->add_urgent()->mutable_event(), id, version);
  batch->mutable_urgent()->rbegin()->set_position(position);
}

// What was handled, in order, of the batches of one stream; `acked`: what was acknowledged of the urgent lane. The stream ends after that
// acknowledgement if `awaited` (the last one before an end may be lost with the connection).
std::vector<std::string> Handled(const std::vector<v1::SubscribeResponse>& batches, SubscriberOptions options,
                                 int64_t* acked, bool* asked, bool awaited = false) {
  base::Mutex mu;
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext* context, Stream* stream) -> grpc::Status {
    v1::SubscribeRequest request;
    stream->Read(&request);
    {
      base::MutexLock lock(&mu);
      *asked = request.open().urgent();
    }
    v1::SubscribeResponse opened;
    opened.mutable_opened()->set_token("start");
    (*opened.mutable_opened()->mutable_positions())[0] = 10;
    stream->Write(opened);
    for (const auto& batch : batches) stream->Write(batch);
    const auto end = [&] {
      v1::SubscribeResponse progress;
      progress.mutable_progress()->set_token("end");
      stream->Write(progress);
    };
    if (!awaited) end();
    while (stream->Read(&request)) {
      base::MutexLock lock(&mu);
      for (const auto& [partition, position] : request.ack().urgent_positions()) *acked = position;
      if (awaited && !request.ack().urgent_positions().empty()) end();
    }
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  };
  FakeHub hub(hooks);
  options.connection.server = hub.address();
  std::vector<std::string> handled;
  std::stop_source stop;
  SubscriberHandlers handlers;
  handlers.on_event = [&](const v1::Event& event) {
    handled.push_back(absl::StrCat(event.indicator().indicator_id(), event.version().version()));
    return true;
  };
  handlers.on_progress = [&](const v1::Progress&) { stop.request_stop(); };
  CHECK(Subscriber::Run(options, {}, handlers, stop.get_token()).ok());
  return handled;
}

std::vector<v1::SubscribeResponse> Batches() {
  std::vector<v1::SubscribeResponse> batches(3);
  AddCopy(&batches[0], "a", 5, 90);
  AddCopy(&batches[0], "b", 3, 9);  // the stream starts at 10: passed
  (*batches[0].mutable_urgent_positions())[0] = 4;
  Set(batches[1].add_events(), "a", 3);
  Set(batches[1].add_events(), "c", 1);
  Set(batches[1].add_events(), "a", 4);
  (*batches[1].mutable_positions())[0] = 90;
  Set(batches[2].add_events(), "a", 5);
  Set(batches[2].add_events(), "a", 6);
  (*batches[2].mutable_positions())[0] = 92;
  return batches;
}

TEST_CASE("Subscriber handles a copy ahead, then neither it again nor what is older", "[client][subscriber][urgent]") {
  int64_t acked = 0;
  bool asked = false;
  CHECK(Handled(Batches(), {}, &acked, &asked, /*awaited=*/true) == std::vector<std::string>{"a5", "c1", "a6"});
  CHECK(asked);
  CHECK(acked == 4);
}

TEST_CASE("Subscriber keeps to that when it remembers no versions", "[client][subscriber][urgent]") {
  int64_t acked = 0;
  bool asked = false;
  SubscriberOptions options;
  options.versions_max = 0;
  CHECK(Handled(Batches(), options, &acked, &asked) == std::vector<std::string>{"a5", "c1", "a6"});
  options.ahead_max = 0;  // then copies wait for their order
  CHECK(Handled(Batches(), options, &acked, &asked) == std::vector<std::string>{"a3", "c1", "a4", "a5", "a6"});
}

TEST_CASE("Subscriber asks for no copies when told so", "[client][subscriber][urgent]") {
  int64_t acked = 0;
  bool asked = true;
  SubscriberOptions options;
  options.urgent = false;
  Handled({}, options, &acked, &asked);
  CHECK_FALSE(asked);
}

}  // namespace
}  // namespace hub::client
