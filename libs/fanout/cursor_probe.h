// What the store of named cursors tells about itself. Private to this library.
//
// Thread safety: any thread.
#pragma once

#include "libs/base/metrics.h"

namespace hub::fanout {

struct CursorProbe {
  explicit CursorProbe(base::Metrics* metrics)
      : attaches(metrics->AddCounter("fraudhub_cursors_attached_total", "Streams of this node that attached to a cursor")),
        refused(metrics->AddCounter("fraudhub_cursors_refused_total", "New names refused for want of room")),
        writes(metrics->AddCounter("fraudhub_cursors_written_total", "Places written")),
        stale(metrics->AddCounter("fraudhub_cursors_stale_total", "Records read of a generation that was over")),
        errors(metrics->AddCounter("fraudhub_cursors_errors_total", "Reads and appends that failed, records passed over")),
        cursors(metrics->AddGauge("fraudhub_cursors_known", "Named cursors of all stakeholders")) {}
  base::Counter attaches, refused, writes, stale, errors;
  base::Gauge cursors;
};

}  // namespace hub::fanout
