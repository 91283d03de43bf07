// A log with a copy of one topic on the local disk: what the copy holds is read without asking the log behind, however many readers are
// behind and however slow that log is.
//
// The copy has the offsets, and the holes, of the log behind; of each partition one stretch without gaps, from some age on. It is filled by
// a thread of its own. Reads inside it are local; at its end and beyond they go to the log behind. Offsets of the topic are those the filler
// saw last, at most kOffsetsAge old (and never older than what went through this object); older ones are asked for anew. Everything else is
// the log behind.
// A copy of another log (log_id), or one that the log behind has outrun, starts afresh. When it can't be written (a full disk), it stands
// still and says so in the log and a metric; reads then go to the log behind.
// Bounds: age_max and bytes_max of the whole copy, checked once a minute; the oldest go first.
//
// Thread safety: as Log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/log.h"
#include "libs/store/database.h"

namespace hub::eventlog {

struct MirrorOptions {
  std::string topic;
  int32_t partitions = 1;
  absl::Duration age_max = absl::Hours(24 * 8);
  int64_t bytes_max = int64_t{32} << 30;
  absl::Duration trim_interval = absl::Minutes(1);
};

// Of the copy's database, which holds nothing else.
std::vector<store::TableSpec> MirrorTables();

class MirroredLog : public Log {
 public:
  static constexpr absl::Duration kOffsetsAge = absl::Seconds(2);

  // `behind` and `clock` outlive the log. REQUIRES: the topic is ensured in `behind`.
  static absl::StatusOr<std::unique_ptr<MirroredLog>> Open(Log* behind, std::unique_ptr<store::Database> database,
                                                           const MirrorOptions& options, const base::Clock* clock,
                                                           base::Metrics* metrics);
  // What the copy of a partition holds.
  virtual OffsetRange Held(int32_t partition) const = 0;
};

}  // namespace hub::eventlog
