#include "libs/fanout/unacked.h"

#include <algorithm>
#include <utility>

namespace hub::fanout {

UnackedWindow::UnackedWindow(size_t bytes_max, wire::Cursor start)
    : group_bytes_(bytes_max / 16), acked_(std::move(start)) {}

void UnackedWindow::Sent(size_t bytes, wire::Cursor cursor) {
  bytes_ += bytes;
  if (bytes == 0) {
    // A bare progress mark: it must not hold back the bytes before it, should the client not acknowledge it.
    if (!entries_.empty() && entries_.back().bytes == 0) {
      entries_.back().cursor = std::move(cursor);
    } else if (entries_.size() < kEntriesMax) {
      entries_.push_back({0, std::move(cursor)});
    }
    return;
  }
  if (!entries_.empty() && (entries_.size() >= kEntriesMax || entries_.back().bytes + bytes <= group_bytes_)) {
    entries_.back().bytes += bytes;
    entries_.back().cursor = std::move(cursor);
    return;
  }
  entries_.push_back({bytes, std::move(cursor)});
}

void UnackedWindow::Acked(const std::vector<eventlog::Offset>& positions) {
  while (!entries_.empty()) {
    Entry& oldest = entries_.front();
    const bool released = std::all_of(oldest.cursor.positions.begin(), oldest.cursor.positions.end(),
                                      [&](const wire::CursorPosition& position) {
                                        return position.offset <= positions[static_cast<size_t>(position.partition)];
                                      });
    if (!released) return;
    bytes_ -= oldest.bytes;
    acked_ = std::move(oldest.cursor);
    entries_.pop_front();
  }
}

}  // namespace hub::fanout
