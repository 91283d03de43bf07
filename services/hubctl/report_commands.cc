// report: one report by hand. report status: what became of earlier ones.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/identifier_argument.h"
#include "services/hubctl/report_fields.h"
#include "services/hubctl/submit_one.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int kIdsMax = 1000;  // of one call, by the API

struct ReportArguments {
  std::string kind;
  std::string type;
  std::string value;
  std::map<ReportField, std::string> fields;
  std::string in_reply_to;
  std::string action;
  std::string wait = "2s";
};

absl::StatusOr<v1::Report> ReportFrom(const ReportArguments& arguments, const Environment& env) {
  v1::Report report;
  TimeReading times;
  times.zone = IndianTime();
  const absl::Status kind = SetReportField(ReportField::kKind, arguments.kind, times, &report);
  if (!kind.ok()) return Usage(absl::StrCat("KIND: ", kind.message()));
  for (const auto& [field, text] : arguments.fields) {
    const absl::Status status = SetReportField(field, text, times, &report);
    if (!status.ok()) return Usage(absl::StrCat(NameOf(field), ": ", status.message()));
  }
  if (report.report_id().empty()) {
    report.set_report_id(FreshReportId(env));
  }
  if (!report.has_observed_at()) *report.mutable_observed_at() = ToTimestamp(env.clock->TimeNow());
  if (report.case_ref().empty()) report.set_case_ref(env.settings.case_ref);
  if (report.kind() == v1::INPUT_KIND_ACTION_TAKEN) {
    if (arguments.in_reply_to.empty() || arguments.action.empty())
      return Usage("ACTION_TAKEN: want --in-reply-to evt_... and --action");
    const auto action = ParseWord(v1::Action_descriptor(), arguments.action);
    if (!action.ok()) return Usage(absl::StrCat("--action: ", action.status().message()));
    report.mutable_action()->set_in_reply_to(arguments.in_reply_to);
    report.mutable_action()->set_action(static_cast<v1::Action>(*action));
    report.mutable_action()->set_amount_paise(report.amount_paise());
    report.set_amount_paise(0);
    *report.mutable_action()->mutable_acted_at() = report.observed_at();
    return report;
  }
  if (arguments.value.empty()) return Usage("want KIND TYPE VALUE; `hubctl help report` has examples");
  const v1::LineKind line_kind = report.identifier().line_kind();
  HUB_ASSIGN_OR_RETURN(*report.mutable_identifier(), MakeRawIdentifier(arguments.type, arguments.value));
  if (line_kind != v1::LINE_KIND_UNSPECIFIED) report.mutable_identifier()->set_line_kind(line_kind);
  return report;
}

absl::StatusOr<ExitCode> RunReport(const ReportArguments& arguments, const Environment& env) {
  absl::Duration wait;
  if (!absl::ParseDuration(arguments.wait, &wait)) return Usage("--wait: want a duration such as 2s");
  HUB_ASSIGN_OR_RETURN(const v1::Report report, ReportFrom(arguments, env));
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env, Serves::kReports));
  const auto verdict = SubmitOne(calls, report, env);
  if (!verdict.ok()) {
    *env.err << "hubctl: not known to be taken; to send it again without counting twice: --report-id "
             << report.report_id() << '\n';
    return verdict.status();
  }
  HUB_ASSIGN_OR_RETURN(const HubCalls queries, HubCalls::Connect(env, Serves::kQueries));
  return PrintOutcome(queries, *verdict, wait, env);
}

absl::StatusOr<ExitCode> RunStatus(const std::vector<std::string>& ids, const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  Output output(
      env.style(),
      {{"Report"}, {"Outcome"}, {"Held because"}, {"Decided (IST)"}, {"Level then"}, {"Level now"}, {"Corrected"}},
      env.out);
  for (size_t from = 0; from < ids.size(); from += kIdsMax) {
    v1::GetReportStatusRequest request;
    for (size_t i = from; i < std::min(ids.size(), from + kIdsMax); ++i) request.add_report_ids(ids[i]);
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::ReportService>(&v1::ReportService::Stub::GetReportStatus, request));
    for (const v1::ReportStatus& status : response.statuses()) {
      const bool known = status.outcome() != v1::OUTCOME_UNSPECIFIED;
      output.Row({{status.report_id()},
                  {known ? Word(v1::Outcome_descriptor(), status.outcome()) : "PENDING_OR_UNKNOWN"},
                  {Word(v1::HeldReason_descriptor(), status.held_reason())},
                  {ForPeople(status.decided_at())},
                  LevelCell(status.level_then()),
                  LevelCell(status.level_now()),
                  {!known                     ? ""
                   : status.corrected_since() ? "yes"
                                              : "no"}},
                 status);
    }
  }
  output.End();
  return kDone;
}

}  // namespace

void AddReportCommands(CLI::App* app, Environment* env) {
  CLI::App* report = app->add_subcommand("report", "Report one identifier, or ask what became of reports");
  const auto arguments = std::make_shared<ReportArguments>();
  report->add_option("KIND", arguments->kind,
                     "What is said: SUSPECTED_COMMUNICATION, FINANCIAL_FRAUD, HANDSET_LOST, ...");
  report->add_option("TYPE", arguments->type, "MOBILE, UPI_ADDRESS, IMEI, URL, SMS_HEADER, BANK_ACCOUNT, ...");
  report->add_option("VALUE", arguments->value, "The identifier, as you would write it");
  const auto field = [&](const char* name, ReportField which, const char* text) {
    report->add_option(name, arguments->fields[which], text);
  };
  field("--reason", ReportField::kReason, "Why, where your list has a reason");
  field("--category", ReportField::kCategory, "Kind of fraud: KYC_BANK, INVESTMENT_STOCK_IPO, ...");
  field("--observed-at", ReportField::kObservedAt,
        "When it happened (Indian time unless it says otherwise); default: now");
  field("--operator", ReportField::kOperator, "The subscriber's operator, a stakeholder id");
  field("--citizen", ReportField::kCitizen, "Portals: the citizen's keyed pseudonym");
  field("--unit", ReportField::kUnit, "Police unit that handles it");
  field("--state", ReportField::kState, "The victim's state: MH");
  field("--suspect-state", ReportField::kSuspectState, "Where the suspect was seen");
  field("--lsa", ReportField::kCircle, "Telecom circle that issued the number: DL");
  field("--amount", ReportField::kAmountRupees, "Loss in rupees: 12500 or 1,25,000.50");
  field("--line-kind", ReportField::kLineKind, "MOBILE, FIXED or UNKNOWN");
  field("--traced-with", ReportField::kTracedWith, "HANDSET_TRACED: the number seen in it");
  field("--victim-phone", ReportField::kVictimPhone, "Law enforcement: the victim's number");
  field("--report-id", ReportField::kReportId, "A UUID: the one of an earlier try, to send it again");
  report->add_option("--in-reply-to", arguments->in_reply_to, "ACTION_TAKEN: the event, evt_...");
  report->add_option("--action", arguments->action, "ACTION_TAKEN: what you did: ACCOUNT_FROZEN, ...");
  report->add_option("--wait", arguments->wait, "How long to wait for what becomes of it; 0 = don't");
  report->require_subcommand(0, 1);

  CLI::App* status = report->add_subcommand("status", "What became of your own reports");
  const auto ids = std::make_shared<std::vector<std::string>>();
  status->add_option("ID", *ids, "Report ids (UUIDs)")->required();
  report->callback([=] {
    if (!status->parsed()) env->action = [=] { return RunReport(*arguments, *env); };
  });
  status->callback([=] { env->action = [=] { return RunStatus(*ids, *env); }; });
}

}  // namespace hub::hubctl
