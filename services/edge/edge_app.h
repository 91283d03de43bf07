// Every part of hub-edge: constructed, started in order, stopped in reverse.
//
// The replica is opened, followed and, when its files are damaged, set aside and begun anew on a thread of its own: lookups are answered from the
// start on, UNKNOWN while there is none. Thread safety: Start, Drain and the destructor from one thread.
//
//   HUB_ASSIGN_OR_RETURN(std::unique_ptr<EdgeApp> app, EdgeApp::Start(std::move(config), &clock));
//   ... until asked to stop ...
//   app->Drain();
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "services/edge/edge_config.h"

namespace hub::edge {

class EdgeApp {
 public:
  // Serves when it returns. Errors say in one line what to do.
  static absl::StatusOr<std::unique_ptr<EdgeApp>> Start(EdgeConfig config, const base::Clock* clock);
  virtual ~EdgeApp() = default;
  // Not ready any more; what is in flight is answered, what was handled is confirmed to the hub. Bounded: about 5 s.
  virtual void Drain() = 0;
  virtual int port() const = 0;  // 0: a UNIX socket
  virtual int ops_port() const = 0;
};

}  // namespace hub::edge
