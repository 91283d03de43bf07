#include "libs/rpc/https_server.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/rpc/tls.h"

namespace hub::rpc {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;

constexpr int kThreads = 4;
constexpr int kConnectionsMax = HttpsServer::kConnectionsMax;
// When all are taken, a newcomer takes the place of the one that has been without a handshake longest, for so long at least.
constexpr absl::Duration kStrangerUndisturbed = absl::Milliseconds(500);
constexpr std::chrono::seconds kStepMax(10);  // for handshake, request and answer each; then the connection is closed
constexpr uint32_t kHeaderBytesMax = 8 << 10;
constexpr uint64_t kFormBytesMax = 4 << 10;
constexpr size_t kAnswerBytesMax = size_t{1} << 20;  // beyond, 500: whoever makes pages has to bound them
constexpr absl::Duration kRereadAfter = absl::Seconds(5);
constexpr std::chrono::milliseconds kAcceptPause(200);  // when there is no descriptor left

// Nothing is loaded but what the hub itself serves as a style sheet, and a page's forms lead nowhere else.
constexpr const char* kStrictHeaders[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    // Not no-referrer: browsers would then call the origin of our own forms "null".
    {"Referrer-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

std::string Text(beast::string_view text) { return std::string(text.data(), text.size()); }

// What a TLS context is made of, and the context; made anew when the files differ. One thread at a time.
class Identity {
 public:
  Identity(std::string folder, const base::Clock* clock) : folder_(std::move(folder)), clock_(clock) {}

  absl::Status Load() {
    HUB_ASSIGN_OR_RETURN(IdentityPems pems, ReadIdentity(folder_));
    if (context_ != nullptr && pems == pems_) return absl::OkStatus();
    HUB_ASSIGN_OR_RETURN(context_, Make(pems));
    pems_ = std::move(pems);
    return absl::OkStatus();
  }

  // REQUIRES: Load() went well once.
  std::shared_ptr<ssl::context> Newest() {
    if (clock_->Monotonic() - read_at_ >= kRereadAfter) {
      read_at_ = clock_->Monotonic();
      if (const absl::Status loaded = Load(); !loaded.ok()) {
        HUB_LOG_EVERY(60, WARN, "board_identity_not_read",
                      {{"status", loaded.ToString()}});  // the one before is good still
      }
    }
    return context_;
  }

 private:
  static absl::StatusOr<std::shared_ptr<ssl::context>> Make(const IdentityPems& pems) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
    SSL_CTX* const ctx = context->native_handle();
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    // Each handshake checks the certificate against the CA of now: nobody resumes.
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    beast::error_code error;
    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
    if (!error) context->use_certificate_chain(asio::buffer(pems.certificate), error);
    if (!error) context->use_private_key(asio::buffer(pems.key), ssl::context::pem, error);
    if (!error) context->add_certificate_authority(asio::buffer(pems.ca), error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("identity_dir: ", error.message()));
    // By the names of these CAs a browser knows which of its certificates to offer.
    BIO* const bio = BIO_new_mem_buf(pems.ca.data(), static_cast<int>(pems.ca.size()));
    while (X509* const ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
      SSL_CTX_add_client_CA(ctx, ca);
      X509_free(ca);
    }
    BIO_free_all(bio);
    ERR_clear_error();  // the queue is per thread, and the end of the file is an error to it
    return context;
  }

  const std::string folder_;
  const base::Clock* const clock_;
  IdentityPems pems_;
  std::shared_ptr<ssl::context> context_;
  absl::Duration read_at_;
};

class Connection;

// What connections share; outlives them.
struct Shared {
  HttpsServer::Handler handler;
  const base::Clock* clock = nullptr;
  std::atomic<int> open{0};  // relaxed: a bound, not an order
  base::Counter answered, refused, failed, handshakes_failed, turned_away;
  base::Mutex mu;
  std::list<Connection*> strangers
      ABSL_GUARDED_BY(mu);  // whose handshake has not ended, oldest first; each takes itself out
};

// One connection: handshake, request, answer, end. Kept by the handler of whatever it waits for; its strand is its lock.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shared* shared, tcp::socket socket, std::shared_ptr<ssl::context> context)
      : shared_(shared),
        context_(std::move(context)),
        stream_(std::move(socket), *context_),
        buffer_(kHeaderBytesMax + kFormBytesMax) {
    shared_->open.fetch_add(1, std::memory_order_relaxed);
    parser_.header_limit(kHeaderBytesMax);
    parser_.body_limit(kFormBytesMax);
    base::MutexLock lock(&shared_->mu);
    stranger_ = shared_->strangers.insert(shared_->strangers.end(), this);
  }
  ~Connection() {
    NoStranger();
    shared_->open.fetch_sub(1, std::memory_order_relaxed);
  }

  // Ends the connection whose handshake takes longest. False: there is none that had its time.
  static bool EndOldestStranger(Shared* shared) {
    std::shared_ptr<Connection> oldest;
    {
      base::MutexLock lock(&shared->mu);
      if (shared->strangers.empty()) return false;
      Connection* const first = shared->strangers.front();
      if (shared->clock->Monotonic() - first->since_ < kStrangerUndisturbed) return false;
      first->stranger_.reset();
      shared->strangers.pop_front();
      oldest = first->weak_from_this().lock();
    }
    // Null: it is going by itself.
    if (oldest != nullptr) asio::post(oldest->stream_.get_executor(), [oldest] { oldest->EndIfStranger(); });
    return true;
  }

  void Start() {
    asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->Handshake(); });
  }

 private:
  void NoStranger() {
    base::MutexLock lock(&shared_->mu);
    if (stranger_) shared_->strangers.erase(*stranger_);
    stranger_.reset();
  }

  void EndIfStranger() {
    if (!known_) beast::get_lowest_layer(stream_).close();
  }

  void LimitTime() { beast::get_lowest_layer(stream_).expires_after(kStepMax); }

  void Handshake() {
    LimitTime();
    stream_.async_handshake(ssl::stream_base::server, [self = shared_from_this()](beast::error_code error) {
      if (error) return self->shared_->handshakes_failed.Increment();
      self->known_ = true;
      self->NoStranger();
      self->Read();
    });
  }

  void Read() {
    LimitTime();
    http::async_read(stream_, buffer_, parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error) return self->Send(self->Ask());
      const bool http_error = error.category() == beast::error_code(http::error::bad_method).category();
      if (http_error && error != http::error::end_of_stream && error != http::error::partial_message) {
        self->Send({400, "not a request that is understood here, or too large\n", "text/plain"});
      }
    });
  }

  HttpAnswer Ask() {
    const auto& message = parser_.get();
    const HttpAnswer bad{400, "not a request that is understood here\n", "text/plain"};
    HttpRequest request;
    request.post = message.method() == http::verb::post;
    if (!request.post && message.method() != http::verb::get) return {405, "want GET or POST\n", "text/plain"};
    const std::string target = Text(message.target());
    const size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    if (request.path.empty() || request.path[0] != '/') return bad;
    const std::string query = mark == std::string::npos ? "" : target.substr(mark + 1);
    if (!ParseForm(request.post ? message.body() : query, &request.fields)) return bad;
    const std::string site = Text(message["Sec-Fetch-Site"]), origin = Text(message[http::field::origin]);
    request.from_elsewhere = (!site.empty() && site != "same-origin" && site != "none") ||
                             (!origin.empty() && origin != "https://" + Text(message[http::field::host]));
    request.caller = PeerUri(SSL_get0_peer_certificate(stream_.native_handle()));
    return shared_->handler(request);
  }

  void Send(HttpAnswer answer) {
    if (answer.body.size() > kAnswerBytesMax) answer = {500, "the page is too large to be shown\n", "text/plain"};
    (answer.code < 400 ? shared_->answered : answer.code < 500 ? shared_->refused : shared_->failed).Increment();
    response_.result(static_cast<unsigned>(answer.code));
    response_.version(11);
    response_.keep_alive(false);
    response_.set(http::field::content_type, absl::StrCat(answer.type, "; charset=utf-8"));
    for (const auto& [name, value] : kStrictHeaders) response_.set(name, value);
    if (answer.code == 405) response_.set(http::field::allow, "GET, POST");
    response_.body() = std::move(answer.body);
    response_.prepare_payload();
    LimitTime();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return;
      self->LimitTime();
      self->stream_.async_shutdown([self](beast::error_code) {});
    });
  }

  Shared* const shared_;
  const absl::Duration since_ = shared_->clock->Monotonic();
  std::optional<std::list<Connection*>::iterator> stranger_;  // its place among them; under the mutex of Shared
  bool known_ = false;                                        // the strand's
  const std::shared_ptr<ssl::context> context_;               // stream_ refers to it
  beast::ssl_stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
  http::response<http::string_body> response_;
};

class Impl final : public HttpsServer {
 public:
  Impl(Identity identity, const base::Clock* clock, base::Metrics* metrics, Handler handler)
      : identity_(std::move(identity)) {
    const auto counter = [metrics](const char* result) {
      return metrics->AddCounter("fraudhub_board_requests_total", "Requests of browsers, by what came of them",
                                 {{"result", result}});
    };
    shared_.handler = std::move(handler);
    shared_.clock = clock;
    shared_.answered = counter("answered");
    shared_.refused = counter("refused");
    shared_.failed = counter("failed");
    shared_.handshakes_failed = counter("no_handshake");
    shared_.turned_away = counter("too_many");
  }

  ~Impl() override {
    io_.stop();
    threads_.clear();  // joins
  }

  absl::Status Listen(const tcp::endpoint& at) {
    HUB_RETURN_IF_ERROR(identity_.Load());
    beast::error_code error;
    acceptor_.open(at.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(at, error);
    if (!error) acceptor_.listen(kConnectionsMax, error);
    if (error) return absl::UnavailableError(absl::StrCat("can't listen: ", error.message(), "; is the port taken?"));
    Accept();
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back("board", [this](const std::stop_token&) { io_.run(); });
    return absl::OkStatus();
  }

  int port() const override {
    beast::error_code error;
    return acceptor_.local_endpoint(error).port();
  }

 private:
  // One accept is under way at a time, so identity_ has one user at a time.
  void Accept() {
    acceptor_.async_accept(asio::make_strand(io_), [this](beast::error_code error, tcp::socket socket) {
      if (error) return AcceptLater(error);
      if (shared_.open.load(std::memory_order_relaxed) < kConnectionsMax || Connection::EndOldestStranger(&shared_)) {
        std::make_shared<Connection>(&shared_, std::move(socket), identity_.Newest())->Start();
      } else {
        shared_.turned_away.Increment();
        socket.close(error);
      }
      Accept();
    });
  }

  void AcceptLater(beast::error_code error) {
    HUB_LOG_EVERY(30, WARN, "board_accepts_nobody", {{"error", error.message()}});
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([this](beast::error_code over) {
      if (!over) Accept();
    });
  }

  Identity identity_;
  Shared shared_;
  asio::io_context io_{kThreads};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer pause_{io_};
  std::vector<base::Thread> threads_;
};

absl::StatusOr<tcp::endpoint> ParseEndpoint(const std::string& address) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  int port = 0;
  beast::error_code error;
  const asio::ip::address ip = asio::ip::make_address(host, error);
  if (colon == std::string::npos || error || ip.is_v6() != bracketed ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError("want an IP address and a port, such as 127.0.0.1:7450");
  }
  return tcp::endpoint(ip, static_cast<uint16_t>(port));
}

}  // namespace

std::string HttpsServer::AddressProblem(const std::string& address) {
  return std::string(ParseEndpoint(address).status().message());
}

absl::StatusOr<std::unique_ptr<HttpsServer>> HttpsServer::Start(const std::string& address,
                                                                const std::string& identity_dir,
                                                                const base::Clock* clock, base::Metrics* metrics,
                                                                Handler handler) {
  HUB_ASSIGN_OR_RETURN(const tcp::endpoint at, ParseEndpoint(address));
  auto server = std::make_unique<Impl>(Identity(identity_dir, clock), clock, metrics, std::move(handler));
  HUB_RETURN_IF_ERROR(server->Listen(at));
  return server;
}

}  // namespace hub::rpc
