// Every part of the hub that this process runs: constructed, started in order, stopped in reverse.
//
// Thread safety: Start, Reload, Drain and the destructor from one thread.
//
//   HUB_ASSIGN_OR_RETURN(std::unique_ptr<HubApp> app, HubApp::Start(kHubAll, std::move(config), &clock, stop_asked));
//   ... until asked to stop ...
//   app->Drain();
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "services/hub/hub_config.h"

namespace hub::hub_service {

class HubApp {
 public:
  // Serves when it returns. Errors say in one line what to do; nothing is left running then.
  // hub-all gives up when its log doesn't answer; a part of a cluster tries again, and says so on /readyz, until `stop_asked` answers true:
  // Cancelled.
  static absl::StatusOr<std::unique_ptr<HubApp>> Start(const ServerKind& kind, HubConfig config,
                                                       const base::Clock* clock, std::function<bool()> stop_asked);
  virtual ~HubApp() = default;

  // Reads the policy and the rules again and puts them in force; a broken file leaves what is in force, and each problem is logged.
  virtual void Reload() = 0;
  // Not ready any more, every stream gets its token and a time to come back, what is in flight is answered. Bounded: about 7 s.
  virtual void Drain() = 0;

  virtual int port() const = 0;  // 0: no port for callers
  virtual int ops_port() const = 0;
};

}  // namespace hub::hub_service
