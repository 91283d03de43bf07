// One connection to the hub and the calls that commands make on it, each within --timeout. Of templates over the API's stubs, hence with gRPC; only .cc
// files include it.
#pragma once

#include <grpcpp/channel.h>  // tidy:third-party-ok templates over stubs, included by .cc files only
#include <grpcpp/client_context.h>  // tidy:third-party-ok templates over stubs, included by .cc files only

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "fraudhub/v1/lookup.grpc.pb.h"
#include "fraudhub/v1/operations.grpc.pb.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/client/connection.h"
#include "libs/rpc/status.h"
#include "services/hubctl/command.h"
#include "services/hubctl/raw_call.h"

namespace hub::hubctl {

// gRPC takes deadlines of the wall clock.
inline auto Deadline(absl::Duration timeout) {
  return std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout);  // tidy:clock-ok as gRPC wants it
}

class HubCalls {
 public:
  static absl::StatusOr<HubCalls> Connect(const Environment& env, Serves what = Serves::kQueries) {
    HUB_ASSIGN_OR_RETURN(const client::ConnectionOptions options, ConnectionOf(env.settings, what));
    return To(options, env);
  }
  static absl::StatusOr<HubCalls> To(const client::ConnectionOptions& options, const Environment& env) {
    HUB_ASSIGN_OR_RETURN(client::Channels channels, client::Channels::Make(options));
    return HubCalls(std::move(channels), options.server, env.timeout);
  }

  // calls.Call<v1::LookupService>(&v1::LookupService::Stub::Explain, request): the response, or why not. One try at each address, until
  // one can be reached; so only for calls that may be repeated.
  template <class Service, class Response, class Request>
  absl::StatusOr<Response> Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) const {
    Response response;
    HUB_RETURN_IF_ERROR(AtEachAddress([&] {
      grpc::ClientContext context;
      context.set_deadline(Deadline(timeout_));
      response.Clear();
      const auto stub = Service::NewStub(channels_.current());
      return rpc::FromGrpc((stub.get()->*method)(&context, request, &response));
    }));
    return response;
  }

  // The same by the method's path, and the answer as the bytes that came.
  absl::StatusOr<std::string> CallForBytes(const std::string& method, const google::protobuf::Message& request) const {
    std::string answer;
    HUB_RETURN_IF_ERROR(AtEachAddress([&]() -> absl::Status {
      HUB_ASSIGN_OR_RETURN(answer, RawCall(channels_.current(), method, request.SerializeAsString(), timeout_));
      return absl::OkStatus();
    }));
    return answer;
  }

  // OK once one of the addresses can be reached; each gets its share of the time.
  absl::Status AwaitConnection() const {
    const absl::Duration share = timeout_ / static_cast<double>(channels_.size());
    do {
      if (channels_.current()->WaitForConnected(Deadline(share))) return absl::OkStatus();
    } while (!channels_.Next());
    return At(server_, absl::UnavailableError("no connection within --timeout"));
  }

  const std::shared_ptr<grpc::Channel>& channel() const { return channels_.current(); }
  absl::Duration timeout() const { return timeout_; }

 private:
  HubCalls(client::Channels channels, std::string server, absl::Duration timeout)
      : channels_(std::move(channels)), server_(std::move(server)), timeout_(timeout) {}

  template <class Attempt>
  absl::Status AtEachAddress(const Attempt& attempt) const {
    while (true) {
      const absl::Status status = attempt();
      if (status.ok()) {
        channels_.NoteSuccess();
        return status;
      }
      if (!absl::IsUnavailable(status) || channels_.Next()) return At(server_, status);
    }
  }

  mutable client::Channels channels_;  // turns to another address inside a call
  std::string server_;
  absl::Duration timeout_;
};

}  // namespace hub::hubctl
