// Where a client of the benches connects, and as whom.
#pragma once

#include <netinet/in.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

using SSL_CTX = struct ssl_ctx_st;

namespace hub::swarm {

struct SslDeleter {
  void operator()(SSL_CTX* context) const;
};
using SslContext = std::unique_ptr<SSL_CTX, SslDeleter>;

// A folder of cert.pem, key.pem and ca.pem as deploy/dev_pki.sh makes them; ALPN h2.
absl::StatusOr<SslContext> LoadIdentity(const std::string& folder);

// "127.0.0.1:7443" or "localhost:7443".
absl::StatusOr<sockaddr_in> ParseAddress(absl::string_view server);
// Several with commas between.
absl::StatusOr<std::vector<sockaddr_in>> ParseAddresses(absl::string_view servers);

}  // namespace hub::swarm
