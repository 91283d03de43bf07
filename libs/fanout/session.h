// One open stream: a vector of positions, a window of un-acknowledged bytes, and nothing else. No queue.
//
// A state machine without threads: its owner (rpc's egress, or the simulation) calls Next when the stream can take a message and OnAck
// when the client acknowledged. Not thread-safe; one owner at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/snapshot_source.h"
#include "libs/fanout/unacked.h"
#include "libs/fanout/urgent_place.h"
#include "libs/wire/cursor_token.h"
#include "libs/wire/wire.h"

namespace hub::fanout {

class SnapshotWalk;

struct SessionOptions {
  std::string stakeholder;
  size_t message_bytes_max = 128 * 1024;       // of one batch, about; gRPC holds what a connection has not taken
  // The client's limit; the window is smaller for a client that acknowledges slowly (ack_window.h). Next pauses beyond it; progress marks
  // still go out.
  size_t unacked_bytes_max = size_t{4} << 20;
  absl::Duration progress_interval = absl::Seconds(1);
  absl::Duration idle_progress_interval = absl::Seconds(5);
  // After so many bytes progress is due however little time has passed: a line that breaks before its client has a new token would never get on.
  size_t progress_bytes = 256 * 1024;
  absl::Duration window = absl::Hours(24 * 7);  // older tokens are refused: compaction may have removed what they need
  bool urgent = false;                          // copies of urgent events ahead of the order while it lags
  EventForm form = EventForm::kPlain;           // of events; copies of urgent ones are plain
  SnapshotSource* snapshots = nullptr;          // null: this node serves none (Unavailable)
  bool follows_another = false;                 // on the same stream: acknowledgements of that one may still come
};

enum class SessionStart { kNow, kEarliest, kSnapshot };

// Where a session's bytes come from at present: memory, the log, the states, or nowhere because its window is full.
enum class SessionMode { kLive, kCatchup, kSnapshot, kParked };

class Session {
 public:
  // Starts at a place of the log, or with a snapshot: Unavailable or ResourceExhausted when there can be none now.
  static absl::StatusOr<std::unique_ptr<Session>> Start(Dispatcher* dispatcher, const base::Clock* clock,
                                                        const wire::CursorSealer* sealer, const SessionOptions& options,
                                                        std::shared_ptr<FilterClass> filter_class,
                                                        uint64_t filter_fingerprint, SessionStart start);
  ~Session();
  // Resumes. Refuses with kCursorInvalid, kCursorTooOld, kLogChanged or kFilterChanged; never jumps silently.
  static absl::StatusOr<std::unique_ptr<Session>> Resume(Dispatcher* dispatcher, const base::Clock* clock,
                                                         const wire::CursorSealer* sealer,
                                                         const SessionOptions& options,
                                                         std::shared_ptr<FilterClass> filter_class,
                                                         uint64_t filter_fingerprint, absl::string_view token);
  // The same from a place that the hub itself kept.
  static absl::StatusOr<std::unique_ptr<Session>> ResumeAt(Dispatcher* dispatcher, const base::Clock* clock,
                                                           const wire::CursorSealer* sealer,
                                                           const SessionOptions& options,
                                                           std::shared_ptr<FilterClass> filter_class,
                                                           uint64_t filter_fingerprint, const wire::Cursor& cursor);

  // One message: copies of urgent events first if the session asked for them and is behind, events (slices or runs), then a trailer with the positions that changed and, when due, progress. Empty: nothing to send now
  // (a session far behind that matches little may have moved on all the same: ask again soon).
  // Progress is due `progress_interval` or `progress_bytes` after the last while events flow, else after `idle_progress_interval`; it tells of the session's
  // own positions only. R9: a session that started below the compaction bound gives none before it has reached the log's end as that
  // was when it read the last record from there; until then it is shown silent states, too, which may be all that compaction left of an
  // indicator. What it can't be shown is that a row left the view, if compaction takes the event that said so after the session passed
  // the one before; the client of a hub older than the window starts from a snapshot.
  // Copies go out although the window is full, up to kUrgentBeyondWindow bytes beyond it and one message's worth of them.
  // Errors end the stream (kCursorTooOld, kLogChanged; Unavailable: the log is away); what was gathered before one still goes out.
  static constexpr size_t kUrgentBytesMax = 16 * 1024;  // of copies in one message; the others go with the next
  static constexpr size_t kUrgentBeyondWindow = 16 * 1024;
  struct Message {
    std::vector<Slice> slices;
    size_t bytes = 0;
    int events = 0;
    bool drained = false;  // it holds all that there was
    int copies = 0;  // of urgent events, besides
    bool empty() const { return slices.empty(); }
  };
  absl::StatusOr<Message> Next();

  // Positions the client has made safe, and of the urgent lane, and parts of a snapshot; cumulative. InvalidArgument: ahead of what was
  // sent, or not a partition. Going backwards is ignored, and so are positions until all parts are safe: they are of before the snapshot.
  absl::Status OnAck(const std::map<int32_t, eventlog::Offset>& positions,
                     const std::map<int32_t, eventlog::Offset>& urgent_positions = {}, uint32_t snapshot_parts = 0);

  // The same rows with other fields, from the next event on. An error ends the stream: the next one may go on with the token.
  absl::Status SwitchClass(std::shared_ptr<FilterClass> filter_class);

  // Token of the present send position (what has been handed to Next's caller), for Opened and Drain. Empty while R9 forbids one.
  std::string Token() const;
  // The place after the newest message that the client has acknowledged wholly, the start before the first; for named cursors. None while
  // R9 forbids one.
  std::optional<wire::Cursor> AckedCursor() const;
  std::string AckedToken() const;  // the same as a token; empty
  // That place is before the end of a snapshot.
  bool acked_within_snapshot() const { return unacked_.acked().snapshot_parts > 0; }
  const std::vector<PartitionPosition>& positions() const { return positions_; }
  const std::map<int32_t, eventlog::Offset>& acked() const { return acked_; }
  absl::Time acked_at() const { return acked_at_; }
  int64_t RecordsBehind() const;
  int64_t offsets_passed() const;  // of all partitions together
  uint64_t events_sent() const { return events_sent_; }
  bool paused() const { return unacked_.full(); }
  size_t window_bytes() const { return unacked_.window().bytes(); }
  SessionMode mode() const {
    if (paused()) return SessionMode::kParked;
    return walk_ != nullptr ? SessionMode::kSnapshot : read_log_ ? SessionMode::kCatchup : SessionMode::kLive;
  }
  // It is sent, or not all of it is safe with the client.
  bool in_snapshot() const { return walk_ != nullptr || parts_acked_ < parts_due_; }
  // It goes on with a snapshot that an earlier stream began.
  bool snapshot_resumed() const { return snapshot_resumed_; }

 private:
  Session(Dispatcher* dispatcher, const base::Clock* clock, const wire::CursorSealer* sealer,
          const SessionOptions& options, std::shared_ptr<FilterClass> filter_class, uint64_t filter_fingerprint);

  void Begin(std::vector<PartitionPosition> positions, std::vector<eventlog::Offset> bootstrap_end);
  void BeginWalk(std::shared_ptr<const SnapshotRun> run, uint32_t part, uint32_t parts);
  absl::Status Gather(Message* message, size_t bytes_max);
  bool GatherRuns(Message* message, size_t bytes_max);
  void GatherUrgent(Message* message);
  void GatherStates(Message* message, size_t bytes_max);
  wire::SnapshotMark Mark(bool due);
  absl::StatusOr<Chunk> ReadPartition(int32_t partition, size_t bytes_max);
  bool Bootstrapping() const;
  void RefreshTimes();
  wire::Cursor PresentCursor() const;
  std::string Seal(const wire::Cursor& cursor) const;
  std::string Trailer(bool progress, wire::SnapshotMark mark);

  Dispatcher* const dispatcher_;
  const base::Clock* const clock_;
  const wire::CursorSealer* const sealer_;
  const SessionOptions options_;
  std::shared_ptr<FilterClass> class_;
  const uint64_t filter_fingerprint_;
  std::string log_id_;
  std::vector<PartitionPosition> positions_;
  std::optional<uint64_t> in_order_;    // positions_ as Dispatcher::ReadRuns gave them, if it did
  std::vector<eventlog::Offset> told_;  // of positions_, what trailers have said: the bound of acks
  // R9, per partition: no progress before this offset; -1 when the session started above the compaction bound.
  std::vector<eventlog::Offset> bootstrap_end_;
  absl::Time started_at_ = absl::InfinitePast();
  UrgentPlace urgent_;
  std::unique_ptr<SnapshotWalk> walk_;  // null: not inside a snapshot
  bool snapshot_resumed_ = false;
  bool snapshot_told_ = false;  // that it begins
  uint32_t parts_told_ = 0;     // of the snapshot: the bound of acks
  uint32_t parts_acked_ = 0;
  uint32_t parts_due_ = 0;  // that this stream's client must acknowledge before positions count
  UnackedWindow unacked_;
  std::map<int32_t, eventlog::Offset> acked_;
  absl::Time acked_at_ = absl::InfinitePast();
  absl::Duration progress_sent_at_;
  size_t since_progress_ = 0;  // bytes
  bool flowing_ = true;  // events were sent since the last progress (or there was none yet)
  bool read_log_ = false;
  uint64_t events_sent_ = 0;
  int32_t next_partition_ = 0;  // round robin, so that one busy partition can't starve the others
};

}  // namespace hub::fanout
