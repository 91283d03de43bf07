// The operator's HTTP port, loopback only: /metrics, /healthz, /readyz, /statusz.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/metrics.h"

namespace hub::rpc {

struct OpsPages {
  const base::Metrics* metrics = nullptr;      // GET /metrics
  std::function<std::string()> unready;         // GET /readyz: empty = 200 "ready"; else 503 and this text
  std::function<std::string()> status;          // GET /statusz: text/plain for a person
};

class OpsServer {
 public:
  // `address`: loopback host:port, port 0 = a free one. InvalidArgument off loopback. Callbacks run on the server's threads.
  static absl::StatusOr<std::unique_ptr<OpsServer>> Start(const std::string& address, OpsPages pages);
  virtual ~OpsServer() = default;  // stops; at most a second or two
  virtual int port() const = 0;
};

}  // namespace hub::rpc
