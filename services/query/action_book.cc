#include "services/query/action_book.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "libs/base/status_macros.h"

namespace hub::query {
namespace {

// Rows, by the first byte of the key. Stored: frozen.
constexpr char kTotalRow = 's';  // stakeholder -> actions (8), last (8, micros)
constexpr char kPlaceRow = 'r';  // partition (4) -> offset in `reports` of the last action taken in (8)
constexpr char kLogRow = 'l';    // -> log id
// Not used again: 'p', once the offset in `history`.

std::string PlaceKey(int32_t partition) {
  std::string key(1, kPlaceRow);
  store::AppendKey32(static_cast<uint32_t>(partition), &key);
  return key;
}

std::string Encode(const ActionBook::Total& total) {
  std::string value;
  store::AppendKey64(total.actions, &value);
  store::AppendKey64(static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMicros(total.last_at))), &value);
  return value;
}
absl::StatusOr<ActionBook::Total> Decode(absl::string_view value) {
  if (value.size() != 16) return absl::DataLossError("actions: a row of another length");
  return ActionBook::Total{store::DecodeKey64(value),
                           absl::FromUnixMicros(static_cast<int64_t>(store::DecodeKey64(value, 8)))};
}

}  // namespace

std::vector<store::TableSpec> ActionBook::Tables() { return {{"actions", store::TableShape::kScans}}; }

absl::StatusOr<std::unique_ptr<ActionBook>> ActionBook::Open(store::Database* database, store::TableId table,
                                                             const std::string& log_id) {
  HUB_ASSIGN_OR_RETURN(const std::optional<std::string> kept, database->Get(table, std::string(1, kLogRow)));
  if (kept != log_id) {
    store::Batch batch;
    batch.DeleteRange(table, std::string(1, '\0'), std::string(1, '\x7f'));
    batch.Put(table, std::string(1, kLogRow), log_id);
    HUB_RETURN_IF_ERROR(database->Commit(batch, store::Durability::kSynced));
  }
  return std::unique_ptr<ActionBook>(new ActionBook(database, table));
}

absl::Status ActionBook::Apply(const std::vector<replica::FedRecord>& records) {
  std::map<std::string, Total> totals;
  std::map<int32_t, int64_t> places;
  for (const replica::FedRecord& record : records) {
    const auto* entry = std::get_if<model::HistoryEntry>(&record.body);
    if (entry == nullptr || entry->report_kind != model::InputKind::kActionTaken) continue;
    const auto [place, first] = places.try_emplace(record.partition, -1);
    if (first) {
      HUB_ASSIGN_OR_RETURN(const auto stored, database_->Get(table_, PlaceKey(record.partition)));
      if (stored && stored->size() == 8) place->second = static_cast<int64_t>(store::DecodeKey64(*stored));
    }
    // By the place among the reports: a registry that had to rebuild tells what it decides again further on in the history, perhaps with
    // another outcome. What was told first stands.
    if (entry->reports_offset <= place->second) continue;
    place->second = entry->reports_offset;
    if (entry->outcome != model::Outcome::kMerged) continue;
    const std::string& stakeholder = entry->reporter.stakeholder;
    const auto [total, unread] = totals.try_emplace(stakeholder);
    if (unread) {
      HUB_ASSIGN_OR_RETURN(const auto stored, database_->Get(table_, kTotalRow + stakeholder));
      if (stored) {
        HUB_ASSIGN_OR_RETURN(total->second, Decode(*stored));
      }
    }
    ++total->second.actions;
    total->second.last_at = std::max(total->second.last_at, entry->decided_at);
  }
  if (places.empty()) return absl::OkStatus();
  store::Batch batch;
  for (const auto& [stakeholder, total] : totals) batch.Put(table_, kTotalRow + stakeholder, Encode(total));
  for (const auto& [partition, offset] : places) {
    std::string value;
    store::AppendKey64(static_cast<uint64_t>(offset), &value);
    batch.Put(table_, PlaceKey(partition), value);
  }
  return database_->Commit(batch, store::Durability::kBuffered);
}

absl::StatusOr<std::map<std::string, ActionBook::Total>> ActionBook::Totals() const {
  std::map<std::string, Total> totals;
  const std::string prefix(1, kTotalRow);
  const auto rows = database_->Scan(table_, prefix, store::PrefixEnd(prefix));
  for (; rows->Valid(); rows->Next()) {
    HUB_ASSIGN_OR_RETURN(totals[std::string(rows->key().substr(1))], Decode(rows->value()));
  }
  HUB_RETURN_IF_ERROR(rows->status());
  return totals;
}

}  // namespace hub::query
