// One connection to the hub and the calls that commands make on it, each within --timeout. Only .cc files include it.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "fraudhub/v1/lookup.grpc.pb.h"
#include "fraudhub/v1/operations.grpc.pb.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/client/connection.h"
#include "libs/rpc/status.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {

// gRPC takes deadlines of the wall clock.
inline auto Deadline(absl::Duration timeout) {
  return std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout);  // tidy:clock-ok as gRPC wants it
}

class HubCalls {
 public:
  static absl::StatusOr<HubCalls> Connect(const Environment& env) {
    HUB_ASSIGN_OR_RETURN(const client::ConnectionOptions options, ConnectionOf(env.settings));
    HUB_ASSIGN_OR_RETURN(auto channel, client::Connect(options));
    return HubCalls(std::move(channel), env.timeout);
  }

  // calls.Call<v1::LookupService>(&v1::LookupService::Stub::Explain, request): the response, or why not.
  template <class Service, class Response, class Request>
  absl::StatusOr<Response> Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) const {
    grpc::ClientContext context;
    context.set_deadline(Deadline(timeout_));
    Response response;
    const auto stub = Service::NewStub(channel_);
    HUB_RETURN_IF_ERROR(rpc::FromGrpc((stub.get()->*method)(&context, request, &response)));
    return response;
  }

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  absl::Duration timeout() const { return timeout_; }

 private:
  HubCalls(std::shared_ptr<grpc::Channel> channel, absl::Duration timeout)
      : channel_(std::move(channel)), timeout_(timeout) {}

  std::shared_ptr<grpc::Channel> channel_;
  absl::Duration timeout_;
};

}  // namespace hub::hubctl
