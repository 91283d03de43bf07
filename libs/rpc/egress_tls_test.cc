// Streams over mTLS: what is written arrives whole, wherever a write ends in TLS records and in gRPC's buffers.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/server.h"
#include "libs/rpc/tls.h"
#include "libs/rpc/tls_kit_test.h"
#include "tests/catch.h"

namespace hub::rpc {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr size_t kFraming = 9 + 5;  // before a message: the head of an HTTP/2 frame, and gRPC's

// The n-th message, of `size` bytes when serialised; no two of its neighbours hold the same bytes.
std::string Numbered(size_t n, size_t size) {
  constexpr size_t kHeads = 6;  // of the two fields around the token
  std::string token(size - kHeads, '\0');
  for (size_t i = 0; i < token.size(); ++i) token[i] = static_cast<char>(n * 31 + i * 7 + (i >> 8));
  v1::SubscribeResponse response;
  response.mutable_opened()->set_token(std::move(token));
  return response.SerializeAsString();
}

// Writes a message of each size, gathered from three slices as the fan-out does.
class Sized final : public EgressSource {
 public:
  explicit Sized(const std::vector<size_t>* sizes) : sizes_(sizes) {}
  absl::Status OnMessage(absl::string_view) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<EgressSlice>> Next() override {
    if (next_ == sizes_->size()) return std::vector<EgressSlice>();
    auto bytes = std::make_shared<const std::string>(Numbered(next_, (*sizes_)[next_]));
    ++next_;
    const absl::string_view all = *bytes;
    const size_t third = all.size() / 3;
    return std::vector<EgressSlice>{
        {bytes, all.substr(0, third)}, {bytes, all.substr(third, third)}, {bytes, all.substr(2 * third)}};
  }
  std::vector<EgressSlice> Farewell(EgressEnd) override { return {}; }
  void OnDone() override {}

 private:
  const std::vector<size_t>* const sizes_;
  size_t next_ = 0;
};

class SizedService final : public v1::SubscriptionService::WithRawMethod_Subscribe<v1::SubscriptionService::Service>,
                           public EgressMethod {
 public:
  explicit SizedService(const std::vector<size_t>* sizes) : sizes_(sizes) {}
  void AskForCall(grpc::ServerContext* context, Call* call, grpc::ServerCompletionQueue* queue, void* tag) override {
    RequestSubscribe(context, call, queue, queue, tag);
  }
  absl::StatusOr<std::unique_ptr<EgressSource>> Accept(const grpc::ServerContextBase&) override {
    return std::make_unique<Sized>(sizes_);
  }

 private:
  const std::vector<size_t>* const sizes_;
};

// Serves the messages over mTLS and returns how many of them one client got as they were.
size_t ArrivedWhole(const std::vector<size_t>& sizes) {
  base::Metrics metrics;
  const std::unique_ptr<EgressLoop> loop = EgressLoop::Create(EgressOptions(), &metrics);
  SizedService service(&sizes);
  loop->SetMethod(&service);
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.identity_dir = Pki() / "server";
  options.metrics = &metrics;
  auto server = Server::Start(options, {&service}, loop.get());
  REQUIRE(server.ok());
  auto credentials = ClientIdentity(Pki() / "good");
  REQUIRE(credentials.ok());
  grpc::ChannelArguments arguments;
  // So that writes end where messages end, not where a window does.
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 30);
  auto stub = v1::SubscriptionService::NewStub(
      grpc::CreateCustomChannel("localhost:" + std::to_string((*server)->port()), *credentials, arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));  // tidy:clock-ok gRPC's deadline
  auto stream = stub->Subscribe(&context);
  size_t whole = 0;
  for (v1::SubscribeResponse response; whole < sizes.size() && stream->Read(&response); ++whole) {
    if (response.SerializeAsString() != Numbered(whole, sizes[whole])) break;
  }
  context.TryCancel();
  (void)stream->Finish();
  (*server)->Drain([&] { loop->Drain(absl::ZeroDuration()); }, absl::Seconds(1));
  return whole;
}

}  // namespace

// gRPC 1.51 stages TLS records in buffers of 8 KB. When a write ends with a record that is full and was staged whole, all that follows in
// the buffer is sent after it, as it lies in memory; records larger than the buffer are never staged whole. A record of gRPC's counting
// (GRPC_ARG_TSI_MAX_FRAME_SIZE) takes 100 bytes less, so writes of these lengths fill any of those sizes, repeated until they have begun
// all over the buffer.
TEST_CASE("a write that ends with a full TLS record has nothing after it", "[rpc][tls][egress]") {
  REQUIRE(Pki().made());
  std::vector<size_t> sizes;
  for (const size_t kilobytes : {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16}) {
    sizes.insert(sizes.end(), 250, kilobytes * 1024 - 100 - kFraming);
  }
  CHECK(ArrivedWhole(sizes) == sizes.size());
}

}  // namespace hub::rpc
