// hub-all: the whole hub in one process, over the embedded log or Kafka.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "services/hub/hub_app.h"
#include "services/hub/hub_config.h"
#include "services/hub/signals.h"

namespace {

using hub::hub_service::HubApp;
using hub::hub_service::HubConfig;
using hub::hub_service::Signals;

int Fail(const absl::Status& status) {
  std::cerr << "hub-all: " << status.message() << "\n";
  return 1;
}

int Run(HubConfig config) {
  hub::base::SetLogLevel(config.log_level);
  Signals signals;
  const hub::base::RealClock clock;
  absl::StatusOr<std::unique_ptr<HubApp>> app = HubApp::Start(std::move(config), &clock);
  if (!app.ok()) return Fail(app.status());
  while (signals.Next() == Signals::Event::kReload) (*app)->Reload();
  (*app)->Drain();
  app->reset();
  HUB_LOG(INFO, "hub_stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  setenv("GRPC_VERBOSITY", "ERROR", /*overwrite=*/0);
  CLI::App options(
      "The Fraud Intelligence Hub in one process. SIGTERM drains, a second one stops at once; SIGHUP reads policy and "
      "rules again.",
      "hub-all");
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
  options.set_version_flag("--version", "hub-all " HUB_VERSION);
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return options.exit(problem) == 0 ? 0 : 1;
  }

  absl::StatusOr<HubConfig> config = hub::hub_service::LoadConfig(path, overrides);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\nhub-all: " << path << ": not usable; nothing was started\n";
    return 1;
  }
  if (print) std::cout << config->text;
  if (check)
    std::cout << path << ": good; policy " << config->policy->version() << ", rules " << config->rules.version << "\n";
  return print || check ? 0 : Run(*std::move(config));
}
