#include "libs/rpc/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/rpc/tls.h"

namespace hub::rpc {
namespace {

// gRPC writes an ERROR line for every failed handshake, as often as anybody likes to fail; ours are rate-limited.
void LogForGrpc(gpr_log_func_args* args) {
  const absl::string_view message(args->message);
  if (args->severity == GPR_LOG_SEVERITY_ERROR) {
    HUB_LOG_EVERY(5, WARN, "grpc_says", {{"message", message.substr(0, 300)}});
  } else {
    HUB_LOG_EVERY(5, DEBUG, "grpc_says", {{"message", message.substr(0, 300)}});
  }
}

// Each limit says what a peer beyond it gets.
void SetLimits(const ServerOptions& options, grpc::ServerBuilder* builder) {
  const std::pair<const char*, int> arguments[] = {
      // A peer that doesn't answer a PING for 10 s after 30 s of silence is cut. It also sets TCP_USER_TIMEOUT to 10 s, which is what
      // ends a connection whose peer stopped reading.
      {GRPC_ARG_KEEPALIVE_TIME_MS, 30'000},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},  // no bound on our own keepalive: idle streams send no data
      // Clients that ping more often are told to go away.
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000},
      {GRPC_ARG_MAX_METADATA_SIZE, 8 * 1024},         // more: RESOURCE_EXHAUSTED
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, 128},          // more calls on one connection wait at the client
      {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5'000},   // silent or half-way handshakes are cut
      {GRPC_ARG_MAX_CONNECTION_IDLE_MS, 300'000},      // a connection without calls is told to go away
      {GRPC_ARG_HTTP2_BDP_PROBE, 0},                   // its PINGs cost more than they give with thousands of streams
      {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 256 * 1024},  // without the probe, the window of what clients send
      {GRPC_ARG_ALLOW_REUSEPORT, 0},                   // a second hub on the port is an error, not half of the traffic
  };
  for (const auto& [name, value] : arguments) builder->AddChannelArgument(name, value);
  // Larger messages: RESOURCE_EXHAUSTED.
  builder->SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes_max));
  builder->SetMaxSendMessageSize(-1);
  // Only reflection uses the synchronous API.
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(const ServerOptions& options) {
  if (!options.insecure_for_benches) return ServerIdentity(options.identity_dir);
  if (!IsLoopback(options.address)) {
    return absl::InvalidArgumentError("insecure_for_benches: only on a loopback address");
  }
  HUB_LOG(WARN, "INSECURE_NO_TLS_EVERY_CALLER_IS_ONE_PRINCIPAL_FOR_BENCHES_ONLY",
          {{"address", options.address}, {"principal", options.insecure_principal_uri}});
  return grpc::InsecureServerCredentials();
}

class GrpcServer final : public Server {
 public:
  GrpcServer(std::unique_ptr<grpc::Server> server, int port) : server_(std::move(server)), port_(port) {}

  ~GrpcServer() override {
    if (!drained_) Drain([] {}, absl::ZeroDuration());
    shutdown_thread_.Stop();
  }

  int port() const override { return port_; }

  void SetServing(bool serving) override {
    if (grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
  }

  void Drain(const std::function<void()>& finish_streams, absl::Duration grace) override {
    drained_ = true;
    SetServing(false);
    finish_streams();
    // On a thread: with a client that is blocked in TCP, Shutdown ignores its deadline.
    shutdown_thread_ = base::Thread("grpc-shutdown", [this, grace](std::stop_token) {
      server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));  // tidy:clock-ok gRPC's deadline
      base::MutexLock lock(&mu_);
      shut_down_ = true;
      changed_.NotifyAll();
    });
    base::MutexLock lock(&mu_);
    // Two waits at most: a wake-up without a reason costs accuracy, not correctness.
    for (int i = 0; i < 2 && !shut_down_; ++i) changed_.WaitFor(&mu_, grace + absl::Seconds(1));
    if (!shut_down_) HUB_LOG(WARN, "grpc_shutdown_pending", {{"why", "a client stopped reading"}});
  }

 private:
  const std::unique_ptr<grpc::Server> server_;
  const int port_;
  bool drained_ = false;
  base::Mutex mu_;
  base::CondVar changed_;
  bool shut_down_ ABSL_GUARDED_BY(mu_) = false;
  base::Thread shutdown_thread_;
};

}  // namespace

bool IsLoopback(absl::string_view address) {
  if (absl::ConsumePrefix(&address, "[")) return absl::StartsWith(address, "::1]");
  if (address == "::1") return true;
  const absl::string_view host = address.substr(0, address.find(':'));
  return host == "localhost" || (absl::StartsWith(host, "127.") && host.find_first_not_of("0123456789.") == host.npos);
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  HUB_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials, Credentials(options));
  static const bool once_per_process = [] {
    gpr_set_log_function(LogForGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)once_per_process;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.address, credentials, &port);
  SetLimits(options, &builder);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(options.address, ": can't listen; is the port taken, or the address another machine's?"));
  }
  auto result = std::make_unique<GrpcServer>(std::move(server), port);
  result->SetServing(true);
  return result;
}

}  // namespace hub::rpc
