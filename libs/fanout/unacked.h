// What a session has sent and its client has not acknowledged: bytes and positions, in a bounded list. Private to this library.
//
// A message is released when every position it told of is acknowledged. Small messages, and all past kEntriesMax, are held together
// with the one before and released with it: acks then free bytes in coarser steps, and nothing grows. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/time/time.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/ack_window.h"
#include "libs/wire/cursor_token.h"

namespace hub::fanout {

class UnackedWindow {
 public:
  static constexpr size_t kEntriesMax = 32;

  UnackedWindow() = default;
  // `bytes_max`: the client's limit of the window, `bytes_at_first` the window until something is acknowledged; entries are grouped to about a sixteenth of the window as it is.
  UnackedWindow(size_t bytes_max, wire::Cursor start, size_t bytes_at_first = AckWindow::kStart);

  // A message of `bytes` was sent at `now` (monotonic); `cursor` is the session's place after it. `copies`: urgent ones were in it.
  // `snapshot_parts`: wholly or partly sent so far.
  void Sent(size_t bytes, wire::Cursor cursor, absl::Duration now, bool copies = false, uint32_t snapshot_parts = 0);
  // The client has made everything before `positions[p]` safe, for every partition p, and so many parts of a snapshot, and of the urgent
  // lane, if the session is in it, everything before `urgent[p]`: what had copies in it is released when all have passed.
  void Acked(const std::vector<eventlog::Offset>& positions, absl::Duration now,
             const std::vector<eventlog::Offset>& urgent = {}, uint32_t snapshot_parts = 0);

  size_t bytes() const { return bytes_; }
  // About how many bytes the next message should have, at `now` (monotonic).
  size_t MessageBytes(absl::Duration now) const;
  // No more may be sent. Never with nothing un-acknowledged, so one message always may go.
  bool full() const { return bytes_ > 0 && bytes_ >= window_.bytes(); }
  // Makes room if the client has been silent with a full window for long. Asked while full.
  void CheckSilence(absl::Duration now);
  const AckWindow& window() const { return window_; }
  size_t entries() const { return entries_.size(); }
  // The place after the newest entry that was released; the start before the first.
  const wire::Cursor& acked() const { return acked_; }

 private:
  struct Entry {
    size_t bytes = 0;
    wire::Cursor cursor;
    // Of the newest message in it: when it was sent; and what had been acknowledged by then, and when.
    absl::Duration sent_at, acknowledged_at;
    size_t acknowledged_before = 0;
    bool copies = false;
    uint32_t snapshot_parts = 0;  // that must be safe for it to be
  };
  AckWindow window_;
  std::deque<Entry> entries_;
  size_t bytes_ = 0;
  size_t acknowledged_ = 0;     // bytes, ever
  absl::Duration acknowledged_at_;  // the last time, or the sending of what was sent when nothing was under way
  bool was_full_ = false;       // since the last acknowledgement
  // Nothing was sent, though something could be; never before the first message.
  absl::Duration could_send_since_ = absl::InfiniteDuration();
  absl::Duration quiet_since_;  // the last acknowledgement, or when the window filled or doubled after it
  wire::Cursor acked_;
};

}  // namespace hub::fanout
