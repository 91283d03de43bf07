// One report typed by hand: sent, retried within --timeout under its id, and followed until the hub has decided.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fraudhub/v1/report.pb.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {

class HubCalls;

struct Answered {
  fraudhub::v1::ReportVerdict verdict;
  absl::Duration retry_after;
};
// Asks `submit` again while the verdict is RETRY, until --timeout (ResourceExhausted then). Other errors of `submit` end it.
absl::StatusOr<fraudhub::v1::ReportVerdict> UntilVerdict(const Environment& env,
                                                         const std::function<absl::StatusOr<Answered>()>& submit);

// ACCEPTED or REJECTED. While the hub says RETRY it is sent again, until --timeout.
absl::StatusOr<fraudhub::v1::ReportVerdict> SubmitOne(const HubCalls& calls, const fraudhub::v1::Report& report,
                                                      const Environment& env);
// A fresh id for a report typed by hand.
std::string FreshReportId(const Environment& env);
absl::Duration ToDuration(const google::protobuf::Duration& duration);
// Prints the verdict and, once it is known within `wait`, what became of the report.
absl::StatusOr<ExitCode> PrintOutcome(const HubCalls& calls, const fraudhub::v1::ReportVerdict& verdict,
                                      absl::Duration wait, const Environment& env);

}  // namespace hub::hubctl
