// Sends reports and sees each through to a verdict: batches, many in flight, retries with the same id. For the programs of this tree, which
// keep what they send elsewhere (a file, a peer); others get it with a disk in front (outbox.h), as fraudhub::Reporter.
//
// Thread safety: one thread calls; handlers run on the reporter's own thread and must not call back into it. Bound: at most
// `in_flight_max` reports without a verdict; Submit blocks beyond. The destructor drops what has no verdict: Flush first.
//
//   auto reporter = Reporter::Create(options, [](uint64_t tag, const v1::ReportVerdict& verdict) { ... });
//   HUB_RETURN_IF_ERROR(reporter->Submit(row, report));  // report_id is the caller's, kept on every retry
//   HUB_RETURN_IF_ERROR(reporter->Flush());
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/client/connection.h"

namespace fraudhub::v1 {
class Report;
class ReportStatus;
class ReportVerdict;
}  // namespace fraudhub::v1

namespace hub::client {

struct ReporterOptions {
  ConnectionOptions connection;
  ConnectionOptions status;  // where Status asks; without a server: the same as `connection`
  int batch_size = 500;                                // reports, <= 1,000; a batch also ends at 1 MiB
  int in_flight_max = 4000;                            // reports
  absl::Duration linger = absl::Milliseconds(5);       // a batch that is not full waits so long for more
  absl::Duration answer_timeout = absl::Seconds(30);   // a batch without an answer so long: reconnect and send again
  absl::Duration give_up_after = absl::Minutes(5);     // without a verdict for any report
  absl::Duration call_timeout = absl::Seconds(10);     // of Status
  absl::Duration backoff_base = absl::Milliseconds(100);
  absl::Duration backoff_max = absl::Seconds(20);
  // The stream broke, or the hub asked to wait; work goes on after `pause`. May be empty.
  std::function<void(const absl::Status& why, absl::Duration pause)> on_pause;
  // Called once when it is over: no later call will do better than fail with `why`. May be empty.
  std::function<void(const absl::Status& why)> on_failed;
};

// A fresh report id: a UUID of version 7, of the wall clock and the operating system's chance. Make it once per report and keep it.
std::string NewReportId();

class Reporter {
 public:
  // `on_verdict` gets ACCEPTED or REJECTED once per report (never RETRY), with the caller's tag; on a thread of the reporter.
  using OnVerdict = std::function<void(uint64_t tag, const fraudhub::v1::ReportVerdict& verdict)>;
  // InvalidArgument: bad address, identity or numbers.
  static absl::StatusOr<std::unique_ptr<Reporter>> Create(const ReporterOptions& options, OnVerdict on_verdict);
  virtual ~Reporter() = default;
  // Queues. InvalidArgument: a text that is not UTF-8, by its field; later calls are not affected. Unavailable: nothing got through for `give_up_after`. Other errors are the hub's, and no retry cures them
  // (Unauthenticated, PermissionDenied, Unimplemented, ...). After such an error every later call fails with it.
  virtual absl::Status Submit(uint64_t tag, fraudhub::v1::Report report) = 0;
  // Waits until every report has its verdict.
  virtual absl::Status Flush() = 0;
  // What became of earlier reports, in the order of the ids; asks for 1,000 at a time.
  virtual absl::StatusOr<std::vector<fraudhub::v1::ReportStatus>> Status(const std::vector<std::string>& report_ids) = 0;
};

}  // namespace hub::client
