#include "libs/rpc/server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/support/server_interceptor.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/rpc/acceptor.h"
#include "libs/rpc/canary.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/listen_sockets.h"
#include "libs/rpc/status.h"
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

// Of texts that aren't UTF-8 protobuf writes a line each, with the field's name, as often as anybody sends one.
void LogForProtobuf(google::protobuf::LogLevel, const char*, int, const std::string& message) {
  HUB_LOG_EVERY(5, WARN, "protobuf_says", {{"message", message.substr(0, 300)}});
}

// Each limit says what a peer beyond it gets.
void SetLimits(const ServerOptions& options, grpc::ServerBuilder* builder) {
  const std::pair<const char*, int> arguments[] = {
      // A peer that doesn't answer a PING for 10 s after 30 s of silence is cut. (One that stopped reading: by TCP_USER_TIMEOUT, which the
      // acceptor sets, and by the watchdog of writes.)
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
      // Each TLS connection holds a buffer for one record. Never 8,270 bytes or less: between such records gRPC sends bytes of its heap, in
      // clear (egress_tls_test.cc).
      {GRPC_ARG_TSI_MAX_FRAME_SIZE, 12 * 1024},
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
  if (options.clear_for_this_machine) {
    if (!IsLoopback(options.address)) return absl::InvalidArgumentError("without TLS: only on a loopback address");
    return grpc::InsecureServerCredentials();
  }
  if (!options.insecure_for_benches) return ServerIdentity(options.identity_dir);
  if (!IsLoopback(options.address)) {
    return absl::InvalidArgumentError("insecure_for_benches: only on a loopback address");
  }
  HUB_LOG(WARN, "INSECURE_NO_TLS_EVERY_CALLER_IS_ONE_PRINCIPAL_FOR_BENCHES_ONLY",
          {{"address", options.address}, {"principal", options.insecure_principal_uri}});
  return grpc::InsecureServerCredentials();
}

// A request that can't be read reaches no handler. gRPC answers it with UNIMPLEMENTED and no word, as if there were no such method.
class RefusesUnreadable final : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (batch->QueryInterceptionHookPoint(Point::POST_RECV_MESSAGE)) unreadable_ = batch->GetRecvMessage() == nullptr;
    if (unreadable_ && batch->QueryInterceptionHookPoint(Point::PRE_SEND_STATUS)) {
      batch->ModifySendStatus(ToGrpc(Unreadable()));
    }
    batch->Proceed();
  }

 private:
  bool unreadable_ = false;
};

// Health checks and reflection are gRPC's own and don't pass the gate; who makes them has called as well. With `all`, there is no gate.
class Interceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  Interceptors(Connections* connections, bool all) : connections_(connections), all_(all) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    using Type = grpc::experimental::ServerRpcInfo::Type;
    if (all_ || absl::StartsWith(info->method(), "/grpc.")) connections_->NoteCall(info->server_context()->peer());
    // What a client streams is read by its handler, message by message.
    const bool one_request = info->type() == Type::UNARY || info->type() == Type::SERVER_STREAMING;
    return one_request ? new RefusesUnreadable() : nullptr;
  }

 private:
  Connections* const connections_;
  const bool all_;
};

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerOptions& options, EgressLoop* egress) : egress_(egress) {
    if (options.metrics == nullptr) own_metrics_.emplace();
    metrics_ = options.metrics != nullptr ? options.metrics : &*own_metrics_;
    if (options.connections == nullptr) own_connections_.emplace(options.limits, metrics_);
    connections_ = options.connections != nullptr ? options.connections : &*own_connections_;
  }

  ~GrpcServer() override {
    if (server_ == nullptr) return;
    if (!drained_) Drain([] {}, absl::ZeroDuration());
    shutdown_thread_.Stop();
    if (egress_ != nullptr) egress_->Finish();  // the only order that gRPC stands: streams, server, queues
    server_.reset();
    acceptor_.reset();
  }

  absl::Status Open(const ServerOptions& options, const std::vector<grpc::Service*>& services) {
    HUB_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials, Credentials(options));
    HUB_ASSIGN_OR_RETURN(acceptor_, Acceptor::Open(options.address, connections_, metrics_));
    grpc::ServerBuilder builder;
    using Kind = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    entrance_ = builder.experimental().AddExternalConnectionAcceptor(Kind::FROM_FD, credentials);
    SetLimits(options, &builder);
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
    factories.push_back(std::make_unique<Interceptors>(connections_, /*all=*/own_connections_.has_value()));
    builder.experimental().SetInterceptorCreators(std::move(factories));
    for (grpc::Service* service : services) builder.RegisterService(service);
    if (egress_ != nullptr) egress_->AddQueues(&builder);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::InternalError("gRPC didn't start; its log says why");
    if (egress_ != nullptr) {
      egress_->SetCut([this](absl::string_view peer) { return connections_->Cut(peer); });
      egress_->Begin();
    }
    SetServing(true);
    acceptor_->Start([this](int fd) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.fd = fd;
      entrance_->HandleNewConnection(&connection);
    });
    CanaryOptions canary;
    canary.addresses = acceptor_->ReachableAt();
    canary.tls = !options.insecure_for_benches && !options.clear_for_this_machine;
    canary_.emplace(std::move(canary), metrics_, [this](const PeerAddress& from) { acceptor_->ExpectCanary(from); });
    return absl::OkStatus();
  }

  int port() const override { return acceptor_->port(); }

  void SetServing(bool serving) override {
    if (grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
  }

  std::string ListenerProblem() const override { return canary_->Problem(); }

  // The order matters: a connection that gRPC gets after Shutdown leaks, and the acceptor must see the end of each.
  void Drain(const std::function<void()>& finish_streams, absl::Duration grace) override {
    drained_ = true;
    SetServing(false);
    canary_->Stop();
    acceptor_->StopAccepting();
    finish_streams();
    // On a thread: with a client that is blocked in TCP, Shutdown ignores its deadline.
    shutdown_thread_ = base::Thread("grpc-shutdown", [this, grace](std::stop_token) {
      server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));  // tidy:clock-ok gRPC's deadline
      base::MutexLock lock(&mu_);
      shut_down_ = true;
      changed_.NotifyAll();
    });
    if (IsShutDownWithin(grace + absl::Seconds(1))) return;
    HUB_LOG(WARN, "connections_cut_at_the_end", {{"connections", connections_->open()}, {"why", "a client stopped reading"}});
    connections_->EndAll();
    if (!IsShutDownWithin(absl::Seconds(1))) HUB_LOG(WARN, "grpc_shutdown_pending");
  }

 private:
  bool IsShutDownWithin(absl::Duration time) {
    base::MutexLock lock(&mu_);
    // Two waits at most: a wake-up without a reason costs accuracy, not correctness.
    for (int i = 0; i < 2 && !shut_down_; ++i) changed_.WaitFor(&mu_, time);
    return shut_down_;
  }

  std::optional<base::Metrics> own_metrics_;
  base::Metrics* metrics_;
  std::optional<Connections> own_connections_;
  Connections* connections_;
  EgressLoop* const egress_;  // may be null
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> entrance_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<Canary> canary_;
  bool drained_ = false;
  base::Mutex mu_;
  base::CondVar changed_;
  bool shut_down_ ABSL_GUARDED_BY(mu_) = false;
  base::Thread shutdown_thread_;
};

}  // namespace

bool IsLoopback(absl::string_view address) {
  if (IsUnixAddress(address)) return true;
  if (absl::ConsumePrefix(&address, "[")) return absl::StartsWith(address, "::1]");
  if (address == "::1") return true;
  const absl::string_view host = address.substr(0, address.find(':'));
  return host == "localhost" || (absl::StartsWith(host, "127.") && host.find_first_not_of("0123456789.") == host.npos);
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const std::vector<grpc::Service*>& services,
                                                      EgressLoop* egress) {
  static const bool once_per_process = [] {
    gpr_set_log_function(LogForGrpc);
    google::protobuf::SetLogHandler(LogForProtobuf);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)once_per_process;
  auto server = std::make_unique<GrpcServer>(options, egress);
  HUB_RETURN_IF_ERROR(server->Open(options, services));
  return server;
}

}  // namespace hub::rpc
