// config check, completion, man, help: what needs no hub.
#include <CLI/CLI.hpp>

#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "fraudhub/config/v1/hub.pb.h"
#include "libs/access/policy.h"
#include "libs/base/status_macros.h"
#include "libs/wire/wire.h"
#include "services/hubctl/column_map.h"
#include "services/hubctl/command.h"
#include "services/hubctl/help_texts.h"
#include "services/hubctl/man_page.h"

namespace hub::hubctl {
namespace {

std::vector<std::string> Lines(const absl::Status& status) {
  if (status.ok()) return {};
  return absl::StrSplit(status.message(), '\n', absl::SkipEmpty());
}

// "policy", "rules", "hub", "map" or "profile" by the file's name; empty when it doesn't tell.
std::string KindOf(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  if (absl::EndsWith(name, ".map")) return "map";
  for (const char* kind : {"policy", "rules"}) {
    if (absl::StrContains(name, kind)) return kind;
  }
  if (absl::StrContains(name, "hubctl")) return "profile";
  return absl::StartsWith(name, "hub") ? "hub" : "";
}

absl::StatusOr<std::vector<std::string>> ProblemsOf(const std::string& kind, const std::string& text) {
  if (kind == "rules") return Lines(wire::ParseRules(text).status());
  if (kind == "policy") {
    auto spec = wire::ParsePolicy(text);
    if (!spec.ok()) return Lines(spec.status());
    return Lines(access::Policy::Build(*std::move(spec)).status());
  }
  if (kind == "hub") {
    fraudhub::config::v1::HubConfig config;
    return wire::ParseTextConfig(text, {}, &config);
  }
  if (kind == "map") {
    ColumnMap map;
    return ParseColumnMap(text, &map);
  }
  if (kind == "profile") {
    Settings settings;
    return ParseProfile(text, &settings);
  }
  return Usage("--as: want policy, rules, hub, map or profile");
}

absl::StatusOr<ExitCode> RunConfigCheck(const std::vector<std::string>& paths, const std::string& as,
                                        const Environment& env) {
  bool all_good = true;
  Output output(env.style(), {{"File"}, {"Kind"}, {"Problem"}}, env.out);
  for (const std::string& path : paths) {
    const std::string kind = as.empty() ? KindOf(path) : as;
    if (kind.empty())
      return Usage(
          absl::StrCat(path, ": its name doesn't say what it is; say --as policy, rules, hub, map or profile"));
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    std::vector<std::string> problems;
    if (file && text << file.rdbuf()) {
      HUB_ASSIGN_OR_RETURN(problems, ProblemsOf(kind, text.str()));
    } else {
      problems = {"can't be read"};
    }
    all_good = all_good && problems.empty();
    if (problems.empty()) problems.emplace_back();
    for (const std::string& problem : problems) {
      output.Row({{path}, {kind}, {problem.empty() ? "none" : problem, problem.empty() ? Tone::kPlain : Tone::kWarn}},
                 absl::StrCat("{\"file\":", JsonString(path), ",\"kind\":", JsonString(kind),
                              ",\"problem\":", JsonString(problem), "}"));
    }
  }
  output.End();
  return all_good ? kDone : kFailed;
}

// Words that may follow a command: its subcommands and options.
std::string FollowersOf(const CLI::App* app) {
  std::vector<std::string> words;
  for (const CLI::App* command : app->get_subcommands({})) words.push_back(command->get_name());
  for (const CLI::Option* option : app->get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return absl::StrJoin(words, " ");
}

void AddCases(const CLI::App* app, const std::string& prefix, std::string* out) {
  for (const CLI::App* command : app->get_subcommands({})) {
    const std::string path = prefix.empty() ? command->get_name() : absl::StrCat(prefix, " ", command->get_name());
    absl::StrAppend(out, "    '", path, "') words=\"", FollowersOf(command), " $global\" ;;\n");
    AddCases(command, path, out);
  }
}

std::string BashCompletion(const CLI::App* app) {
  std::vector<std::string> global;
  for (const CLI::Option* option : app->get_options()) {
    for (const std::string& name : option->get_lnames()) global.push_back("--" + name);
  }
  std::string script =
      absl::StrCat("# bash completion of hubctl; made by `hubctl completion bash`\n_hubctl() {\n  local global=\"",
                   absl::StrJoin(global, " "), "\"\n");
  // The longest run of command words so far is the command; values of options don't look like commands.
  absl::StrAppend(&script, R"(  local path="" next words i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="${path:+$path }${COMP_WORDS[i]}"
    case "$next" in
)");
  std::string cases;
  AddCases(app, "", &cases);
  for (const absl::string_view line : absl::StrSplit(cases, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&script, "  ", line.substr(0, line.find(')')), ") path=$next ;;\n");
  }
  absl::StrAppend(&script, "    esac\n  done\n  case \"$path\" in\n    '') words=\"", FollowersOf(app), "\" ;;\n",
                  cases, R"(  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
  [[ ${COMP_WORDS[COMP_CWORD]} == -* ]] || COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o filenames -F _hubctl hubctl
)");
  return script;
}

absl::StatusOr<ExitCode> RunHelp(const CLI::App* app, const std::string& command, const Environment& env) {
  bool found = false;
  if (command.empty()) {
    *env.out << app->help() << "\nExamples:\n";
  } else {
    for (const CLI::App* sub : app->get_subcommands([&](const CLI::App* one) { return one->get_name() == command; })) {
      *env.out << sub->help() << "\nExamples:\n";
      found = true;
    }
    if (!found) return Usage(absl::StrCat("help: there is no command '", command, "'"));
  }
  for (const HelpTopic& topic : HelpTopics()) {
    if (found && topic.command != command) continue;
    for (const absl::string_view line : absl::StrSplit(topic.examples, '\n')) *env.out << "  " << line << '\n';
  }
  *env.out << "\nWho you are: --identity DIR (cert.pem, key.pem, ca.pem), --server HOST:PORT; or in the profile, lines "
              "of `key: value` in\n"
              "$HUBCTL_PROFILE or ~/.config/fraudhub/hubctl.textproto, so that none need be typed.\n"
              "Exit: 0 done, 1 failed, 2 usage, 3 not allowed or over quota, 4 unreachable or timed out, 5 some rows "
              "rejected.\n";
  return kDone;
}

}  // namespace

void AddShellCommands(CLI::App* app, Environment* env) {
  CLI::App* config = app->add_subcommand("config", "Configuration files");
  config->require_subcommand(1);
  CLI::App* check =
      config->add_subcommand("check", "Validate policy, rules, hub, map and profile files; lists every problem");
  const auto paths = std::make_shared<std::vector<std::string>>();
  const auto as = std::make_shared<std::string>();
  check->add_option("FILE", *paths, "The files; what they are is in their names")->required();
  check->add_option("--as", *as, "What they are: policy, rules, hub, map, profile");
  check->callback([=] { env->action = [=] { return RunConfigCheck(*paths, *as, *env); }; });

  CLI::App* completion = app->add_subcommand("completion", "A script that completes commands in your shell");
  const auto shell = std::make_shared<std::string>("bash");
  completion->add_option("SHELL", *shell, "bash");
  completion->callback([=] {
    env->action = [=]() -> absl::StatusOr<ExitCode> {
      if (*shell != "bash") return Usage("SHELL: want bash");
      *env->out << BashCompletion(app);
      return kDone;
    };
  });

  app->add_subcommand("man", "The manual page: hubctl man > hubctl.1")->callback([=] {
    env->action = [=]() -> absl::StatusOr<ExitCode> {
      *env->out << ManPage(*app);
      return kDone;
    };
  });

  CLI::App* help = app->add_subcommand("help", "Commands with examples");
  const auto command = std::make_shared<std::string>();
  help->add_option("COMMAND", *command, "Only this one");
  help->callback([=] { env->action = [=] { return RunHelp(app, *command, *env); }; });
}

}  // namespace hub::hubctl
