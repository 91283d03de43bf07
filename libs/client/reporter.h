// Sends reports and sees each through to a verdict: batches, many in flight, retries with the same id.
//
// Thread safety: one thread calls. Bound: at most `in_flight_max` reports without a verdict; Submit blocks beyond.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
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
  int batch_size = 500;          // <= 1,000
  int in_flight_max = 4000;      // reports
  absl::Duration give_up_after = absl::Minutes(5);  // without a verdict for any report
};

class Reporter {
 public:
  // `on_verdict` gets ACCEPTED or REJECTED once per report (never RETRY), with the caller's tag; on a thread of the reporter.
  using OnVerdict = std::function<void(uint64_t tag, const fraudhub::v1::ReportVerdict& verdict)>;
  static std::unique_ptr<Reporter> Create(const ReporterOptions& options, OnVerdict on_verdict);
  virtual ~Reporter() = default;
  // Queues. Unavailable: nothing got through for `give_up_after`.
  virtual absl::Status Submit(uint64_t tag, fraudhub::v1::Report report) = 0;
  // Waits until every report has its verdict.
  virtual absl::Status Flush() = 0;
  virtual absl::StatusOr<std::vector<fraudhub::v1::ReportStatus>> Status(const std::vector<std::string>& report_ids) = 0;
};

}  // namespace hub::client
