// Who gets in: real handshakes with certificates made on the spot.
#include "libs/rpc/tls.h"

#include <grpcpp/grpcpp.h>
#include <openssl/ssl.h>

#include <fstream>

#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/metrics.h"
#include "libs/rpc/server.h"
#include "libs/rpc/status.h"
#include "libs/rpc/tls_kit_test.h"
#include "tests/catch.h"

namespace hub::rpc {
namespace {

namespace v1 = ::fraudhub::v1;

// Answers with the caller's URI, or refuses as PeerUri does.
class WhoAmI final : public v1::SubscriptionService::Service {
  grpc::Status GetCursor(grpc::ServerContext* context, const v1::GetCursorRequest*, v1::GetCursorResponse* response) override {
    const absl::StatusOr<std::string> uri = PeerUri(*context->auth_context());
    if (!uri.ok()) return ToGrpc(uri.status());
    response->mutable_state()->set_client_id(*uri);
    return grpc::Status::OK;
  }
};

struct Answer {
  grpc::StatusCode code;
  std::string uri;
};

Answer Ask(int port, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  static int distinct = 0;  // equal channels would share a connection
  arguments.SetInt("hub.test.distinct", ++distinct);
  auto channel = grpc::CreateCustomChannel("localhost:" + std::to_string(port), credentials, arguments);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));  // tidy:clock-ok gRPC's deadline
  v1::GetCursorResponse response;
  const grpc::Status status = v1::SubscriptionService::NewStub(channel)->GetCursor(&context, {}, &response);
  return {status.error_code(), response.state().client_id()};
}

}  // namespace

TEST_CASE("only a client certificate of our CA with exactly one URI SAN gets in", "[rpc][tls]") {
  REQUIRE(Pki().made());
  WhoAmI service;
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.identity_dir = Pki() / "server";
  auto server = Server::Start(options, {&service});
  REQUIRE(server.ok());
  const auto ask = [&](const char* identity) {
    auto credentials = ClientIdentity(Pki() / identity);
    REQUIRE(credentials.ok());
    return Ask((*server)->port(), *credentials);
  };

  const Answer good = ask("good");
  CHECK(good.code == grpc::StatusCode::OK);
  CHECK(good.uri == "fraudhub://dev.hub.example/bank-01/main");
  // gRPC lets these connect, and would take the common name for an identity; we don't.
  CHECK(ask("no_uri").code == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(ask("no_san").code == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(ask("two_uris").code == grpc::StatusCode::UNAUTHENTICATED);
  // These fail in the handshake.
  CHECK(ask("wrong_ca").code == grpc::StatusCode::UNAVAILABLE);
  CHECK(ask("server_usage").code == grpc::StatusCode::UNAVAILABLE);
  grpc::SslCredentialsOptions no_certificate;
  std::ifstream ca(Pki() / "ca.pem");
  no_certificate.pem_root_certs.assign(std::istreambuf_iterator<char>(ca), {});
  CHECK(Ask((*server)->port(), grpc::SslCredentials(no_certificate)).code == grpc::StatusCode::UNAVAILABLE);
  CHECK(Ask((*server)->port(), grpc::InsecureChannelCredentials()).code == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("a broken identity folder stops the start and says which file", "[rpc][tls]") {
  REQUIRE(Pki().made());
  const auto problem = [](const std::string& folder) { return std::string(ServerIdentity(folder).status().message()); };
  CHECK(problem("").find("identity_dir") == 0);
  CHECK(problem("/nowhere").find("/nowhere/cert.pem") == 0);
  CHECK(problem(Pki() / "other_key").find("not the key of") != std::string::npos);
}

TEST_CASE("who has a server's identity makes contexts whose idle connections hold no record buffers", "[rpc][tls]") {
  REQUIRE(Pki().made());
  REQUIRE(ServerIdentity(Pki() / "server").ok());
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  CHECK((SSL_CTX_get_mode(context.get()) & SSL_MODE_RELEASE_BUFFERS) != 0);
}

TEST_CASE("clear text is refused off loopback, and a taken port is said", "[rpc][tls]") {
  ServerOptions options;
  options.insecure_for_benches = true;
  options.address = "0.0.0.0:0";
  CHECK(absl::IsInvalidArgument(Server::Start(options, {}).status()));
  options.address = "127.0.0.1:0";
  auto first = Server::Start(options, {});
  REQUIRE(first.ok());
  options.address = "127.0.0.1:" + std::to_string((*first)->port());
  CHECK(absl::IsUnavailable(Server::Start(options, {}).status()));
}

}  // namespace hub::rpc
