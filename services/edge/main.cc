// hub-edge: a stakeholder's own replica, fed by the hub's stream, asked on its own machine.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/signals.h"
#include "services/edge/edge_app.h"
#include "services/edge/edge_config.h"

namespace {

int Run(hub::edge::EdgeConfig config) {
  using hub::base::Signals;
  Signals signals;
  const hub::base::RealClock clock;
  auto app = hub::edge::EdgeApp::Start(std::move(config), &clock);
  if (!app.ok()) {
    std::cerr << "hub-edge: " << app.status().message() << "\n";
    return 1;
  }
  while (signals.Next() ==
         Signals::Event::kReload) {  // nothing to read again: certificates are looked at by themselves
  }
  (*app)->Drain();
  app->reset();
  HUB_LOG(INFO, "edge_stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  setenv("GRPC_VERBOSITY", "ERROR", /*overwrite=*/0);
  CLI::App options(
      "A stakeholder's own replica of the hub: answers lookups on this machine. SIGTERM drains, a second one stops at "
      "once.",
      "hub-edge");
  std::string path;
  std::vector<std::string> overrides;
  bool check = false, print = false;
  options.add_option("--config", path, "edge.textproto (annotated: deploy/config/edge.textproto)")->required();
  options.add_option("--set", overrides, "path=value, over what the file says; may be repeated")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  options.add_flag("--check", check, "Check the configuration, print every problem, and exit");
  options.add_flag("--print-config", print, "Print the configuration with defaults and overrides, and exit");
  options.set_version_flag("--version", "hub-edge " HUB_VERSION);
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return options.exit(problem) == 0 ? 0 : 1;
  }
  auto config = hub::edge::LoadConfig(path, overrides);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\nhub-edge: " << path << ": not usable; nothing was started\n";
    return 1;
  }
  if (print) std::cout << config->text;
  if (check) std::cout << path << ": good\n";
  return print || check ? 0 : Run(*std::move(config));
}
