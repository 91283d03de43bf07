#include "libs/replica/replica.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/replica/link_index.h"
#include "libs/replica/rows.h"
#include "libs/store/tables.h"

namespace hub::replica {
namespace {

constexpr absl::Duration kHistoryKept = absl::Hours(24 * 400);
constexpr uint64_t kSampledStates = 1024;  // to judge how many there are, to some percent
constexpr size_t kFilledAtOnce = 4096;     // links
constexpr char kLinksKey[] = "links";
constexpr size_t kSweepRows = 64;  // of history and of reports, looked at per run of history

struct Probe {
  explicit Probe(base::Metrics* metrics)
      : applied(Records(metrics, "applied")),
        stale(Records(metrics, "stale")),
        fenced(Records(metrics, "fenced")),
        history(Records(metrics, "history")),
        swept(metrics->AddCounter("fraudhub_replica_swept_total", "Rows of history that grew too old")),
        age_seconds(metrics->AddGauge("fraudhub_replica_age_seconds",
                                      "Age of the oldest partition's last tick when last applied")),
        applied_seconds(metrics->AddHistogram("fraudhub_replica_applied_seconds",
                                              "From the decision (tick clock) until in the replica, oldest of each run",
                                              base::LatencyBounds())) {}
  base::Counter applied, stale, fenced, history, swept;
  base::Gauge age_seconds;
  base::Histogram applied_seconds;

 private:
  static base::Counter Records(base::Metrics* metrics, const char* kind) {
    return metrics->AddCounter("fraudhub_replica_records_total", "Records fed, by what came of them", {{"kind", kind}});
  }
};

// The first key of a range; empty, which means the end, after the last.
std::string PartKey(uint32_t part, uint32_t parts) {
  std::string key;
  if (part == parts) return key;
  store::AppendKey64((uint64_t{1} << 63) / parts * 2 * part, &key);
  return key;
}

struct Tables {
  explicit Tables(store::TableId first)
      : states(first), reports(first + 1), history(first + 2), meta(first + 3), links(first + 4) {}
  store::TableId states, reports, history, meta, links;
};

class StoredReplica final : public Replica {
 public:
  StoredReplica(store::Database* database, store::TableId first_table, int32_t partitions, const base::Clock* clock,
                base::Metrics* metrics)
      : database_(database),
        tables_(first_table),
        clock_(clock),
        probe_(metrics),
        partitions_(static_cast<size_t>(partitions)) {}

  // Goes on with what is stored if it is about this log and this format; else starts afresh.
  absl::Status Load(const std::string& log_id) {
    HUB_ASSIGN_OR_RETURN(const auto stored_log, database_->Get(tables_.meta, "log"));
    HUB_ASSIGN_OR_RETURN(const auto format, database_->Get(tables_.meta, "format"));
    bool usable = stored_log == log_id && format == std::string(1, kFormat);
    std::vector<PartitionRow> rows(partitions_.size());
    for (size_t i = 0; usable && i < rows.size(); ++i) {
      HUB_ASSIGN_OR_RETURN(const auto row, database_->Get(tables_.meta, PartitionKey(static_cast<int32_t>(i))));
      if (!row.has_value()) continue;
      absl::StatusOr<PartitionRow> decoded = DecodePartition(*row);
      usable = decoded.ok();
      if (usable) rows[i] = *decoded;
    }
    if (usable) {
      HUB_RETURN_IF_ERROR(FillLinks());
      base::MutexLock lock(&mu_);
      partitions_ = std::move(rows);
      return absl::OkStatus();
    }
    if (stored_log.has_value())
      HUB_LOG(WARN, "replica_starts_afresh", {{"why", stored_log == log_id ? "format" : "another log"}});
    store::Batch batch;
    for (const store::TableId table : {tables_.states, tables_.reports, tables_.history, tables_.meta, tables_.links}) {
      batch.DeleteRange(table, "", std::string(64, '\xff'));
    }
    batch.Put(tables_.meta, "log", log_id);
    batch.Put(tables_.meta, "format", std::string(1, kFormat));
    batch.Put(tables_.meta, kLinksKey, std::string(1, kFormat));
    return database_->Commit(batch, store::Durability::kSynced);
  }

  std::vector<int64_t> EventsNext() const override {
    return Positions([](const PartitionRow& row) { return row.events_next; });
  }
  std::vector<int64_t> HistoryNext() const override {
    return Positions([](const PartitionRow& row) { return row.history_next; });
  }

  absl::Status ApplyEvents(const std::vector<FedRecord>& records, int32_t partition, int64_t next,
                           bool caught_up) override {
    PartitionRow row = Row(partition);
    if (records.empty() && next == row.events_next && (row.caught_up || !caught_up)) return absl::OkStatus();
    Edits edits;
    HUB_RETURN_IF_ERROR(LoadStates(records, &edits));
    absl::Time oldest = absl::InfiniteFuture();
    for (const FedRecord& record : records) ApplyRecord(record, &row, &edits, &oldest);
    row.events_next = next;
    row.caught_up = row.caught_up || caught_up;
    store::Batch batch;
    for (const auto& [key, edit] : edits) {
      if (!edit.changed) continue;
      batch.Put(tables_.states, key, EncodeAnswer(*edit.answer));
      PutLinks(tables_.links, edit.answer->state, &batch);
    }
    HUB_RETURN_IF_ERROR(Commit(&batch, partition, row));
    const absl::Time now = clock_->TimeNow();
    if (oldest != absl::InfiniteFuture()) probe_.applied_seconds.Observe(absl::ToDoubleSeconds(now - oldest));
    if (const absl::Time until = CompleteUntil(); until != absl::InfinitePast()) {
      probe_.age_seconds.Set(absl::ToDoubleSeconds(now - until));
    }
    return absl::OkStatus();
  }

  absl::Status NoteGap(int32_t partition) override {
    PartitionRow row = Row(partition);
    if (!row.caught_up) return absl::OkStatus();
    row.caught_up = false;
    store::Batch batch;
    return Commit(&batch, partition, row);
  }

  absl::Status ApplyHistory(const std::vector<FedRecord>& records, int32_t partition, int64_t next) override {
    PartitionRow row = Row(partition);
    if (records.empty() && next == row.history_next) return absl::OkStatus();
    std::vector<const model::HistoryEntry*> entries;
    std::vector<std::string> report_keys;
    for (const FedRecord& record : records) {
      const auto* entry = std::get_if<model::HistoryEntry>(&record.body);
      if (entry == nullptr) continue;
      entries.push_back(entry);
      report_keys.push_back(ReportKey(entry->reporter.stakeholder, entry->report_id));
    }
    HUB_ASSIGN_OR_RETURN(const auto known, database_->MultiGet(tables_.reports, report_keys));
    std::map<std::string, int64_t> newest;  // offset of what is known of a report
    std::vector<bool> replayed(entries.size());
    for (size_t i = 0; i < known.size(); ++i) {
      if (!known[i].has_value()) continue;
      const auto entry = DecodeHistory(*known[i]);
      if (!entry.ok()) continue;
      newest[report_keys[i]] = entry->reports_offset;
      replayed[i] = entries[i]->report_kind != model::InputKind::kUnspecified &&
                    entry->reports_offset == entries[i]->reports_offset;
    }
    store::Batch batch;
    for (size_t i = 0; i < entries.size(); ++i) {
      const model::HistoryEntry& entry = *entries[i];
      // A registry that had to rebuild decides again what the log holds already, on a newer state: what was told first stands.
      if (replayed[i]) continue;
      const std::string bytes = EncodeHistory(entry);
      batch.Put(tables_.history, HistoryKey(entry.key.token, entry.reports_offset, entry.key.facet), bytes);
      if (entry.report_kind == model::InputKind::kUnspecified) continue;  // a lapse: nobody's report
      const auto [it, fresh] = newest.emplace(report_keys[i], entry.reports_offset);
      if (!fresh && entry.reports_offset < it->second) continue;
      it->second = entry.reports_offset;
      batch.Put(tables_.reports, report_keys[i], bytes);
    }
    HUB_RETURN_IF_ERROR(Sweep(tables_.history, entries.size(), &history_swept_, &batch));
    HUB_RETURN_IF_ERROR(Sweep(tables_.reports, entries.size(), &reports_swept_, &batch));
    row.history_next = next;
    HUB_RETURN_IF_ERROR(Commit(&batch, partition, row));
    probe_.history.Increment(static_cast<double>(entries.size()));
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<Answer>> Get(const model::IndicatorKey& key) const override {
    HUB_ASSIGN_OR_RETURN(const auto row, database_->Get(tables_.states, StateKey(key)));
    if (!row.has_value()) return std::nullopt;
    HUB_ASSIGN_OR_RETURN(Answer answer, DecodeAnswer(*row));
    return answer;
  }

  absl::StatusOr<std::optional<model::HistoryEntry>> GetReport(const std::string& stakeholder,
                                                               const model::ReportId& id) const override {
    HUB_ASSIGN_OR_RETURN(const auto row, database_->Get(tables_.reports, ReportKey(stakeholder, id)));
    if (!row.has_value()) return std::nullopt;
    HUB_ASSIGN_OR_RETURN(model::HistoryEntry entry, DecodeHistory(*row));
    if (entry.reporter.stakeholder != stakeholder) return std::nullopt;  // the key holds a hash of it only
    return entry;
  }

  absl::StatusOr<std::vector<model::HistoryEntry>> ListHistory(const model::RoutingToken& token, int64_t before,
                                                               size_t limit) const override {
    std::vector<model::HistoryEntry> entries;
    if (before <= 0) return entries;
    const std::string prefix = HistoryPrefix(token);
    const auto cursor = database_->Scan(tables_.history, HistoryKey(token, before - 1, model::Facet::kUnspecified),
                                        store::PrefixEnd(prefix));
    for (; cursor->Valid() && entries.size() < limit; cursor->Next()) {
      HUB_ASSIGN_OR_RETURN(model::HistoryEntry entry, DecodeHistory(cursor->value()));
      entries.push_back(std::move(entry));
    }
    HUB_RETURN_IF_ERROR(cursor->status());
    return entries;
  }

  absl::StatusOr<Namers> ListNamers(const model::Identifier& named, absl::string_view after,
                                    size_t limit) const override {
    HUB_ASSIGN_OR_RETURN(const std::vector<std::string> keys, NamersOf(*database_, tables_.links, named, after, limit));
    HUB_ASSIGN_OR_RETURN(const auto rows, database_->MultiGet(tables_.states, keys));
    Namers namers;
    if (!keys.empty() && keys.size() == limit) namers.next = keys.back();
    for (const std::optional<std::string>& row : rows) {
      if (!row.has_value()) continue;
      HUB_ASSIGN_OR_RETURN(Answer answer, DecodeAnswer(*row));
      const auto names = [&](const model::Link& link) { return link.identifier == named; };
      const std::vector<model::Link>& links = answer.state.links;
      if (std::any_of(links.begin(), links.end(), names)) namers.answers.push_back(std::move(answer));
    }
    return namers;
  }

  absl::Time CompleteUntil() const override {
    base::MutexLock lock(&mu_);
    absl::Time until = absl::InfiniteFuture();
    for (const PartitionRow& row : partitions_)
      until = std::min(until, row.caught_up ? row.tick : absl::InfinitePast());
    return until;
  }

  absl::StatusOr<std::vector<EventsPlace>> Places() const override {
    base::MutexLock lock(&mu_);
    std::vector<EventsPlace> places;
    for (const PartitionRow& row : partitions_) {
      if (!row.caught_up) return absl::UnavailableError("replica: not complete yet, it reads the log");
      places.push_back({row.events_next, row.in_force, row.tick});
    }
    return places;
  }

  absl::StatusOr<std::vector<int64_t>> VisitPart(uint32_t part, uint32_t parts,
                                                 const std::function<void(const Answer&)>& visit) const override {
    const auto cursor = database_->Scan(tables_.states, PartKey(part, parts), PartKey(part + 1, parts));
    // Positions are committed with the states, so those found after the cursor was made are at or past what it shows.
    std::vector<int64_t> ends = EventsNext();
    for (size_t i = 0; i < ends.size(); ++i) {
      HUB_ASSIGN_OR_RETURN(const auto bytes, database_->Get(tables_.meta, PartitionKey(static_cast<int32_t>(i))));
      if (!bytes.has_value()) continue;
      HUB_ASSIGN_OR_RETURN(const PartitionRow row, DecodePartition(*bytes));
      ends[i] = std::max(ends[i], row.events_next);
    }
    for (; cursor->Valid(); cursor->Next()) {
      HUB_ASSIGN_OR_RETURN(const Answer answer, DecodeAnswer(cursor->value()));
      visit(answer);
    }
    HUB_RETURN_IF_ERROR(cursor->status());
    return ends;
  }

  absl::StatusOr<uint64_t> CountAbout() const override {
    const auto cursor = database_->Scan(tables_.states, "", "");
    uint64_t count = 0, reached = 0;
    for (; cursor->Valid() && count < kSampledStates; cursor->Next(), ++count)
      reached = store::DecodeKey64(cursor->key(), 0);
    HUB_RETURN_IF_ERROR(cursor->status());
    if (!cursor->Valid() || reached == 0) return count;
    return static_cast<uint64_t>(static_cast<double>(count) * 0x1p64 / static_cast<double>(reached));
  }

  absl::StatusOr<StateDigest> Digest() const override {
    StateDigest digest;
    HUB_RETURN_IF_ERROR(ForEachState([&digest](const Answer& answer) {
      const model::IndicatorState& state = answer.state;
      ++digest.indicators;
      if (state.attributes.level > model::Level::kNone) ++digest.flagged;
      digest.reports += state.report_count;
      ++digest.by_level[static_cast<size_t>(state.attributes.level)];
      std::string bytes = StateKey(state.key);
      store::AppendKey64(state.version, &bytes);
      store::AppendKey64(state.report_count, &bytes);
      bytes.push_back(static_cast<char>(state.attributes.level));
      digest.digest[0] += base::Mix64(bytes, 1);
      digest.digest[1] += base::Mix64(bytes, 2);
    }));
    return digest;
  }

  absl::Status ForEachState(const std::function<void(const Answer&)>& visit) const override {
    const auto cursor = database_->Scan(tables_.states, "", "");
    for (; cursor->Valid(); cursor->Next()) {
      HUB_ASSIGN_OR_RETURN(const Answer answer, DecodeAnswer(cursor->value()));
      visit(answer);
    }
    return cursor->status();
  }

 private:
  struct Edit {
    std::optional<Answer> answer;
    bool changed = false;
  };
  using Edits = std::map<std::string, Edit>;  // by state key

  // Of the states that an earlier release stored, which had no such table.
  absl::Status FillLinks() {
    HUB_ASSIGN_OR_RETURN(const auto filled, database_->Get(tables_.meta, kLinksKey));
    if (filled.has_value()) return absl::OkStatus();
    store::Batch batch;
    absl::Status status;
    size_t held = 0;
    HUB_RETURN_IF_ERROR(ForEachState([&](const Answer& answer) {
      PutLinks(tables_.links, answer.state, &batch);
      if ((held += answer.state.links.size()) < kFilledAtOnce || !status.ok()) return;
      status = database_->Commit(batch, store::Durability::kBuffered);
      batch = store::Batch();
      held = 0;
    }));
    HUB_RETURN_IF_ERROR(status);
    batch.Put(tables_.meta, kLinksKey, std::string(1, kFormat));
    return database_->Commit(batch, store::Durability::kSynced);
  }

  template <class Position>
  std::vector<int64_t> Positions(Position position) const {
    base::MutexLock lock(&mu_);
    std::vector<int64_t> positions;
    for (const PartitionRow& row : partitions_) positions.push_back(position(row));
    return positions;
  }

  PartitionRow Row(int32_t partition) const {
    base::MutexLock lock(&mu_);
    return partitions_[static_cast<size_t>(partition)];
  }

  // Data and position together; buffered, since both can be fed again.
  absl::Status Commit(store::Batch* batch, int32_t partition, const PartitionRow& row) {
    batch->Put(tables_.meta, PartitionKey(partition), EncodePartition(row));
    HUB_RETURN_IF_ERROR(database_->Commit(*batch, store::Durability::kBuffered));
    base::MutexLock lock(&mu_);
    partitions_[static_cast<size_t>(partition)] = row;
    return absl::OkStatus();
  }

  static const model::IndicatorState* StateIn(const model::LogBody& body) {
    if (const auto* event = std::get_if<model::Event>(&body)) return &event->state;
    if (const auto* update = std::get_if<model::StateUpdate>(&body)) return &update->state;
    return nullptr;
  }

  absl::Status LoadStates(const std::vector<FedRecord>& records, Edits* edits) const {
    std::vector<std::string> keys;
    for (const FedRecord& record : records) {
      const model::IndicatorState* state = StateIn(record.body);
      if (state == nullptr) continue;
      std::string key = StateKey(state->key);
      if (edits->emplace(key, Edit()).second) keys.push_back(std::move(key));
    }
    HUB_ASSIGN_OR_RETURN(const auto rows, database_->MultiGet(tables_.states, keys));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!rows[i].has_value()) continue;
      HUB_ASSIGN_OR_RETURN((*edits)[keys[i]].answer, DecodeAnswer(*rows[i]));
    }
    return absl::OkStatus();
  }

  // R7: nothing of a lower term than the one in force. R8: the greater stamp wins. R16: a tick only moves forward.
  void ApplyRecord(const FedRecord& record, PartitionRow* row, Edits* edits, absl::Time* oldest) {
    if (record.term < row->in_force) return probe_.fenced.Increment();
    if (std::holds_alternative<model::TermMark>(record.body)) {
      row->in_force = record.term;
      return;
    }
    if (const auto* tick = std::get_if<model::Tick>(&record.body)) {
      row->tick = std::max(row->tick, tick->now);
      return;
    }
    const model::IndicatorState* state = StateIn(record.body);
    if (state == nullptr) return;
    Answer answer;
    answer.stamp = {record.term, state->version, -1};
    if (const auto* event = std::get_if<model::Event>(&record.body)) {
      answer.stamp.reports_offset = event->reports_offset;
      answer.rules_version = event->rules_version;
      *oldest = std::min(*oldest, event->decided_at);
    } else if (const auto* update = std::get_if<model::StateUpdate>(&record.body)) {
      answer.stamp.reports_offset = update->reports_offset;
      answer.rules_version = update->rules_version;
    }
    Edit& edit = (*edits)[StateKey(state->key)];
    if (edit.answer.has_value() && answer.stamp <= edit.answer->stamp) return probe_.stale.Increment();
    answer.state = *state;
    edit = {std::move(answer), true};
    probe_.applied.Increment();
  }

  // Some rows at a time, round and round: what is older than kHistoryKept goes.
  absl::Status Sweep(store::TableId table, size_t came, std::string* from, store::Batch* batch) {
    const absl::Time oldest = clock_->TimeNow() - kHistoryKept;
    const auto cursor = database_->Scan(table, *from, "");
    // More than came, or a busy table would outgrow its age.
    const size_t rows = kSweepRows + came;
    size_t looked_at = 0;
    for (; cursor->Valid() && looked_at < rows; cursor->Next(), ++looked_at) {
      const auto entry = DecodeHistory(cursor->value());
      if (!entry.ok() || (entry->decided_at < oldest && entry->decided_at != absl::InfinitePast())) {
        batch->Delete(table, cursor->key());
        probe_.swept.Increment();
      }
      *from = absl::StrCat(cursor->key(), absl::string_view("\0", 1));
    }
    if (!cursor->Valid()) from->clear();
    return cursor->status();
  }

  store::Database* const database_;
  const Tables tables_;
  const base::Clock* const clock_;
  Probe probe_;
  std::string history_swept_, reports_swept_;  // the feeding thread's
  mutable base::Mutex mu_;
  std::vector<PartitionRow> partitions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::vector<store::TableSpec> ReplicaTables() {
  return {{"replica_states", store::TableShape::kPointLookups},
          {"replica_reports", store::TableShape::kPointLookups},
          {"replica_history", store::TableShape::kScans},
          {"replica_meta", store::TableShape::kPointLookups},
          {"replica_links", store::TableShape::kScans}};
}

absl::StatusOr<std::unique_ptr<Replica>> Replica::Open(store::Database* database, store::TableId first_table,
                                                       int32_t partitions, const std::string& log_id,
                                                       const base::Clock* clock, base::Metrics* metrics) {
  auto replica = std::make_unique<StoredReplica>(database, first_table, partitions, clock, metrics);
  HUB_RETURN_IF_ERROR(replica->Load(log_id));
  return replica;
}

}  // namespace hub::replica
