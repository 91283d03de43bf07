#include "services/hubctl/submit_one.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/client/connection.h"
#include "libs/model/report_id.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr absl::Duration kPollFirst = absl::Milliseconds(20);
constexpr absl::Duration kPollMax = absl::Milliseconds(500);

void Pause(absl::Duration pause) {
  std::this_thread::sleep_for(absl::ToChronoNanoseconds(pause));  // tidy:sleep-ok between two polls of one command
}

// The status once it is decided, or as it is when `wait` is over.
absl::StatusOr<v1::ReportStatus> Await(const HubCalls& calls, const std::string& id, absl::Duration wait,
                                       const Environment& env) {
  const absl::Duration deadline = env.clock->Monotonic() + wait;
  absl::Duration pause = kPollFirst;
  v1::GetReportStatusRequest request;
  request.add_report_ids(id);
  while (true) {
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::ReportService>(&v1::ReportService::Stub::GetReportStatus, request));
    const bool decided = response.statuses_size() == 1 && response.statuses(0).outcome() != v1::OUTCOME_UNSPECIFIED;
    if (decided || env.clock->Monotonic() + pause > deadline)
      return response.statuses_size() == 1 ? response.statuses(0) : v1::ReportStatus();
    Pause(pause);
    pause = std::min(pause * 2, kPollMax);
  }
}

ExitCode CodeFor(v1::ErrorReason error) {
  return error == v1::ERROR_REASON_NOT_ENTITLED || error == v1::ERROR_REASON_QUOTA_EXCEEDED ? kNotAllowed
                                                                                            : kSomeRejected;
}

}  // namespace

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

std::string FreshReportId(const Environment& env) {
  return model::ToText(model::MakeTimeBasedId(env.clock->TimeNow(), base::RandomBytes(10)));
}

absl::StatusOr<v1::ReportVerdict> UntilVerdict(const Environment& env,
                                               const std::function<absl::StatusOr<Answered>()>& submit) {
  client::Backoff backoff(absl::Milliseconds(100), absl::Seconds(2), client::RandomSeed());
  const absl::Duration deadline = env.clock->Monotonic() + env.timeout;
  while (true) {
    HUB_ASSIGN_OR_RETURN(const Answered answered, submit());
    const v1::ReportVerdict& verdict = answered.verdict;
    if (verdict.verdict() == v1::VERDICT_ACCEPTED || verdict.verdict() == v1::VERDICT_REJECTED) return verdict;
    const absl::Duration pause = backoff.Next(answered.retry_after);
    if (env.clock->Monotonic() + pause > deadline) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the hub asks to try later: ", Word(v1::ErrorReason_descriptor(), verdict.error())));
    }
    Pause(pause);
  }
}

absl::StatusOr<v1::ReportVerdict> SubmitOne(const HubCalls& calls, const v1::Report& report, const Environment& env) {
  v1::SubmitReportsRequest request;
  *request.add_reports() = report;
  request.set_client_id("hubctl");
  return UntilVerdict(env, [&]() -> absl::StatusOr<Answered> {
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::ReportService>(&v1::ReportService::Stub::SubmitReports, request));
    if (response.verdicts_size() != 1) return absl::InternalError("the hub's answer doesn't fit one report");
    return Answered{response.verdicts(0), ToDuration(response.retry_after())};
  });
}

absl::StatusOr<ExitCode> PrintOutcome(const HubCalls& calls, const v1::ReportVerdict& verdict, absl::Duration wait,
                                      const Environment& env) {
  if (verdict.verdict() == v1::VERDICT_REJECTED) {
    Output output(env.style(), {{"Report"}, {"Verdict"}, {"Code"}, {"Field"}, {"Message"}}, env.out);
    output.Row({{verdict.report_id()},
                {"REJECTED", Tone::kWarn},
                {Word(v1::ErrorReason_descriptor(), verdict.error())},
                {verdict.field()},
                {verdict.message()}},
               verdict);
    output.End();
    return CodeFor(verdict.error());
  }
  v1::ReportStatus status;
  if (wait > absl::ZeroDuration()) {
    // It is taken whatever the status call says; only what became of it stays open.
    if (const auto known = Await(calls, verdict.report_id(), wait, env); known.ok()) status = *known;
  }
  const bool decided = status.outcome() != v1::OUTCOME_UNSPECIFIED;
  Output output(env.style(), {{"Report"}, {"Verdict"}, {"Outcome"}, {"Held because"}, {"Level now"}}, env.out);
  std::vector<Cell> cells = {{verdict.report_id()},
                             {"ACCEPTED"},
                             {decided ? Word(v1::Outcome_descriptor(), status.outcome()) : "PENDING"},
                             {Word(v1::HeldReason_descriptor(), status.held_reason())},
                             LevelCell(status.level_now())};
  if (decided) {
    output.Row(std::move(cells), status);
  } else {
    output.Row(std::move(cells), verdict);
  }
  output.End();
  return kDone;
}

}  // namespace hub::hubctl
