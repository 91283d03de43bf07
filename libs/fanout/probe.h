// What fan-out tells about itself. Private to this library.
//
// Thread safety: any thread.
#pragma once

#include "libs/base/metrics.h"

namespace hub::fanout {

struct FanoutProbe {
  explicit FanoutProbe(base::Metrics* metrics)
      : events(Records(metrics, "event")),
        marks(Records(metrics, "mark")),
        ticks(Records(metrics, "tick")),
        silent(Records(metrics, "silent")),
        fenced(Records(metrics, "fenced")),
        undecodable(Records(metrics, "undecodable")),
        matched(metrics->AddCounter("fraudhub_fanout_matches_total", "Events that a class took in (LIVE)",
                                    {{"as", "event"}})),
        left_view(metrics->AddCounter("fraudhub_fanout_matches_total", "Events that a class took in (LIVE)",
                                      {{"as", "left_view"}})),
        encoded_live(Encoded(metrics, "live")),
        encoded_catchup(Encoded(metrics, "catchup")),
        reads_live(Reads(metrics, "live")),
        reads_catchup(Reads(metrics, "catchup")),
        runs_packed(metrics->AddCounter("fraudhub_fanout_runs_packed_total",
                                        "Runs of events packed (LIVE); each is then there for all streams of its class")),
        blocks_made(Blocks(metrics, "made")),
        blocks_shared(Blocks(metrics, "shared")),
        blocks_read(Blocks(metrics, "read")),
        read_errors(
            metrics->AddCounter("fraudhub_fanout_log_errors_total", "Reads of the log by the dispatcher that failed")),
        segments_dropped(
            metrics->AddCounter("fraudhub_fanout_segments_dropped_total", "Segments dropped to stay within memory")),
        segment_bytes(metrics->AddGauge("fraudhub_fanout_segment_bytes", "Memory of all segments")),
        classes(metrics->AddGauge("fraudhub_fanout_classes", "Filter classes that somebody holds")),
        class_overflow(metrics->AddGauge("fraudhub_fanout_class_overflow",
                                         "Filter classes beyond the bound: their sessions read and judge the log")),
        classes_refused(metrics->AddCounter("fraudhub_fanout_classes_refused_total",
                                            "Streams refused for a filter of which there is no room left")),
        intake_seconds(metrics->AddHistogram(
            "fraudhub_fanout_intake_seconds",
            "From the append of an event until all classes hold it, oldest of each batch", base::LatencyBounds())) {}

  base::Counter events, marks, ticks, silent, fenced, undecodable;
  base::Counter matched, left_view;
  base::Counter encoded_live, encoded_catchup;
  base::Counter reads_live, reads_catchup;  // by sessions, of those that found something or moved on
  base::Counter runs_packed;
  base::Counter blocks_made, blocks_shared, blocks_read;
  base::Counter read_errors, segments_dropped;
  base::Gauge segment_bytes, classes, class_overflow;
  base::Counter classes_refused;
  base::Histogram intake_seconds;

 private:
  static base::Counter Records(base::Metrics* metrics, const char* kind) {
    return metrics->AddCounter("fraudhub_fanout_records_total", "Records taken in, by what they were",
                               {{"kind", kind}});
  }
  static base::Counter Encoded(base::Metrics* metrics, const char* mode) {
    return metrics->AddCounter("fraudhub_fanout_encoded_total", "Events redacted and encoded", {{"mode", mode}});
  }
  static base::Counter Reads(base::Metrics* metrics, const char* mode) {
    return metrics->AddCounter("fraudhub_fanout_reads_total", "Reads by sessions, by where the bytes came from",
                               {{"mode", mode}});
  }
  static base::Counter Blocks(base::Metrics* metrics, const char* how) {
    return metrics->AddCounter("fraudhub_fanout_catchup_blocks_total",
                               "Catch-up blocks of a class that were asked for, made or shared; and those of the log read for them",
                               {{"how", how}});
  }
};

}  // namespace hub::fanout
