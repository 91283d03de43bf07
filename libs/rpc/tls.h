// mTLS identities on disk: a folder with cert.pem, key.pem and ca.pem.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct x509_st;
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

// For servers that aren't gRPC's: the folder's files, checked as above, and the same question about a certificate (null: there is none).
struct IdentityPems {
  std::string certificate;
  std::string key;
  std::string ca;
  friend bool operator==(const IdentityPems&, const IdentityPems&) = default;
};
absl::StatusOr<IdentityPems> ReadIdentity(const std::string& folder);
absl::StatusOr<std::string> PeerUri(const x509_st* certificate);

}  // namespace hub::rpc
