// A whole server on its own listener: real calls over both families, and connections that it ends.
#include "libs/rpc/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::rpc {
namespace {

namespace v1 = ::fraudhub::v1;

// Says what gRPC calls the caller, and tells the table of connections that it called, as the gate does.
class WhoAmI final : public v1::SubscriptionService::Service {
 public:
  explicit WhoAmI(Connections* connections) : connections_(connections) {}
  grpc::Status GetCursor(grpc::ServerContext* context, const v1::GetCursorRequest*, v1::GetCursorResponse* response) override {
    connections_->NoteCall(context->peer());
    response->mutable_state()->set_client_id(context->peer());
    return grpc::Status::OK;
  }

 private:
  Connections* const connections_;
};

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& target) {
  static int distinct = 0;  // equal channels would share a connection
  grpc::ChannelArguments arguments;
  arguments.SetInt("hub.test.distinct", ++distinct);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

// The peer's name by its own word; empty when the call fails.
std::string Ask(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));  // tidy:clock-ok gRPC's deadline
  v1::GetCursorResponse response;
  const grpc::Status status = v1::SubscriptionService::NewStub(channel)->GetCursor(&context, {}, &response);
  INFO(status.error_message());
  CHECK(status.ok());
  return response.state().client_id();
}

struct Stage {
  explicit Stage(const std::string& address, int connections_max = 0) : connections(Limits(connections_max), &metrics) {
    ServerOptions options;
    options.address = address;
    options.insecure_for_benches = true;
    options.connections = &connections;
    options.metrics = &metrics;
    auto started = Server::Start(options, {&service});
    INFO(started.status().ToString());
    REQUIRE(started.ok());
    server = *std::move(started);
  }
  static ConnectionLimits Limits(int connections_max) {
    ConnectionLimits limits;
    limits.connections_max = connections_max;
    return limits;
  }
  std::string At(const std::string& host) const { return absl::StrCat(host, ":", server->port()); }
  double Uncalled() { return metrics.AddGauge("fraudhub_connections_open", "", {{"stage", "no call yet"}}).Value(); }

  base::Metrics metrics;
  Connections connections;
  WhoAmI service{&connections};
  std::unique_ptr<Server> server;
};

}  // namespace

TEST_CASE("A server is called over IPv4 and IPv6, and cuts each caller by gRPC's name of it", "[rpc][server]") {
  const std::string address = GENERATE("127.0.0.1:0", "[::1]:0", "localhost:0");
  INFO(address);
  Stage stage(address);
  std::vector<std::string> hosts;
  if (address != "[::1]:0") hosts.push_back("ipv4:127.0.0.1");
  if (absl::StartsWith(address, "[")) hosts.push_back("ipv6:[::1]");
  for (const std::string& host : hosts) {
    INFO(host);
    const auto channel = ChannelTo(stage.At(host)), other = ChannelTo(stage.At(host));
    const std::string name = Ask(channel), other_name = Ask(other);
    REQUIRE(name != other_name);
    CHECK(stage.connections.Cut(name));
    CHECK(channel->WaitForStateChange(GRPC_CHANNEL_READY, std::chrono::system_clock::now() + std::chrono::seconds(10)));  // tidy:clock-ok gRPC's deadline
    CHECK(Ask(other) == other_name);  // the same connection still
    const std::string next = Ask(channel);
    CHECK(next != name);
    CHECK_FALSE(next.empty());
  }
}

// Tells its caller what gRPC calls the caller.
class Answers final : public v1::SubscriptionService::CallbackService {
  grpc::ServerUnaryReactor* GetCursor(grpc::CallbackServerContext* context, const v1::GetCursorRequest*,
                                      v1::GetCursorResponse* response) override {
    response->mutable_state()->set_client_id(context->peer());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

TEST_CASE("A request that can't be read is refused in words, not as an unknown method", "[rpc][server]") {
  base::Metrics metrics;
  Answers service;
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.clear_for_this_machine = true;
  options.metrics = &metrics;
  auto server = Server::Start(options, {&service});
  REQUIRE(server.ok());
  const auto stub = v1::SubscriptionService::NewStub(ChannelTo(absl::StrCat("127.0.0.1:", (*server)->port())));
  const auto ask = [&](const std::string& cursor) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));  // tidy:clock-ok gRPC's deadline
    v1::GetCursorRequest request;
    request.set_cursor(cursor);
    v1::GetCursorResponse response;
    return stub->GetCursor(&context, request, &response);
  };
  CHECK(ask("core").ok());
  const grpc::Status broken = ask("caf\xE9");
  CHECK(broken.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(absl::StrContains(broken.error_message(), "UTF-8"));
  CHECK(ask("core").ok());
}

TEST_CASE("A server with a table of its own keeps the connections of all who call", "[rpc][server]") {
  base::Metrics metrics;
  Answers service;
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.clear_for_this_machine = true;
  options.metrics = &metrics;
  auto server = Server::Start(options, {&service});
  REQUIRE(server.ok());
  const auto caller = ChannelTo(absl::StrCat("127.0.0.1:", (*server)->port()));
  REQUIRE_FALSE(Ask(caller).empty());
  const auto open = [&](const char* stage) {
    return metrics.AddGauge("fraudhub_connections_open", "", {{"stage", stage}}).Value();
  };
  CHECK(Eventually([&] { return open("any") >= 1 && open("no call yet") == 0; }));
}

TEST_CASE("A call keeps its connection from eviction, a health check does too, and nothing else", "[rpc][server]") {
  Stage stage("127.0.0.1:0");
  const auto silent = ChannelTo(stage.At("127.0.0.1"));
  REQUIRE(silent->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)));  // tidy:clock-ok gRPC's deadline
  REQUIRE(Eventually([&] { return stage.Uncalled() >= 1; }));
  const auto caller = ChannelTo(stage.At("127.0.0.1")), prober = ChannelTo(stage.At("127.0.0.1"));
  Ask(caller);
  grpc::GenericStub stub(prober);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice empty;
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::ByteBuffer(&empty, 1), &queue);
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  REQUIRE(queue.Next(&tag, &ok));
  CHECK(status.ok());
  // The canary's may be open for a moment.
  CHECK(Eventually([&] { return stage.connections.open() == 3 && stage.Uncalled() == 1; }));
}

TEST_CASE("A drain closes the listener at once", "[rpc][server]") {
  Stage stage("127.0.0.1:0");
  Ask(ChannelTo(stage.At("127.0.0.1")));
  bool refused = false;
  stage.server->Drain(
      [&] {
        const auto late = ChannelTo(stage.At("127.0.0.1"));
        refused = !late->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(500));  // tidy:clock-ok gRPC's deadline
      },
      absl::Seconds(1));
  CHECK(refused);
}

}  // namespace hub::rpc
