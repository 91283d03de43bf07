#include "libs/rpc/canary.h"

#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/base/log.h"

namespace hub::rpc {
namespace {

constexpr int kFailuresOfTheDead = 2;  // in a row
constexpr size_t kAnswerBytes = 9;     // of a TLS record, or an HTTP/2 frame's head, enough to tell what it is
constexpr unsigned char kTlsHandshake = 0x16;  // the type of a record; a refusal would be an alert
constexpr size_t kFrameTypeAt = 3;
constexpr char kSettings = 4;

base::Counter Probes(base::Metrics* metrics, const char* result) {
  return metrics->AddCounter("fraudhub_listener_probes_total", "Attempts of the canary", {{"result", result}});
}

struct SslFreer {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::string ClearHello() {
  static const char kPrefaceAndEmptySettings[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  return std::string(kPrefaceAndEmptySettings, sizeof(kPrefaceAndEmptySettings) - 1);
}

std::string Failure(const char* what) { return absl::StrCat(what, ": ", std::strerror(errno)); }

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// The kernel takes no more than what there is of a path.
socklen_t SizeOf(const sockaddr_storage& address) {
  if (address.ss_family != AF_UNIX) return sizeof(address);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                std::strlen(reinterpret_cast<const sockaddr_un&>(address).sun_path) + 1);
}

// Binds to any port of the address that it will connect to, which is this machine's.
std::optional<PeerAddress> BindBeside(int fd, sockaddr_storage address) {
  socklen_t size = sizeof(address);
  (address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                 : reinterpret_cast<sockaddr_in&>(address).sin_port) = 0;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return std::nullopt;
  }
  return PeerAddress::FromSocket(address);
}

}  // namespace

std::string TlsHello() {
  const std::unique_ptr<SSL_CTX, SslFreer> context(SSL_CTX_new(TLS_client_method()));
  const std::unique_ptr<SSL, SslFreer> ssl(SSL_new(context.get()));
  static const unsigned char kAlpn[] = "\x02h2";
  SSL_set_alpn_protos(ssl.get(), kAlpn, 3);
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl.get());
  SSL_do_handshake(ssl.get());  // wants an answer
  ERR_clear_error();            // the queue is per thread
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

Canary::Canary(CanaryOptions options, base::Metrics* metrics, std::function<void(const PeerAddress&)> expect)
    : options_(std::move(options)),
      expect_(std::move(expect)),
      alive_(metrics->AddGauge("fraudhub_listener_alive", "1: the canary got an answer from the listener")),
      answered_(Probes(metrics, "answered")),
      failed_(Probes(metrics, "failed")) {
  alive_.Set(1);
  thread_ = base::Thread("canary", [this](std::stop_token stop) { Run(stop); });
}

void Canary::Stop() { thread_.Stop(); }

std::string Canary::Problem() const {
  base::MutexLock lock(&mu_);
  return failures_ < kFailuresOfTheDead ? "" : absl::StrCat("listener: ", failures_, " attempts failed: ", last_, "\n");
}

void Canary::Run(const std::stop_token& stop) {
  std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&mu_);
    stopped_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    std::string problem;
    for (const sockaddr_storage& address : options_.addresses) {
      if (problem.empty()) problem = Ask(address);
    }
    (problem.empty() ? answered_ : failed_).Increment();
    if (!problem.empty()) HUB_LOG_EVERY(5, WARN, "canary_failed", {{"why", problem}});
    base::MutexLock lock(&mu_);
    failures_ = problem.empty() ? 0 : failures_ + 1;
    last_ = problem;
    alive_.Set(failures_ < kFailuresOfTheDead ? 1 : 0);
    if (!stop.stop_requested()) {
      stopped_.WaitFor(&mu_, problem.empty() ? options_.interval : options_.interval_of_doubt);
    }
  }
}

std::string Canary::Ask(const sockaddr_storage& address) const {
  const Socket socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) return Failure("no socket");
  const timeval patience = absl::ToTimeval(options_.patience);
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));  // connect's too
  if (address.ss_family != AF_UNIX) {
    const std::optional<PeerAddress> from = BindBeside(socket.fd(), address);
    if (!from) return Failure("bind");
    expect_(*from);
  }
  if (connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), SizeOf(address)) != 0) return Failure("connect");
  const std::string hello = options_.tls ? TlsHello() : ClearHello();
  if (send(socket.fd(), hello.data(), hello.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(hello.size())) {
    return Failure("send");
  }
  char answer[kAnswerBytes] = {};
  const ssize_t got = recv(socket.fd(), answer, sizeof(answer), MSG_WAITALL);
  if (got < 0) return Failure("no answer");
  if (got < static_cast<ssize_t>(sizeof(answer))) return "closed without an answer";
  const bool good = options_.tls ? static_cast<unsigned char>(answer[0]) == kTlsHandshake : answer[kFrameTypeAt] == kSettings;
  return good ? "" : "another answer than a server's hello";
}

}  // namespace hub::rpc
