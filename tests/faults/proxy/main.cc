// fault-proxy: a bad network between a client and a server, for tests. Commands on standard input, one a line:
//
//   rules delay=200ms down=8000 ...   as --rules, from now on
//   reset                             RST to both ends of every connection
//   silence                           every open connection falls silent and stays so
//   refuse | accept                   new connections
#include <fcntl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "tests/faults/proxy/proxy.h"

namespace {

volatile std::sig_atomic_t stopped = 0;

// Whole lines of standard input that are there by now.
std::string TakeCommand(std::string* pending) {
  char buffer[512];
  const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
  if (got > 0) pending->append(buffer, static_cast<size_t>(got));
  const size_t end = pending->find('\n');
  if (end == std::string::npos) return "";
  std::string line = pending->substr(0, end);
  pending->erase(0, end + 1);
  return line;
}

void Obey(const std::string& command, hub::faults::Proxy* proxy) {
  if (command == "reset") {
    proxy->ResetAll();
  } else if (command == "silence") {
    proxy->SilenceAll();
  } else if (command == "refuse" || command == "accept") {
    proxy->Refuse(command == "refuse");
  } else if (absl::StartsWith(command, "rules ")) {
    hub::faults::Rules rules = proxy->rules();
    const absl::Status status = hub::faults::ParseRules(command.substr(6), &rules);
    if (status.ok()) proxy->SetRules(rules);
    if (!status.ok()) std::cerr << "fault-proxy: " << status.message() << "\n";
  } else {
    std::cerr << "fault-proxy: no command \"" << command << "\"\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  uint16_t port = 0;
  uint64_t seed = 1;
  std::string upstream, rules_text, status_file;
  CLI::App app{"A TCP proxy on loopback that makes a network bad."};
  app.add_option("--port", port, "to listen on; 0 = any, printed");
  app.add_option("--upstream", upstream, "127.0.0.1:7443")->required();
  app.add_option("--rules", rules_text, "delay=200ms jitter=20ms down=8000 up=8000 reset=0.1 silent=0.1 after=65536");
  app.add_option("--seed", seed, "of which connections suffer, and where");
  app.add_option("--status-file", status_file, "counts as JSON, rewritten twice a second");
  CLI11_PARSE(app, argc, argv);

  hub::faults::Rules rules;
  const hub::base::RealClock clock;
  if (absl::Status status = hub::faults::ParseRules(rules_text, &rules); !status.ok()) {
    std::cerr << "fault-proxy: " << status.message() << "\n";
    return 2;
  }
  auto proxy = hub::faults::Proxy::Create(&clock, port, upstream, rules, seed);
  if (!proxy.ok()) {
    std::cerr << "fault-proxy: " << proxy.status().message() << "\n";
    return 1;
  }
  signal(SIGPIPE, SIG_IGN);
  for (const int end : {SIGTERM, SIGINT}) signal(end, [](int) { stopped = 1; });
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  std::cout << "port=" << (*proxy)->port() << std::endl;

  std::string pending;
  absl::Duration next_status;
  while (stopped == 0) {
    (*proxy)->Turn(absl::Milliseconds(20));
    if (const std::string command = TakeCommand(&pending); !command.empty()) Obey(command, proxy->get());
    if (status_file.empty() || clock.Monotonic() < next_status) continue;
    next_status = clock.Monotonic() + absl::Milliseconds(500);
    const hub::faults::Counts counts = (*proxy)->counts();
    std::ofstream(status_file + ".next") << absl::StrFormat(
        "{\"connections\":%d,\"open\":%d,\"down_bytes\":%d,\"up_bytes\":%d,\"resets\":%d,\"silenced\":%d,\"delayed\":%"
        "d,\"held_back\":%d}\n",
        counts.connections, counts.open, counts.down_bytes, counts.up_bytes, counts.resets, counts.silenced,
        counts.delayed, counts.held_back);
    std::rename((status_file + ".next").c_str(), status_file.c_str());
  }
  return 0;
}
