#include "libs/rpc/egress_house.h"

namespace hub::rpc {

EgressProbe::EgressProbe(base::Metrics* metrics)
    : streams(metrics->AddGauge("fraudhub_egress_streams", "Open streams")),
      memory(metrics->AddGauge("fraudhub_egress_memory_bytes", "Memory of the process as the egress last saw it")),
      messages(metrics->AddCounter("fraudhub_egress_messages_total", "Messages written")),
      bytes(metrics->AddCounter("fraudhub_egress_bytes_total", "Bytes written")),
      reads(metrics->AddCounter("fraudhub_egress_reads_total", "Messages read")),
      refused(metrics->AddCounter("fraudhub_egress_refused_total", "Streams refused at open")),
      stalled(metrics->AddCounter("fraudhub_egress_stalled_total",
                                  "Streams cancelled because a write was pending too long")),
      cut(metrics->AddCounter("fraudhub_egress_cut_total",
                              "Connections cut because cancelling a stream was not enough")),
      revoked(
          metrics->AddCounter("fraudhub_egress_revoked_total", "Streams ended because the caller's right had changed")),
      aged(metrics->AddCounter("fraudhub_egress_aged_total", "Streams ended for their age")),
      shed(metrics->AddCounter("fraudhub_egress_shed_total", "Streams ended for want of memory")),
      ended(metrics->AddCounter("fraudhub_egress_ended_total", "Streams that ended")),
      write_seconds(metrics->AddHistogram("fraudhub_egress_write_seconds",
                                          "From a write to gRPC's word that it took it; one in eight",
                                          base::LatencyBounds())),
      pass_seconds(metrics->AddHistogram("fraudhub_egress_pass_seconds", "One pass over a thread's streams",
                                         base::LatencyBounds())) {}

}  // namespace hub::rpc
