#include "libs/registry/takeover.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/registry/group_edits.h"
#include "libs/store/tables.h"

namespace hub::registry {
namespace {

constexpr eventlog::ReadLimits kReadLimits = {.records_max = 1024, .bytes_max = size_t{4} << 20};

// Each mark has a key of its own, so that compaction keeps it: the term alone is not enough when two owners choose the same.
std::string MarkKey(uint64_t term, const base::Clock& clock) {
  static std::atomic<uint64_t> count{0};  // relaxed: only has to differ
  const uint64_t number = count.fetch_add(1, std::memory_order_relaxed);
  return absl::StrCat("term-", term, "-", absl::ToUnixNanos(clock.TimeNow()), "-", number);
}

// The state that a record tells, with its place in the order of versions.
struct Told {
  const model::IndicatorState* state = nullptr;
  const std::optional<model::Attributes>* previous = nullptr;  // of events
  model::VersionStamp stamp;
  uint64_t rules_version = 0;
};

std::optional<Told> StateIn(const wire::DecodedRecord& record) {
  if (const auto* event = std::get_if<model::Event>(&record.body)) {
    return Told{&event->state,
                &event->previous,
                {record.header.term, event->state.version, event->reports_offset},
                event->rules_version};
  }
  if (const auto* update = std::get_if<model::StateUpdate>(&record.body)) {
    return Told{&update->state,
                nullptr,
                {record.header.term, update->state.version, update->reports_offset},
                update->rules_version};
  }
  return std::nullopt;
}

// Short of a known end, a read that gives nothing was not answered in time. It must never pass for "all read": a mark may follow.
absl::Status NotInTime(absl::string_view topic, eventlog::Offset offset) {
  return absl::UnavailableError(absl::StrCat(topic, ": offset ", offset, ": no answer in time"));
}

}  // namespace

bool DeservesAge(absl::Time tick, absl::Time last) {
  return last == absl::InfinitePast() || tick - last >= absl::Hours(1);
}

struct Takeover::Mark {
  base::Mutex mu;
  bool answered ABSL_GUARDED_BY(mu) = false;
  absl::StatusOr<eventlog::Offset> offset ABSL_GUARDED_BY(mu) = absl::UnavailableError("under way");
};

Takeover::Takeover(int32_t partition, const RowKeys& keys, const Tables& tables, const base::Clock* clock,
                   eventlog::Log* log, store::Database* database, const model::Tokeniser* tokeniser)
    : partition_(partition),
      keys_(keys),
      tables_(tables),
      clock_(clock),
      log_(log),
      database_(database),
      tokeniser_(tokeniser) {}

absl::StatusOr<Takeover::Progress> Takeover::Step() {
  absl::StatusOr<Progress> progress = StepStage();
  // Cleanup overtook the reader: afresh.
  if (absl::IsOutOfRange(progress.status())) stage_ = stage_ == Stage::kRebuild ? Stage::kJudgeDisk : Stage::kOpen;
  return progress;
}

absl::StatusOr<Takeover::Progress> Takeover::StepStage() {
  switch (stage_) {
    case Stage::kOpen:
      return Open();
    case Stage::kFindTerm:
      return FindTerm();
    case Stage::kMarkUrgent:
      return AppendMark(eventlog::kUrgentTopic);
    case Stage::kMarkEvents:
      return AppendMark(eventlog::kEventsTopic);
    case Stage::kReadBack:
      return ReadBack();
    case Stage::kJudgeDisk:
      return JudgeDisk();
    case Stage::kRebuild:
      return Rebuild();
    case Stage::kScanIds:
      return ScanIds();
    case Stage::kDone:
      break;
  }
  return Progress::kDone;
}

eventlog::Log::WaitFor Takeover::wait_for() const { return {{eventlog::kEventsTopic, partition_}, state_.events_next}; }

// What the disk says, if it is about this log.
absl::StatusOr<Takeover::Progress> Takeover::Open() {
  HUB_ASSIGN_OR_RETURN(const auto row, database_->Get(tables_.meta, keys_.Meta("state")));
  HUB_ASSIGN_OR_RETURN(const auto rules, database_->Get(tables_.meta, keys_.Meta("rules")));
  HUB_ASSIGN_OR_RETURN(const auto log_id, database_->Get(tables_.meta, keys_.Meta("log_id")));
  HUB_ASSIGN_OR_RETURN(const auto events, log_->Offsets({eventlog::kEventsTopic, partition_}));
  HUB_ASSIGN_OR_RETURN(const auto urgent, log_->Offsets({eventlog::kUrgentTopic, partition_}));
  HUB_ASSIGN_OR_RETURN(const auto reports, log_->Offsets({eventlog::kReportsTopic, partition_}));
  disk_.reset();
  if (row.has_value() && log_id == log_->log_id()) {
    HUB_ASSIGN_OR_RETURN(disk_, DecodePartitionState(*row));
    if (disk_->events_next < events.first || disk_->events_next > events.end || disk_->reports_next < reports.first ||
        disk_->reports_next > reports.end) {
      HUB_LOG(WARN, "registry_disk_unusable", {{"partition", partition_}, {"why", "the log doesn't reach back to it"}});
      disk_.reset();
    }
  }
  if (disk_.has_value() && rules.has_value()) {
    HUB_ASSIGN_OR_RETURN(const auto decoded, wire::DecodeRecord(*rules));
    if (const auto* update = std::get_if<model::RulesUpdate>(&decoded.body)) rules_ = update->rules;
  }
  urgent_next_ = urgent.first;
  StartScan(disk_.has_value() ? disk_->events_next : events.first);
  if (disk_.has_value()) {
    state_.in_force = disk_->in_force;
    state_.accepted_sequence = disk_->accepted_sequence;
    highest_mark_ = disk_->in_force;
  }
  stage_ = Stage::kFindTerm;
  return Progress::kAgain;
}

void Takeover::StartScan(eventlog::Offset from) {
  state_ = {};
  state_.events_next = from;
  displaced_.clear();
  sequences_on_log_.clear();
  complete_.reset();
}

// R1: one more than the highest mark on either topic.
absl::StatusOr<Takeover::Progress> Takeover::FindTerm() {
  HUB_ASSIGN_OR_RETURN(const auto events, log_->Offsets({eventlog::kEventsTopic, partition_}));
  HUB_ASSIGN_OR_RETURN(const bool all, ReadEvents(events.end, /*build=*/false));
  if (!all) return Progress::kAgain;
  HUB_ASSIGN_OR_RETURN(const bool urgent_all, ReadUrgent());
  if (!urgent_all) return Progress::kAgain;
  state_.term = highest_mark_ + 1;
  mark_.reset();
  stage_ = Stage::kMarkUrgent;
  return Progress::kAgain;
}

absl::StatusOr<bool> Takeover::ReadUrgent() {
  HUB_ASSIGN_OR_RETURN(const auto range, log_->Offsets({eventlog::kUrgentTopic, partition_}));
  if (urgent_next_ >= range.end) return true;
  HUB_ASSIGN_OR_RETURN(const auto read, log_->Read({eventlog::kUrgentTopic, partition_}, urgent_next_, kReadLimits));
  if (read.next == urgent_next_) return NotInTime(eventlog::kUrgentTopic, urgent_next_);
  for (const eventlog::StoredRecord& stored : read.records) {
    const auto record = wire::DecodeRecord(stored.value);
    if (record.ok() && std::holds_alternative<model::TermMark>(record->body)) {
      highest_mark_ = std::max(highest_mark_, record->header.term);
    }
  }
  urgent_next_ = read.next;
  return urgent_next_ >= range.end;
}

// R2: first on `urgent`; when durable, on `events`.
absl::StatusOr<Takeover::Progress> Takeover::AppendMark(const char* topic) {
  if (mark_ == nullptr) {
    mark_ = std::make_shared<Mark>();
    model::TermMark mark;
    mark.term = state_.term;
    eventlog::Record record{MarkKey(state_.term, *clock_), wire::EncodeRecord({state_.term, 0}, mark)};
    log_->Append({topic, partition_}, std::move(record), [pending = mark_](absl::StatusOr<eventlog::Offset> offset) {
      base::MutexLock lock(&pending->mu);
      pending->answered = true;
      pending->offset = std::move(offset);
    });
    return Progress::kAgain;
  }
  absl::StatusOr<eventlog::Offset> offset = eventlog::Offset{-1};
  {
    base::MutexLock lock(&mark_->mu);
    if (!mark_->answered) return Progress::kWaiting;
    offset = mark_->offset;
  }
  mark_.reset();
  if (!offset.ok()) {
    // It may be there all the same: look again, and take a higher one.
    stage_ = Stage::kFindTerm;
    return offset.status();
  }
  if (stage_ == Stage::kMarkUrgent) {
    stage_ = Stage::kMarkEvents;
  } else {
    own_mark_ = *offset;
    stage_ = Stage::kReadBack;
  }
  return Progress::kAgain;
}

absl::StatusOr<Takeover::Progress> Takeover::ReadBack() {
  HUB_ASSIGN_OR_RETURN(const bool all, ReadEvents(own_mark_, /*build=*/false));
  if (!all) return Progress::kAgain;
  HUB_ASSIGN_OR_RETURN(const bool urgent_all, ReadUrgent());
  if (!urgent_all) return Progress::kAgain;
  // Another's mark of this term or above before the own one, or a higher one on `urgent`: choose again.
  if (state_.in_force >= state_.term || highest_mark_ > state_.term) {
    highest_mark_ = std::max(highest_mark_, state_.in_force);
    stage_ = Stage::kFindTerm;
    return Progress::kAgain;
  }
  stage_ = Stage::kJudgeDisk;
  return Progress::kAgain;
}

// R4: the disk counts only if nobody else owned the partition since.
absl::StatusOr<Takeover::Progress> Takeover::JudgeDisk() {
  const uint64_t term = state_.term;
  if (disk_.has_value() && state_.in_force == disk_->term) {
    const uint64_t accepted = state_.accepted_sequence;
    state_ = *disk_;
    state_.accepted_sequence = accepted;
    state_.term = term;
    state_.in_force = term;
    state_.events_next = own_mark_ + 1;
    stage_ = Stage::kDone;
    return Progress::kDone;
  }
  if (disk_.has_value()) {
    HUB_LOG(INFO, "registry_disk_set_aside",
            {{"partition", partition_}, {"disk_term", disk_->term}, {"last_term", state_.in_force}});
  }
  store::Batch batch;
  for (const store::TableId table : tables_.all()) {
    batch.DeleteRange(table, keys_.prefix(), store::PrefixEnd(keys_.prefix()));
  }
  HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kSynced));
  rebuilt_ = true;
  rules_ = {};
  events_rules_ = {};
  reports_rules_ = {};
  last_age_ = absl::InfinitePast();
  disk_.reset();
  HUB_ASSIGN_OR_RETURN(const auto events, log_->Offsets({eventlog::kEventsTopic, partition_}));
  StartScan(events.first);
  state_.term = term;
  stage_ = Stage::kRebuild;
  return Progress::kAgain;
}

absl::StatusOr<Takeover::Progress> Takeover::Rebuild() {
  HUB_ASSIGN_OR_RETURN(const bool all, ReadEvents(own_mark_, /*build=*/true));
  if (!all) return Progress::kAgain;
  HUB_ASSIGN_OR_RETURN(const auto reports, log_->Offsets({eventlog::kReportsTopic, partition_}));
  if (complete_.has_value()) {
    state_.clock = complete_->clock;
    state_.tick_term = complete_->highest_tick_term;
    state_.reports_next = complete_->reports_offset;
    if (state_.reports_next < reports.first || state_.reports_next > reports.end) {
      HUB_LOG(
          ERROR, "registry_reports_missing",
          {{"partition", partition_}, {"wanted", state_.reports_next}, {"first", reports.first}, {"end", reports.end}});
      state_.reports_next = std::clamp(state_.reports_next, reports.first, reports.end);
    }
  } else {
    state_.reports_next = reports.first;
  }
  state_.in_force = state_.term;
  state_.events_next = own_mark_ + 1;
  ids_next_ = reports.first;
  ids_end_ = state_.reports_next;
  stage_ = Stage::kScanIds;
  return Progress::kAgain;
}

// R14: what the reports before the last complete mark leave besides the states: their ids, the rules, how old the ids are.
absl::StatusOr<Takeover::Progress> Takeover::ScanIds() {
  store::Batch batch;
  if (ids_next_ < ids_end_) {
    HUB_ASSIGN_OR_RETURN(const auto read, log_->Read({eventlog::kReportsTopic, partition_}, ids_next_, kReadLimits));
    // As when they were decided: of two with one id the first counts, and only a report whose id is new takes its action's row. The database
    // doesn't know yet what is in this batch.
    std::set<std::string> put;
    const auto take = [&](std::string key, const std::string& row) -> absl::StatusOr<bool> {
      HUB_ASSIGN_OR_RETURN(const auto known, database_->Get(tables_.ids, key));
      if (known.has_value() || put.contains(key)) return false;
      batch.Put(tables_.ids, key, row);
      put.insert(std::move(key));
      return true;
    };
    auto newest_age = last_age_;
    for (const eventlog::StoredRecord& stored : read.records) {
      if (stored.offset >= ids_end_) break;
      const auto record = wire::DecodeRecord(stored.value);
      if (!record.ok()) continue;  // in quarantine since it was first read
      if (const auto* report = std::get_if<model::Report>(&record->body)) {
        const model::RoutingToken token = TokenOf(*report, *tokeniser_);
        const std::string row = EncodeIdRow(model::BodyHash(*report), stored.offset);
        HUB_ASSIGN_OR_RETURN(const bool fresh, take(keys_.Id(token, *report), row));
        if (fresh && report->kind == model::InputKind::kActionTaken) {
          HUB_RETURN_IF_ERROR(take(keys_.ActionId(token, *report), row).status());
        }
      } else if (const auto* update = std::get_if<model::RulesUpdate>(&record->body)) {
        if (update->rules.version > reports_rules_.version) reports_rules_ = update->rules;
      } else if (const auto* tick = std::get_if<model::Tick>(&record->body);
                 tick != nullptr && DeservesAge(tick->now, newest_age)) {
        std::string age;
        store::AppendKey64(static_cast<uint64_t>(absl::ToUnixMicros(tick->now)), &age);
        batch.Put(tables_.ages, keys_.Age(stored.offset), age);
        newest_age = tick->now;
      }
    }
    if (read.next == ids_next_) return NotInTime(eventlog::kReportsTopic, ids_next_);
    HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kBuffered));
    ids_next_ = read.next;
    last_age_ = newest_age;
    return Progress::kAgain;
  }
  HUB_ASSIGN_OR_RETURN(const auto reports, log_->Offsets({eventlog::kReportsTopic, partition_}));
  rules_ = RulesAtStart(reports.first);
  stage_ = Stage::kDone;
  return Progress::kDone;
}

// The rules in force where the replay starts: the newest of the reports before it; when those are gone, what `events` keeps.
model::Rules Takeover::RulesAtStart(eventlog::Offset reports_first) const {
  if (reports_rules_.version > 0) return reports_rules_;
  const bool none_then = complete_.has_value() ? complete_->rules_version == 0 : reports_first == 0;
  return none_then ? model::Rules() : events_rules_;
}

absl::StatusOr<bool> Takeover::ReadEvents(eventlog::Offset end, bool build) {
  if (state_.events_next >= end) return true;
  HUB_ASSIGN_OR_RETURN(const auto read,
                       log_->Read({eventlog::kEventsTopic, partition_}, state_.events_next, kReadLimits));
  std::vector<wire::DecodedRecord> accepted;
  eventlog::Offset next = read.next;
  for (const eventlog::StoredRecord& stored : read.records) {
    if (stored.offset >= end) {
      next = end;
      break;
    }
    auto record = wire::DecodeRecord(stored.value);
    if (!record.ok()) {
      HUB_LOG(ERROR, "registry_event_undecodable", {{"partition", partition_}, {"offset", stored.offset}});
      continue;
    }
    Judge(*record, stored.offset, build ? &accepted : nullptr);
  }
  if (build) HUB_RETURN_IF_ERROR(Build(accepted));
  if (next == state_.events_next) return NotInTime(eventlog::kEventsTopic, next);
  state_.events_next = std::min(next, end);
  return state_.events_next >= end;
}

// R7, and R13: whether the last record of a key is its newest accepted one.
void Takeover::Judge(const wire::DecodedRecord& record, eventlog::Offset offset,
                     std::vector<wire::DecodedRecord>* accepted) {
  const bool fenced = record.header.term < state_.in_force;
  if (const auto* mark = std::get_if<model::TermMark>(&record.body)) {
    highest_mark_ = std::max(highest_mark_, record.header.term);
    if (fenced) return;
    state_.in_force = record.header.term;
    if (mark->complete) complete_ = *mark;
    LearnSequence(record.header, offset);
    return;
  }
  const std::optional<Told> told = StateIn(record);
  if (fenced) {
    if (!told.has_value()) return;
    Displaced& displaced = displaced_[told->state->key];
    displaced.attributes.push_back(told->state->attributes);
    if (told->previous != nullptr && told->previous->has_value()) displaced.attributes.push_back(**told->previous);
    return;
  }
  LearnSequence(record.header, offset);
  if (const auto* update = std::get_if<model::RulesUpdate>(&record.body)) events_rules_ = update->rules;
  if (!told.has_value()) return;
  displaced_.erase(told->state->key);
  if (accepted != nullptr) accepted->push_back(record);
}

void Takeover::LearnSequence(const wire::RecordHeader& header, eventlog::Offset offset) {
  state_.accepted_sequence = std::max(state_.accepted_sequence, header.sequence);
  if (disk_.has_value()) sequences_on_log_.try_emplace(header.sequence, OnLog{offset, header.term});
}

// R8: the greatest version of each key wins.
absl::Status Takeover::Build(const std::vector<wire::DecodedRecord>& accepted) {
  std::vector<model::RoutingToken> tokens;
  for (const wire::DecodedRecord& record : accepted) tokens.push_back(StateIn(record)->state->key.token);
  GroupEdits edits(keys_, tables_, database_);
  HUB_RETURN_IF_ERROR(edits.Load(tokens));
  for (const wire::DecodedRecord& record : accepted) {
    const Told told = *StateIn(record);
    Group* group = edits.Edit(told.state->key.token);
    Group::Origin& origin = OriginOf(group, told.state->key.facet);
    std::optional<model::IndicatorState>& state = StateOf(&group->states, told.state->key.facet);
    if (state.has_value() && told.stamp <= model::VersionStamp{origin.term, state->version, origin.reports_offset}) {
      if (told.stamp < model::VersionStamp{origin.term, state->version, origin.reports_offset}) {
        displaced_[told.state->key].attributes.push_back(told.state->attributes);  // an old one last: as good as fenced
      }
      continue;
    }
    state = *told.state;
    origin = {told.stamp.term, told.stamp.reports_offset, told.rules_version};
  }
  store::Batch batch;
  edits.Write(&batch);
  return database_->Commit(batch, store::Durability::kBuffered);
}

}  // namespace hub::registry
