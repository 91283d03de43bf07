#include "libs/registry/processor.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/registry/commit.h"
#include "libs/registry/outbox.h"
#include "libs/registry/processor_probe.h"
#include "libs/registry/rows.h"
#include "libs/registry/takeover.h"
#include "libs/store/tables.h"
#include "libs/wire/wire.h"

namespace hub::registry {
namespace {

constexpr size_t kFlushChunk = 512;
constexpr int kTicksMost = 4;         // in an interval, however many flags lapse in it
constexpr size_t kSweepChunk = 2000;  // ids looked at per tick

// What stood in the place of a lost event: any filter that one of them matched matches this (R13).
model::Attributes Union(const model::Attributes& own, const Displaced& displaced) {
  model::Attributes all = own;
  for (const model::Attributes& attributes : displaced.attributes) {
    all.level = std::max(all.level, attributes.level);
    const auto merge = [](const auto& from, auto* to) {
      to->insert(to->end(), from.begin(), from.end());
      std::sort(to->begin(), to->end());
      to->erase(std::unique(to->begin(), to->end()), to->end());
    };
    merge(attributes.reasons, &all.reasons);
    merge(attributes.categories, &all.categories);
    merge(attributes.victim_states, &all.victim_states);
    merge(attributes.handling_units, &all.handling_units);
    merge(attributes.case_refs, &all.case_refs);
    if (all.circle_of_issue.empty()) all.circle_of_issue = attributes.circle_of_issue;
    if (!attributes.operator_id.empty()) all.operator_id = attributes.operator_id;
  }
  return all;
}

}  // namespace

std::vector<store::TableSpec> ProcessorTables() {
  return {{"registry_states", store::TableShape::kPointLookups}, {"registry_ids", store::TableShape::kPointLookups},
          {"registry_due", store::TableShape::kScans},           {"registry_dirty", store::TableShape::kScans},
          {"registry_outbox", store::TableShape::kScans},        {"registry_meta", store::TableShape::kPointLookups},
          {"registry_ages", store::TableShape::kScans}};
}

class Processor::Impl {
 public:
  Impl(const ProcessorOptions& options, const base::Clock* clock, eventlog::Log* log, store::Database* database,
       store::TableId first_table, const model::Tokeniser* tokeniser, base::Metrics* metrics)
      : options_(options),
        clock_(clock),
        log_(log),
        database_(database),
        tables_(first_table),
        keys_(options.partition),
        tokeniser_(tokeniser),
        probe_(metrics, options.partition),
        outbox_(keys_, tables_.outbox, options.partition, clock, log, database,
                static_cast<size_t>(options.outbox_in_flight_max)),
        urgent_budget_(options.urgent_copies_max, clock),
        takeover_(std::make_unique<Takeover>(options.partition, keys_, tables_, clock, log, database, tokeniser)),
        tick_(std::make_shared<PendingTick>()) {}

  StepResult Step() {
    StepResult result;
    decided_ = 0;
    absl::StatusOr<bool> progressed = phase_ == ProcessorPhase::kRunning      ? Run()
                                      : phase_ == ProcessorPhase::kTakingOver ? TakeOver()
                                                                              : false;
    if (!progressed.ok()) outbox_.Discarded();
    result.status = progressed.status();
    result.progressed = progressed.value_or(false);
    result.records = result.progressed ? decided_ : 0;
    if (phase_ == ProcessorPhase::kRunning) {
      result.wait_for = {{Reports(), state_.reports_next}, {Events(), state_.events_next}};
      result.wait_at_most =
          std::clamp(next_tick_at_ - clock_->Monotonic(), absl::Milliseconds(1), options_.tick_interval);
    } else if (phase_ == ProcessorPhase::kTakingOver) {
      result.wait_for = {takeover_->wait_for()};
      result.wait_at_most = absl::Milliseconds(20);
    }
    PublishStatus();
    return result;
  }

  ProcessorStatus Status() const {
    base::MutexLock lock(&status_mu_);
    return status_;
  }

 private:
  struct PendingTick {
    std::atomic<bool> under_way{false};  // set and cleared around one append; orders nothing else
  };

  eventlog::TopicPartition Reports() const { return {eventlog::kReportsTopic, options_.partition}; }
  eventlog::TopicPartition Events() const { return {eventlog::kEventsTopic, options_.partition}; }

  absl::StatusOr<bool> TakeOver() {
    if (!taken_over_) {
      HUB_ASSIGN_OR_RETURN(const Takeover::Progress progress, takeover_->Step());
      if (progress != Takeover::Progress::kDone) return progress == Takeover::Progress::kAgain;
      taken_over_ = true;
    }
    Commit commit(keys_, tables_, database_, &outbox_, takeover_->state());
    HUB_RETURN_IF_ERROR(
        outbox_.Open(commit.state.term, takeover_->sequences_on_log(), commit.state.accepted_sequence, &commit.batch));
    HUB_RETURN_IF_ERROR(Repair(&commit));
    commit.batch.Put(tables_.meta, keys_.Meta("log_id"), log_->log_id());
    commit.batch.Put(tables_.meta, keys_.Meta("rules"), wire::EncodeRecord({}, model::RulesUpdate{takeover_->rules()}));
    HUB_RETURN_IF_ERROR(Finish(&commit));
    rules_ = takeover_->rules();
    rebuilt_ = takeover_->rebuilt();
    phase_ = ProcessorPhase::kRunning;
    urgent_next_ = takeover_->urgent_next();  // marks that came since then are looked at, too
    next_flush_at_ = clock_->Monotonic() + options_.state_flush_interval;
    next_mark_at_ = clock_->Monotonic() + options_.mark_interval;
    next_tick_at_ = clock_->Monotonic();
    HUB_LOG(INFO, "registry_running",
            {{"partition", options_.partition},
             {"term", state_.term},
             {"reports_next", state_.reports_next},
             {"rebuilt", rebuilt_}});
    return true;
  }

  // R13 at takeover: what was displaced goes out again as an event.
  absl::Status Repair(Commit* commit) {
    std::vector<model::RoutingToken> tokens;
    for (const auto& [key, displaced] : takeover_->displaced()) tokens.push_back(key.token);
    HUB_RETURN_IF_ERROR(commit->groups.Load(tokens));
    for (const auto& [key, displaced] : takeover_->displaced()) {
      const Group& group = commit->groups.Get(key.token);
      const std::optional<model::IndicatorState>& state = StateOf(group.states, key.facet);
      if (!state.has_value()) continue;  // only the other owner had come to it; its report is still ahead of us
      const Group::Origin& origin = group.origins[static_cast<size_t>(key.facet) - 1];
      model::Event event;
      event.kind = state->standing;
      event.state = *state;
      event.previous = Union(state->attributes, displaced);
      event.reports_offset = origin.reports_offset;
      event.rules_version = origin.rules_version;
      event.decided_at = commit->state.clock;
      event.received_at = commit->state.clock;
      outbox_.Add(Lane::kEvents, model::ToBytes(key), event, RowKind{}, &commit->batch);
      probe_.repaired.Increment();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Run() {
    HUB_ASSIGN_OR_RETURN(const bool sent, outbox_.Publish());
    Commit commit(keys_, tables_, database_, &outbox_, state_);
    HUB_ASSIGN_OR_RETURN(const bool read_back, ReadBack(&commit));
    if (phase_ == ProcessorPhase::kDeposed) return true;
    SendTick();
    if (phase_ == ProcessorPhase::kDeposed) return true;
    FlushPass pass = flush_;
    HUB_ASSIGN_OR_RETURN(const bool flushed, Flush(&pass, &commit));
    bool decided = false;
    if (outbox_.rows() < options_.outbox_rows_max) {
      HUB_ASSIGN_OR_RETURN(decided, Decide(&commit));
    } else {
      HUB_LOG_EVERY(10, WARN, "registry_outbox_full", {{"partition", options_.partition}, {"rows", outbox_.rows()}});
    }
    // What was only read back is worth a write of its own now and then.
    const bool worth = flushed || decided || commit.repair || outbox_.copies_wait() ||
                       commit.state.events_next - stored_events_next_ > 4096;
    if (worth) {
      HUB_RETURN_IF_ERROR(Finish(&commit));
      if (commit.rules.has_value()) rules_ = *std::move(commit.rules);
      flush_ = pass;
      commit.Tell(&probe_);
    } else {
      outbox_.Discarded();
      state_ = commit.state;
    }
    HUB_ASSIGN_OR_RETURN(const bool published, outbox_.Publish());
    return sent || read_back || flushed || decided || published;
  }

  // One synced write of everything, or nothing.
  absl::Status Finish(Commit* commit) {
    outbox_.DropAcknowledged(&commit->batch);
    const absl::Duration start = clock_->Monotonic();
    if (absl::Status status = commit->Write(); !status.ok()) {
      outbox_.Discarded();
      probe_.commit_failures.Increment();
      return status;
    }
    probe_.commit_seconds.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - start));
    outbox_.Committed();
    state_ = commit->state;
    stored_events_next_ = state_.events_next;
    return absl::OkStatus();
  }

  // Reads the own `events` and `urgent`: a higher mark deposes (R3), a fenced record is repaired by a silent state (R13).
  absl::StatusOr<bool> ReadBack(Commit* commit) {
    HUB_ASSIGN_OR_RETURN(const auto read, log_->Read(Events(), commit->state.events_next, {}));
    for (const eventlog::StoredRecord& stored : read.records) {
      const auto header = wire::DecodeHeader(stored.value);
      if (!header.ok()) continue;  // counted by those who read it for a living
      if (header->term == state_.term) {
        commit->state.accepted_sequence = std::max(commit->state.accepted_sequence, header->sequence);
        outbox_.OnReadBack(header->sequence, stored.offset);
        continue;
      }
      if (header->term > state_.term) return Depose(header->term);
      if (const auto key = model::IndicatorKeyFromBytes(stored.key); key.ok()) {
        commit->batch.Put(tables_.dirty, keys_.Dirty(key->token), "");
        commit->repair = true;
        probe_.repaired.Increment();
      } else if (stored.key == kRulesKey && rules_.version > 0) {
        outbox_.Add(Lane::kEvents, kRulesKey, model::RulesUpdate{rules_}, RowKind{.barrier = true}, &commit->batch);
        commit->repair = true;
      }
    }
    const bool progressed = read.next != commit->state.events_next;
    commit->state.events_next = read.next;
    return progressed;
  }

  bool Depose(uint64_t term) {
    HUB_LOG(WARN, "registry_deposed", {{"partition", options_.partition}, {"term", state_.term}, {"by", term}});
    outbox_.Discarded();
    phase_ = ProcessorPhase::kDeposed;
    return true;
  }

  absl::Status LookAtUrgent() {
    HUB_ASSIGN_OR_RETURN(const auto read, log_->Read({eventlog::kUrgentTopic, options_.partition}, urgent_next_, {}));
    for (const eventlog::StoredRecord& stored : read.records) {
      const auto record = wire::DecodeRecord(stored.value);
      if (record.ok() && std::holds_alternative<model::TermMark>(record->body) && record->header.term > state_.term) {
        Depose(record->header.term);
      }
    }
    urgent_next_ = read.next;
    return absl::OkStatus();
  }

  // DESIGN.md 5, Time: the owner's tick into its own `reports`.
  void SendTick() {
    if (clock_->Monotonic() < next_tick_at_) return;
    next_tick_at_ = clock_->Monotonic() + options_.tick_interval;
    if (absl::Status status = LookAtUrgent(); !status.ok()) {
      HUB_LOG_EVERY(10, WARN, "registry_urgent_unreadable", {{"status", status.ToString()}});
    }
    if (auto range = log_->Offsets(Reports()); range.ok()) reports_end_ = range->end;
    if (phase_ != ProcessorPhase::kRunning || tick_->under_way.exchange(true)) return;
    const absl::Time now = clock_->TimeNow();
    if (last_tick_ != absl::InfinitePast() && now - last_tick_ > options_.tick_step_max) {
      HUB_LOG_EVERY(60, ERROR, "registry_clock_jumped",
                    {{"partition", options_.partition}, {"by", absl::FormatDuration(now - last_tick_)}});
      tick_->under_way = false;
      return;
    }
    last_tick_ = std::max(last_tick_, now);
    log_->Append(Reports(), {"tick", wire::EncodeRecord({state_.term, 0}, model::Tick{now, state_.term})},
                 [tick = tick_](const absl::StatusOr<eventlog::Offset>&) { tick->under_way = false; });
    next_tick_at_ = clock_->Monotonic() + UntilNextTick(now);
  }

  // A flag that lapses before the next tick would be due gets a tick of its own: those who hold it shall not wait for most of a second.
  absl::Duration UntilNextTick(absl::Time now) const {
    const auto cursor = database_->Scan(tables_.due, keys_.DueEnd(now), store::PrefixEnd(keys_.prefix()));
    if (!cursor->Valid()) return options_.tick_interval;
    return std::clamp(DueIn(cursor->key()) - now, options_.tick_interval / kTicksMost, options_.tick_interval);
  }

  // Changed counters as silent STATEs, and after those of all keys that were dirty at its start a MARK of where it started (R14).
  struct FlushPass {
    bool active = false;
    bool ends_with_mark = false;
    std::string next_key;
    model::TermMark mark;
  };
  absl::StatusOr<bool> Flush(FlushPass* pass, Commit* commit) {
    const absl::Duration now = clock_->Monotonic();
    if (!pass->active) {
      if (now < next_flush_at_) return false;
      pass->active = true;
      pass->ends_with_mark = now >= next_mark_at_;
      pass->next_key = keys_.prefix();
      pass->mark = {state_.term,    state_.reports_next, state_.clock,
                    rules_.version, state_.tick_term,    /*complete=*/true};
    }
    std::vector<model::RoutingToken> tokens;
    const auto cursor = database_->Scan(tables_.dirty, pass->next_key, store::PrefixEnd(keys_.prefix()));
    for (; cursor->Valid() && tokens.size() < kFlushChunk; cursor->Next()) {
      tokens.push_back(TokenIn(cursor->key()));
      commit->batch.Delete(tables_.dirty, cursor->key());
      pass->next_key = absl::StrCat(cursor->key(), absl::string_view("\0", 1));
    }
    HUB_RETURN_IF_ERROR(cursor->status());
    HUB_RETURN_IF_ERROR(commit->groups.Load(tokens));
    for (const model::RoutingToken& token : tokens) {
      const Group& group = commit->groups.Get(token);
      for (const model::Facet facet : kFacets) {
        const std::optional<model::IndicatorState>& state = StateOf(group.states, facet);
        if (!state.has_value()) continue;
        const Group::Origin& origin = group.origins[static_cast<size_t>(facet) - 1];
        outbox_.Add(Lane::kEvents, model::ToBytes(state->key),
                    model::StateUpdate{*state, origin.reports_offset, origin.rules_version}, RowKind{}, &commit->batch);
        probe_.states.Increment();
      }
    }
    if (tokens.size() < kFlushChunk) {
      if (pass->ends_with_mark) {
        outbox_.Add(Lane::kEvents, kMarkKey, pass->mark, RowKind{.barrier = true}, &commit->batch);
        next_mark_at_ = now + options_.mark_interval;
      }
      *pass = {};
      next_flush_at_ = now + options_.state_flush_interval;
    }
    return true;
  }

  // Reads and decides; a tick is a commit of its own (or several, when much lapses at once).
  absl::StatusOr<bool> Decide(Commit* commit) {
    eventlog::ReadLimits limits;
    limits.records_max = static_cast<size_t>(options_.batch_records_max);
    HUB_ASSIGN_OR_RETURN(const auto read, log_->Read(Reports(), commit->state.reports_next, limits));
    reports_end_ = std::max(reports_end_, read.next);
    if (read.next == commit->state.reports_next) return false;
    decided_ = read.records.size();
    CommitContext context;
    context.rules = &rules_;
    context.tokeniser = tokeniser_;
    context.urgent_budget = &urgent_budget_;
    context.wall_now = clock_->TimeNow();
    HUB_ASSIGN_OR_RETURN(const bool ticked, commit->Apply(context, read));
    if (ticked) HUB_RETURN_IF_ERROR(SweepIds(commit));
    return true;
  }

  // R15: ids older than the window go, some at each tick.
  absl::Status SweepIds(Commit* commit) {
    const absl::Time oldest = commit->state.clock - options_.dedupe_window;
    int64_t below = -1;  // reports before it were followed by a tick that is older than the window
    const auto ages = database_->Scan(tables_.ages, keys_.prefix(), store::PrefixEnd(keys_.prefix()));
    for (; ages->Valid(); ages->Next()) {
      if (absl::FromUnixMicros(static_cast<int64_t>(store::DecodeKey64(ages->value()))) >= oldest) break;
      below = static_cast<int64_t>(store::DecodeKey64(ages->key(), keys_.prefix().size()));
    }
    HUB_RETURN_IF_ERROR(ages->status());
    if (below < 0) return absl::OkStatus();
    if (sweep_from_.empty()) sweep_from_ = keys_.prefix();
    const auto ids = database_->Scan(tables_.ids, sweep_from_, store::PrefixEnd(keys_.prefix()));
    for (size_t looked_at = 0; ids->Valid() && looked_at < kSweepChunk; ids->Next(), ++looked_at) {
      if (OffsetIn(ids->value()) < below) commit->batch.Delete(tables_.ids, ids->key());
      sweep_from_ = std::string(ids->key());
    }
    if (!ids->Valid()) {
      sweep_from_.clear();
      // A whole round is done: of the ages only the newest of the past is still needed.
      commit->batch.DeleteRange(tables_.ages, keys_.prefix(), keys_.Age(below));
    }
    return ids->status();
  }

  void PublishStatus() {
    ProcessorStatus status;
    status.phase = phase_;
    status.term = state_.term;
    status.reports_next = state_.reports_next;
    status.reports_end = reports_end_;
    status.clock = state_.clock;
    status.rules_version = rules_.version;
    status.outbox_rows = outbox_.rows();
    status.rebuilt = rebuilt_;
    probe_.outbox_rows.Set(static_cast<double>(status.outbox_rows));
    probe_.lag_records.Set(static_cast<double>(std::max<int64_t>(0, reports_end_ - state_.reports_next)));
    base::MutexLock lock(&status_mu_);
    status_ = status;
  }

  const ProcessorOptions options_;
  const base::Clock* const clock_;
  eventlog::Log* const log_;
  store::Database* const database_;
  const Tables tables_;
  const RowKeys keys_;
  const model::Tokeniser* const tokeniser_;
  ProcessorProbe probe_;
  Outbox outbox_;
  UrgentBudget urgent_budget_;
  const std::unique_ptr<Takeover> takeover_;
  bool taken_over_ = false;
  size_t decided_ = 0;  // records, by this step
  ProcessorPhase phase_ = ProcessorPhase::kTakingOver;
  PartitionState state_;
  model::Rules rules_;
  bool rebuilt_ = false;
  FlushPass flush_;
  std::string sweep_from_;
  eventlog::Offset stored_events_next_ = 0;
  eventlog::Offset urgent_next_ = 0;
  eventlog::Offset reports_end_ = 0;
  absl::Time last_tick_ = absl::InfinitePast();
  absl::Duration next_tick_at_, next_flush_at_, next_mark_at_;  // monotonic
  const std::shared_ptr<PendingTick> tick_;
  mutable base::Mutex status_mu_;
  ProcessorStatus status_ ABSL_GUARDED_BY(status_mu_);
};

Processor::Processor(const ProcessorOptions& options, const base::Clock* clock, eventlog::Log* log,
                     store::Database* database, store::TableId first_table, const model::Tokeniser* tokeniser,
                     base::Metrics* metrics)
    : impl_(std::make_unique<Impl>(options, clock, log, database, first_table, tokeniser, metrics)) {}
Processor::~Processor() = default;
StepResult Processor::Step() { return impl_->Step(); }
ProcessorStatus Processor::Status() const { return impl_->Status(); }

}  // namespace hub::registry
