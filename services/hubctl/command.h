// What a command gets, and the groups of commands. One file per group: xyz_commands.cc.
#pragma once

#include <functional>
#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "services/hubctl/failure.h"
#include "services/hubctl/output.h"
#include "services/hubctl/settings.h"

namespace CLI {
class App;
}

namespace hub::hubctl {

struct Environment {
  // Borrowed; outlive the call.
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  const base::Clock* clock = nullptr;
  bool out_is_terminal = false;
  size_t out_columns = 0;  // the terminal's; 0: not known, lines are as long as they are
  bool err_is_terminal = false;
  bool no_color = false;  // $NO_COLOR

  Settings settings;
  absl::Duration timeout = absl::Seconds(10);
  // What the command line asks for; set while parsing, run afterwards.
  std::function<absl::StatusOr<ExitCode>()> action;

  OutputStyle style(bool streamed = false) const;
};

// Each declares its commands on `app`; their actions use `env`, which must outlive the parsed app.
void AddReportCommands(CLI::App* app, Environment* env);   // report, report status
void AddImportCommand(CLI::App* app, Environment* env);    // import
void AddWatchCommand(CLI::App* app, Environment* env);     // watch
void AddLookupCommands(CLI::App* app, Environment* env);   // lookup, why, timeline, links
void AddAnalystCommands(CLI::App* app, Environment* env);  // correct, tenure close
void AddControlCommands(CLI::App* app, Environment* env);  // rules, policy, keys, quarantine
void AddTopicsCommands(CLI::App* app, Environment* env);   // topics
void AddCursorCommands(CLI::App* app, Environment* env);   // cursors
void AddReceiptCommands(CLI::App* app, Environment* env);  // received
void AddEvidenceCommands(CLI::App* app, Environment* env);  // evidence export, evidence verify
void AddBoardCommand(CLI::App* app, Environment* env);     // board
void AddOperateCommands(CLI::App* app, Environment* env);  // health, digest, streams
void AddSampleCommand(CLI::App* app, Environment* env);    // sample
void AddShellCommands(CLI::App* app, Environment* env);    // config check, completion, man, help

// The whole program: parses, runs, says what went wrong on env->err. `arguments` without the program's name.
ExitCode RunHubctl(const std::vector<std::string>& arguments, Environment* env);

}  // namespace hub::hubctl
