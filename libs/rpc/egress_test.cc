// Streams through a real server on loopback, against scripted sources.
#include "libs/rpc/egress.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>

#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/rpc/server.h"
#include "tests/catch.h"

namespace hub::rpc {
namespace {

namespace v1 = ::fraudhub::v1;
using Stream = grpc::ClientReaderWriter<v1::SubscribeRequest, v1::SubscribeResponse>;

std::vector<EgressSlice> Message(int partition, int64_t position, size_t padding = 0) {
  v1::SubscribeResponse response;
  (*response.mutable_positions())[partition] = position;
  if (padding > 0) response.mutable_opened()->set_stakeholder(std::string(padding, 'x'));
  auto bytes = std::make_shared<const std::string>(response.SerializeAsString());
  return {{bytes, *bytes}};
}

// What the sources of one test share.
struct Board {
  std::atomic<int64_t> produced{0};  // messages that every stream is to get
  std::atomic<int> done{0};
  std::atomic<int> messages_in{0};
  std::atomic<int> concurrent{0}, overlaps{0};
  std::atomic<bool> allowed{true};
  size_t padding = 0;
};

class Counting final : public EgressSource {
 public:
  explicit Counting(Board* board) : board_(board) {}
  absl::Status OnMessage(absl::string_view bytes) override {
    Alone alone(board_);
    ++board_->messages_in;
    v1::SubscribeRequest request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::InvalidArgumentError("not a request");
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<EgressSlice>> Next() override {
    Alone alone(board_);
    if (sent_ >= board_->produced.load()) return std::vector<EgressSlice>();
    return Message(0, sent_++, board_->padding);
  }
  absl::Status StillAllowed() override {
    return board_->allowed ? absl::OkStatus() : absl::PermissionDeniedError("no longer");
  }
  std::vector<EgressSlice> Farewell() override {
    Alone alone(board_);
    return Message(99, sent_);
  }
  void OnDone() override { ++board_->done; }

 private:
  struct Alone {
    explicit Alone(Board* b) : board(b) {
      if (board->concurrent.fetch_add(1) != 0) ++board->overlaps;
    }
    ~Alone() { board->concurrent.fetch_sub(1); }
    Board* board;
  };
  Board* const board_;
  int64_t sent_ = 0;
};

class Service final : public v1::SubscriptionService::WithRawCallbackMethod_Subscribe<v1::SubscriptionService::Service> {
 public:
  Service(EgressLoop* loop, Board* board) : loop_(loop), board_(board) {}
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Subscribe(grpc::CallbackServerContext* context) override {
    return loop_->Serve(context, std::make_unique<Counting>(board_), absl::OkStatus());
  }

 private:
  EgressLoop* const loop_;
  Board* const board_;
};

class World {
 public:
  explicit World(const EgressOptions& options = {}) : loop(EgressLoop::Start(options, &metrics)), service_(loop.get(), &board) {
    ServerOptions server_options;
    server_options.address = "127.0.0.1:0";
    server_options.insecure_for_benches = true;
    auto started = Server::Start(server_options, {&service_});
    REQUIRE(started.ok());
    server = std::move(*started);
    stub = NewConnection();
  }
  std::unique_ptr<v1::SubscriptionService::Stub> NewConnection() {
    grpc::ChannelArguments distinct;  // equal channels would share a connection
    distinct.SetInt("hub.test.distinct", ++connections_);
    return v1::SubscriptionService::NewStub(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server->port()),
                                                                      grpc::InsecureChannelCredentials(), distinct));
  }
  ~World() {
    server->Drain([this] { loop->Drain(absl::ZeroDuration()); }, absl::Seconds(1));
  }

  // True when it held within ten seconds.
  static bool Eventually(const std::function<bool()>& condition) {
    const base::RealClock clock;
    const absl::Duration until = clock.Monotonic() + absl::Seconds(10);
    base::Mutex mu;
    base::CondVar never;
    while (!condition()) {
      if (clock.Monotonic() > until) return false;
      base::MutexLock lock(&mu);
      never.WaitFor(&mu, absl::Milliseconds(2));
    }
    return true;
  }

  base::Metrics metrics;
  Board board;
  std::unique_ptr<EgressLoop> loop;
  std::unique_ptr<Server> server;
  std::unique_ptr<v1::SubscriptionService::Stub> stub;

 private:
  Service service_;
  int connections_ = 0;
};

}  // namespace

TEST_CASE("messages arrive in order, and what the client sends gets to the source", "[rpc][egress]") {
  World world;
  grpc::ClientContext context;
  auto stream = world.stub->Subscribe(&context);
  v1::SubscribeRequest ack;
  (*ack.mutable_ack()->mutable_positions())[0] = 1;
  REQUIRE(stream->Write(ack));
  world.board.produced = 1000;
  world.loop->Wake();
  v1::SubscribeResponse response;
  for (int64_t i = 0; i < 1000; ++i) {
    REQUIRE(stream->Read(&response));
    REQUIRE(response.positions().at(0) == i);
  }
  CHECK(World::Eventually([&] { return world.board.messages_in == 1; }));
  context.TryCancel();
  CHECK(World::Eventually([&] { return world.board.done == 1 && world.loop->streams() == 0; }));
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
  REQUIRE(World::Eventually([&] { return world.loop->streams() == 2; }));
  world.board.produced = 400;  // 25 MB
  world.loop->Wake();
  v1::SubscribeResponse response;
  for (int64_t i = 0; i < 400; ++i) {
    REQUIRE(quick->Read(&response));
    REQUIRE(response.positions().at(0) == i);
  }
  // The stalled write ends the slow stream; the quick one stays.
  CHECK(World::Eventually([&] { return world.board.done == 1; }));
  CHECK(world.loop->streams() == 1);
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
  world.loop->Wake();
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
  REQUIRE(World::Eventually([&] { return world.loop->streams() == 1; }));
  auto second = world.stub->Subscribe(&second_context);
  v1::SubscribeResponse response;
  CHECK(!second->Read(&response));
  const grpc::Status status = second->Finish();
  CHECK(status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(status.error_details().find("RetryInfo") != std::string::npos);
  first_context.TryCancel();
}

}  // namespace hub::rpc
