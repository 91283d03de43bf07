#include "services/hubctl/man_page.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "services/hubctl/help_texts.h"

namespace hub::hubctl {
namespace {

// Text that roff takes for nothing else.
std::string Plain(absl::string_view text) {
  std::string plain;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!plain.empty()) plain += '\n';
    if (!line.empty() && (line[0] == '.' || line[0] == '\'')) plain += "\\&";
    absl::StrAppend(&plain, absl::StrReplaceAll(line, {{"\\", "\\e"}, {"-", "\\-"}}));
  }
  return plain;
}

void AppendOptions(const CLI::App& app, std::string* page) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_name(/*positional=*/false, /*all_options=*/true) == "-h,--help") continue;
    const std::string name = option->get_positional() ? option->get_name(true) : option->get_name(false, true);
    const std::string value = option->get_positional() || option->get_type_size() == 0 ? "" : option->get_type_name();
    absl::StrAppend(page, ".TP\n.B ", Plain(name), value.empty() ? "" : absl::StrCat(" \\fI", Plain(value), "\\fR"),
                    "\n", Plain(option->get_description()), "\n");
  }
}

void AppendCommands(const CLI::App& app, const std::string& path, std::string* page) {
  for (const CLI::App* command : app.get_subcommands({})) {
    const std::string name = absl::StrCat(path, " ", command->get_name());
    absl::StrAppend(page, ".SS ", Plain(name), "\n", Plain(command->get_description()), ".\n");
    AppendOptions(*command, page);
    AppendCommands(*command, name, page);
  }
}

}  // namespace

std::string ManPage(const CLI::App& app) {
  std::string page = absl::StrCat(".TH HUBCTL 1 \"\" \"fraudhub ", HUB_VERSION, "\" \"User commands\"\n",
                                  ".SH NAME\nhubctl \\- the fraud intelligence hub on a command line\n",
                                  ".SH SYNOPSIS\n.B hubctl\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n",
                                  ".SH DESCRIPTION\n", Plain(app.get_description()), "\n.SH OPTIONS\n");
  AppendOptions(app, &page);
  absl::StrAppend(&page, ".SH COMMANDS\n");
  AppendCommands(app, "hubctl", &page);
  absl::StrAppend(&page, ".SH EXAMPLES\n.nf\n");
  for (const HelpTopic& topic : HelpTopics()) absl::StrAppend(&page, Plain(topic.examples), "\n");
  absl::StrAppend(
      &page, ".fi\n.SH FILES\n",
      Plain("$HUBCTL_PROFILE, or ~/.config/fraudhub/hubctl.textproto: lines of `key: value` for the options above, "
            "so that none need be typed."),
      "\n.SH EXIT STATUS\n",
      Plain(
          "0 done, 1 failed, 2 usage, 3 not allowed or over quota, 4 unreachable or timed out, 5 some rows rejected."),
      "\n");
  return page;
}

}  // namespace hub::hubctl
