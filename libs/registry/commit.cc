#include "libs/registry/commit.h"

#include <algorithm>

#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/registry/takeover.h"
#include "libs/store/tables.h"
#include "libs/wire/wire.h"

namespace hub::registry {
namespace {

constexpr size_t kLapsesPerCommit = 512;
constexpr size_t kQuarantinedBytesMax = size_t{512} * 1024;

// Which facet a report is about when no event says so.
model::Facet FacetOf(model::InputKind kind) {
  if (kind == model::InputKind::kNotMyConnection) return model::Facet::kConnection;
  if (kind == model::InputKind::kHandsetTraced) return model::Facet::kTrace;
  return model::Facet::kRisk;
}

}  // namespace

absl::StatusOr<bool> Commit::Apply(const CommitContext& context, const eventlog::ReadResult& read) {
  std::vector<Incoming> reports;
  bool took_reports = false;
  const model::Rules* in_force = context.rules;
  CommitContext now = context;
  for (const eventlog::StoredRecord& stored : read.records) {
    auto record = wire::DecodeRecord(stored.value);
    if (!record.ok()) {
      Quarantine(stored, record.status().message());
      continue;
    }
    if (const auto* tick = std::get_if<model::Tick>(&record->body)) {
      // R16: a tick that doesn't raise the clock is not applied.
      if (tick->term < state.tick_term || tick->now <= state.clock) continue;
      if (!took_reports) {
        state.reports_next = stored.offset;
        return ApplyTick(now, *tick, stored.offset);
      }
      // What stands before it first, in a write of its own: what lapses at a tick is looked up in the tables.
      HUB_RETURN_IF_ERROR(ApplyReports(now, reports));
      state.reports_next = stored.offset;
      return false;
    }
    if (const auto* update = std::get_if<model::RulesUpdate>(&record->body)) {
      if (update->rules.version <= in_force->version) continue;
      HUB_RETURN_IF_ERROR(ApplyReports(now, reports));  // by the rules before
      reports.clear();
      ApplyRules(*update);
      in_force = &*rules;
      now.rules = in_force;
    } else if (auto* report = std::get_if<model::Report>(&record->body)) {
      Incoming incoming;
      incoming.offset = stored.offset;
      incoming.token = TokenOf(*report, *context.tokeniser);
      incoming.id_key = keys_.Id(incoming.token, *report);
      if (report->kind == model::InputKind::kActionTaken) incoming.action_key = keys_.ActionId(incoming.token, *report);
      oldest_ = std::max(oldest_, context.wall_now - report->received_at);
      incoming.report = std::move(*report);
      reports.push_back(std::move(incoming));
      took_reports = true;
    } else {
      Quarantine(stored, "a record that doesn't belong on this topic");
    }
  }
  HUB_RETURN_IF_ERROR(ApplyReports(now, reports));
  state.reports_next = read.next;
  return false;
}

// Lapses in the order of their time and key; then the tick goes on to `events`: all before it is decided.
absl::StatusOr<bool> Commit::ApplyTick(const CommitContext& context, const model::Tick& tick, eventlog::Offset offset) {
  std::vector<model::RoutingToken> tokens;
  const auto cursor = database_->Scan(tables_.due, keys_.prefix(), keys_.DueEnd(tick.now));
  for (; cursor->Valid() && tokens.size() < kLapsesPerCommit; cursor->Next()) tokens.push_back(TokenIn(cursor->key()));
  HUB_RETURN_IF_ERROR(cursor->status());
  HUB_RETURN_IF_ERROR(groups.Load(tokens));
  const DecisionContext decision_context{context.rules, tick.now, offset};
  for (const model::RoutingToken& token : tokens) {
    const Decision decision = DecideLapse(decision_context, groups.Get(token).states);
    Settle(decision_context, token, decision, /*urgent_budget=*/nullptr);
    for (const model::Event& event : decision.events) {
      model::HistoryEntry entry;
      entry.key = event.state.key;
      entry.event_kind = event.kind;
      entry.level_after = event.state.attributes.level;
      entry.version_after = event.state.version;
      entry.tenure = event.state.tenure;
      entry.decided_at = tick.now;
      entry.correction = model::IsCorrection(event.kind);
      entry.reports_offset = offset;
      AddHistory(entry);
    }
  }
  if (tokens.size() == kLapsesPerCommit) return false;  // the rest of the same tick next
  // About one in an hour is kept, to know how old ids are.
  HUB_ASSIGN_OR_RETURN(const auto last,
                       database_->Last(tables_.ages, keys_.prefix(), store::PrefixEnd(keys_.prefix())));
  const absl::Time last_age = last.has_value()
                                  ? absl::FromUnixMicros(static_cast<int64_t>(store::DecodeKey64(last->second)))
                                  : absl::InfinitePast();
  if (DeservesAge(tick.now, last_age)) {
    std::string age;
    store::AppendKey64(static_cast<uint64_t>(absl::ToUnixMicros(tick.now)), &age);
    batch.Put(tables_.ages, keys_.Age(offset), age);
  }
  outbox_->Add(Lane::kEvents, kTickKey, tick, RowKind{.barrier = true}, &batch);
  state.clock = tick.now;
  state.tick_term = std::max(state.tick_term, tick.term);
  state.reports_next = offset + 1;
  return true;
}

void Commit::ApplyRules(const model::RulesUpdate& update) {
  rules = update.rules;
  batch.Put(tables_.meta, keys_.Meta("rules"), wire::EncodeRecord({}, update));
  // `events` keeps the newest for a rebuild after `reports` has forgotten it.
  outbox_->Add(Lane::kEvents, kRulesKey, update, RowKind{.barrier = true}, &batch);
  HUB_LOG(INFO, "registry_rules", {{"version", update.rules.version}});
}

void Commit::Quarantine(const eventlog::StoredRecord& record, absl::string_view reason) {
  HUB_LOG_EVERY(10, ERROR, "registry_quarantined", {{"offset", record.offset}, {"why", reason}});
  model::Quarantined quarantined;
  quarantined.topic = eventlog::kReportsTopic;
  quarantined.partition = static_cast<int32_t>(store::DecodeKey32(keys_.prefix()));
  quarantined.offset = record.offset;
  quarantined.reason = std::string(reason);
  quarantined.value = record.value.substr(0, kQuarantinedBytesMax);
  outbox_->Add(Lane::kQuarantine, "", quarantined, RowKind{}, &batch);
  ++quarantined_;
}

absl::Status Commit::ApplyReports(const CommitContext& context, const std::vector<Incoming>& reports) {
  std::vector<model::RoutingToken> tokens;
  std::vector<std::string> id_keys;
  for (const Incoming& incoming : reports) {
    tokens.push_back(incoming.token);
    if (!ids_.contains(incoming.id_key)) id_keys.push_back(incoming.id_key);
    if (!incoming.action_key.empty() && !ids_.contains(incoming.action_key)) id_keys.push_back(incoming.action_key);
  }
  HUB_RETURN_IF_ERROR(groups.Load(tokens));
  HUB_ASSIGN_OR_RETURN(const auto rows, database_->MultiGet(tables_.ids, id_keys));
  for (size_t i = 0; i < id_keys.size(); ++i) {
    if (rows[i].has_value()) ids_.emplace(id_keys[i], *rows[i]);
  }
  for (const Incoming& incoming : reports) {
    ApplyReport({context.rules, state.clock, incoming.offset}, incoming, context.urgent_budget);
  }
  return absl::OkStatus();
}

void Commit::ApplyReport(const DecisionContext& context, const Incoming& incoming, UrgentBudget* urgent_budget) {
  const std::string body_hash = model::BodyHash(incoming.report);
  const auto known = ids_.find(incoming.id_key);
  Decision decision;
  if (known != ids_.end()) {
    decision.outcome = BodyHashIn(known->second) == body_hash ? model::Outcome::kDuplicate : model::Outcome::kConflict;
    decision.states = groups.Get(incoming.token).states;
    Remember(incoming, decision);
    return;
  }
  const std::string row = EncodeIdRow(body_hash, incoming.offset);
  ids_[incoming.id_key] = row;
  batch.Put(tables_.ids, incoming.id_key, row);
  if (!incoming.action_key.empty()) {
    // Once per stakeholder, event and action within the dedupe window, whatever ids it is reported under; the first one stands.
    if (!ids_.emplace(incoming.action_key, row).second) {
      decision.outcome = model::Outcome::kDuplicate;
      decision.states = groups.Get(incoming.token).states;
      Remember(incoming, decision);
      return;
    }
    batch.Put(tables_.ids, incoming.action_key, row);
  }
  decision = hub::registry::Decide(context, groups.Get(incoming.token).states, incoming.token, incoming.report);
  const bool from_list = !incoming.report.list_id.empty();
  for (model::Event& event : decision.events) event.urgent = model::IsUrgent(event, from_list);
  Settle(context, incoming.token, decision, urgent_budget);
  Remember(incoming, decision);
}

void Commit::Settle(const DecisionContext& context, const model::RoutingToken& token, const Decision& decision,
                    UrgentBudget* urgent_budget) {
  for (const model::Facet facet : kFacets) {
    const auto event = std::find_if(decision.events.begin(), decision.events.end(),
                                    [facet](const model::Event& e) { return e.state.key.facet == facet; });
    const bool dirty = facet == model::Facet::kRisk         ? decision.risk_dirty
                       : facet == model::Facet::kConnection ? decision.connection_dirty
                                                            : decision.trace_dirty;
    if (event == decision.events.end() && !dirty) continue;
    // R14: a replay skips what the states of the log hold already.
    const Group& before = groups.Get(token);
    if (before.origins[static_cast<size_t>(facet) - 1].reports_offset >= context.reports_offset) continue;
    Group* group = groups.Edit(token);
    StateOf(&group->states, facet) = StateOf(decision.states, facet);
    OriginOf(group, facet) = {0, context.reports_offset, context.rules->version};
    if (event == decision.events.end()) {
      groups.MarkDirty(token);
      continue;
    }
    RowKind kind;
    if (event->urgent) {
      kind.copy_due = urgent_budget != nullptr && urgent_budget->Take();
      ++(kind.copy_due ? urgent_ : without_copy_);
    }
    outbox_->Add(Lane::kEvents, model::ToBytes(event->state.key), *event, kind, &batch);
    ++events_[event->kind];
  }
}

void Commit::Remember(const Incoming& incoming, const Decision& decision) {
  ++outcomes_[decision.outcome];
  const model::Report& report = incoming.report;
  model::HistoryEntry entry;
  entry.report_id = report.id;
  entry.outcome = decision.outcome;
  entry.held_reason = decision.held_reason;
  entry.report_kind = report.kind;
  entry.reporter = report.reporter;
  entry.decided_at = state.clock;
  entry.reports_offset = incoming.offset;
  entry.list_id = report.list_id;
  if (report.kind == model::InputKind::kActionTaken) {
    entry.action = report.action.action;
    entry.amount_paise = report.action.amount_paise;
    entry.action_version = report.action.in_reply_to.version;
    entry.key = report.action.in_reply_to.key;
  } else {
    entry.key = {incoming.token, FacetOf(report.kind)};
  }
  if (const auto& state_now = StateOf(decision.states, entry.key.facet); state_now.has_value()) {
    entry.level_after = state_now->attributes.level;
    entry.version_after = state_now->version;
    entry.tenure = state_now->tenure;
  }
  if (decision.events.empty()) return AddHistory(entry);
  for (const model::Event& event : decision.events) {
    entry.key = event.state.key;
    entry.event_kind = event.kind;
    entry.level_after = event.state.attributes.level;
    entry.version_after = event.state.version;
    entry.tenure = event.state.tenure;
    entry.correction = model::IsCorrection(event.kind);
    AddHistory(entry);
  }
}

void Commit::AddHistory(const model::HistoryEntry& entry) {
  outbox_->Add(Lane::kHistory, model::ToBytes(entry.key).substr(0, sizeof(model::RoutingToken)), entry, RowKind{},
               &batch);
}

absl::Status Commit::Write() {
  groups.Write(&batch);
  batch.Put(tables_.meta, keys_.Meta("state"), EncodePartitionState(state));
  return database_->Commit(batch, store::Durability::kSynced);
}

void Commit::Tell(ProcessorProbe* probe) const {
  for (const auto& [outcome, count] : outcomes_) probe->CountReports(outcome, count);
  for (const auto& [kind, count] : events_) probe->CountEvents(kind, count);
  if (urgent_ > 0) probe->urgent.Increment(urgent_);
  if (without_copy_ > 0) probe->urgent_without_copy.Increment(without_copy_);
  if (quarantined_ > 0) probe->CountQuarantined(quarantined_);
  if (!outcomes_.empty()) probe->decided_seconds.Observe(absl::ToDoubleSeconds(oldest_));
}

}  // namespace hub::registry
