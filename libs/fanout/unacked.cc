#include "libs/fanout/unacked.h"

#include <algorithm>
#include <utility>

namespace hub::fanout {
namespace {

constexpr size_t kMessageBytesMin = 3 * 1024;  // however small the window
constexpr size_t kMessagesPerWindow = 4, kMessagesPerSmallWindow = 16;

}  // namespace

UnackedWindow::UnackedWindow(size_t bytes_max, wire::Cursor start, size_t bytes_at_first)
    : window_(bytes_max, bytes_at_first), acked_(std::move(start)) {}

void UnackedWindow::Sent(size_t bytes, wire::Cursor cursor, absl::Duration now, bool copies, uint32_t snapshot_parts) {
  if (bytes_ == 0) acknowledged_at_ = now;
  bytes_ += bytes;
  could_send_since_ = now;
  if (full() && !was_full_) {
    was_full_ = true;
    quiet_since_ = now;
  }
  if (bytes == 0) {
    // A bare progress mark: it must not hold back the bytes before it, should the client not acknowledge it.
    if (!entries_.empty() && entries_.back().bytes == 0) {
      entries_.back().cursor = std::move(cursor);
      entries_.back().snapshot_parts = snapshot_parts;
    } else if (entries_.size() < kEntriesMax) {
      entries_.push_back({0, std::move(cursor), now, acknowledged_at_, acknowledged_, false, snapshot_parts});
    }
    return;
  }
  if (!entries_.empty() && (entries_.size() >= kEntriesMax || entries_.back().bytes + bytes <= window_.bytes() / 16)) {
    entries_.back() = {entries_.back().bytes + bytes, std::move(cursor), now, acknowledged_at_, acknowledged_, entries_.back().copies || copies,
                       snapshot_parts};
    return;
  }
  entries_.push_back({bytes, std::move(cursor), now, acknowledged_at_, acknowledged_, copies, snapshot_parts});
}

void UnackedWindow::Acked(const std::vector<eventlog::Offset>& positions, absl::Duration now,
                          const std::vector<eventlog::Offset>& urgent, uint32_t snapshot_parts) {
  size_t released_bytes = 0;
  absl::Duration sent_at, since, oldest_sent_at = absl::InfiniteDuration();
  size_t before = 0;
  while (!entries_.empty()) {
    Entry& oldest = entries_.front();
    bool released = std::all_of(oldest.cursor.positions.begin(), oldest.cursor.positions.end(),
                                [&](const wire::CursorPosition& position) {
                                  return position.offset <= positions[static_cast<size_t>(position.partition)];
                                });
    for (size_t p = 0; oldest.copies && p < urgent.size(); ++p) {
      released &= oldest.cursor.urgent_offsets[p] <= urgent[p];
    }
    if (!released || oldest.snapshot_parts > snapshot_parts) break;
    if (oldest.bytes > 0) {
      sent_at = oldest.sent_at;
      oldest_sent_at = std::min(oldest_sent_at, sent_at);
      since = oldest.acknowledged_at;
      before = oldest.acknowledged_before;
    }
    released_bytes += oldest.bytes;
    acked_ = std::move(oldest.cursor);
    entries_.pop_front();
  }
  if (released_bytes == 0) return;
  acknowledged_ += released_bytes;
  window_.OnAck({sent_at, now, oldest_sent_at, since, acknowledged_ - before, released_bytes, bytes_, was_full_});
  acknowledged_at_ = now;
  const bool could_not_send = full();
  bytes_ -= released_bytes;
  was_full_ = full();
  if (could_not_send) could_send_since_ = now;
  quiet_since_ = now;
}

// A window holds few messages, since one costs about the same whatever is in it; but one that is not known yet, or that of a slow client, several:
// what comes back first tells the rate, and what was sent last tells it best. Where turns to send are rare, a message must
// hold what goes through from one to the next, or the turns would be the limit, and who is behind stay there.
size_t UnackedWindow::MessageBytes(absl::Duration now) const {
  const size_t window = window_.bytes();
  const size_t part = window / (window > AckWindow::kStart ? kMessagesPerWindow : kMessagesPerSmallWindow);
  const double seconds = std::clamp(absl::ToDoubleSeconds(now - could_send_since_), 0.0, 1.0);
  const size_t room = full() ? 0 : window - bytes_;
  // Twice what was measured, or a stream whose turns are rare would be held to it, and never be measured at more.
  const double measured = 2 * window_.rate();
  const double rate = window_.slow() ? measured : std::max(measured, static_cast<double>(window));
  return std::max({kMessageBytesMin, part, std::min(static_cast<size_t>(rate * seconds), room)});
}

void UnackedWindow::CheckSilence(absl::Duration now) {
  if (!full() || now - quiet_since_ < AckWindow::kPatience) return;
  window_.OnSilence();
  quiet_since_ = now;
}

}  // namespace hub::fanout
