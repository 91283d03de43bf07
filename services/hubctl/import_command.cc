// import: files of reports, restartable, with what became of the rows.
#include <CLI/CLI.hpp>

#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"
#include "services/hubctl/command.h"
#include "services/hubctl/import_run.h"
#include "services/hubctl/progress_bar.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

constexpr size_t kListIdBytesMax = 64;  // by the API
constexpr uint64_t kMapBytesMax = 1 << 20;

struct ImportArguments {
  std::string format;
  std::string path;
  std::string map;
  std::string rejects;
  std::string list;
  std::string observed_at;
  std::string status_wait = "30s";
  bool dry_run = false;
  bool no_status = false;
};

absl::StatusOr<ColumnMap> LoadMap(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || !(text << file.rdbuf()) || text.str().size() > kMapBytesMax)
    return Usage(absl::StrCat("--map: ", path, " can't be read"));
  ColumnMap map;
  const std::vector<std::string> problems = ParseColumnMap(text.str(), &map);
  if (!problems.empty()) return Usage(absl::StrCat(path, ": ", absl::StrJoin(problems, "\n  ")));
  return map;
}

absl::StatusOr<ImportOptions> OptionsFrom(const ImportArguments& arguments) {
  ImportOptions options;
  if (arguments.format == "mnrl-json") {
    options.format = ImportFormat::kRevocationList;
  } else if (arguments.format != "csv") {
    return Usage("FORMAT: want mnrl-json or csv");
  }
  options.path = arguments.path;
  options.rejects_path = arguments.rejects;
  options.dry_run = arguments.dry_run;
  options.follow_status = !arguments.no_status;
  options.list_id = arguments.list;
  if (options.list_id.size() > kListIdBytesMax || options.list_id.find_first_of("\n\r\t") != std::string::npos) {
    return Usage("--list: want at most 64 bytes without control characters");
  }
  if (!arguments.map.empty()) {
    HUB_ASSIGN_OR_RETURN(options.map, LoadMap(arguments.map));
  }
  if (!arguments.observed_at.empty()) {
    const auto time = ParseWhen(arguments.observed_at, IndianTime());
    if (!time.ok()) return Usage(absl::StrCat("--observed-at: ", time.status().message()));
    options.observed_at = *time;
  }
  if (!absl::ParseDuration(arguments.status_wait, &options.status_patience) ||
      options.status_patience < absl::ZeroDuration()) {
    return Usage("--status-wait: want a duration such as 10s");
  }
  return options;
}

std::string JsonOf(const std::map<std::string, uint64_t>& counts) {
  return absl::StrCat("{",
                      absl::StrJoin(counts, ",",
                                    [](std::string* out, const auto& one) {
                                      absl::StrAppend(out, JsonString(one.first), ":", one.second);
                                    }),
                      "}");
}

std::string JsonOf(const ImportResult& result) {
  return absl::StrCat("{\"listId\":", JsonString(result.list_id), ",\"rows\":", result.rows,
                      ",\"accepted\":", result.accepted, ",\"rejected\":", JsonOf(result.rejected),
                      ",\"outcomes\":", JsonOf(result.outcomes), ",\"undecided\":", result.undecided,
                      ",\"seconds\":", absl::StrFormat("%.3f", absl::ToDoubleSeconds(result.took)), "}");
}

void PrintResult(const ImportResult& result, bool dry_run, const Environment& env) {
  const OutputStyle style = env.style();
  if (style.form == OutputForm::kJson) {
    *env.out << JsonOf(result) << '\n';
    return;
  }
  const bool csv = style.form == OutputForm::kCsv;
  Output output(style, {{"Rows", 28}, {"Number"}}, env.out);
  const auto row = [&](const std::string& name, uint64_t number, Tone tone = Tone::kPlain) {
    output.Row({{name, tone}, {csv ? absl::StrCat(number) : WithCommas(number)}}, std::string());
  };
  row("read", result.rows);
  row(dry_run ? "would be sent" : "accepted", result.accepted);
  for (const auto& [outcome, number] : result.outcomes) row(absl::StrCat("  ", outcome), number);
  if (result.undecided > 0) row("  not decided yet", result.undecided, Tone::kNote);
  for (const auto& [code, number] : result.rejected) row(absl::StrCat("rejected ", code), number, Tone::kWarn);
  output.End();
  const double seconds = std::max(absl::ToDoubleSeconds(result.took), 0.001);
  *env.err << absl::StrFormat("%s rows in %.1f s (%s/s), list %s\n", WithCommas(result.rows), seconds,
                              WithCommas(static_cast<uint64_t>(static_cast<double>(result.rows) / seconds)),
                              result.list_id);
}

ExitCode CodeOf(const ImportResult& result) {
  if (result.interrupted) return kFailed;
  if (result.accepted == 0 && result.rejected.size() == 1 && result.rejected.begin()->first == "NOT_ENTITLED")
    return kNotAllowed;
  return result.rejected.empty() && result.file_status.ok() ? kDone : kSomeRejected;
}

absl::StatusOr<ExitCode> RunImportCommand(const ImportArguments& arguments, const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const ImportOptions options, OptionsFrom(arguments));
  HUB_ASSIGN_OR_RETURN(const ImportResult result, RunImport(options, env));
  PrintResult(result, options.dry_run, env);
  if (!result.file_status.ok()) {
    *env.err << "hubctl: " << result.file_status.message() << "; the " << result.rows << " rows before it were read\n";
  }
  if (!result.status_status.ok()) {
    *env.err << "hubctl: what became of the rows is not known: "
             << Describe(result.status_status, ServerOf(env.settings, Serves::kQueries)) << '\n';
  }
  if (result.interrupted)
    *env.err << "hubctl: interrupted; the same command goes on from there (what was taken counts once)\n";
  return CodeOf(result);
}

}  // namespace

void AddImportCommand(CLI::App* app, Environment* env) {
  CLI::App* import =
      app->add_subcommand("import", "Send a file of reports; safe to repeat, what was taken counts once");
  const auto arguments = std::make_shared<ImportArguments>();
  import->add_option("FORMAT", arguments->format, "mnrl-json (a revocation list) or csv")->required();
  import->add_option("FILE", arguments->path, "The file")->required();
  import->add_option("--map", arguments->map, "Which column is which field; examples are in deploy/samples");
  import->add_option("--rejects", arguments->rejects, "Rows that were not taken go here, with line, code and field");
  import->add_option("--list", arguments->list,
                     "Name of the list, the same when it is sent again; default: of the file's content");
  import->add_option("--observed-at", arguments->observed_at,
                     "Of rows that don't say; default: when the file was last changed");
  import->add_option("--status-wait", arguments->status_wait,
                     "How long to wait for outcomes after the last one that came");
  import->add_flag("--dry-run", arguments->dry_run, "Check every row here, send nothing");
  import->add_flag("--no-status", arguments->no_status, "Don't ask what became of the rows");
  import->callback([=] { env->action = [=] { return RunImportCommand(*arguments, *env);
};
}  // namespace hub::hubctl
);
}

}  // namespace hub::hubctl
