// Slow, stalled and hostile clients, and a node that is short of something: each has a typed answer or a bounded cost.
#include "libs/rpc/egress_kit_test.h"

namespace hub::rpc {

TEST_CASE("a stalled writer is cancelled, then its connection is cut", "[rpc][egress]") {
  EgressOptions options;
  options.write_stalled_after = absl::Milliseconds(200);
  World world(options);
  world.board.padding = 256 * 1024;
  // Held by gRPC's flow control: a client that never reads.
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  world.board.produced = 1000;
  world.loop->Wake(EgressNews::kForAll);
  CHECK(Eventually([&] { return world.board.done == 1; }));
  CHECK(Eventually([&] { return world.loop->streams() == 0; }));
  CHECK(Eventually([&] { return world.Count("fraudhub_egress_cut_total") == 1; }));
  v1::SubscribeResponse response;
  while (stream->Read(&response)) {
  }
  CHECK(!stream->Finish().ok());
}

TEST_CASE("draining ends in time with a client that doesn't read, and stopping the server too", "[rpc][egress]") {
  World world;
  world.board.padding = 256 * 1024;
  grpc::ClientContext blocked_context;
  auto blocked = world.stub->Subscribe(&blocked_context);
  world.board.produced = 1000;
  world.loop->Wake(EgressNews::kForAll);
  REQUIRE(Eventually([&] { return world.loop->streams() == 1; }));
  const base::RealClock clock;
  const absl::Duration began = clock.Monotonic();
  world.server->Drain([&] { world.loop->Drain(absl::Milliseconds(300)); }, absl::Seconds(1));
  CHECK(clock.Monotonic() - began < absl::Seconds(4));
  CHECK(world.loop->streams() == 0);
  CHECK(world.board.done == 1);
}

TEST_CASE("a client that sends without end is read at a bounded rate, and others are served", "[rpc][egress]") {
  EgressOptions options;
  options.read_interval = absl::Milliseconds(50);
  World world(options);
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  const base::RealClock clock;
  const absl::Duration began = clock.Monotonic();
  v1::SubscribeRequest ack;
  (*ack.mutable_ack()->mutable_positions())[0] = 1;
  for (int i = 0; i < 200; ++i) REQUIRE(stream->Write(ack));
  // A burst of 16 and the opening message are free.
  CHECK(Eventually([&] { return world.board.messages_in >= 27; }));
  CHECK(clock.Monotonic() - began >= absl::Milliseconds(9 * 50));
  grpc::ClientContext other_context;
  auto other = world.stub->Subscribe(&other_context);
  world.board.produced = 1;
  world.loop->Wake(EgressNews::kForAll);
  v1::SubscribeResponse response;
  CHECK(other->Read(&response));
  context.TryCancel();
  other_context.TryCancel();
}

TEST_CASE("short of memory, streams that catch up go first, those that are current never", "[rpc][egress]") {
  std::atomic<int64_t> used{0};
  EgressOptions options;
  options.memory_bytes_max = 100;
  options.memory_used = [&used] { return used.load(); };
  World world(options);
  world.board.standing = [](int number) {
    return number == 0 ? EgressStanding::kCurrent : number == 1 ? EgressStanding::kParked : EgressStanding::kCatchup;
  };
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(world.stub->Subscribe(contexts.back().get()));
    REQUIRE(Eventually([&] { return world.loop->streams() == i + 1; }));
  }
  used = 101;
  v1::SubscribeResponse response;
  REQUIRE(streams[2]->Read(&response));  // its token
  CHECK(response.positions().count(99) == 1);
  CHECK(!streams[2]->Read(&response));
  CHECK(streams[2]->Finish().error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  while (streams[1]->Read(&response)) {
  }
  CHECK(streams[1]->Finish().error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  grpc::ClientContext late_context;
  auto late = world.stub->Subscribe(&late_context);
  CHECK(!late->Read(&response));
  CHECK(late->Finish().error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(world.loop->streams() == 1);
  world.board.produced = 1;
  world.loop->Wake(EgressNews::kForAll);
  CHECK(streams[0]->Read(&response));
  contexts[0]->TryCancel();
}

TEST_CASE("a stream that has come of age gets its farewell and ends UNAVAILABLE", "[rpc][egress]") {
  EgressOptions options;
  options.stream_age_max = absl::Milliseconds(200);
  World world(options);
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  v1::SubscribeResponse response;
  REQUIRE(stream->Read(&response));
  CHECK(response.positions().count(99) == 1);
  CHECK(!stream->Read(&response));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("streams are shared out evenly over the threads and each is served by one", "[rpc][egress]") {
  EgressOptions options;
  options.threads = 3;
  World world(options);
  constexpr int kStreams = 60;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < kStreams; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(world.stub->Subscribe(contexts.back().get()));
  }
  world.board.produced = 2;
  world.loop->Wake(EgressNews::kForAll);
  v1::SubscribeResponse response;
  for (auto& stream : streams) {
    REQUIRE(stream->Read(&response));
    REQUIRE(stream->Read(&response));
    CHECK(response.positions().at(0) == 1);
  }
  for (auto& context : contexts) context->TryCancel();
  CHECK(Eventually([&] { return world.loop->streams() == 0; }));
  CHECK(world.board.done == kStreams);
}

}  // namespace hub::rpc
