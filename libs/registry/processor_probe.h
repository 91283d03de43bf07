// What the processor tells about itself. Private to this library.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/base/metrics.h"
#include "libs/model/vocabulary.h"

namespace hub::registry {

class ProcessorProbe {
 public:
  ProcessorProbe(base::Metrics* metrics, int32_t partition)
      : states(metrics->AddCounter("fraudhub_registry_states_total", "Silent STATE records written")),
        repaired(metrics->AddCounter("fraudhub_registry_repaired_total",
                                     "Keys written again because another owner's record displaced them")),
        urgent(metrics->AddCounter("fraudhub_registry_urgent_total", "Urgent events", {{"copy", "due"}})),
        urgent_without_copy(
            metrics->AddCounter("fraudhub_registry_urgent_total", "Urgent events", {{"copy", "beyond_the_budget"}})),
        commit_failures(
            metrics->AddCounter("fraudhub_registry_commit_failures_total", "Commits that failed and were undone")),
        commit_seconds(metrics->AddHistogram("fraudhub_registry_commit_seconds", "One synced commit of a batch",
                                             base::LatencyBounds())),
        decided_seconds(metrics->AddHistogram(
            "fraudhub_registry_decided_seconds",
            "From ingest's clock until decided and committed, oldest report of each batch", base::LatencyBounds())),
        outbox_rows(metrics->AddGauge("fraudhub_registry_outbox_rows", "Records decided and not yet on the log",
                                      {{"partition", std::to_string(partition)}})),
        lag_records(metrics->AddGauge("fraudhub_registry_lag_records", "Records of reports not yet read",
                                      {{"partition", std::to_string(partition)}})),
        metrics_(metrics) {}

  void CountReports(model::Outcome outcome, int count) {
    metrics_
        ->AddCounter("fraudhub_registry_reports_total", "Reports by what became of them",
                     {{"outcome", std::string(model::Name(outcome))}})
        .Increment(count);
  }
  void CountEvents(model::EventKind kind, int count) {
    metrics_->AddCounter("fraudhub_registry_events_total", "Events by kind", {{"kind", std::string(model::Name(kind))}})
        .Increment(count);
  }
  void CountQuarantined(int count) {
    metrics_->AddCounter("fraudhub_registry_quarantined_total", "Records of reports that don't decode")
        .Increment(count);
  }

  base::Counter states, repaired, urgent, urgent_without_copy, commit_failures;
  base::Histogram commit_seconds, decided_seconds;
  base::Gauge outbox_rows, lag_records;

 private:
  base::Metrics* const metrics_;
};

}  // namespace hub::registry
