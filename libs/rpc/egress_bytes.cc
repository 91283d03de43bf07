#include "libs/rpc/egress_bytes.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

namespace hub::rpc {
namespace {
constexpr size_t kCopyBytes = 512;  // smaller slices are cheaper to copy than to share
}

grpc::ByteBuffer ToByteBuffer(const std::vector<EgressSlice>& slices, size_t* bytes) {
  std::vector<grpc::Slice> out;
  out.reserve(slices.size());
  *bytes = 0;
  for (const EgressSlice& slice : slices) {
    *bytes += slice.bytes.size();
    if (slice.bytes.size() <= kCopyBytes || slice.owner == nullptr) {
      out.emplace_back(slice.bytes.data(), slice.bytes.size());
    } else {
      using Owner = std::shared_ptr<const void>;
      out.emplace_back(
          const_cast<char*>(slice.bytes.data()), slice.bytes.size(),
          [](void* owner) { delete static_cast<Owner*>(owner); }, new Owner(slice.owner));
    }
  }
  return grpc::ByteBuffer(out.data(), out.size());
}

std::string Flatten(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace hub::rpc
