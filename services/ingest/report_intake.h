// From what a caller sent to verdicts: validate, authorise, put on the log, answer when durable. The one way in for reports, whichever
// RPC they came by.
//
// Thread safety: any thread. `done` runs once, on the caller's thread (nothing went to the log) or on a thread of the log: it must not
// block. Bound: what is in flight is held by the log, which refuses beyond its own bound.
//
//   intake->Submit(*policy, caller, request->reports(), "reports", [=](IntakeResult result) { ... });
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/access/policy.h"
#include "libs/access/quota.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/model/refusal.h"
#include "libs/model/token.h"
#include "libs/wire/wire.h"

namespace hub::ingest {

inline constexpr int kReportsPerCallMax = 1000;

struct IntakeOptions {
  int32_t partitions = 1;
  bool allow_test_range = false;
};

struct IntakeResult {
  // Not OK: nothing was accepted, and a unary call ends with it. With refused items (all of them) a stream goes on; without any, the
  // request itself was malformed.
  absl::Status status;
  google::protobuf::RepeatedPtrField<fraudhub::v1::RefusedReport> refused;  // those that are not ACCEPTED, in order
  absl::Duration retry_after = absl::ZeroDuration();                        // set when any is RETRY
  int accepted = 0;
};

// Of a call with one report, `report_id`; empty when the call was refused as a whole.
fraudhub::v1::ReportVerdict OnlyVerdict(const std::string& report_id, IntakeResult* result);

class ReportIntake {
 public:
  using Reports = google::protobuf::RepeatedPtrField<fraudhub::v1::Report>;
  using Done = std::function<void(IntakeResult)>;

  ReportIntake(const IntakeOptions& options, const base::Clock* clock, base::Metrics* metrics, eventlog::Log* log,
               const model::Tokeniser* tokeniser, access::Quota* quota);

  // `path`: of the list in the request, "reports" for "reports[3].identifier.value"; empty: fields are named without a prefix (one
  // report that the request spells out). `reports` is not used after Submit has returned.
  void Submit(const access::Policy& policy, const access::Principal& caller, const Reports& reports,
              absl::string_view path, Done done);

 private:
  struct Batch;
  // OK, or what all reports of a call get at once because the log takes none now.
  absl::Status LogTakesReports() const;
  // Once a second the first report of a refused call is put on the log all the same: a log that judges itself by its last append gets well
  // by it. Its reporter sends it again, as it was told.
  bool ProbeIsDue();
  void Probe(const access::Policy& policy, const access::Principal& caller, const Reports& reports);
  void RefuseAll(const Reports& reports, const absl::Status& why, absl::Duration retry_after, Batch* batch);
  // The verdict on one item that is not accepted, `why` from Prepare or from the log.
  void Refuse(int index, absl::string_view report_id, const absl::Status& why, Batch* batch);
  absl::Status Prepare(const access::Policy& policy, const access::Principal& caller, const wire::InputContext& context,
                       const fraudhub::v1::Report& report, eventlog::Log::Addressed* item) const;
  wire::InputContext ContextOf(const access::Principal& caller) const;
  void OnAnswers(const std::vector<absl::StatusOr<eventlog::Offset>>& answers, Batch* batch);
  void Settle(Batch* batch);
  void Count(const fraudhub::v1::ReportVerdict& verdict);

  const IntakeOptions options_;
  const base::Clock* const clock_;
  base::Metrics* const metrics_;
  eventlog::Log* const log_;
  const model::Tokeniser* const tokeniser_;
  access::Quota* const quota_;
  std::atomic<int64_t> next_probe_millis_{0};  // monotonic; relaxed: two probes in a close race do no harm
  base::Counter accepted_;
  base::Histogram append_seconds_;
};

}  // namespace hub::ingest
