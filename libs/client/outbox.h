// A reporter that survives its process. Outsiders know it as fraudhub::Reporter, and fraudhub/reporter.h documents it; this is the same with
// absl's types.
// Thread safety: any thread; `on_verdict` runs on a thread of the outbox and must not call back into it.
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
  ReporterOptions reporter;  // `give_up_after` counts for nothing
  size_t reports_max = 1'000'000;
  bool sending = true;
};

class Outbox {
 public:
  using OnVerdict = std::function<void(const fraudhub::v1::ReportVerdict& verdict)>;

  static absl::StatusOr<std::unique_ptr<Outbox>> Open(const std::string& folder, const OutboxOptions& options,
                                                      OnVerdict on_verdict);
  virtual ~Outbox() = default;
  virtual absl::Status Add(const std::vector<fraudhub::v1::Report>& reports) = 0;
  virtual absl::Status Flush() = 0;
  virtual size_t waiting() const = 0;
  virtual absl::StatusOr<std::vector<fraudhub::v1::ReportStatus>> Status(
      const std::vector<std::string>& report_ids) = 0;
};

}  // namespace hub::client
