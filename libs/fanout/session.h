// One open stream: a vector of positions, a window of un-acknowledged bytes, and nothing else. No queue.
//
// A state machine without threads: its owner (rpc's egress, or the simulation) calls Next when the stream can take a message and OnAck
// when the client acknowledged. Not thread-safe; one owner at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/fanout/dispatcher.h"
#include "libs/wire/cursor_token.h"

namespace hub::fanout {

struct SessionOptions {
  std::string stakeholder;
  size_t message_bytes_max = 64 * 1024;         // aim of one batch
  size_t unacked_bytes_max = size_t{4} << 20;   // Next pauses beyond it (progress marks still go out)
  absl::Duration progress_interval = absl::Seconds(1);
  absl::Duration idle_progress_interval = absl::Seconds(5);
  absl::Duration window = absl::Hours(24 * 7);  // older tokens are refused: compaction may have removed what they need
};

enum class SessionStart { kNow, kEarliest };

class Session {
 public:
  // Starts at a place of the log.
  static absl::StatusOr<std::unique_ptr<Session>> Start(Dispatcher* dispatcher, const base::Clock* clock,
                                                        const wire::CursorSealer* sealer, const SessionOptions& options,
                                                        std::shared_ptr<FilterClass> filter_class,
                                                        uint64_t filter_fingerprint, SessionStart start);
  // Resumes. Refuses with kCursorInvalid, kCursorTooOld, kLogChanged or kFilterChanged; never jumps silently.
  static absl::StatusOr<std::unique_ptr<Session>> Resume(Dispatcher* dispatcher, const base::Clock* clock,
                                                         const wire::CursorSealer* sealer, const SessionOptions& options,
                                                         std::shared_ptr<FilterClass> filter_class,
                                                         uint64_t filter_fingerprint, absl::string_view token);

  // One message: event slices first, then a trailer with positions and, when due, progress. Empty: nothing to send now.
  // Errors end the stream (OutOfRange as kCursorTooOld; Unavailable: the log is away).
  struct Message {
    std::vector<Slice> slices;
    size_t bytes = 0;
    int events = 0;
    bool empty() const { return slices.empty(); }
  };
  absl::StatusOr<Message> Next();

  // Positions the client has made safe; cumulative. InvalidArgument: ahead of what was sent, or not a partition. Going backwards is
  // ignored.
  absl::Status OnAck(const std::map<int32_t, eventlog::Offset>& positions);

  // Token of the present send position (what has been handed to Next's caller), for Opened and Drain.
  std::string Token() const;
  std::vector<PartitionPosition> positions() const { return positions_; }
  const std::map<int32_t, eventlog::Offset>& acked() const { return acked_; }
  absl::Time acked_at() const { return acked_at_; }
  int64_t RecordsBehind() const;
  uint64_t events_sent() const { return events_sent_; }
  bool paused() const { return unacked_bytes_ >= options_.unacked_bytes_max; }

 private:
  Session(Dispatcher* dispatcher, const base::Clock* clock, const wire::CursorSealer* sealer, const SessionOptions& options,
          std::shared_ptr<FilterClass> filter_class, uint64_t filter_fingerprint);

  Dispatcher* const dispatcher_;
  const base::Clock* const clock_;
  const wire::CursorSealer* const sealer_;
  const SessionOptions options_;
  const std::shared_ptr<FilterClass> class_;
  const uint64_t filter_fingerprint_;
  std::vector<PartitionPosition> positions_;
  std::map<int32_t, eventlog::Offset> acked_;
  absl::Time acked_at_ = absl::InfinitePast();
  absl::Duration progress_sent_at_;
  size_t unacked_bytes_ = 0;
  uint64_t events_sent_ = 0;
  int next_partition_ = 0;  // round robin, so that one busy partition can't starve the others
};

}  // namespace hub::fanout
