// Between our slices and gRPC's buffers. Private to libs/rpc. Plain functions.
#pragma once

#include <string>
#include <vector>

#include "libs/rpc/egress.h"

namespace hub::rpc {

// Shares the slices' memory (their owners live as long as gRPC needs them); small ones are copied. `*bytes`: their sum.
grpc::ByteBuffer ToByteBuffer(const std::vector<EgressSlice>& slices, size_t* bytes);
// A message as one string. Empty also when gRPC can't give it.
std::string Flatten(const grpc::ByteBuffer& buffer);

}  // namespace hub::rpc
