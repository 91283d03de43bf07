// A server on loopback whose streams are scripted: what the tests of the egress share.
#pragma once

#include <grpcpp/grpcpp.h>  // tidy:third-party-ok test header

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fraudhub/v1/subscription.grpc.pb.h"  // tidy:third-party-ok test header
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/server.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::rpc {

namespace v1 = ::fraudhub::v1;
using Stream = grpc::ClientReaderWriter<v1::SubscribeRequest, v1::SubscribeResponse>;

inline std::vector<EgressSlice> Message(int partition, int64_t position, size_t padding = 0) {
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
  std::atomic<int> accepted{0}, asked_current{0};
  std::atomic<int64_t> sent{0};
  std::atomic<bool> has_more{true};
  std::function<EgressStanding(int)> standing;  // of the n-th stream that was accepted, from 0 on; null: current
  size_t padding = 0;
};

class Counting final : public EgressSource {
 public:
  explicit Counting(Board* board) : board_(board), number_(board->accepted++) {}
  absl::Status OnMessage(absl::string_view bytes) override {
    Alone alone(board_);
    ++board_->messages_in;
    v1::SubscribeRequest request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return absl::InvalidArgumentError("not a request");
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<EgressSlice>> Next() override {
    Alone alone(board_);
    if (Standing() == EgressStanding::kCurrent) ++board_->asked_current;
    if (sent_ >= board_->produced.load()) return std::vector<EgressSlice>();
    ++board_->sent;
    return Message(0, sent_++, board_->padding);
  }
  bool HasMore() const override { return board_->has_more; }
  absl::Status StillAllowed() override {
    return board_->allowed ? absl::OkStatus() : absl::PermissionDeniedError("no longer");
  }
  EgressStanding Standing() const override {
    return board_->standing ? board_->standing(number_) : EgressStanding::kCurrent;
  }
  std::vector<EgressSlice> Farewell(EgressEnd) override {
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
  const int number_;
  int64_t sent_ = 0;
};

class Service final : public v1::SubscriptionService::WithRawMethod_Subscribe<v1::SubscriptionService::Service>,
                      public EgressMethod {
 public:
  explicit Service(Board* board) : board_(board) {}
  void AskForCall(grpc::ServerContext* context, Call* call, grpc::ServerCompletionQueue* queue, void* tag) override {
    RequestSubscribe(context, call, queue, queue, tag);
  }
  absl::StatusOr<std::unique_ptr<EgressSource>> Accept(const grpc::ServerContextBase&) override {
    return std::make_unique<Counting>(board_);
  }

 private:
  Board* const board_;
};

class World {
 public:
  explicit World(const EgressOptions& options = {}) : loop(EgressLoop::Create(options, &metrics)), service_(&board) {
    loop->SetMethod(&service_);
    ServerOptions server_options;
    server_options.address = "127.0.0.1:0";
    server_options.insecure_for_benches = true;
    server_options.metrics = &metrics;
    auto started = Server::Start(server_options, {&service_}, loop.get());
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

  double Count(const std::string& name) { return metrics.AddCounter(name, "").Value(); }

  base::Metrics metrics;
  Board board;
  std::unique_ptr<EgressLoop> loop;

 private:
  Service service_;
  int connections_ = 0;

 public:
  std::unique_ptr<Server> server;  // before the loop and the service in time of death
  std::unique_ptr<v1::SubscriptionService::Stub> stub;
};

}  // namespace hub::rpc
