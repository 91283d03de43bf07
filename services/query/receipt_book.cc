#include "services/query/receipt_book.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/wire/wire.h"

namespace hub::query {
namespace {

using model::ReceiptUpdate;

// Rows, by the first byte of the key. Stored: frozen.
constexpr char kEventRow = 'e';    // indicator | version -> an event record that holds key, version, rows, decision
constexpr char kReceiptRow = 'r';  // indicator | version | stakeholder -> sent, confirmed (8 bytes each)
constexpr char kTimeRow = 't';     // decided | indicator | version -> nothing
constexpr char kLogRow = 'l';      // -> log id
constexpr char kNextRow = 'n';     // -> next offset
constexpr size_t kIndicatorBytes = 17;
constexpr int kPrunedAtOnce = 500;
constexpr int kStepsMax = 20'000;  // urgent events passed in search of corrections

std::string EventId(char row, const model::IndicatorKey& key, uint64_t version) {
  std::string id(1, row);
  id += model::ToBytes(key);
  store::AppendKey64(version, &id);
  return id;
}

uint64_t Micros(absl::Time time) {
  return time == absl::InfiniteFuture() ? UINT64_MAX
                                        : static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMicros(time)));
}
absl::Time TimeOf(uint64_t micros) {
  return micros == UINT64_MAX ? absl::InfiniteFuture() : absl::FromUnixMicros(static_cast<int64_t>(micros));
}

std::string TimeKey(absl::Time decided_at, const model::IndicatorKey& key, uint64_t version) {
  std::string row(1, kTimeRow);
  store::AppendKey64(Micros(decided_at), &row);
  return row + EventId(kEventRow, key, version).substr(1);
}

struct Times {
  uint64_t sent = UINT64_MAX;
  uint64_t confirmed = UINT64_MAX;
  void Merge(const Times& other) {
    sent = std::min(sent, other.sent);
    confirmed = std::min(confirmed, other.confirmed);
  }
};
std::string Encode(const Times& times) {
  std::string value;
  store::AppendKey64(times.sent, &value);
  store::AppendKey64(times.confirmed, &value);
  return value;
}
absl::StatusOr<Times> Decode(absl::string_view value) {
  if (value.size() != 16) return absl::DataLossError("receipts: a row of another length");
  return Times{store::DecodeKey64(value), store::DecodeKey64(value, 8)};
}

}  // namespace

std::vector<store::TableSpec> ReceiptBook::Tables() { return {{"receipts", store::TableShape::kScans}}; }

absl::StatusOr<std::unique_ptr<ReceiptBook>> ReceiptBook::Open(store::Database* database, store::TableId table,
                                                               const std::string& log_id) {
  std::unique_ptr<ReceiptBook> book(new ReceiptBook(database, table));
  HUB_ASSIGN_OR_RETURN(const std::optional<std::string> kept, database->Get(table, std::string(1, kLogRow)));
  if (kept != log_id) {
    store::Batch batch;
    batch.DeleteRange(table, std::string(1, '\0'), std::string(1, '\x7f'));
    batch.Put(table, std::string(1, kLogRow), log_id);
    HUB_RETURN_IF_ERROR(database->Commit(batch, store::Durability::kSynced));
    return book;
  }
  HUB_ASSIGN_OR_RETURN(const std::optional<std::string> next, database->Get(table, std::string(1, kNextRow)));
  base::MutexLock lock(&book->mu_);
  if (next && next->size() == 8) book->next_ = static_cast<int64_t>(store::DecodeKey64(*next));
  return book;
}

absl::Status ReceiptBook::NoteEvent(const model::Event& event) {
  if (!event.urgent) return absl::OkStatus();
  model::Event note;
  note.kind = event.kind;
  note.state.key = event.state.key;
  note.state.version = event.state.version;
  note.state.attributes = event.state.attributes;
  note.previous = event.previous;
  note.decided_at = event.decided_at;
  note.urgent = true;
  store::Batch batch;
  batch.Put(table_, EventId(kEventRow, event.state.key, event.state.version), wire::EncodeRecord({}, note));
  batch.Put(table_, TimeKey(event.decided_at, event.state.key, event.state.version), "");
  return database_->Commit(batch, store::Durability::kBuffered);
}

int64_t ReceiptBook::next() const {
  base::MutexLock lock(&mu_);
  return next_;
}

absl::Status ReceiptBook::Apply(const std::vector<ReceiptUpdate>& updates, int64_t next) {
  store::Batch batch;
  std::map<std::string, Times> changed;
  for (const ReceiptUpdate& update : updates) {
    const std::string event = EventId(kReceiptRow, update.key, update.version);
    for (const ReceiptUpdate::Receipt& receipt : update.receipts) {
      changed[event + receipt.stakeholder].Merge({Micros(receipt.sent_at), Micros(receipt.confirmed_at)});
    }
    batch.Put(table_, TimeKey(update.decided_at, update.key, update.version), "");
  }
  std::vector<std::string> keys;
  for (const auto& [key, times] : changed) keys.push_back(key);
  HUB_ASSIGN_OR_RETURN(const auto known, database_->MultiGet(table_, keys));
  for (size_t i = 0; i < keys.size(); ++i) {
    Times& times = changed[keys[i]];
    if (known[i]) {
      HUB_ASSIGN_OR_RETURN(const Times before, Decode(*known[i]));
      times.Merge(before);
    }
    batch.Put(table_, keys[i], Encode(times));
  }
  std::string place;
  store::AppendKey64(static_cast<uint64_t>(next), &place);
  batch.Put(table_, std::string(1, kNextRow), place);
  HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kBuffered));
  base::MutexLock lock(&mu_);
  next_ = next;
  return absl::OkStatus();
}

absl::StatusOr<bool> ReceiptBook::Prune(absl::Time now) {
  std::string end(1, kTimeRow);
  store::AppendKey64(Micros(now - kKept), &end);
  store::Batch batch;
  int pruned = 0;
  const auto old = database_->Scan(table_, std::string(1, kTimeRow), end);
  for (; old->Valid() && pruned < kPrunedAtOnce; old->Next()) {
    const std::string key(old->key());
    const std::string event = key.substr(1 + sizeof(uint64_t));
    batch.Delete(table_, key);
    batch.Delete(table_, kEventRow + event);
    batch.DeleteRange(table_, kReceiptRow + event, store::PrefixEnd(kReceiptRow + event));
    ++pruned;
  }
  HUB_RETURN_IF_ERROR(old->status());
  if (pruned > 0) HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kBuffered));
  return pruned == kPrunedAtOnce;
}

absl::Status ReceiptBook::VisitCorrections(absl::Time* since, int count_max, const Visitor& visit) const {
  std::string begin(1, kTimeRow);
  store::AppendKey64(Micros(*since), &begin);
  std::string end = store::PrefixEnd(std::string(1, kTimeRow));
  int steps = 0;
  for (int visited = 0; steps < kStepsMax; ++steps) {
    HUB_ASSIGN_OR_RETURN(const auto last, database_->Last(table_, begin, end));
    if (!last) return absl::OkStatus();
    end = last->first;  // the next is before it
    const std::string id = end.substr(1 + sizeof(uint64_t));
    HUB_ASSIGN_OR_RETURN(const model::IndicatorKey key, model::IndicatorKeyFromBytes(id.substr(0, kIndicatorBytes)));
    const uint64_t version = store::DecodeKey64(id, kIndicatorBytes);
    HUB_ASSIGN_OR_RETURN(const std::optional<model::Event> event, Find(key, version));
    if (!event || !model::IsCorrection(event->kind)) continue;
    HUB_ASSIGN_OR_RETURN(const auto receipts, ReceiptsOf(key, version));
    if (!visit(*event, receipts) || ++visited == count_max) break;
  }
  *since = TimeOf(store::DecodeKey64(end, 1));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<model::Event>> ReceiptBook::Find(const model::IndicatorKey& key, uint64_t version) const {
  std::optional<std::string> row;
  if (version == 0) {
    const std::string begin = EventId(kEventRow, key, 0);
    HUB_ASSIGN_OR_RETURN(const auto last,
                         database_->Last(table_, begin, store::PrefixEnd(begin.substr(0, 1 + kIndicatorBytes))));
    if (last) row = last->second;
  } else {
    HUB_ASSIGN_OR_RETURN(row, database_->Get(table_, EventId(kEventRow, key, version)));
  }
  if (!row) return std::nullopt;
  HUB_ASSIGN_OR_RETURN(wire::DecodedRecord decoded, wire::DecodeRecord(*row));
  auto* event = std::get_if<model::Event>(&decoded.body);
  if (event == nullptr) return absl::DataLossError("receipts: not an event");
  return std::move(*event);
}

absl::StatusOr<std::map<std::string, ReceiptUpdate::Receipt>> ReceiptBook::ReceiptsOf(const model::IndicatorKey& key,
                                                                                      uint64_t version) const {
  std::map<std::string, ReceiptUpdate::Receipt> receipts;
  const std::string prefix = EventId(kReceiptRow, key, version);
  const auto rows = database_->Scan(table_, prefix, store::PrefixEnd(prefix));
  for (; rows->Valid(); rows->Next()) {
    HUB_ASSIGN_OR_RETURN(const Times times, Decode(rows->value()));
    const std::string stakeholder(rows->key().substr(prefix.size()));
    receipts[stakeholder] = {stakeholder, TimeOf(times.sent), TimeOf(times.confirmed)};
  }
  HUB_RETURN_IF_ERROR(rows->status());
  return receipts;
}

}  // namespace hub::query
