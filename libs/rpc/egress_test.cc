// Streams through a real server on loopback, against scripted sources.
#include "libs/rpc/egress.h"

#include <grpcpp/support/byte_buffer.h>

#include <thread>
#include <utility>

#include "libs/rpc/egress_bytes.h"
#include "libs/rpc/egress_kit_test.h"

namespace hub::rpc {

TEST_CASE("messages arrive in order, and what the client sends gets to the source", "[rpc][egress]") {
  World world;
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  v1::SubscribeRequest ack;
  (*ack.mutable_ack()->mutable_positions())[0] = 1;
  REQUIRE(stream->Write(ack));
  world.board.produced = 1000;
  world.loop->Wake(EgressNews::kForAll);
  v1::SubscribeResponse response;
  for (int64_t i = 0; i < 1000; ++i) {
    REQUIRE(stream->Read(&response));
    REQUIRE(response.positions().at(0) == i);
  }
  CHECK(Eventually([&] { return world.board.messages_in == 1; }));
  context.TryCancel();
  CHECK(Eventually([&] { return world.board.done == 1 && world.loop->streams() == 0; }));
  CHECK(world.board.overlaps == 0);
}

TEST_CASE("a source's error ends its stream with it", "[rpc][egress]") {
  World world;
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  v1::SubscribeRequest request;
  request.mutable_open()->mutable_filter()->add_any_of();
  REQUIRE(stream->Write(request));
  world.board.allowed = false;
  v1::SubscribeResponse response;
  CHECK(!stream->Read(&response));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("a client that doesn't read costs bounded memory and delays nobody", "[rpc][egress]") {
  EgressOptions options;
  options.write_stalled_after = absl::Milliseconds(500);
  World world(options);
  world.board.padding = 64 * 1024;
  auto slow_stub = world.NewConnection();
  grpc::ClientContext slow_context, quick_context;
  auto slow = slow_stub->Subscribe(&slow_context);
  auto quick = world.stub->Subscribe(&quick_context);
  REQUIRE(Eventually([&] { return world.loop->streams() == 2; }));
  world.board.produced = 400;  // 25 MB
  world.loop->Wake(EgressNews::kForAll);
  v1::SubscribeResponse response;
  for (int64_t i = 0; i < 400; ++i) {
    REQUIRE(quick->Read(&response));
    REQUIRE(response.positions().at(0) == i);
  }
  // The stalled write ends the slow stream; the quick one stays.
  CHECK(Eventually([&] { return world.board.done == 1; }));
  CHECK(Eventually([&] { return world.loop->streams() == 1; }));
  slow_context.TryCancel();
  quick_context.TryCancel();
}

TEST_CASE("draining sends each stream its farewell, then ends it", "[rpc][egress]") {
  World world;
  constexpr int kStreams = 200, kPerConnection = 100;  // the server allows 128
  std::vector<std::unique_ptr<v1::SubscriptionService::Stub>> stubs;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < kStreams; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    if (i % kPerConnection == 0) stubs.push_back(world.NewConnection());
    streams.push_back(stubs.back()->Subscribe(contexts.back().get()));
  }
  world.board.produced = 3;
  world.loop->Wake(EgressNews::kForAll);
  v1::SubscribeResponse response;
  for (auto& stream : streams) {
    for (int64_t i = 0; i < 3; ++i) {
      REQUIRE(stream->Read(&response));
      REQUIRE(response.positions().at(0) == i);
    }
  }
  world.loop->Drain(absl::Milliseconds(200));
  CHECK(world.loop->streams() == 0);
  CHECK(world.board.done == kStreams);
  for (auto& stream : streams) {
    REQUIRE(stream->Read(&response));
    CHECK(response.positions().at(99) == 3);
    CHECK(!stream->Read(&response));
    CHECK(stream->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
  }
  grpc::ClientContext late;
  auto refused = world.stub->Subscribe(&late);
  CHECK(!refused->Read(&response));
  CHECK(refused->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("streams beyond the bound are refused with a time to come back", "[rpc][egress]") {
  EgressOptions options;
  options.streams_max = 1;
  World world(options);
  grpc::ClientContext first_context, second_context;
  auto first = world.stub->Subscribe(&first_context);
  REQUIRE(Eventually([&] { return world.loop->streams() == 1; }));
  auto second = world.stub->Subscribe(&second_context);
  v1::SubscribeResponse response;
  CHECK(!second->Read(&response));
  const grpc::Status status = second->Finish();
  CHECK(status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(status.error_details().find("RetryInfo") != std::string::npos);
  first_context.TryCancel();
}

TEST_CASE("a shared slice reaches gRPC without a copy and is let go afterwards", "[rpc][egress]") {
  const auto segment = std::make_shared<const std::string>(64 * 1024, 'x');
  const absl::string_view part = absl::string_view(*segment).substr(1000, 30'000);
  size_t bytes = 0;
  grpc::ByteBuffer buffer = ToByteBuffer({{segment, part}}, &bytes);
  CHECK(bytes == part.size());
  std::vector<grpc::Slice> slices;
  REQUIRE(buffer.Dump(&slices).ok());
  REQUIRE(slices.size() == 1);
  CHECK(reinterpret_cast<const char*>(slices[0].begin()) == part.data());
  CHECK(segment.use_count() == 2);
  slices.clear();
  buffer.Clear();
  CHECK(segment.use_count() == 1);
}

TEST_CASE("urgent news doesn't wait for the linger", "[rpc][egress]") {
  EgressOptions options;
  options.linger_min = options.linger_max = absl::Seconds(10);
  World world(options);
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  REQUIRE(Eventually([&] { return world.loop->streams() == 1; }));
  v1::SubscribeResponse response;
  const base::RealClock clock;
  constexpr int kRounds = 60;
  absl::Duration began;
  for (int64_t i = 0; i < kRounds; ++i) {
    if (i == 1) began = clock.Monotonic();
    ++world.board.produced;
    world.loop->Wake(EgressNews::kUrgent);
    REQUIRE(stream->Read(&response));
    REQUIRE(response.positions().at(0) == i);
  }
  // Without it each would wait for the linger's ten seconds.
  CHECK(clock.Monotonic() - began < absl::Seconds(3));
  context.TryCancel();
}

TEST_CASE("news for streams that catch up is for them only", "[rpc][egress]") {
  EgressOptions options;
  options.linger_min = options.linger_max = absl::Seconds(10);
  World world(options);
  world.board.has_more = false;
  world.board.standing = [](int number) { return number == 0 ? EgressStanding::kCurrent : EgressStanding::kCatchup; };
  grpc::ClientContext current_context, reader_context;
  auto current = world.stub->Subscribe(&current_context);
  REQUIRE(Eventually([&] { return world.loop->streams() == 1; }));
  auto reader = world.stub->Subscribe(&reader_context);
  REQUIRE(Eventually([&] { return world.loop->streams() == 2; }));
  v1::SubscribeResponse response;
  ++world.board.produced;
  world.loop->Wake(EgressNews::kForAll);  // from here on the linger holds for the one that is current
  REQUIRE(current->Read(&response));
  REQUIRE(reader->Read(&response));
  const int asked = world.board.asked_current;
  world.loop->Wake(EgressNews::kForAll);  // waits for the linger
  const base::RealClock clock;
  const absl::Duration began = clock.Monotonic();
  constexpr int kRounds = 60;
  for (int64_t i = 1; i <= kRounds; ++i) {
    ++world.board.produced;
    world.loop->Wake(EgressNews::kForReaders);
    REQUIRE(reader->Read(&response));
    REQUIRE(response.positions().at(0) == i);
  }
  CHECK(clock.Monotonic() - began < absl::Milliseconds(1500));  // by itself it is asked every 100 ms
  CHECK(world.board.asked_current == asked);
  current_context.TryCancel();
  reader_context.TryCancel();
}

TEST_CASE("what a stream waits for may come while it writes", "[rpc][egress]") {
  World world;
  world.board.padding = 1 << 20;
  world.board.standing = [](int) { return EgressStanding::kCatchup; };
  grpc::ClientContext context;
  auto reader = world.stub->Subscribe(&context);
  REQUIRE(Eventually([&] { return world.loop->streams() == 1; }));
  v1::SubscribeResponse response;
  const base::RealClock clock;
  const auto pass = [&clock](absl::Duration time) {
    for (const absl::Duration until = clock.Monotonic() + time; clock.Monotonic() < until;) std::this_thread::yield();
  };
  absl::Duration waited;
  constexpr int kRounds = 10;
  int64_t read = 0;
  for (int i = 0; i < kRounds; ++i) {
    // It writes until HTTP/2 lets no more through to a client that does not read.
    world.board.has_more = true;
    world.board.produced = 1'000'000;
    world.loop->Wake(EgressNews::kForReaders);
    int64_t sent = -1;
    while (std::exchange(sent, world.board.sent.load()) != world.board.sent || sent == read) {
      pass(absl::Milliseconds(20));
    }
    world.board.has_more = false;
    world.board.produced = sent + 1;
    world.loop->Wake(EgressNews::kForReaders);
    pass(absl::Milliseconds(5));  // the loop looks, and finds the stream writing
    for (; read < sent; ++read) REQUIRE(reader->Read(&response));
    const absl::Duration began = clock.Monotonic();
    REQUIRE(reader->Read(&response));
    REQUIRE(response.positions().at(0) == read++);
    waited += clock.Monotonic() - began;
  }
  CHECK(waited < absl::Milliseconds(300));  // by itself it is asked every 100 ms
  context.TryCancel();
}

TEST_CASE("a stream that is current is left alone until the next pass", "[rpc][egress]") {
  EgressOptions options;
  options.linger_min = options.linger_max = absl::Milliseconds(500);
  World world(options);
  world.board.has_more = false;  // or what comes while a message is under way would go at once
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  REQUIRE(Eventually([&] { return world.loop->streams() == 1; }));
  v1::SubscribeResponse response;
  int64_t read = 0;
  const auto next_pass = [&] {
    ++world.board.produced;
    world.loop->Wake(EgressNews::kForAll);
    REQUIRE(stream->Read(&response));
    REQUIRE(response.positions().at(0) == read++);
  };
  next_pass();
  const base::RealClock clock;
  const absl::Duration began = clock.Monotonic();
  for (int i = 0; i < 4; ++i) next_pass();
  CHECK(clock.Monotonic() - began > absl::Milliseconds(1500));  // asked every 100 ms: less than one second
  context.TryCancel();
}

}  // namespace hub::rpc
