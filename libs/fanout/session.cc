#include "libs/fanout/session.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/fanout/snapshot_walk.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"

namespace hub::fanout {
namespace {

using model::RefusalCode;
using model::Refuse;

constexpr char kTokenField[] = "open.token";
// Who reads the log goes on in small steps, so that those who stand near each other stay near: what is read and decoded for one is kept for the
// others, not for ever.
constexpr size_t kLogMessageBytesMax = 32 * 1024;
// Blocks of the log that one Next may go through: a session that matches little must not keep its thread from the others.
constexpr int kLogReadsMax = 4;
constexpr size_t kUnpackedBytesMax = size_t{8} << 20;  // of a snapshot in one message, however small it is packed
// Rounds over all partitions that one Next may make while the log grows faster than it matches.
constexpr int kRoundsMax = 16;

size_t Index(int32_t partition) { return static_cast<size_t>(partition); }

absl::Status TooOld() {
  return Refuse(RefusalCode::kCursorTooOld, kTokenField, "older than the log is sure to be complete: take a snapshot");
}

absl::Status NoSnapshots() { return absl::UnavailableError("open.start: no snapshots here; try another node"); }

absl::Status EndOfStream(const absl::Status& status) { return absl::IsOutOfRange(status) ? TooOld() : status; }

}  // namespace

Session::Session(Dispatcher* dispatcher, const base::Clock* clock, const wire::CursorSealer* sealer,
                 const SessionOptions& options, std::shared_ptr<FilterClass> filter_class, uint64_t filter_fingerprint)
    : dispatcher_(dispatcher),
      clock_(clock),
      sealer_(sealer),
      options_(options),
      class_(std::move(filter_class)),
      filter_fingerprint_(filter_fingerprint),
      log_id_(dispatcher->log_id()),
      progress_sent_at_(clock->Monotonic()) {}

Session::~Session() = default;

absl::StatusOr<std::unique_ptr<Session>> Session::Start(Dispatcher* dispatcher, const base::Clock* clock,
                                                        const wire::CursorSealer* sealer, const SessionOptions& options,
                                                        std::shared_ptr<FilterClass> filter_class,
                                                        uint64_t filter_fingerprint, SessionStart start) {
  std::unique_ptr<Session> session(
      new Session(dispatcher, clock, sealer, options, std::move(filter_class), filter_fingerprint));
  std::vector<eventlog::Offset> bootstrap_end(Index(dispatcher->partitions()), -1);
  if (start == SessionStart::kSnapshot) {
    if (options.snapshots == nullptr) return NoSnapshots();
    HUB_ASSIGN_OR_RETURN(std::shared_ptr<const SnapshotRun> run, options.snapshots->Begin(session->class_));
    const uint32_t parts = run->parts;
    session->Begin(run->first, std::move(bootstrap_end));
    session->BeginWalk(std::move(run), 0, parts);
    return session;
  }
  if (start == SessionStart::kNow) {
    session->Begin(dispatcher->Heads(), std::move(bootstrap_end));
    return session;
  }
  const absl::Time bound = clock->TimeNow() - options.window;
  HUB_ASSIGN_OR_RETURN(std::vector<PartitionPosition> positions, dispatcher->Earliest());
  for (int32_t p = 0; p < dispatcher->partitions(); ++p) {
    HUB_ASSIGN_OR_RETURN(const LogPlace place, dispatcher->Look(p, positions[Index(p)].offset));
    const bool none = place.next == place.range.end;
    // A log that still has its very first record, and that one young, has lost nothing.
    if (none || (place.next == 0 && place.next_appended_at >= bound)) {
      positions[Index(p)].since = std::min(place.next_appended_at, clock->TimeNow());
    } else {
      bootstrap_end[Index(p)] = place.range.end;
    }
  }
  session->Begin(std::move(positions), std::move(bootstrap_end));
  return session;
}

absl::StatusOr<std::unique_ptr<Session>> Session::Resume(Dispatcher* dispatcher, const base::Clock* clock,
                                                         const wire::CursorSealer* sealer,
                                                         const SessionOptions& options,
                                                         std::shared_ptr<FilterClass> filter_class,
                                                         uint64_t filter_fingerprint, absl::string_view token) {
  HUB_ASSIGN_OR_RETURN(const wire::Cursor cursor, sealer->Open(token, options.stakeholder));
  return ResumeAt(dispatcher, clock, sealer, options, std::move(filter_class), filter_fingerprint, cursor);
}

absl::StatusOr<std::unique_ptr<Session>> Session::ResumeAt(Dispatcher* dispatcher, const base::Clock* clock,
                                                           const wire::CursorSealer* sealer,
                                                           const SessionOptions& options,
                                                           std::shared_ptr<FilterClass> filter_class,
                                                           uint64_t filter_fingerprint, const wire::Cursor& cursor) {
  if (cursor.log_id != dispatcher->log_id()) {
    return Refuse(RefusalCode::kLogChanged, kTokenField, "from another log: take a snapshot");
  }
  if (cursor.filter_fingerprint != filter_fingerprint) {
    return Refuse(RefusalCode::kFilterChanged, kTokenField, "from another filter or other rights: take a snapshot");
  }
  const auto invalid = [](absl::string_view why) { return Refuse(RefusalCode::kCursorInvalid, kTokenField, why); };
  if (cursor.positions.size() != Index(dispatcher->partitions())) return invalid("want one position per partition");
  const absl::Time bound = clock->TimeNow() - options.window;
  if (cursor.issued_at < bound) return TooOld();
  std::vector<PartitionPosition> positions;
  for (int32_t p = 0; p < dispatcher->partitions(); ++p) {
    const wire::CursorPosition& at = cursor.positions[Index(p)];
    if (at.partition != p) return invalid("want one position per partition, in order");
    HUB_ASSIGN_OR_RETURN(const LogPlace place, dispatcher->Look(p, at.offset));
    if (at.offset > place.range.end) return invalid("beyond the end of the log");
    if (at.offset < place.range.first || place.next_appended_at < bound) return TooOld();
    positions.push_back({.offset = at.offset, .term = at.term, .since = cursor.issued_at});
  }
  std::shared_ptr<const SnapshotRun> run;
  if (cursor.snapshot_part < cursor.snapshot_parts) {
    if (options.snapshots == nullptr) return NoSnapshots();
    HUB_ASSIGN_OR_RETURN(run, options.snapshots->GoOn(filter_class, positions, cursor.snapshot_parts));
  }
  std::unique_ptr<Session> session(
      new Session(dispatcher, clock, sealer, options, std::move(filter_class), filter_fingerprint));
  if (options.urgent) session->urgent_ = UrgentPlace(dispatcher, cursor.urgent_offsets);
  session->Begin(std::move(positions), std::vector<eventlog::Offset>(Index(dispatcher->partitions()), -1));
  if (cursor.snapshot_parts > 0) {
    session->snapshot_resumed_ = session->snapshot_told_ = cursor.snapshot_part > 0;
    session->BeginWalk(std::move(run), cursor.snapshot_part, cursor.snapshot_parts);
  }
  return session;
}

void Session::Begin(std::vector<PartitionPosition> positions, std::vector<eventlog::Offset> bootstrap_end) {
  started_at_ = clock_->TimeNow();
  if (options_.urgent && !urgent_.on()) urgent_ = UrgentPlace(dispatcher_, {});
  positions_ = std::move(positions);
  bootstrap_end_ = std::move(bootstrap_end);
  for (const PartitionPosition& position : positions_) told_.push_back(position.offset);
  unacked_ = UnackedWindow(options_.unacked_bytes_max, PresentCursor());
}

void Session::BeginWalk(std::shared_ptr<const SnapshotRun> run, uint32_t part, uint32_t parts) {
  std::vector<eventlog::Offset> heads;
  for (int32_t p = 0; p < dispatcher_->partitions(); ++p) heads.push_back(dispatcher_->HeadOffset(p));
  walk_ = std::make_unique<SnapshotWalk>(options_.snapshots, std::move(run), part, parts, std::move(heads));
  parts_told_ = parts_acked_ = part;
  parts_due_ = parts;
  unacked_ = UnackedWindow(options_.unacked_bytes_max, PresentCursor(), AckWindow::kStartOfSnapshot);
}

absl::StatusOr<Session::Message> Session::Next() {
  Message message;
  const absl::Duration now = clock_->Monotonic();
  unacked_.CheckSilence(now);
  // A part that was begun is finished: only whole ones can be acknowledged.
  if (!paused() || (walk_ != nullptr && walk_->inside_part())) {
    HUB_RETURN_IF_ERROR(Gather(&message, std::min(options_.message_bytes_max, unacked_.MessageBytes(now))));
  } else {
    message.drained = true;  // until it is acknowledged
  }
  if (urgent_.on()) GatherUrgent(&message);
  flowing_ |= message.events > 0;
  since_progress_ += message.bytes;
  bool due = since_progress_ >= options_.progress_bytes ||
             now - progress_sent_at_ >= (flowing_ ? options_.progress_interval : options_.idle_progress_interval);
  wire::SnapshotMark mark = Mark(due);
  due |= mark.ends;
  if (message.events == 0 && message.copies == 0 && !due && mark.parts == 0) return message;
  if (due) {
    progress_sent_at_ = now;
    since_progress_ = 0;
    flowing_ = false;
    RefreshTimes();
  }
  auto trailer = std::make_shared<const std::string>(Trailer(due && !Bootstrapping(), std::move(mark)));
  if (!trailer->empty()) {
    message.bytes += trailer->size();
    message.slices.push_back({trailer, *trailer});
  }
  if (message.empty()) return message;
  events_sent_ += static_cast<uint64_t>(message.events);
  const bool bare = message.events == 0 && message.copies == 0;
  const uint32_t parts = walk_ == nullptr ? 0 : walk_->parts_sent() + (walk_->inside_part() ? 1 : 0);
  unacked_.Sent(bare ? 0 : message.bytes, PresentCursor(), now, message.copies > 0, parts);
  return message;
}

// What there is to say of the snapshot with this message; parts == 0: nothing.
wire::SnapshotMark Session::Mark(bool due) {
  wire::SnapshotMark mark;
  if (walk_ == nullptr) return mark;
  mark.begins = !snapshot_told_;
  mark.ends = walk_->PassedBy(positions_);
  mark.parts_sent = walk_->parts_sent();
  if (!mark.begins && !mark.ends && !due && mark.parts_sent == parts_told_) return mark;
  mark.parts = walk_->parts();
  snapshot_told_ = true;
  parts_told_ = mark.parts_sent;
  if (mark.ends) {
    walk_.reset();  // from here on progress tells, and ordinary tokens
  } else if (due || mark.begins) {
    mark.token = Token();
  }
  return mark;
}

void Session::GatherStates(Message* message, size_t bytes_max) {
  size_t unpacked = 0;
  while (!walk_->done() && message->bytes < bytes_max && unpacked < kUnpackedBytesMax) {
    SnapshotBlock::Piece piece = walk_->Next(bytes_max - message->bytes, options_.form);
    if (piece.events == 0) {
      message->drained = !walk_->done();  // until somebody has made the next part
      return;
    }
    message->bytes += piece.slice.bytes.size();
    message->events += piece.events;
    unpacked += piece.unpacked;
    message->slices.push_back(std::move(piece.slice));
    if (paused() && !walk_->inside_part()) return;
  }
}

// Sub-slices of one partition after the other, until the message is full or a whole round brings nothing.
absl::Status Session::Gather(Message* message, size_t bytes_max) {
  if (walk_ != nullptr && !walk_->done()) {
    GatherStates(message, bytes_max);
    return absl::OkStatus();
  }
  if (GatherRuns(message, bytes_max)) return absl::OkStatus();
  int without_news = 0;
  int log_reads = 0;
  if (std::exchange(read_log_, false)) bytes_max = std::min(bytes_max, kLogMessageBytesMax);
  for (int reads = 0; reads < kRoundsMax * dispatcher_->partitions(); ++reads) {
    if (without_news >= dispatcher_->partitions() || message->bytes >= bytes_max ||
        log_reads >= kLogReadsMax) {
      break;
    }
    const int32_t partition = next_partition_;
    PartitionPosition* const position = &positions_[Index(partition)];
    absl::StatusOr<Chunk> chunk = ReadPartition(partition, bytes_max - message->bytes);
    // What was gathered is sent first: positions have passed it. The next call meets the error again.
    if (!chunk.ok()) return message->events > 0 ? absl::OkStatus() : chunk.status();
    next_partition_ = (partition + 1) % dispatcher_->partitions();
    without_news = chunk->after.offset == position->offset ? without_news + 1 : 0;
    log_reads += chunk->from_log ? 1 : 0;
    read_log_ |= chunk->from_log;
    if (chunk->after.offset != position->offset) in_order_.reset();
    *position = chunk->after;
    if (chunk->events == 0) continue;
    message->events += chunk->events;
    for (Slice& slice : chunk->slices) {
      message->bytes += slice.bytes.size();
      message->slices.push_back(std::move(slice));
    }
  }
  message->drained = without_news >= dispatcher_->partitions();
  return absl::OkStatus();
}

// True: it is in memory, of all partitions, and as much of it as has room is in the message.
bool Session::GatherRuns(Message* message, size_t bytes_max) {
  if (options_.form != EventForm::kRuns || read_log_ || Bootstrapping()) return false;
  std::optional<Dispatcher::Runs> runs = dispatcher_->ReadRuns(class_, positions_, in_order_, bytes_max);
  if (!runs.has_value()) return false;
  positions_ = std::move(runs->after);
  in_order_ = runs->at;
  message->drained = runs->drained;
  if (runs->events == 0) return true;
  message->bytes = runs->bytes;
  message->events = runs->events;
  message->slices = std::move(runs->slices);
  return true;
}

// After the events of the message: what they bring in its order needs no copy.
void Session::GatherUrgent(Message* message) {
  if (RecordsBehind() == 0) return urgent_.MoveOn();
  if (unacked_.bytes() >= unacked_.window().bytes() + kUrgentBeyondWindow) return;
  UrgentCopies copies = urgent_.Gather(class_, positions_, kUrgentBytesMax);
  message->bytes += copies.bytes;
  message->copies = static_cast<int>(copies.slices.size());
  message->slices.insert(message->slices.begin(), std::make_move_iterator(copies.slices.begin()),
                         std::make_move_iterator(copies.slices.end()));
}

absl::StatusOr<Chunk> Session::ReadPartition(int32_t partition, size_t bytes_max) {
  const PartitionPosition& from = positions_[Index(partition)];
  eventlog::Offset& bootstrap_end = bootstrap_end_[Index(partition)];
  const bool bootstrapping = from.offset < bootstrap_end;
  absl::StatusOr<Chunk> chunk = dispatcher_->Read(class_, partition, from, bytes_max, bootstrapping, options_.form);
  if (!chunk.ok()) return EndOfStream(chunk.status());
  // R10. Judged after the read: what was still there then is there.
  const absl::Time now = clock_->TimeNow();
  if (!chunk->from_log || from.since >= now - options_.window) return chunk;
  if (!bootstrapping || now - started_at_ > options_.window) return TooOld();
  // R9: what compaction took from here has its successor before the end as it is now.
  absl::StatusOr<LogPlace> place = dispatcher_->Look(partition, -1);
  if (!place.ok()) return EndOfStream(place.status());
  bootstrap_end = std::max(bootstrap_end, place->range.end);
  return chunk;
}

bool Session::Bootstrapping() const {
  for (size_t p = 0; p < positions_.size(); ++p) {
    if (positions_[p].offset < bootstrap_end_[p]) return true;
  }
  return false;
}

std::string Session::Trailer(bool progress, wire::SnapshotMark mark) {
  wire::BatchTrailer trailer;
  trailer.snapshot = std::move(mark);
  absl::Time complete_until = absl::InfiniteFuture();
  for (size_t p = 0; p < positions_.size(); ++p) {
    complete_until = std::min(complete_until, positions_[p].tick);
    if (told_[p] == positions_[p].offset) continue;
    told_[p] = positions_[p].offset;
    trailer.positions.emplace_back(static_cast<int32_t>(p), positions_[p].offset);
  }
  urgent_.Tell(&trailer);
  if (progress && walk_ == nullptr) {
    trailer.token = Token();
    trailer.complete_until = complete_until;
    trailer.records_behind = RecordsBehind();
    trailer.hub_time = clock_->TimeNow();
  } else if (trailer.positions.empty() && trailer.urgent_positions.empty() && trailer.snapshot.parts == 0) {
    return "";
  }
  return wire::EncodeBatchTrailer(trailer);
}

absl::Status Session::OnAck(const std::map<int32_t, eventlog::Offset>& positions,
                            const std::map<int32_t, eventlog::Offset>& urgent_positions, uint32_t snapshot_parts) {
  // The stream's session before this one was acknowledged further, maybe, than this one has come.
  const bool of_another = options_.follows_another && parts_acked_ < parts_due_;
  const absl::Status urgent = urgent_.Check(urgent_positions);
  if (snapshot_parts > parts_told_ || !urgent.ok()) {
    if (of_another) return absl::OkStatus();
    return urgent.ok() ? absl::InvalidArgumentError("ack.snapshot_parts: ahead of what was sent") : urgent;
  }
  urgent_.Take(urgent_positions);
  parts_acked_ = std::max(parts_acked_, snapshot_parts);
  if (parts_acked_ < parts_due_) {
    acked_at_ = clock_->TimeNow();
    std::vector<eventlog::Offset> start;
    for (const wire::CursorPosition& at : unacked_.acked().positions) start.push_back(at.offset);
    unacked_.Acked(start, clock_->Monotonic(), urgent_.acked(), parts_acked_);
    return absl::OkStatus();
  }
  for (const auto& [partition, offset] : positions) {
    if (partition < 0 || partition >= dispatcher_->partitions()) {
      return absl::InvalidArgumentError(absl::StrCat("ack.positions: no partition ", partition));
    }
    if (offset > told_[Index(partition)]) {
      return absl::InvalidArgumentError(absl::StrCat("ack.positions[", partition, "]: ahead of what was sent"));
    }
  }
  for (const auto& [partition, offset] : positions) {
    eventlog::Offset& acked = acked_.try_emplace(partition, offset).first->second;
    acked = std::max(acked, offset);
  }
  acked_at_ = clock_->TimeNow();
  // A partition that was never acknowledged counts as acknowledged where it was before the first entry.
  std::vector<eventlog::Offset> safe;
  for (const wire::CursorPosition& start : unacked_.acked().positions) safe.push_back(start.offset);
  for (const auto& [partition, offset] : acked_) safe[Index(partition)] = std::max(safe[Index(partition)], offset);
  unacked_.Acked(safe, clock_->Monotonic(), urgent_.acked(), parts_acked_);
  return absl::OkStatus();
}

absl::Status Session::SwitchClass(std::shared_ptr<FilterClass> filter_class) {
  if (walk_ != nullptr && !walk_->done()) {
    HUB_ASSIGN_OR_RETURN(std::shared_ptr<const SnapshotRun> run,
                         options_.snapshots->GoOn(filter_class, positions_, walk_->parts()));
    walk_->GoOnWith(std::move(run));
  }
  class_ = std::move(filter_class);
  in_order_.reset();
  return absl::OkStatus();
}

// At the head of the log nothing is still to come that is older than the dispatcher's last look.
void Session::RefreshTimes() {
  for (size_t p = 0; p < positions_.size(); ++p) {
    PartitionPosition& at = positions_[p];
    if (at.offset != dispatcher_->HeadOffset(static_cast<int32_t>(p))) continue;
    const PartitionPosition head = dispatcher_->Head(static_cast<int32_t>(p));
    if (head.offset == at.offset) at.since = std::max(at.since, head.since);
  }
}

// `issued_at`: everything at or after the positions is younger, which is what the window is judged by. For a session at the head of the
// log that is about now; for one that lags, the time of what it read last. Infinitely past while R9 forbids a token.
wire::Cursor Session::PresentCursor() const {
  wire::Cursor cursor;
  cursor.urgent_offsets = urgent_.next();
  cursor.filter_fingerprint = filter_fingerprint_;
  if (walk_ != nullptr) {
    cursor.snapshot_part = walk_->parts_sent();
    cursor.snapshot_parts = walk_->parts();
  }
  cursor.issued_at = Bootstrapping() ? absl::InfinitePast() : clock_->TimeNow();
  for (size_t p = 0; p < positions_.size(); ++p) {
    cursor.issued_at = std::min(cursor.issued_at, positions_[p].since);
    cursor.positions.push_back({static_cast<int32_t>(p), positions_[p].offset, positions_[p].term});
  }
  return cursor;
}

std::string Session::Seal(const wire::Cursor& cursor) const {
  if (cursor.issued_at == absl::InfinitePast()) return "";
  wire::Cursor whole = cursor;
  whole.log_id = log_id_;
  return sealer_->Seal(whole, options_.stakeholder);
}

std::string Session::Token() const { return Seal(PresentCursor()); }
std::optional<wire::Cursor> Session::AckedCursor() const {
  if (unacked_.acked().issued_at == absl::InfinitePast()) return std::nullopt;
  wire::Cursor cursor = unacked_.acked();
  cursor.log_id = log_id_;
  return cursor;
}

std::string Session::AckedToken() const { return Seal(unacked_.acked()); }

int64_t Session::RecordsBehind() const {
  int64_t behind = 0;
  for (size_t p = 0; p < positions_.size(); ++p) {
    behind += std::max<int64_t>(0, dispatcher_->HeadOffset(static_cast<int32_t>(p)) - positions_[p].offset);
  }
  return behind;
}

int64_t Session::offsets_passed() const {
  int64_t passed = 0;
  for (const PartitionPosition& position : positions_) passed += position.offset;
  return passed;
}

}  // namespace hub::fanout
