// A small HTTPS server for browsers: who has no client certificate of the private CA gets no further than the handshake.
//
// Every answer goes out with headers that forbid scripts, frames, foreign content and caching. One request per connection. Bounds: 64
// connections (one more takes the place of one that is slow to shake hands, or is closed at once), 10 s for each of handshake, request and
// answer, 8 KiB of headers, 4 KiB of form, 1 MiB of answer.
// Certificate, key and CA are read again when their files change, as the gRPC server does (libs/rpc/tls.h).
//
// Thread safety: the handler is called on any of the server's four threads, several at a time, and may block.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"

namespace hub::rpc {

struct HttpRequest {
  // The client certificate's one URI SAN; Unauthenticated when it hasn't exactly one.
  absl::StatusOr<std::string> caller;
  bool post = false;                          // else GET; nothing else comes through
  bool from_elsewhere = false;                // the browser says that another site's page made it ask
  std::string path;                           // "/indicator/ind_...", without the query
  std::map<std::string, std::string> fields;  // of the query, or of the form that was posted
};

struct HttpAnswer {
  int code = 200;
  std::string body;
  const char* type = "text/html";
};

class HttpsServer {
 public:
  static constexpr int kConnectionsMax = 64;  // a descriptor each
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;
  // What is wrong with an address, empty: nothing.
  static std::string AddressProblem(const std::string& address);
  // `address`: an IP address or localhost and a port, 0 = a free one. Borrowed: clock, metrics. InvalidArgument: address or identity;
  // Unavailable: the port is taken.
  static absl::StatusOr<std::unique_ptr<HttpsServer>> Start(const std::string& address, const std::string& identity_dir,
                                                            const base::Clock* clock, base::Metrics* metrics,
                                                            Handler handler);
  virtual ~HttpsServer() = default;  // waits for handlers that run; connections end
  virtual int port() const = 0;
};

// The fields of a query or of a form (application/x-www-form-urlencoded); of two with one name the last. False: it is none.
bool ParseForm(const std::string& text, std::map<std::string, std::string>* fields);

}  // namespace hub::rpc
