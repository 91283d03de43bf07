#include "libs/rpc/ops_server.h"

#include <civetweb.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/rpc/server.h"

namespace hub::rpc {
namespace {

// Sends `body` and returns the status code, as civetweb's handlers do.
int Answer(mg_connection* connection, int code, const char* type, const std::string& body) {
  const std::string head =
      absl::StrCat("HTTP/1.1 ", code, code == 200 ? " OK" : code == 405 ? " Method Not Allowed" : " Service Unavailable",
                   "\r\nContent-Type: ", type, "; charset=utf-8\r\nContent-Length: ", body.size(),
                   "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
  mg_write(connection, head.data(), head.size());
  if (absl::string_view(mg_get_request_info(connection)->request_method) != "HEAD") mg_write(connection, body.data(), body.size());
  return code;
}

using Page = std::function<std::pair<int, std::string>()>;

int Handle(mg_connection* connection, void* page) {
  const absl::string_view method = mg_get_request_info(connection)->request_method;
  if (method != "GET" && method != "HEAD") return Answer(connection, 405, "text/plain", "want GET\n");
  const auto [code, body] = (*static_cast<const Page*>(page))();
  return Answer(connection, code, "text/plain; version=0.0.4", body);  // the version is Prometheus'; others ignore it
}

class CivetOpsServer final : public OpsServer {
 public:
  explicit CivetOpsServer(OpsPages pages)
      : pages_(std::move(pages)),
        metrics_([this] { return std::make_pair(200, pages_.metrics == nullptr ? "" : pages_.metrics->Exposition()); }),
        healthy_([] { return std::make_pair(200, std::string("ok\n")); }),
        ready_([this] {
          const std::string unready = pages_.unready ? pages_.unready() : "";
          return unready.empty() ? std::make_pair(200, std::string("ready\n")) : std::make_pair(503, unready);
        }),
        status_([this] { return std::make_pair(200, pages_.status ? pages_.status() : ""); }) {}

  ~CivetOpsServer() override {
    if (context_ != nullptr) mg_stop(context_);
  }

  absl::Status Listen(const std::string& address) {
    const char* options[] = {"listening_ports", address.c_str(), "num_threads", "2",    "request_timeout_ms", "5000",
                             "enable_directory_listing", "no",   "enable_keep_alive", "no", nullptr};
    const mg_callbacks callbacks = {};
    context_ = mg_start(&callbacks, nullptr, options);
    mg_server_port bound = {};
    if (context_ == nullptr || mg_get_server_ports(context_, 1, &bound) != 1) {
      return absl::UnavailableError(absl::StrCat("ops_address: can't listen on ", address, "; is the port taken?"));
    }
    port_ = bound.port;
    mg_set_request_handler(context_, "/metrics$", Handle, &metrics_);
    mg_set_request_handler(context_, "/healthz$", Handle, &healthy_);
    mg_set_request_handler(context_, "/readyz$", Handle, &ready_);
    mg_set_request_handler(context_, "/statusz$", Handle, &status_);
    return absl::OkStatus();
  }

  int port() const override { return port_; }

 private:
  const OpsPages pages_;
  Page metrics_, healthy_, ready_, status_;
  mg_context* context_ = nullptr;
  int port_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<OpsServer>> OpsServer::Start(const std::string& address, OpsPages pages) {
  int port = 0;
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError("ops_address: want host:port");
  }
  if (!IsLoopback(address)) return absl::InvalidArgumentError("ops_address: want a loopback address, such as 127.0.0.1:9464");
  // civetweb wants a number, not a name.
  const std::string host = address.substr(0, colon);
  auto server = std::make_unique<CivetOpsServer>(std::move(pages));
  absl::Status listening = server->Listen(absl::StrCat(host == "localhost" ? "127.0.0.1" : host, ":", port));
  if (!listening.ok()) return listening;
  return server;
}

}  // namespace hub::rpc
