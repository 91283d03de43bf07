#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/audit/audit.h"
#include "libs/audit/audit_record.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/store/tables.h"

namespace hub::audit {
namespace {

std::string KeyOf(uint64_t sequence) {
  std::string key;
  store::AppendKey64(sequence, &key);
  return key;
}

// Every sequence's key sorts below it.
const std::string& EndOfKeys() {
  static const std::string end(9, '\xff');
  return end;
}

class ChainedLog final : public AuditLog {
 public:
  ChainedLog(store::Database* database, store::TableId table, const base::Clock* clock, Head head)
      : database_(database), table_(table), clock_(clock), head_(head) {}

  // Who comes while a commit is under way waits, and the first of the waiting commits for all of them.
  absl::Status Append(const Entry& entry) override {
    base::MutexLock lock(&mu_);
    if (waiting_ == nullptr) waiting_ = std::make_shared<Group>();
    const std::shared_ptr<Group> group = waiting_;
    group->entries.push_back({clock_->TimeNow(), entry});
    while (!group->done && (committing_ || waiting_ != group)) group->changed.Wait(&mu_);
    if (group->done) return group->status;
    waiting_.reset();
    committing_ = true;
    Head head = head_;
    const store::Batch batch = Chain(*group, &head);
    mu_.Unlock();
    absl::Status status = database_->Commit(batch, store::Durability::kSynced);
    mu_.Lock();
    committing_ = false;
    // A commit that failed may be on the disk all the same: the next one clears what it left.
    leftovers_ = !status.ok();
    if (status.ok()) head_ = head;
    group->status = base::Annotate(status, "audit");
    group->done = true;
    // Of the next group one will do, to commit; were all woken, all but that one would go back to sleep.
    group->changed.NotifyAll();
    if (waiting_ != nullptr) waiting_->changed.NotifyOne();
    return group->status;
  }

  Head head() const override {
    base::MutexLock lock(&mu_);
    return head_;
  }

  absl::Status Verify() const override {
    const Head until = head();
    Head reached;
    const auto misfit = [&reached] {
      return absl::DataLossError(absl::StrCat("audit record ", reached.next_sequence, ": does not fit the chain"));
    };
    const auto cursor = database_->Scan(table_, "", KeyOf(until.next_sequence));
    for (; cursor->Valid(); cursor->Next()) {
      const absl::StatusOr<Record> record = DecodeRecord(cursor->value());
      if (!record.ok() || cursor->key() != KeyOf(reached.next_sequence) || record->sequence != reached.next_sequence ||
          record->previous != reached.hash) {
        return misfit();
      }
      const base::Digest hash = HashOf(cursor->value());
      // The last one has no successor to hold its hash; the head has.
      if (reached.next_sequence + 1 == until.next_sequence && hash != until.hash) return misfit();
      reached = {reached.next_sequence + 1, hash};
    }
    HUB_RETURN_IF_ERROR(cursor->status());
    return reached.next_sequence == until.next_sequence ? absl::OkStatus() : misfit();
  }

 private:
  struct Group {
    std::vector<std::pair<absl::Time, Entry>> entries;
    base::CondVar changed;
    bool done = false;
    absl::Status status;
  };

  store::Batch Chain(const Group& group, Head* head) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    store::Batch batch;
    if (leftovers_) batch.DeleteRange(table_, KeyOf(head->next_sequence), EndOfKeys());
    for (const auto& [at, entry] : group.entries) {
      const std::string bytes =
          EncodeRecord({.previous = head->hash, .sequence = head->next_sequence, .at = at, .entry = entry});
      batch.Put(table_, KeyOf(head->next_sequence), bytes);
      *head = {head->next_sequence + 1, HashOf(bytes)};
    }
    return batch;
  }

  store::Database* const database_;
  const store::TableId table_;
  const base::Clock* const clock_;
  mutable base::Mutex mu_;
  Head head_ ABSL_GUARDED_BY(mu_);  // of what is committed
  std::shared_ptr<Group> waiting_ ABSL_GUARDED_BY(mu_);
  bool committing_ ABSL_GUARDED_BY(mu_) = false;
  bool leftovers_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(store::Database* database, store::TableId table,
                                                         const base::Clock* clock) {
  Head head;
  HUB_ASSIGN_OR_RETURN(const auto last, database->Last(table, "", ""));
  if (last.has_value()) {
    HUB_ASSIGN_OR_RETURN(const Record record, DecodeRecord(last->second));
    if (last->first != KeyOf(record.sequence))
      return absl::DataLossError("audit: the last record stands in another's place");
    head = {record.sequence + 1, HashOf(last->second)};
  }
  return std::make_unique<ChainedLog>(database, table, clock, head);
}

}  // namespace hub::audit
