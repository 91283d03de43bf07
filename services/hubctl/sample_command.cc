// sample: files to try the hub with, in the test range.
#include <CLI/CLI.hpp>

#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"
#include "services/hubctl/command.h"
#include "services/hubctl/sample_files.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

struct SampleArguments {
  std::string layout;
  uint64_t rows = 100;
  uint64_t seed = 1;
  std::string out;  // "-": standard output
  std::string map_out;
  std::string as_of;
};

absl::Status WriteTo(const std::string& path, const Environment& env, const std::function<void(std::ostream*)>& fill) {
  if (path == "-") {
    fill(env.out);
    return absl::OkStatus();
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (file) fill(&file);
  file.close();
  return file ? absl::OkStatus() : absl::InternalError(absl::StrCat(path, ": can't be written"));
}

std::string LayoutNames() {
  return absl::StrJoin(SampleLayouts(), ", ",
                       [](std::string* out, const SampleLayout& layout) { absl::StrAppend(out, layout.name); });
}

absl::StatusOr<ExitCode> RunMnrl(const SampleArguments& arguments, const Environment& env) {
  HUB_RETURN_IF_ERROR(WriteTo(
      arguments.out, env, [&](std::ostream* out) { WriteSampleRevocationList(arguments.rows, arguments.seed, out); }));
  return kDone;
}

absl::StatusOr<ExitCode> RunCsv(const SampleArguments& arguments, const Environment& env) {
  const SampleLayout* layout = FindSampleLayout(arguments.layout);
  if (layout == nullptr) return Usage(absl::StrCat("LAYOUT: want one of ", LayoutNames()));
  absl::Time as_of = env.clock->TimeNow();
  if (!arguments.as_of.empty()) {
    const auto parsed = ParseWhen(arguments.as_of, IndianTime());
    if (!parsed.ok()) return Usage(absl::StrCat("--as-of: ", parsed.status().message()));
    as_of = *parsed;
  }
  SampleSource source{SampleRandom(arguments.seed), as_of, std::max<uint64_t>(arguments.rows / 4, 20), 0, "tsp-01"};
  HUB_RETURN_IF_ERROR(
      WriteTo(arguments.out, env, [&](std::ostream* out) { WriteSampleCsv(*layout, &source, arguments.rows, out); }));
  if (!arguments.map_out.empty())
    HUB_RETURN_IF_ERROR(WriteTo(arguments.map_out, env, [&](std::ostream* out) { *out << layout->map; }));
  return kDone;
}

absl::StatusOr<ExitCode> RunDemo(const SampleArguments& arguments, const Environment& env) {
  HUB_RETURN_IF_ERROR(WriteDemo(arguments.out, arguments.rows, arguments.seed, env.clock->TimeNow()));
  *env.out << arguments.out << "/manifest.txt names the files, who sends them, and their maps\n";
  return kDone;
}

}  // namespace

void AddSampleCommand(CLI::App* app, Environment* env) {
  CLI::App* sample = app->add_subcommand("sample", "Files to try the hub with: invented, in the test range");
  sample->require_subcommand(1);
  const auto arguments = std::make_shared<SampleArguments>();
  const auto add_common = [&](CLI::App* command, const char* out, const char* text) {
    command->add_option("--rows", arguments->rows, "How many");
    command->add_option("--seed", arguments->seed, "The same seed gives the same rows");
    command->add_option(out, arguments->out, text)->required();
  };
  CLI::App* mnrl = sample->add_subcommand("mnrl", "A revocation list as JSON");
  add_common(mnrl, "--out", "The file; - is standard output");
  mnrl->callback([=] { env->action = [=] { return RunMnrl(*arguments, *env); }; });
  CLI::App* csv = sample->add_subcommand("csv", "One export as CSV");
  csv->add_option("LAYOUT", arguments->layout, LayoutNames())->required();
  add_common(csv, "--out", "The file; - is standard output");
  csv->add_option("--map-out", arguments->map_out, "Also write its map here");
  csv->add_option("--as-of", arguments->as_of, "Rows are of the 20 days before; default: now");
  csv->callback([=] { env->action = [=] { return RunCsv(*arguments, *env); }; });
  CLI::App* demo = sample->add_subcommand("demo", "The set that deploy/quickstart.sh imports");
  add_common(demo, "--out-dir", "The folder; made when missing");
  demo->callback([=] { env->action = [=] { return RunDemo(*arguments, *env); }; });
}

}  // namespace hub::hubctl
