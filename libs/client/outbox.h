// A reporter that survives its process: a report is on disk before it is sent, and leaves the disk when the hub has given its verdict.
//
// After a crash, or an answer that never came, it is sent again with the same id, which the hub counts once. Outages of any length: there
// is no giving up but on errors that no retry cures. Bound: `reports_max` without a verdict; Add refuses beyond.
// Thread safety: any thread. `on_verdict` runs on a thread of the outbox and must not call back into it. The folder is one outbox's
// at a time; it holds identifiers: keep it where only your service may read.
//
//   auto outbox = Outbox::Open("/var/lib/bank/outbox", options, [](const v1::ReportVerdict& verdict) { ... });
//   HUB_RETURN_IF_ERROR((*outbox)->Add({report}));  // done for the caller
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/client/reporter.h"

namespace hub::client {

struct OutboxOptions {
  ReporterOptions reporter;        // `give_up_after` counts for nothing
  size_t reports_max = 1'000'000;  // without a verdict; a few hundred bytes each
  bool sending = true;             // false: only keeps; who opens it next sends
};

class Outbox {
 public:
  // ACCEPTED or REJECTED, at least once per report: after a crash perhaps once more. A report that is REJECTED is gone from the outbox too.
  using OnVerdict = std::function<void(const fraudhub::v1::ReportVerdict& verdict)>;

  // Opens or creates; what had no verdict yet is sent first. InvalidArgument: bad address, identity or numbers. FailedPrecondition: another
  // process has the folder open.
  static absl::StatusOr<std::unique_ptr<Outbox>> Open(const std::string& folder, const OutboxOptions& options,
                                                      OnVerdict on_verdict);
  // What has no verdict stays in the folder.
  virtual ~Outbox() = default;
  // All or none; they survive a power cut when it returns OK, whatever the hub does. InvalidArgument: a report without an id,
  // or with a text that is not UTF-8.
  // ResourceExhausted: full, or the disk is.
  virtual absl::Status Add(const std::vector<fraudhub::v1::Report>& reports) = 0;
  // Waits until every report has its verdict. REQUIRES: sending. An error of the hub that no retry cures (Unauthenticated, PermissionDenied, ...) ends the
  // sending, not the outbox: what it holds is sent by the next one that is opened.
  virtual absl::Status Flush() = 0;
  // Reports without a verdict.
  virtual size_t waiting() const = 0;
  // As Reporter::Status.
  virtual absl::StatusOr<std::vector<fraudhub::v1::ReportStatus>> Status(
      const std::vector<std::string>& report_ids) = 0;
};

}  // namespace hub::client
