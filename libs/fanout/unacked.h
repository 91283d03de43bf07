// What a session has sent and its client has not acknowledged: bytes and positions, in a bounded list. Private to this library.
//
// A message is released when every position it told of is acknowledged. Small messages, and all past kEntriesMax, are held together
// with the one before and released with it: acks then free bytes in coarser steps, and nothing grows. Not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "libs/eventlog/log.h"
#include "libs/wire/cursor_token.h"

namespace hub::fanout {

class UnackedWindow {
 public:
  static constexpr size_t kEntriesMax = 32;

  UnackedWindow() = default;
  // `bytes_max`: the session's window; entries are grouped to about a sixteenth of it.
  UnackedWindow(size_t bytes_max, wire::Cursor start);

  // A message of `bytes` was sent; `cursor` is the session's place after it.
  void Sent(size_t bytes, wire::Cursor cursor);
  // The client has made everything before `positions[p]` safe, for every partition p.
  void Acked(const std::vector<eventlog::Offset>& positions);

  size_t bytes() const { return bytes_; }
  size_t entries() const { return entries_.size(); }
  // The place after the newest entry that was released; the start before the first.
  const wire::Cursor& acked() const { return acked_; }

 private:
  struct Entry {
    size_t bytes = 0;
    wire::Cursor cursor;
  };
  size_t group_bytes_ = 0;
  std::deque<Entry> entries_;
  size_t bytes_ = 0;
  wire::Cursor acked_;
};

}  // namespace hub::fanout
