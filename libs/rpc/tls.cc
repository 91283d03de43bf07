#include "libs/rpc/tls.h"

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"

namespace hub::rpc {
namespace {

// How often the files are looked at; a swapped symlink is in force this much later at the latest.
constexpr unsigned int kRefreshSeconds = 5;

struct Folder {
  std::string certificate;
  std::string key;
  std::string ca;
};

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": can't be read, want a PEM file"));
  return text.str();
}

absl::StatusOr<Certificate> ReadCertificate(const std::string& path) {
  HUB_ASSIGN_OR_RETURN(const std::string pem, ReadFile(path));
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();  // the queue is per thread and shared with gRPC
  if (certificate == nullptr) return absl::InvalidArgumentError(absl::StrCat(path, ": not a certificate in PEM form"));
  return certificate;
}

// gRPC only logs such mistakes, and then refuses every handshake; here they stop the start.
absl::StatusOr<Folder> CheckedFolder(const std::string& folder) {
  if (folder.empty()) return absl::InvalidArgumentError("identity_dir: not set, want a folder with cert.pem, key.pem, ca.pem");
  const Folder files{folder + "/cert.pem", folder + "/key.pem", folder + "/ca.pem"};
  HUB_ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificate(files.certificate));
  HUB_ASSIGN_OR_RETURN(const Certificate ca, ReadCertificate(files.ca));
  HUB_ASSIGN_OR_RETURN(const std::string pem, ReadFile(files.key));
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // A callback that gives no passphrase: OpenSSL would ask on the terminal.
  auto* no_passphrase = +[](char*, int, int, void*) { return 0; };
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  const bool fits = key != nullptr && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (key == nullptr) return absl::InvalidArgumentError(absl::StrCat(files.key, ": not a private key in PEM form without passphrase"));
  if (!fits) return absl::InvalidArgumentError(absl::StrCat(files.key, ": not the key of ", files.certificate));
  return files;
}

absl::Status WantOneUri() {
  return model::Refuse(model::RefusalCode::kUnauthenticated, "", "want a client certificate with exactly one URI SAN");
}

std::shared_ptr<grpc::experimental::CertificateProviderInterface> Watch(const Folder& files) {
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(files.key, files.certificate, files.ca,
                                                                              kRefreshSeconds);
}

// Of contexts made from here on in this process: an idle connection has no record buffers (OpenSSL keeps two of 17 KB otherwise). gRPC has no
// option for it and shows nobody its contexts; OpenSSL calls this for each new one, after its defaults were set (SSL_CTX_get_ex_new_index(3)).
void LetIdleConnectionsFreeTheirBuffers() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr,
      [](void* context, void*, CRYPTO_EX_DATA*, int, long, void*) {
        SSL_CTX_set_mode(static_cast<SSL_CTX*>(context), SSL_MODE_RELEASE_BUFFERS);
      },
      nullptr, nullptr);
  HUB_CHECK(index >= 0);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerIdentity(const std::string& folder) {
  HUB_ASSIGN_OR_RETURN(const Folder files, CheckedFolder(folder));
  LetIdleConnectionsFreeTheirBuffers();
  grpc::experimental::TlsServerCredentialsOptions options(Watch(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientIdentity(const std::string& folder) {
  HUB_ASSIGN_OR_RETURN(const Folder files, CheckedFolder(folder));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(true);
  options.set_check_call_host(true);
  return grpc::experimental::TlsCredentials(options);
}

absl::StatusOr<std::string> PeerUri(const grpc::AuthContext& context) {
  const std::vector<grpc::string_ref> uris = context.FindPropertyValues("peer_uri");
  if (uris.size() != 1) return WantOneUri();
  return std::string(uris[0].data(), uris[0].size());  // with its size: a NUL inside stays and compares unequal
}

absl::StatusOr<IdentityPems> ReadIdentity(const std::string& folder) {
  HUB_ASSIGN_OR_RETURN(const Folder files, CheckedFolder(folder));
  IdentityPems pems;
  HUB_ASSIGN_OR_RETURN(pems.certificate, ReadFile(files.certificate));
  HUB_ASSIGN_OR_RETURN(pems.key, ReadFile(files.key));
  HUB_ASSIGN_OR_RETURN(pems.ca, ReadFile(files.ca));
  return pems;
}

absl::StatusOr<std::string> PeerUri(const x509_st* certificate) {
  if (certificate == nullptr) return WantOneUri();
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  std::vector<std::string> uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {  // -1 of null
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)), static_cast<size_t>(ASN1_STRING_length(uri)));
  }
  if (uris.size() != 1) return WantOneUri();
  return uris[0];
}

}  // namespace hub::rpc
