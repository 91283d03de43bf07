// Reports that survive your process: on disk before they are sent, and off the disk when the hub has given its verdict.
//
// After a crash, or an answer that never came, a report is sent again with the same id, which the hub counts once. Outages of any length:
// there is no giving up but on errors that no retry cures; pauses grow, with chance in them, up to `backoff_max`, and a hub that names a
// time is left alone so long. Bound: `reports_max` without a verdict; Add refuses beyond.
// Thread safety: any thread. `on_verdict` runs on a thread of the reporter and must not call back into it. The folder is one reporter's
// at a time; it holds identifiers: keep it where only your service may read.
//
//   auto reporter = fraudhub::Reporter::Open("/var/lib/bank/reports", options, [](const fraudhub::v1::ReportVerdict& verdict) { ... });
//   report.set_report_id(fraudhub::NewReportId());  // once per report; every retry carries it
//   fraudhub::Status kept = reporter->Add(report);  // OK: done for the caller
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fraudhub/connection.h"
#include "fraudhub/result.h"
#include "fraudhub/status.h"

namespace fraudhub {

namespace v1 {  // fraudhub/v1/report.pb.h
class Report;
class ReportStatus;
class ReportVerdict;
}  // namespace v1

// A fresh report id: a UUID of version 7, of the wall clock and the operating system's chance.
std::string NewReportId();

struct ReporterOptions {
  Connection connection{};
  Connection status{};                               // where GetStatus asks; without a server: the same as `connection`
  bool sending = true;                               // false: only keeps; who opens the folder next sends
  size_t reports_max = 1'000'000;                    // without a verdict; a few hundred bytes of disk each
  int batch_size = 500;                              // reports in one message, <= 1,000; it also ends at 1 MiB
  int in_flight_max = 4000;                          // reports sent and not answered
  std::chrono::milliseconds linger{5};               // a batch that is not full waits so long for more
  std::chrono::milliseconds answer_timeout{30'000};  // a batch without an answer so long: reconnect and send again
  std::chrono::milliseconds call_timeout{10'000};    // of GetStatus
  std::chrono::milliseconds backoff_base{100};
  std::chrono::milliseconds backoff_max{20'000};
  // The stream broke, or the hub asked to wait; work goes on after `pause`. On a thread of the reporter. May be empty.
  std::function<void(const Status& why, std::chrono::milliseconds pause)> on_pause{};
  // Called once when sending is over for this reporter: an error that no retry cures. Likewise.
  std::function<void(const Status& why)> on_failed{};
};

class Reporter {
 public:
  // ACCEPTED or REJECTED, at least once per report: after a crash perhaps once more. What is REJECTED is gone from the folder, too.
  using OnVerdict = std::function<void(const v1::ReportVerdict& verdict)>;

  // Opens or creates; what had no verdict yet is sent first. kInvalidArgument: bad address, identity or numbers. kFailedPrecondition:
  // another process has the folder open.
  static Result<Reporter> Open(const std::string& folder, const ReporterOptions& options, OnVerdict on_verdict);
  Reporter(Reporter&&) noexcept;  // one that was moved from may only be assigned to or destroyed
  Reporter& operator=(Reporter&&) noexcept;
  // What has no verdict stays in the folder.
  ~Reporter();

  // All or none; they survive a power cut when it returns OK, whatever the hub does. kInvalidArgument: a report without an id,
  // or with a text that is not UTF-8.
  // kResourceExhausted: `reports_max`, or the disk is full.
  Status Add(std::span<const v1::Report> reports);
  Status Add(const v1::Report& report);
  // Waits until every report has its verdict. REQUIRES: sending. An error that no retry cures (kUnauthenticated, kPermissionDenied, ...)
  // ends the sending: what the folder holds is sent by the next one that opens it.
  Status Flush();
  // Reports without a verdict.
  size_t waiting() const;
  // What became of earlier reports of this stakeholder, in the order of the ids; asks for 1,000 at a time.
  Result<std::vector<v1::ReportStatus>> GetStatus(const std::vector<std::string>& report_ids);

 private:
  struct Impl;
  explicit Reporter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fraudhub
