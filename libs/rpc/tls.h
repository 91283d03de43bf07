// mTLS identities on disk: a folder with cert.pem, key.pem and ca.pem.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace grpc {
class AuthContext;
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace hub::rpc {

// Requires and verifies client certificates (private CA in ca.pem). Reloads when the folder's files change (swap one symlink).
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerIdentity(const std::string& folder);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientIdentity(const std::string& folder);

// The caller's URI SAN. Unauthenticated unless there is exactly one. (gRPC accepts certificates with none or two, and falls back to the
// common name: never use GetPeerIdentity.)
absl::StatusOr<std::string> PeerUri(const grpc::AuthContext& context);

}  // namespace hub::rpc
