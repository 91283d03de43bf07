#include "bench/swarm/endpoint.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/status_macros.h"

namespace hub::swarm {

void SslDeleter::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

absl::StatusOr<SslContext> LoadIdentity(const std::string& folder) {
  SslContext context(SSL_CTX_new(TLS_client_method()));
  if (SSL_CTX_use_certificate_chain_file(context.get(), absl::StrCat(folder, "/cert.pem").c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), absl::StrCat(folder, "/key.pem").c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_load_verify_locations(context.get(), absl::StrCat(folder, "/ca.pem").c_str(), nullptr) != 1) {
    return absl::NotFoundError(
        absl::StrCat(folder, ": want cert.pem, key.pem and ca.pem (deploy/dev_pki.sh makes them)"));
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // A message's records with one read, instead of two reads for each of them.
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_read_buffer_len(context.get(), size_t{64} * 1024);
  static const unsigned char kAlpn[] = "\x02h2";
  SSL_CTX_set_alpn_protos(context.get(), kAlpn, 3);
  return context;
}

absl::StatusOr<sockaddr_in> ParseAddress(absl::string_view server) {
  const std::vector<std::string> parts = absl::StrSplit(server, ':');
  int port = 0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const std::string host = parts[0] == "localhost" ? "127.0.0.1" : parts[0];
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &port) ||
      inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError("--server: want an IPv4 address and a port, 127.0.0.1:7443");
  }
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

absl::StatusOr<std::vector<sockaddr_in>> ParseAddresses(absl::string_view servers) {
  std::vector<sockaddr_in> addresses;
  for (const absl::string_view server : absl::StrSplit(servers, ',')) {
    HUB_ASSIGN_OR_RETURN(addresses.emplace_back(), ParseAddress(server));
  }
  return addresses;
}

}  // namespace hub::swarm
