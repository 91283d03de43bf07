#include "services/hubctl/raw_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <vector>

#include "libs/base/status_macros.h"
#include "libs/rpc/status.h"
#include "services/hubctl/hub_calls.h"

namespace hub::hubctl {

absl::StatusOr<std::string> RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                                    const std::string& request, absl::Duration timeout) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(Deadline(timeout));
  grpc::CompletionQueue queue;
  const grpc::Slice bytes(request);
  const grpc::ByteBuffer message(&bytes, 1);
  const auto call = stub.PrepareUnaryCall(&context, method, message, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);  // bounded by the deadline
  HUB_RETURN_IF_ERROR(rpc::FromGrpc(status));
  std::vector<grpc::Slice> slices;
  HUB_RETURN_IF_ERROR(rpc::FromGrpc(response.Dump(&slices)));
  std::string answer;
  for (const grpc::Slice& slice : slices) answer.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return answer;
}

}  // namespace hub::hubctl
