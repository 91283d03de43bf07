#include <tuple>
#include <utility>

#include "libs/base/check.h"
#include "libs/base/mutex.h"
#include "libs/store/database.h"

namespace hub::store {
namespace {

using Table = std::map<std::string, std::string>;

// An empty `end` means to the last key, and an inverted range is an empty one, as in RocksDB.
std::pair<Table::const_iterator, Table::const_iterator> Range(const Table& table, absl::string_view begin,
                                                              absl::string_view end) {
  const auto first = table.lower_bound(std::string(begin));
  if (end.empty()) return {first, table.end()};
  if (end <= begin) return {first, first};
  return {first, table.lower_bound(std::string(end))};
}

}  // namespace

// Invariant 1: a table that a cursor holds is never changed: a commit copies it first (copy on write). Invariant 2: references are
// dropped under mu, so a use count of one means that nobody else is reading.
struct MemoryDatabase::State {
  explicit State(size_t table_count) : tables(table_count) {
    for (auto& table : tables) table = std::make_shared<Table>();
  }

  Table* WritableLocked(TableId table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::shared_ptr<Table>& held = AtLocked(table);
    if (held.use_count() > 1) held = std::make_shared<Table>(*held);
    return held.get();
  }
  std::shared_ptr<Table>& AtLocked(TableId table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    HUB_CHECK(table >= 0 && static_cast<size_t>(table) < tables.size());
    return tables[static_cast<size_t>(table)];
  }

  mutable base::Mutex mu;
  std::vector<std::shared_ptr<Table>> tables ABSL_GUARDED_BY(mu);
  // What keys touched since the last synced commit held then; nullopt = were absent. Bounded by the number of distinct keys.
  std::map<std::pair<TableId, std::string>, std::optional<std::string>> undo ABSL_GUARDED_BY(mu);
};

namespace {

class MemoryCursor final : public Cursor {
 public:
  MemoryCursor(base::Mutex* mu, std::shared_ptr<const Table> table, absl::string_view begin, absl::string_view end)
      : mu_(mu), table_(std::move(table)) {
    std::tie(at_, end_) = Range(*table_, begin, end);
  }
  ~MemoryCursor() override {
    base::MutexLock lock(mu_);
    table_.reset();
  }
  bool Valid() const override { return at_ != end_; }
  void Next() override {
    HUB_CHECK(Valid());
    ++at_;
  }
  absl::string_view key() const override { return at_->first; }
  absl::string_view value() const override { return at_->second; }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  base::Mutex* const mu_;
  std::shared_ptr<const Table> table_;
  Table::const_iterator at_;
  Table::const_iterator end_;
};

}  // namespace

MemoryDatabase::MemoryDatabase(size_t table_count) : state_(std::make_unique<State>(table_count)) {}
MemoryDatabase::~MemoryDatabase() = default;

absl::Status MemoryDatabase::Commit(const Batch& batch, Durability durability) {
  base::MutexLock lock(&state_->mu);
  for (const Batch::Operation& operation : batch.operations()) {
    Table* table = state_->WritableLocked(operation.table);
    const auto remember = [&](const std::string& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mu) {
      const auto it = table->find(key);
      // emplace keeps the first: the value at the last synced commit.
      state_->undo.emplace(std::make_pair(operation.table, key),
                           it == table->end() ? std::nullopt : std::optional<std::string>(it->second));
    };
    switch (operation.kind) {
      case Batch::Operation::Kind::kPut:
        remember(std::string(operation.key));
        (*table)[std::string(operation.key)] = std::string(operation.value);
        break;
      case Batch::Operation::Kind::kDelete:
        remember(std::string(operation.key));
        table->erase(std::string(operation.key));
        break;
      case Batch::Operation::Kind::kDeleteRange: {
        const auto [first, last] = Range(*table, operation.key, operation.value);
        for (auto it = first; it != last; ++it) remember(it->first);
        table->erase(first, last);
        break;
      }
    }
  }
  if (durability == Durability::kSynced) state_->undo.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemoryDatabase::Get(TableId table, absl::string_view key) const {
  base::MutexLock lock(&state_->mu);
  const Table& in = *state_->AtLocked(table);
  const auto it = in.find(std::string(key));
  if (it == in.end()) return std::optional<std::string>();
  return std::optional<std::string>(it->second);
}

absl::StatusOr<std::vector<std::optional<std::string>>> MemoryDatabase::MultiGet(
    TableId table, absl::Span<const std::string> keys) const {
  base::MutexLock lock(&state_->mu);
  const Table& in = *state_->AtLocked(table);
  std::vector<std::optional<std::string>> values(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (const auto it = in.find(keys[i]); it != in.end()) values[i] = it->second;
  }
  return values;
}

std::unique_ptr<Cursor> MemoryDatabase::Scan(TableId table, absl::string_view begin, absl::string_view end) const {
  base::MutexLock lock(&state_->mu);
  return std::make_unique<MemoryCursor>(&state_->mu, state_->AtLocked(table), begin, end);
}

absl::StatusOr<std::optional<std::pair<std::string, std::string>>> MemoryDatabase::Last(TableId table,
                                                                                      absl::string_view begin,
                                                                                      absl::string_view end) const {
  base::MutexLock lock(&state_->mu);
  const auto [first, last] = Range(*state_->AtLocked(table), begin, end);
  if (first == last) return std::optional<std::pair<std::string, std::string>>();
  return std::optional<std::pair<std::string, std::string>>(*std::prev(last));
}

void MemoryDatabase::Crash() {
  base::MutexLock lock(&state_->mu);
  for (const auto& [where, value] : state_->undo) {
    Table* table = state_->WritableLocked(where.first);
    if (value.has_value()) {
      (*table)[where.second] = *value;
    } else {
      table->erase(where.second);
    }
  }
  state_->undo.clear();
}

}  // namespace hub::store
