#include "libs/fanout/dispatcher.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <variant>

#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/catchup.h"
#include "libs/fanout/class_table.h"
#include "libs/fanout/filter_class.h"
#include "libs/fanout/intake.h"
#include "libs/fanout/probe.h"
#include "libs/fanout/urgent_lane.h"
#include "libs/model/refusal.h"
#include "libs/wire/event_runs.h"

namespace hub::fanout {
namespace {

// Read back at Open to learn the term in force: some minutes of a busy partition, an hour of ticks of a quiet one.
constexpr eventlog::Offset kTailRecords = 4096;
constexpr int kUnansweredReadsMax = 25;  // of at most 100 ms each

size_t Index(int32_t partition) { return static_cast<size_t>(partition); }

eventlog::TopicPartition Events(int32_t partition) { return {eventlog::kEventsTopic, partition}; }

absl::Status LogReplaced() {
  return model::Refuse(model::RefusalCode::kLogChanged, "open.token", "the log was replaced: take a snapshot");
}

Slice PlainRun(absl::string_view slices, int events) {
  auto bytes = std::make_shared<std::string>();
  wire::AppendPlainRun(slices, events, bytes.get());
  return {bytes, *bytes};
}

}  // namespace

class Dispatcher::Impl {
 public:
  Impl(const DispatcherOptions& options, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics)
      : options_(options),
        clock_(clock),
        log_(log),
        probe_(metrics),
        catchup_(options.catchup_bytes_max, log, &probe_, options.on_event),
        classes_({options.partitions, options.segment_bytes_max, options.segment_age_max, options.classes_max,
                  options.overflow_classes_max},
                 &probe_),
        urgent_(options.partitions, clock, log, metrics) {
    HUB_CHECK(options.partitions > 0);
    for (int32_t p = 0; p < options.partitions; ++p) intakes_.push_back(std::make_unique<Intake>());
    readers_.resize(intakes_.size());
  }

  absl::Status Open();
  bool Step(bool* urgent);
  void WaitForNews(absl::Duration timeout);
  ClassTable* classes() { return &classes_; }
  absl::StatusOr<Chunk> Read(const FilterClass& filter_class, int32_t partition, const PartitionPosition& from,
                             size_t bytes_max, bool with_states, EventForm form);
  std::optional<Runs> ReadRuns(const FilterClass& filter_class, const std::vector<PartitionPosition>& from,
                               std::optional<uint64_t> at, size_t bytes_max);

  Intake* intake(int32_t partition) const {
    HUB_CHECK(partition >= 0 && partition < options_.partitions);
    return intakes_[Index(partition)].get();
  }
  const UrgentLane& urgent() const { return urgent_; }
  eventlog::Log* log() const { return log_; }
  const std::string& log_id() const { return log_id_; }
  int32_t partitions() const { return options_.partitions; }

 private:
  // Where the dispatcher's thread stands in one partition.
  struct Reader {
    eventlog::Offset next = 0;
    Fence fence;
    PartitionPosition At(eventlog::Offset offset, absl::Time since) const {
      return {offset, fence.term, fence.tick, since};
    }
  };

  absl::StatusOr<PartitionPosition> FindEnd(int32_t partition) const;
  // Asked after each read of the log, so that nothing of another log is ever taken for ours. (any thread)
  bool LogIsAnother();
  absl::StatusOr<Chunk> ReadLog(const FilterClass& filter_class, int32_t partition, const PartitionPosition& from,
                                size_t bytes_max, bool with_states, EventForm form);
  bool StepPartition(int32_t partition);
  // The log no longer holds what comes next: goes on where it begins; readers behind go to the log, which refuses them.
  absl::Status SkipLost(int32_t partition);
  std::vector<PendingEvent> TakeIn(int32_t partition, std::vector<eventlog::StoredRecord> records);

  const DispatcherOptions options_;
  const base::Clock* const clock_;
  eventlog::Log* const log_;
  FanoutProbe probe_;
  CatchupCache catchup_;
  ClassTable classes_;
  UrgentLane urgent_;
  std::string log_id_;  // set by Open, before there are other threads
  std::vector<std::unique_ptr<Intake>> intakes_;
  std::atomic<bool> log_changed_{false};  // relaxed: a flag that is never taken back
  std::atomic<bool> failed_{false};       // relaxed: the last Step met an error

  // The dispatcher's thread only.
  std::vector<Reader> readers_;
  bool took_urgent_ = false;  // by this Step
};

absl::Status Dispatcher::Impl::Open() {
  log_id_ = log_->log_id();
  for (int32_t p = 0; p < options_.partitions; ++p) {
    const absl::StatusOr<PartitionPosition> end = FindEnd(p);
    if (!end.ok()) return absl::UnavailableError(absl::StrCat("fanout: events/", p, ": ", end.status().message()));
    readers_[Index(p)] = {end->offset, {end->term, end->tick}};
    intakes_[Index(p)]->Restart(*end);
  }
  return urgent_.Open();
}

// The term in force at the end. A record of a term proves that the term's mark stands before it, so the highest term in the tail is in
// force at the end, unless all of the tail comes from a deposed owner; Intake::Learn corrects that.
absl::StatusOr<PartitionPosition> Dispatcher::Impl::FindEnd(int32_t partition) const {
  HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets(Events(partition)));
  PartitionPosition end;
  end.offset = std::max(range.first, range.end - kTailRecords);
  std::vector<std::pair<uint64_t, absl::Time>> ticks;
  int patience = kUnansweredReadsMax;
  while (true) {
    const absl::Time now = clock_->TimeNow();
    HUB_ASSIGN_OR_RETURN(const eventlog::ReadResult read, log_->Read(Events(partition), end.offset, {}));
    for (const eventlog::StoredRecord& record : read.records) {
      const absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
      if (!decoded.ok()) continue;
      end.term = std::max(end.term, decoded->header.term);
      if (const auto* tick = std::get_if<model::Tick>(&decoded->body))
        ticks.emplace_back(decoded->header.term, tick->now);
      if (const auto* event = std::get_if<model::Event>(&decoded->body); event != nullptr && options_.on_event)
        options_.on_event(partition, record.offset, *event);
    }
    if (read.next == end.offset) {
      if (end.offset < range.end) {  // not the end: no answer in time
        if (--patience > 0) continue;
        return absl::UnavailableError("no answer in time");
      }
      end.since = now;
      break;
    }
    end.offset = read.next;
  }
  for (const auto& [term, now] : ticks) {
    if (term == end.term) end.tick = std::max(end.tick, now);
  }
  return end;
}

bool Dispatcher::Impl::LogIsAnother() {
  if (log_changed_.load(std::memory_order_relaxed)) return true;
  const std::string now = log_->log_id();
  if (now == log_id_) return false;
  if (!log_changed_.exchange(true, std::memory_order_relaxed)) {
    HUB_LOG(ERROR, "fanout_log_changed", {{"was", log_id_}, {"is", now}});
  }
  return true;
}

bool Dispatcher::Impl::Step(bool* urgent) {
  failed_.store(LogIsAnother(), std::memory_order_relaxed);
  if (failed_.load(std::memory_order_relaxed)) return false;
  std::vector<eventlog::Offset> bases;
  for (const Reader& reader : readers_) bases.push_back(reader.next);
  classes_.Refresh(bases);
  bool news = false;
  took_urgent_ = false;
  for (int32_t p = 0; p < options_.partitions; ++p) {
    urgent_.Look(p);  // before its partition of `events`: the twin of what is found here is found there
    news |= StepPartition(p);
    took_urgent_ |= !failed_.load(std::memory_order_relaxed) && urgent_.Release(p, readers_[Index(p)].next);
  }
  news |= took_urgent_;
  if (urgent != nullptr) *urgent = took_urgent_;
  classes_.Evict(clock_->Monotonic());
  return news;
}

bool Dispatcher::Impl::StepPartition(int32_t partition) {
  Reader& reader = readers_[Index(partition)];
  Intake* const intake = intakes_[Index(partition)].get();
  const absl::Time now = clock_->TimeNow();
  if (intake->learned() > reader.fence.term) {
    reader.fence.OnMark(intake->learned());
    intake->Changed(reader.At(reader.next, intake->head().since));
    intake->Publish(reader.At(reader.next, intake->head().since));
  }
  absl::StatusOr<eventlog::ReadResult> read = log_->Read(Events(partition), reader.next, {});
  if (LogIsAnother()) {
    failed_.store(true, std::memory_order_relaxed);
    return false;
  }
  if (!read.ok()) {
    const absl::Status status = absl::IsOutOfRange(read.status()) ? SkipLost(partition) : read.status();
    if (!status.ok()) failed_.store(true, std::memory_order_relaxed);
    probe_.read_errors.Increment();
    HUB_LOG_EVERY(10, WARN, "fanout_read_failed", {{"partition", partition}, {"status", read.status().message()}});
    return status.ok();
  }
  if (read->records.empty() && read->next == reader.next) {
    intake->Publish(reader.At(reader.next, now));
    return false;
  }
  // At the end, nothing that comes later is older than this look; short of it, than the last record.
  const absl::Time since = read->records.empty() ? now : read->records.back().appended_at;
  const absl::Time oldest = read->records.empty() ? now : read->records.front().appended_at;
  std::vector<PendingEvent> events = TakeIn(partition, std::move(read->records));
  classes_.Distribute(partition, &events);
  reader.next = read->next;
  intake->Publish(reader.At(reader.next, since));
  if (!events.empty()) probe_.intake_seconds.Observe(absl::ToDoubleSeconds(clock_->TimeNow() - oldest));
  return true;
}

absl::Status Dispatcher::Impl::SkipLost(int32_t partition) {
  Reader& reader = readers_[Index(partition)];
  HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets(Events(partition)));
  if (range.first <= reader.next) return absl::UnavailableError("the log ends before what was read of it");
  HUB_ASSIGN_OR_RETURN(PartitionPosition end, FindEnd(partition));
  HUB_LOG(ERROR, "fanout_records_lost", {{"partition", partition}, {"from", reader.next}, {"to", end.offset}});
  end.term = std::max(end.term, reader.fence.term);
  end.tick = std::max(end.tick, reader.fence.tick);
  reader = {end.offset, {end.term, end.tick}};
  classes_.Restart(partition, end.offset);
  intakes_[Index(partition)]->Restart(end);
  return absl::OkStatus();
}

// Judges records in order, moves the fence, and keeps the events that pass.
std::vector<PendingEvent> Dispatcher::Impl::TakeIn(int32_t partition, std::vector<eventlog::StoredRecord> records) {
  Reader& reader = readers_[Index(partition)];
  Intake* const intake = intakes_[Index(partition)].get();
  std::vector<PendingEvent> events;
  int silent = 0;
  for (eventlog::StoredRecord& record : records) {
    absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
    if (!decoded.ok()) {
      probe_.undecodable.Increment();
      HUB_LOG_EVERY(10, ERROR, "fanout_undecodable", {{"partition", partition}, {"offset", record.offset}});
      continue;
    }
    if (!reader.fence.Accepts(decoded->header.term)) {
      probe_.fenced.Increment();
    } else if (auto* event = std::get_if<model::Event>(&decoded->body)) {
      if (options_.on_event) options_.on_event(partition, record.offset, *event);
      if (event->urgent) {
        urgent_.OnTwin(partition, record.offset, event->term);
        took_urgent_ = true;
      }
      events.emplace_back(record.offset, std::move(*event));
    } else if (std::holds_alternative<model::TermMark>(decoded->body)) {
      reader.fence.OnMark(decoded->header.term);
      intake->Changed(reader.At(record.offset + 1, record.appended_at));
      probe_.marks.Increment();
    } else if (const auto* tick = std::get_if<model::Tick>(&decoded->body)) {
      reader.fence.OnTick(tick->now);
      intake->Changed(reader.At(record.offset + 1, record.appended_at));
      probe_.ticks.Increment();
    } else {
      ++silent;
    }
  }
  if (!events.empty()) probe_.events.Increment(static_cast<double>(events.size()));
  if (silent > 0) probe_.silent.Increment(silent);
  return events;
}

void Dispatcher::Impl::WaitForNews(absl::Duration timeout) {
  if (failed_.load(std::memory_order_relaxed)) {  // the log would wake us at once for what it can't give
    log_->Wait({}, std::min(timeout, absl::Milliseconds(100)));
    return;
  }
  std::vector<eventlog::Log::WaitFor> any_of;
  for (int32_t p = 0; p < options_.partitions; ++p) any_of.push_back({Events(p), intakes_[Index(p)]->head_offset()});
  urgent_.WaitFor(&any_of);
  log_->Wait(any_of, timeout);
}

absl::StatusOr<Chunk> Dispatcher::Impl::Read(const FilterClass& filter_class, int32_t partition,
                                             const PartitionPosition& from, size_t bytes_max, bool with_states,
                                             EventForm form) {
  if (log_changed_.load(std::memory_order_relaxed)) return LogReplaced();
  Intake* const at = intake(partition);
  const eventlog::Offset head = at->head_offset();
  Chunk chunk;
  chunk.after = from;
  if (from.offset >= head) {  // beyond it: a token from a node that has read further
    if (from.offset == head && from.tick == absl::InfinitePast()) {
      const PartitionPosition known = at->head();
      if (known.term < from.term)
        at->Learn(from.term);
      else if (known.offset == from.offset)
        chunk.after = known;
    }
    return chunk;
  }
  const std::optional<PartitionPosition> here = at->At(from.offset);
  if (here.has_value() && from.term > here->term) {
    at->Learn(from.term);  // this node started behind a mark that its tail did not show; the log tells the truth
  } else if (here.has_value() && !with_states) {
    if (auto memory = filter_class.Read(partition, from.offset, head, bytes_max); memory.has_value()) {
      // Changes may have been forgotten between the two looks; then the log, too.
      if (const std::optional<PartitionPosition> there = at->At(memory->next); there.has_value()) {
        probe_.reads_live.Increment();
        chunk.events = memory->events;
        if (chunk.events > 0) {
          chunk.slices.push_back(form == EventForm::kRuns ? PlainRun(memory->slice.bytes, chunk.events)
                                                          : std::move(memory->slice));
        }
        chunk.after = *there;
        chunk.after.tick = std::max(there->tick, from.tick);
        chunk.after.since = std::max(there->since, from.since);
        return chunk;
      }
    }
  }
  return ReadLog(filter_class, partition, from, bytes_max, with_states, form);
}

std::optional<Dispatcher::Runs> Dispatcher::Impl::ReadRuns(const FilterClass& filter_class,
                                                           const std::vector<PartitionPosition>& from,
                                                           std::optional<uint64_t> at, size_t bytes_max) {
  if (log_changed_.load(std::memory_order_relaxed)) return std::nullopt;
  std::vector<eventlog::Offset> begin, end;
  for (size_t p = 0; p < from.size(); ++p) {
    begin.push_back(from[p].offset);
    end.push_back(intakes_[p]->head_offset());
  }
  if (begin == end) return std::nullopt;
  for (size_t p = 0; p < from.size(); ++p) {
    const std::optional<PartitionPosition> here = intakes_[p]->At(begin[p]);
    // Ahead of this node, or of what it knows: Read sees to it.
    if (begin[p] > end[p] || !here.has_value() || from[p].term > here->term) return std::nullopt;
  }
  std::optional<ArrivalOrder::Read> read =
      filter_class.ReadRuns(begin, end, at.value_or(ArrivalOrder::kNowhere), bytes_max);
  if (!read.has_value()) return std::nullopt;
  Runs runs{std::move(read->slices), read->bytes, {}, std::nullopt, read->events, read->drained};
  if (read->at != ArrivalOrder::kNowhere) runs.at = read->at;
  for (size_t p = 0; p < from.size(); ++p) {
    std::optional<PartitionPosition> there = intakes_[p]->At(read->after[p]);
    if (!there.has_value()) return std::nullopt;
    there->tick = std::max(there->tick, from[p].tick);
    there->since = std::max(there->since, from[p].since);
    runs.after.push_back(*there);
  }
  probe_.reads_live.Increment();
  if (read->runs_packed > 0) probe_.runs_packed.Increment(read->runs_packed);
  return runs;
}

absl::StatusOr<Chunk> Dispatcher::Impl::ReadLog(const FilterClass& filter_class, int32_t partition,
                                                const PartitionPosition& from, size_t bytes_max, bool with_states,
                                                EventForm form) {
  probe_.reads_catchup.Increment();
  const Intake* const at = intake(partition);
  absl::StatusOr<Chunk> chunk =
      catchup_.Read({filter_class, partition, with_states}, from, at->head_offset(), bytes_max, form);
  if (LogIsAnother()) return LogReplaced();
  if (absl::IsOutOfRange(chunk.status())) {
    HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets(Events(partition)));
    if (from.offset >= range.first) return absl::UnavailableError("the log ends before what was read of it");
  }
  if (!chunk.ok()) return chunk;
  // What the dispatcher knows about the place may be younger than the records that led there.
  if (const std::optional<PartitionPosition> known = at->At(chunk->after.offset); known.has_value()) {
    chunk->after.since = std::max(chunk->after.since, known->since);
  }
  return chunk;
}

Dispatcher::Dispatcher(const DispatcherOptions& options, const base::Clock* clock, eventlog::Log* log,
                       base::Metrics* metrics)
    : impl_(std::make_unique<Impl>(options, clock, log, metrics)) {}
Dispatcher::~Dispatcher() = default;

absl::Status Dispatcher::Open() { return impl_->Open(); }
bool Dispatcher::Step(bool* urgent) { return impl_->Step(urgent); }
void Dispatcher::WaitForNews(absl::Duration timeout) { impl_->WaitForNews(timeout); }

absl::StatusOr<std::shared_ptr<FilterClass>> Dispatcher::Join(const model::Filter& effective,
                                                              const wire::AudienceSet& audiences) {
  return impl_->classes()->Join(effective, audiences);
}

absl::StatusOr<Chunk> Dispatcher::Read(const std::shared_ptr<FilterClass>& filter_class, int32_t partition,
                                       const PartitionPosition& from, size_t bytes_max, bool with_states,
                                       EventForm form) {
  return impl_->Read(*filter_class, partition, from, bytes_max, with_states, form);
}

std::optional<Dispatcher::Runs> Dispatcher::ReadRuns(const std::shared_ptr<FilterClass>& filter_class,
                                                     const std::vector<PartitionPosition>& from,
                                                     std::optional<uint64_t> at, size_t bytes_max) {
  return impl_->ReadRuns(*filter_class, from, at, bytes_max);
}

UrgentCopies Dispatcher::ReadUrgent(const std::shared_ptr<FilterClass>& filter_class, int32_t partition,
                                    eventlog::Offset from, const PartitionPosition& passed, size_t bytes_max) const {
  return impl_->urgent().Read(*filter_class, partition, from, passed, bytes_max);
}
eventlog::Offset Dispatcher::UrgentHead(int32_t partition) const { return impl_->urgent().Head(partition); }

std::vector<PartitionPosition> Dispatcher::Heads() const {
  std::vector<PartitionPosition> heads;
  for (int32_t p = 0; p < impl_->partitions(); ++p) heads.push_back(impl_->intake(p)->head());
  return heads;
}

PartitionPosition Dispatcher::Head(int32_t partition) const { return impl_->intake(partition)->head(); }
eventlog::Offset Dispatcher::HeadOffset(int32_t partition) const { return impl_->intake(partition)->head_offset(); }

absl::StatusOr<std::vector<PartitionPosition>> Dispatcher::Earliest() const {
  std::vector<PartitionPosition> positions;
  for (int32_t p = 0; p < impl_->partitions(); ++p) {
    HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, impl_->log()->Offsets(Events(p)));
    positions.push_back({.offset = range.first});
  }
  return positions;
}

absl::StatusOr<LogPlace> Dispatcher::Look(int32_t partition, eventlog::Offset offset) const {
  LogPlace place;
  HUB_ASSIGN_OR_RETURN(place.range, impl_->log()->Offsets(Events(partition)));
  if (offset < place.range.first) return place;
  eventlog::ReadLimits limits;
  limits.records_max = 1;
  // An end that is a moment old may lie before what the client has from another node; only a read can tell that from a place beyond the log.
  const absl::StatusOr<eventlog::ReadResult> looked = impl_->log()->Read(Events(partition), offset, limits);
  if (absl::IsOutOfRange(looked.status()) && offset > place.range.end) return place;
  HUB_RETURN_IF_ERROR(looked.status());
  const eventlog::ReadResult& read = *looked;
  place.range.end = std::max(place.range.end, read.next);
  if (read.records.empty() && read.next < place.range.end) {
    return absl::UnavailableError(absl::StrCat("events/", partition, ": no answer in time"));
  }
  place.next = read.records.empty() ? place.range.end : read.records.front().offset;
  if (!read.records.empty()) place.next_appended_at = read.records.front().appended_at;
  return place;
}

std::string Dispatcher::log_id() const { return impl_->log_id(); }
int32_t Dispatcher::partitions() const { return impl_->partitions(); }

}  // namespace hub::fanout
