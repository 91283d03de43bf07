// evidence export, evidence verify: what the police take to court.
#include <CLI/CLI.hpp>

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/hubctl/command.h"
#include "services/hubctl/evidence_bundle.h"
#include "services/hubctl/evidence_records.h"
#include "services/hubctl/evidence_texts.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/identifier_argument.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kPurpose[] = "EVIDENCE_EXPORT";  // unless the caller names one
constexpr size_t kHexDigits = 64;               // of a SHA-256

struct ExportArguments {
  std::string id;
  std::string out;
};

std::string CanonicalOf(const EvidenceRecords& records, const std::string& typed) {
  if (records.explanation.explanations().empty()) return typed;
  const v1::Identifier& identifier = records.explanation.explanations(0).indicator().identifier();
  return absl::StrCat(Word(v1::IdentifierType_descriptor(), identifier.type()), ":", identifier.canonical());
}

std::vector<BundleFile> FilesOf(const ExportFacts& facts, const EvidenceRecords& records) {
  std::vector<BundleFile> files;
  std::vector<std::pair<std::string, std::string>> hashes;
  for (const EvidenceRecords::Answer& answer : records.answers) {
    const std::string path = absl::StrCat("records/", answer.name);
    files.push_back({path + ".pb", answer.bytes});
    files.push_back({path + ".json", answer.json});
    hashes.emplace_back(path + ".pb", HexSha256(answer.bytes));
  }
  files.push_back({"timeline.txt", TimelineText(facts, records)});
  hashes.emplace_back("timeline.txt", HexSha256(files.back().bytes));
  files.push_back({"README.txt", ReadmeText(facts, records)});
  files.push_back({"export.json", ExportJson(facts, records)});
  files.push_back({"certificate/part-a.txt", CertificateText('A', facts, hashes)});
  files.push_back({"certificate/part-b.txt", CertificateText('B', facts, hashes)});
  return files;
}

absl::StatusOr<ExitCode> RunExport(const ExportArguments& arguments, const Environment& env) {
  if (env.settings.case_ref.empty()) return Usage("--case: want the case that this is evidence in");
  HUB_ASSIGN_OR_RETURN(const v1::RawIdentifier identifier, ParseIdentifierArgument(arguments.id));
  // Before the hub is asked: each question leaves its trace in the audit record.
  if (access(arguments.out.c_str(), F_OK) == 0)
    return absl::AlreadyExistsError(absl::StrCat(arguments.out, ": exists; evidence is not written over"));
  ExportFacts facts;
  facts.purpose = env.settings.purpose == Settings().purpose ? kPurpose : env.settings.purpose;
  facts.case_ref = env.settings.case_ref;
  facts.server = ServerOf(env.settings, Serves::kQueries);
  facts.program = absl::StrCat("hubctl ", HUB_VERSION);
  facts.exported_at = env.clock->TimeNow();
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(const EvidenceRecords records, CollectEvidence(calls, identifier, facts.purpose, env));
  if (records.empty()) return absl::NotFoundError("there is nothing about it that you may see; no bundle was written");
  facts.identifier = CanonicalOf(records, arguments.id);
  const std::vector<BundleFile> files = FilesOf(facts, records);
  HUB_ASSIGN_OR_RETURN(const std::string manifest, WriteBundle(arguments.out, files, facts.exported_at));
  Output output(env.style(), {{"File"}, {"Files"}, {"Entries"}, {"Manifest SHA-256"}}, env.out);
  output.Row({{arguments.out}, {absl::StrCat(files.size() + 1)}, {absl::StrCat(records.entries.size())}, {manifest}},
             absl::StrCat("{\"file\":", JsonString(arguments.out), ",\"files\":", files.size() + 1,
                          ",\"entries\":", records.entries.size(), ",\"manifestSha256\":\"", manifest, "\"}"));
  output.End();
  if (env.settings.output == "table")
    *env.err << "Write the manifest's hash down away from the file: it is what proves the whole.\n";
  return kDone;
}

const char* Name(FileState state) {
  switch (state) {
    case FileState::kIntact:
      return "INTACT";
    case FileState::kAltered:
      return "ALTERED";
    case FileState::kMissing:
      return "MISSING";
    case FileState::kAdded:
      return "ADDED";
    case FileState::kRepeated:
      return "REPEATED";
    case FileState::kNotAFile:
      return "NOT_A_FILE";
  }
  return "";
}

// `manifest`: as it was given; nullopt: it was not.
absl::StatusOr<ExitCode> RunVerify(const std::string& path, const std::optional<std::string>& manifest,
                                   const Environment& env) {
  const std::string wanted = absl::AsciiStrToLower(absl::StripAsciiWhitespace(manifest.value_or("")));
  // One that was lost on its way here must not pass for none wanted.
  if (manifest && (wanted.size() != kHexDigits || !std::all_of(wanted.begin(), wanted.end(), absl::ascii_isxdigit)))
    return Usage(absl::StrCat("--manifest: want the ", kHexDigits, " hexadecimal digits that the export printed"));
  HUB_ASSIGN_OR_RETURN(BundleCheck check, CheckBundle(path));
  if (manifest && !check.manifest_sha256.empty() && wanted != check.manifest_sha256)
    check.problems.push_back("its manifest is not the one whose hash was given");
  Output output(env.style(), {{"File"}, {"State"}}, env.out);
  size_t bad = 0;
  for (const BundleCheck::File& file : check.files) {
    const bool intact = file.state == FileState::kIntact;
    if (!intact) ++bad;
    output.Row({{file.path}, {Name(file.state), intact ? Tone::kPlain : Tone::kAlarm}},
               absl::StrCat("{\"file\":", JsonString(file.path), ",\"state\":\"", Name(file.state), "\"}"));
  }
  output.End();
  for (const std::string& problem : check.problems) *env.err << "hubctl: " << path << ": " << problem << '\n';
  if (!check.intact()) {
    *env.err << "hubctl: " << path << " is not as it was exported: " << bad << " of " << check.files.size()
             << " files, " << check.problems.size() << " problems of the whole\n";
    return kFailed;
  }
  *env.err << check.files.size() << " files are as the manifest says; its SHA-256 is " << check.manifest_sha256 << '\n';
  return kDone;
}

}  // namespace

void AddEvidenceCommands(CLI::App* app, Environment* env) {
  CLI::App* evidence = app->add_subcommand("evidence", "Bundles for a court: what the hub knows, with hashes over it");
  evidence->require_subcommand(1);
  const auto export_arguments = std::make_shared<ExportArguments>();
  CLI::App* bundle = evidence->add_subcommand("export", "Write a bundle about an identifier; needs --case");
  bundle->add_option("ID", export_arguments->id, "TYPE:VALUE, or what tells by itself")->required();
  bundle->add_option("--out", export_arguments->out, "The bundle, a tar archive; must not exist yet")->required();
  bundle->callback([=] { env->action = [=] { return RunExport(*export_arguments, *env); }; });

  const auto path = std::make_shared<std::string>();
  const auto manifest = std::make_shared<std::optional<std::string>>();
  CLI::App* verify = evidence->add_subcommand("verify", "Is a bundle as it was exported? Needs no hub");
  verify->add_option("FILE", *path, "The bundle")->required();
  verify->add_option("--manifest", *manifest, "The manifest's SHA-256, as the export printed it");
  verify->callback([=] { env->action = [=] { return RunVerify(*path, *manifest, *env); }; });
}

}  // namespace hub::hubctl
