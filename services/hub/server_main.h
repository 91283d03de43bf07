// The main function that all servers share: options, configuration, signals.
#pragma once

#include "services/hub/server_kind.h"

namespace hub::hub_service {

// The process's exit code: 0 after a drain, 1 on a start-up problem, which is told in one line on standard error.
int ServerMain(const ServerKind& kind, int argc, char** argv);

}  // namespace hub::hub_service
