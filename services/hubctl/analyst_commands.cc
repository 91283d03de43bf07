// correct, tenure close, rules apply: what analysts do.
#include <CLI/CLI.hpp>

#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/identifier_argument.h"
#include "services/hubctl/submit_one.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

struct CorrectArguments {
  std::string id;
  std::string to;
  std::string reason;
  std::string report_id;
  std::string wait = "2s";
  bool override_protected = false;
};

absl::StatusOr<v1::CorrectionDetails> DetailsOf(const CorrectArguments& arguments) {
  v1::CorrectionDetails details;
  details.set_note_code(arguments.reason);
  details.set_override_protected(arguments.override_protected);
  const std::string to = absl::AsciiStrToUpper(arguments.to);
  if (to == "CLEARED") {
    details.set_kind(v1::CORRECTION_KIND_CLEARED);
  } else if (to == "RESCINDED") {
    details.set_kind(v1::CORRECTION_KIND_RESCINDED);
  } else if (to == "RETRACTED") {
    details.set_kind(v1::CORRECTION_KIND_RETRACTED);
  } else {
    const auto level = ParseWord(v1::Level_descriptor(), to);
    if (!level.ok())
      return Usage(
          "--to: want CLEARED, RESCINDED, RETRACTED (what you reported yourself), NONE, MEDIUM, HIGH or VERY_HIGH");
    details.set_kind(v1::CORRECTION_KIND_SET_LEVEL);
    details.set_level(static_cast<v1::Level>(*level));
  }
  return details;
}

// A reporter takes back what it said by a report of its own; the rest is the analysts' call.
absl::StatusOr<v1::ReportVerdict> SendCorrection(const HubCalls& calls, const v1::CorrectRequest& request,
                                                 const Environment& env) {
  if (request.correction().kind() == v1::CORRECTION_KIND_RETRACTED) {
    v1::Report report;
    report.set_report_id(request.report_id());
    report.set_kind(v1::INPUT_KIND_CORRECTION);
    *report.mutable_identifier() = request.identifier();
    *report.mutable_correction() = request.correction();
    *report.mutable_observed_at() = ToTimestamp(env.clock->TimeNow());
    return SubmitOne(calls, report, env);
  }
  return UntilVerdict(env, [&]() -> absl::StatusOr<Answered> {
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::OperationsService>(&v1::OperationsService::Stub::Correct, request));
    return Answered{response.verdict(), absl::ZeroDuration()};
  });
}

absl::StatusOr<ExitCode> Finish(const HubCalls& calls, const absl::StatusOr<v1::ReportVerdict>& verdict,
                                const std::string& report_id, absl::Duration wait, const Environment& env) {
  if (verdict.ok()) return PrintOutcome(calls, *verdict, wait, env);
  if (!absl::IsPermissionDenied(verdict.status())) {
    *env.err << "hubctl: not known to be taken; to send it again without counting twice: --report-id " << report_id
             << '\n';
  }
  return verdict.status();
}

absl::StatusOr<ExitCode> RunCorrect(const CorrectArguments& arguments, const Environment& env) {
  absl::Duration wait;
  if (!absl::ParseDuration(arguments.wait, &wait)) return Usage("--wait: want a duration such as 2s");
  v1::CorrectRequest request;
  HUB_ASSIGN_OR_RETURN(*request.mutable_identifier(), ParseIdentifierArgument(arguments.id));
  HUB_ASSIGN_OR_RETURN(*request.mutable_correction(), DetailsOf(arguments));
  request.set_report_id(arguments.report_id.empty() ? FreshReportId(env) : arguments.report_id);
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  return Finish(calls, SendCorrection(calls, request, env), request.report_id(), wait, env);
}

struct CloseArguments {
  std::string id;
  std::string at;
  std::string report_id;
  std::string wait = "2s";
};

absl::StatusOr<ExitCode> RunClose(const CloseArguments& arguments, const Environment& env) {
  absl::Duration wait;
  if (!absl::ParseDuration(arguments.wait, &wait)) return Usage("--wait: want a duration such as 2s");
  v1::CloseTenureRequest request;
  HUB_ASSIGN_OR_RETURN(*request.mutable_identifier(), ParseIdentifierArgument(arguments.id));
  absl::Time at = env.clock->TimeNow();
  if (!arguments.at.empty()) {
    const auto parsed = ParseWhen(arguments.at, IndianTime());
    if (!parsed.ok()) return Usage(absl::StrCat("--at: ", parsed.status().message()));
    at = *parsed;
  }
  *request.mutable_closed_at() = ToTimestamp(at);
  request.set_report_id(arguments.report_id.empty() ? FreshReportId(env) : arguments.report_id);
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  const auto verdict = UntilVerdict(env, [&]() -> absl::StatusOr<Answered> {
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::OperationsService>(&v1::OperationsService::Stub::CloseTenure, request));
    return Answered{response.verdict(), absl::ZeroDuration()};
  });
  return Finish(calls, verdict, request.report_id(), wait, env);
}

}  // namespace

void AddAnalystCommands(CLI::App* app, Environment* env) {
  const auto correct_arguments = std::make_shared<CorrectArguments>();
  CLI::App* correct = app->add_subcommand("correct", "Withdraw, lower or set a level");
  correct->add_option("ID", correct_arguments->id, "TYPE:VALUE, or what tells by itself")->required();
  correct->add_option("--to", correct_arguments->to, "CLEARED, RESCINDED, RETRACTED, NONE, MEDIUM, HIGH, VERY_HIGH")
      ->required();
  correct
      ->add_option("--reason", correct_arguments->reason,
                   "Why: a short code without personal data, such as WRONG_NUMBER")
      ->required();
  correct->add_flag("--override-protected", correct_arguments->override_protected,
                    "A protected identifier: two analysts must ask");
  correct->add_option("--report-id", correct_arguments->report_id,
                      "A UUID: the one of an earlier try, to send it again");
  correct->add_option("--wait", correct_arguments->wait, "How long to wait for what becomes of it; 0 = don't");
  correct->callback([=] { env->action = [=] { return RunCorrect(*correct_arguments, *env); }; });

  CLI::App* tenure = app->add_subcommand("tenure", "A subscriber's time with a number");
  tenure->require_subcommand(1);
  const auto close_arguments = std::make_shared<CloseArguments>();
  CLI::App* close = tenure->add_subcommand("close", "The number has a new subscriber: its flags end");
  close->add_option("ID", close_arguments->id, "TYPE:VALUE, or what tells by itself")->required();
  close->add_option("--at", close_arguments->at, "When the new subscriber's time began; default: now");
  close->add_option("--report-id", close_arguments->report_id, "A UUID: the one of an earlier try, to send it again");
  close->add_option("--wait", close_arguments->wait, "How long to wait for what becomes of it; 0 = don't");
  close->callback([=] { env->action = [=] { return RunClose(*close_arguments, *env); }; });
}

}  // namespace hub::hubctl
