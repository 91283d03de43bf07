#include <CLI/CLI.hpp>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {
namespace {

void AddGlobalOptions(CLI::App* app, Settings* settings) {
  app->add_option("--server", settings->server, "The hub, host:port; several with commas between: any of them")
      ->type_name("HOST:PORT");
  app->add_option("--stream-server", settings->stream_server, "A cluster's fan-out; default: as --server")
      ->type_name("HOST:PORT");
  app->add_option("--query-server", settings->query_server, "A cluster's query service; default: as --server")
      ->type_name("HOST:PORT");
  app->add_option("--identity", settings->identity, "Folder with cert.pem, key.pem and ca.pem")->type_name("DIR");
  app->add_option("--server-name", settings->server_name, "Name expected in the hub's certificate, if not the host's")
      ->type_name("NAME");
  app->add_option("--output", settings->output, "table, json (one object a line) or csv")->type_name("FORM");
  app->add_option("--timeout", settings->timeout, "How long one call may take: 10s, 2m")->type_name("DURATION");
  app->add_option("--purpose", settings->purpose, "Why you look: a short code for the hub's audit record")
      ->type_name("CODE");
  app->add_option("--case", settings->case_ref, "Law enforcement: the case")->type_name("REF");
  app->add_option("--color", settings->color, "auto, always or never")->type_name("WHEN");
  app->add_flag("--insecure", settings->insecure, "Clear text, to a test hub on loopback");
}

ExitCode Fail(const absl::Status& status, const Environment& env) {
  *env.err << "hubctl: " << Describe(status, env.settings.server) << '\n';
  return ExitCodeFor(status);
}

}  // namespace

OutputStyle Environment::style(bool streamed) const {
  OutputStyle style;
  style.form = settings.output == "json"  ? OutputForm::kJson
               : settings.output == "csv" ? OutputForm::kCsv
                                          : OutputForm::kTable;
  style.color = settings.color == "always" || (settings.color == "auto" && out_is_terminal && !no_color);
  style.streamed = streamed;
  style.columns_max = out_columns;
  return style;
}

ExitCode RunHubctl(const std::vector<std::string>& arguments, Environment* env) {
  // CLI11 tells by exceptions how parsing ended; none gets past here.
  try {
    // Help and completion must work with a broken profile, so its problems wait until a command runs.
    const absl::Status profile = LoadProfile(&env->settings);
    CLI::App app("Talks to the fraud intelligence hub: reports, looks up, watches, imports.", "hubctl");
    app.fallthrough();
    app.require_subcommand(0, 1);
    app.set_version_flag("--version", std::string("hubctl ") + HUB_VERSION);
    app.footer("`hubctl help` shows examples, `hubctl COMMAND --help` a command's options.");
    AddGlobalOptions(&app, &env->settings);
    AddReportCommands(&app, env);
    AddImportCommand(&app, env);
    AddWatchCommand(&app, env);
    AddCursorCommands(&app, env);
    AddLookupCommands(&app, env);
    AddControlCommands(&app, env);
    AddTopicsCommands(&app, env);
    AddAnalystCommands(&app, env);
    AddReceiptCommands(&app, env);
    AddEvidenceCommands(&app, env);
    AddBoardCommand(&app, env);
    AddOperateCommands(&app, env);
    AddSampleCommand(&app, env);
    AddShellCommands(&app, env);
    try {
      std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
      app.parse(reversed);
    } catch (const CLI::ExtrasError& error) {
      // CLI11 would repeat all of them, and some may be identifiers.
      const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
      const bool nameable = !extras.empty() && extras[0].find_first_of("0123456789@:") == std::string::npos;
      *env->err << "hubctl: " << (nameable ? absl::StrCat("'", extras[0], "' was not expected") : "too many arguments")
                << "; `hubctl help` shows commands and examples\n";
      return kUsage;
    } catch (const CLI::ParseError& error) {
      const int code = app.exit(error, *env->out, *env->err);
      return code == 0 ? kDone : kUsage;
    }
    if (!env->action) {
      *env->out << app.help();
      return arguments.empty() ? kDone : kUsage;
    }
    if (!profile.ok()) return Fail(profile, *env);
    if (const absl::Status status = CheckSettings(env->settings, &env->timeout); !status.ok())
      return Fail(status, *env);
    const absl::StatusOr<ExitCode> code = env->action();
    env->out->flush();
    return code.ok() ? *code : Fail(code.status(), *env);
  } catch (const std::exception& error) {
    *env->err << "hubctl: " << error.what() << '\n';
    return kFailed;
  }
}

}  // namespace hub::hubctl
