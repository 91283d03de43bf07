#include "services/hub/server_main.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/signals.h"
#include "services/hub/hub_app.h"
#include "services/hub/hub_config.h"

namespace hub::hub_service {
namespace {

int Run(const ServerKind& kind, HubConfig config) {
  base::SetLogLevel(config.log_level);
  base::Signals signals;
  const base::RealClock clock;
  absl::StatusOr<std::unique_ptr<HubApp>> app =
      HubApp::Start(kind, std::move(config), &clock, [&signals] { return signals.StopAsked(); });
  if (absl::IsCancelled(app.status())) return 0;
  if (!app.ok()) {
    std::cerr << kind.name << ": " << app.status().message() << "\n";
    return 1;
  }
  while (signals.Next() == base::Signals::Event::kReload) (*app)->Reload();
  (*app)->Drain();
  app->reset();
  HUB_LOG(INFO, "hub_stopped");
  return 0;
}

// Connections are two descriptors each, and what a login shell or Debian's default allows (1024) would be few. The hard limit is the
// operator's word: LimitNOFILE.
void RaiseOpenFiles() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

const char* Purpose(const ServerKind& kind) {
  if (kind.IsWhole()) return "The Fraud Intelligence Hub in one process.";
  if (kind.ingest) return "Takes reports in and puts them on the log.";
  if (kind.registry) return "Decides what reports mean; owner of partitions of the log.";
  if (kind.fanout) return "Streams events to subscribers.";
  return "Answers lookups, and what analysts and operators ask and do.";
}

}  // namespace

int ServerMain(const ServerKind& kind, int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  RaiseOpenFiles();
  setenv("GRPC_VERBOSITY", "ERROR", /*overwrite=*/0);
  const std::string name = kind.name;
  CLI::App options(
      absl::StrCat(Purpose(kind), " SIGTERM drains, a second one stops at once; SIGHUP reads policy and rules again."),
      name);
  std::string path;
  std::vector<std::string> overrides;
  bool check = false, print = false;
  options.add_option("--config", path, "hub.textproto (annotated: deploy/config/hub.textproto)")->required();
  options.add_option("--set", overrides, "path=value, over what the file says; may be repeated")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  options.add_flag("--check", check, "Check configuration, policy and rules, print every problem, and exit");
  options.add_flag("--print-config", print, "Print the configuration with defaults and overrides, and exit");
  options.set_version_flag("--version", name + " " HUB_VERSION);
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return options.exit(problem) == 0 ? 0 : 1;
  }

  absl::StatusOr<HubConfig> config = LoadConfig(path, overrides, kind);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n" << name << ": " << path << ": not usable; nothing was started\n";
    return 1;
  }
  if (print) std::cout << config->text;
  if (check)
    std::cout << path << ": good; policy " << config->policy.policy->version() << ", rules " << config->rules.version
              << "\n";
  return print || check ? 0 : Run(kind, *std::move(config));
}

}  // namespace hub::hub_service
