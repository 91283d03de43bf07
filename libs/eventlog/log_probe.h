// What a log tells about itself; the same series whichever log it is. Private to the implementations of Log.
//
// Thread safety: any thread.
#pragma once

#include "libs/base/metrics.h"

namespace hub::eventlog {

struct LogProbe {
  explicit LogProbe(base::Metrics* metrics)
      : durable(Appends(metrics, "durable")),
        refused(Appends(metrics, "refused")),
        unknown(Appends(metrics, "unknown")),
        pending_bytes(metrics->AddGauge("fraudhub_eventlog_pending_bytes", "Bytes handed to Append and not yet answered")),
        commit_seconds(metrics->AddHistogram("fraudhub_eventlog_commit_seconds",
                                             "From the write of a group (local) or the append (Kafka) until it was durable",
                                             base::LatencyBounds())),
        cleaned_by_age(Cleaned(metrics, "retention")),
        cleaned_by_key(Cleaned(metrics, "compaction")),
        producers_replaced(metrics->AddCounter("fraudhub_eventlog_producers_replaced_total", "Fatal producer errors (Kafka)")) {}

  base::Counter durable, refused, unknown;  // answers to Append, by what the caller was told
  base::Gauge pending_bytes;
  base::Histogram commit_seconds;
  base::Counter cleaned_by_age, cleaned_by_key;
  base::Counter producers_replaced;

 private:
  static base::Counter Appends(base::Metrics* metrics, const char* outcome) {
    return metrics->AddCounter("fraudhub_eventlog_appends_total", "Answers to appends", {{"outcome", outcome}});
  }
  static base::Counter Cleaned(base::Metrics* metrics, const char* by) {
    return metrics->AddCounter("fraudhub_eventlog_cleaned_records_total", "Records removed by the embedded log", {{"by", by}});
  }
};

}  // namespace hub::eventlog
