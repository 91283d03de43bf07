// hubctl: the hub on a command line.
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "absl/synchronization/mutex.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "services/hubctl/command.h"

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  hub::base::SetLogLevel(hub::base::LogLevel::WARN);
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // our own messages say what matters
  // `board --watch` asks with pauses: in them gRPC looks after a connection that is being made every so many milliseconds only, five thousand
  // unless told, and the hub gives a handshake as long.
  setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", /*overwrite=*/0);
  std::ios::sync_with_stdio(false);
  const hub::base::RealClock clock;
  hub::hubctl::Environment env;
  env.in = &std::cin;
  env.out = &std::cout;
  env.err = &std::cerr;
  env.clock = &clock;
  env.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  winsize size{};
  if (env.out_is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) env.out_columns = size.ws_col;
  env.err_is_terminal = isatty(STDERR_FILENO) == 1;
  const char* no_color = std::getenv("NO_COLOR");
  env.no_color = no_color != nullptr && *no_color != '\0';
  return hub::hubctl::RunHubctl({argv + 1, argv + argc}, &env);
}
