// hub-swarm: hundreds of simulated stakeholders on one hub, and a judge of what they received.
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <iostream>

#include "bench/swarm/swarm.h"

namespace {
hub::swarm::Swarm* running = nullptr;
void OnSignal(int signal) {
  if (running == nullptr) return;
  signal == SIGUSR1 ? running->StartFigures() : signal == SIGUSR2 ? running->StartStorm() : running->Stop();
}
}  // namespace

int main(int argc, char** argv) {
  hub::swarm::SwarmOptions options;
  double run_seconds = 0, quiet_seconds = 0, heartbeat_seconds = 10, recovery_seconds = 0, away_seconds = 10;
  CLI::App app{"Many simulated stakeholders in one process; compares what each received with what it may see."};
  app.add_option("--server", options.server, "host:port of the hub, several with commas between");
  app.add_option("--identities", options.identities,
                 "folder of <stakeholder>/<principal>/ identities; none = clear text");
  app.add_option("--policy", options.policy_file, "policy.textproto")->required();
  app.add_option("--auditor", options.auditor, "analyst's stream used as the reference");
  app.add_option("--auditor-server", options.auditor_server, "where the auditor goes, if not to --server");
  app.add_option("--stakeholders", options.stakeholders_max, "at most so many; 0 = all");
  app.add_option("--copies", options.copies, "streams per stakeholder")->check(CLI::PositiveNumber);
  app.add_option("--storm-away", away_seconds, "seconds from SIGUSR2, which breaks all streams, until all come back");
  app.add_option("--slice", options.slice, "this process's part, from 0");
  app.add_option("--slice-count", options.slice_count, "so many parts from --slice on")->check(CLI::PositiveNumber);
  app.add_option("--slices", options.slices, "number of parts")->check(CLI::PositiveNumber);
  app.add_flag("!--no-filters", options.filters, "everybody takes all it may see");
  app.add_option("--run-for", run_seconds, "seconds; 0 = no end");
  app.add_option("--until-quiet", quiet_seconds, "end when nothing came for so many seconds; 0 = never");
  app.add_option("--status-file", options.status_file, "JSON, rewritten twice a second");
  app.add_option("--seed", options.seed, "of reconnect pauses");
  app.add_flag("--snapshots", options.snapshots, "begin with a snapshot");
  app.add_flag("--come-later", options.come_later, "the auditor comes at once, everybody else with the first SIGUSR1");
  app.add_flag("--from-now", options.from_now, "only what happens from now on; views are not compared");
  app.add_option("--look-into", options.look_into,
                 "of every so many streams one: its latencies, its view; of the others, events are counted")
      ->check(CLI::PositiveNumber);
  app.add_flag("--urgent", options.urgent, "ask for urgent copies ahead of the order");
  app.add_flag("--check", options.check, "judge every stream, not only the views at the end")->excludes("--look-into");
  app.add_option("--cursor-percent", options.cursor_percent,
                 "so many of a hundred stakeholders use a named cursor; a later process goes on where this one was")
      ->check(CLI::Range(0, 100))
      ->excludes("--check");
  app.add_option("--cursor", options.cursor, "name of these cursors");
  app.add_option("--require", options.require, "invariants that must have been tested, or the check fails")
      ->delimiter(',');
  app.add_option("--heartbeat-max", heartbeat_seconds, "--check: longest silence of an open stream, seconds");
  app.add_option("--recovery-max", recovery_seconds, "--check: from a break to live, seconds; 0 = any");
  app.add_flag("!--compacted", options.checker.dense, "--check: the log is compacted under the readers");
  CLI11_PARSE(app, argc, argv);
  options.storm_away = absl::Seconds(away_seconds);
  if (run_seconds > 0) options.run_for = absl::Seconds(run_seconds);
  options.checker.heartbeat_max = absl::Seconds(heartbeat_seconds);
  if (recovery_seconds > 0) options.checker.recovery_max = absl::Seconds(recovery_seconds);
  if (quiet_seconds > 0) options.until_quiet = absl::Seconds(quiet_seconds);

  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);

  auto swarm = hub::swarm::Swarm::Create(options);
  if (!swarm.ok()) {
    std::cerr << "hub-swarm: " << swarm.status().message() << "\n";
    return 1;
  }
  running = swarm->get();
  signal(SIGTERM, OnSignal);
  signal(SIGINT, OnSignal);
  signal(SIGUSR1, OnSignal);  // figures anew
  signal(SIGUSR2, OnSignal);  // all streams break at once
  const absl::Status status = (*swarm)->Run();
  std::cout << (*swarm)->Report() << std::endl;
  if (!status.ok()) std::cerr << "hub-swarm: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
