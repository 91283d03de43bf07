#include "libs/fanout/cursor_store.h"

#include <algorithm>
#include <atomic>
#include <compare>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/cursor_place.h"
#include "libs/fanout/cursor_probe.h"
#include "libs/model/records.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"

namespace hub::fanout {
namespace {

using model::Cursor;
using model::CursorUpdate;
using model::RefusalCode;
using model::Refuse;

constexpr int kReadsPerStep = 32;  // so that what is due is written also while a long topic is read
constexpr absl::Duration kAskInterval = absl::Seconds(1);  // for the topic's end: a broker is asked over the network
constexpr absl::Duration kSweepInterval = absl::Minutes(1);

eventlog::TopicPartition Topic() { return {eventlog::kCursorsTopic, 0}; }

struct Key {
  std::string stakeholder;
  std::string name;
  friend auto operator<=>(const Key&, const Key&) = default;
  std::string ToText() const { return absl::StrCat(stakeholder, "/", name); }  // neither has a slash
};

}  // namespace

// One attach by this node. Guarded by the core's lock.
struct CursorClaim {
  std::string stakeholder;
  std::string name;
  absl::Duration begun;
  eventlog::Offset generation = -1;  // the attach record's offset; -1: not known yet
  absl::Status failed;               // it never serves
  std::atomic<bool> lost = false;    // relaxed, any thread: it is over for this claim; Poll tells why
  bool released = false;             // its stream has ended
  bool repair = false;               // a stale record stands behind ours
  uint64_t changes = 0;              // acknowledged
  uint64_t written = 0;              // of them
  bool in_flight = false;
  absl::Duration write_at = -absl::InfiniteDuration();
  bool has_news() const { return repair || changes != written; }
};

class CursorStore::Core : public std::enable_shared_from_this<CursorStore::Core> {
 public:
  Core(const CursorStoreOptions& options, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics)
      : options_(options), clock_(clock), log_(log), probe_(metrics) {}

  bool Step(bool hurry);
  void WaitForNews(absl::Duration timeout) { log_->Wait({{Topic(), std::max<eventlog::Offset>(next_, 0)}}, timeout); }
  bool idle() const;
  absl::StatusOr<std::optional<NamedCursor>> Find(const Key& key) const;
  absl::StatusOr<std::vector<NamedCursor>> Of(const std::string& stakeholder) const;
  absl::StatusOr<std::shared_ptr<CursorClaim>> Attach(const Opening& opening);
  // The store is gone: nothing is read or written any more.
  void Close();

  absl::StatusOr<bool> Poll(CursorClaim* claim);
  std::optional<Cursor> place(const CursorClaim& claim) const;
  void Acked(CursorClaim* claim, const Cursor& place);
  void Release(CursorClaim* claim);

 private:
  struct Entry {
    eventlog::Offset generation = -1;  // in force; -1: nothing was read of this name yet
    NamedCursor known;
    bool unsaid = false;  // `known` is further than what the attach in force says on the topic
    std::vector<std::shared_ptr<CursorClaim>> claims;  // of this node that are not settled, and the one in force
  };
  struct Write {
    std::shared_ptr<CursorClaim> claim;
    uint64_t changes = 0;
    CursorUpdate update;
  };

  absl::Status ReadNew(bool* attaches);
  absl::Status AskRange();
  void ApplyLocked(const eventlog::StoredRecord& record, bool* attaches) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyAttachLocked(eventlog::Offset offset, CursorUpdate update) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyAckLocked(CursorUpdate update) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<bool> StandingLocked(const CursorClaim& claim) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SettleLocked(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<Write> TakeDueLocked(bool hurry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Append(Write write);
  void OnWritten(const Write& write, const absl::Status& status);
  void OnAttached(CursorClaim* claim, const absl::StatusOr<eventlog::Offset>& landed);
  void SweepLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartAfresh();
  absl::Status FreshLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const CursorStoreOptions options_;
  const base::Clock* const clock_;
  eventlog::Log* const log_;
  CursorProbe probe_;
  // Step's thread only.
  eventlog::Offset next_ = -1;
  eventlog::OffsetRange range_;  // as of the last time it was asked for
  absl::Duration range_asked_at_ = -absl::InfiniteDuration();

  mutable base::Mutex mu_;
  eventlog::Offset read_to_ ABSL_GUARDED_BY(mu_) = 0;  // next_, for everybody
  absl::Duration at_end_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();  // when the topic was last known to be read to its end
  absl::Duration sweep_at_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  std::map<Key, Entry> entries_ ABSL_GUARDED_BY(mu_);
  std::set<Key> dirty_ ABSL_GUARDED_BY(mu_);  // have a claim in force that has news
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

bool CursorStore::Core::Step(bool hurry) {
  bool attaches = false;
  if (const absl::Status read = ReadNew(&attaches); !read.ok()) {
    probe_.errors.Increment();
    HUB_LOG_EVERY(30, WARN, "cursors_not_read", {{"status", read.ToString()}});
  }
  std::vector<Write> due;
  {
    base::MutexLock lock(&mu_);
    SweepLocked();
    due = TakeDueLocked(hurry);
  }
  for (Write& write : due) Append(std::move(write));
  return attaches;
}

absl::Status CursorStore::Core::ReadNew(bool* attaches) {
  for (int reads = 0; reads < kReadsPerStep; ++reads) {
    if (clock_->Monotonic() - range_asked_at_ >= kAskInterval) HUB_RETURN_IF_ERROR(AskRange());
    next_ = std::max(next_, range_.first);
    absl::StatusOr<eventlog::ReadResult> read = log_->Read(Topic(), next_, {});
    if (absl::IsOutOfRange(read.status())) {
      HUB_RETURN_IF_ERROR(AskRange());
      if (next_ >= range_.first && next_ <= range_.end) return read.status();
      if (next_ > range_.end) StartAfresh();
      next_ = range_.first;
      continue;
    }
    HUB_RETURN_IF_ERROR(read.status());
    const bool nothing = read->next == next_;
    base::MutexLock lock(&mu_);
    for (const eventlog::StoredRecord& record : read->records) ApplyLocked(record, attaches);
    next_ = read_to_ = read->next;
    if (next_ >= range_.end) at_end_ = range_asked_at_;
    if (nothing) return next_ >= range_.end ? absl::OkStatus() : absl::UnavailableError("not read to its end");
  }
  return absl::OkStatus();
}

absl::Status CursorStore::Core::AskRange() {
  const absl::Duration now = clock_->Monotonic();  // before it is asked for: the end as it was then
  HUB_ASSIGN_OR_RETURN(range_, log_->Offsets(Topic()));
  range_asked_at_ = now;
  return absl::OkStatus();
}

void CursorStore::Core::ApplyLocked(const eventlog::StoredRecord& record, bool* attaches) {
  absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
  auto* update = decoded.ok() ? std::get_if<CursorUpdate>(&decoded->body) : nullptr;
  if (update == nullptr) {
    probe_.errors.Increment();
    HUB_LOG(WARN, "cursor_record_passed_over", {{"offset", record.offset}});
    return;
  }
  if (update->generation == CursorUpdate::kAttaches) {
    *attaches = true;
    ApplyAttachLocked(record.offset, std::move(*update));
  } else {
    ApplyAckLocked(std::move(*update));
  }
}

void CursorStore::Core::ApplyAttachLocked(eventlog::Offset offset, CursorUpdate update) {
  Entry& entry = entries_[{update.stakeholder, update.name}];
  NamedCursor& known = entry.known;
  entry.generation = offset;
  known.attached_at = update.attached_at;
  known.client_id = std::move(update.client_id);
  known.node = std::move(update.node);
  if (!update.cursor.positions.empty() && (!known.place || update.acked_at > known.acked_at)) {  // N1
    known.place = update.cursor;
    known.acked_at = update.acked_at;
  }
  entry.unsaid = known.place && !SamePlace(*known.place, update.cursor);
  if (!entry.claims.empty()) dirty_.insert({update.stakeholder, update.name});
  SettleLocked(&entry);
}

void CursorStore::Core::ApplyAckLocked(CursorUpdate update) {
  const Key key{update.stakeholder, update.name};
  Entry& entry = entries_[key];
  NamedCursor& known = entry.known;
  if (update.generation < entry.generation) {  // N2
    probe_.stale.Increment();
    for (const std::shared_ptr<CursorClaim>& claim : entry.claims) {
      if (claim->generation != entry.generation || !claim->failed.ok()) continue;
      claim->repair = true;
      dirty_.insert(key);
    }
    return;
  }
  if (update.generation > entry.generation || !known.place) {  // N3
    known.place = std::move(update.cursor);
  } else if (Comparable(*known.place, update.cursor)) {
    known.place = Further(*known.place, update.cursor);
  } else if (update.acked_at > known.acked_at) {
    known.place = std::move(update.cursor);
  }
  if (update.generation > entry.generation) {
    entry.generation = update.generation;
    known.acked_at = update.acked_at;
    known.client_id = std::move(update.client_id);
    known.node = std::move(update.node);
    SettleLocked(&entry);
  }
  known.attached_at = std::max(known.attached_at, update.attached_at);
  known.acked_at = std::max(known.acked_at, update.acked_at);
}

// Claims that have lost or failed are the business of their leases alone.
void CursorStore::Core::SettleLocked(Entry* entry) {
  const auto lost = [&](const std::shared_ptr<CursorClaim>& claim) {
    const bool over = !claim->failed.ok() || (claim->generation >= 0 && claim->generation < entry->generation);
    if (over) claim->lost.store(true, std::memory_order_relaxed);
    return over;
  };
  entry->claims.erase(std::remove_if(entry->claims.begin(), entry->claims.end(), lost), entry->claims.end());
}

absl::StatusOr<bool> CursorStore::Core::StandingLocked(const CursorClaim& claim) const {
  HUB_RETURN_IF_ERROR(claim.failed);
  if (claim.generation < 0 || read_to_ <= claim.generation) return false;
  const auto it = entries_.find({claim.stakeholder, claim.name});
  if (it == entries_.end() || it->second.generation < claim.generation) return false;
  if (it->second.generation > claim.generation) {
    return Refuse(RefusalCode::kCursorTaken, "open.cursor", "another stream has attached to this cursor since");
  }
  return true;
}

absl::StatusOr<bool> CursorStore::Core::Poll(CursorClaim* claim) {
  base::MutexLock lock(&mu_);
  absl::StatusOr<bool> standing = StandingLocked(*claim);
  if (!standing.ok() || *standing || (!closed_ && clock_->Monotonic() - claim->begun <= options_.attach_timeout)) {
    return standing;
  }
  // It must not come into force when nobody waits for it any more.
  claim->failed = absl::UnavailableError("open.cursor: not attached in time: try again");
  return claim->failed;
}

std::optional<Cursor> CursorStore::Core::place(const CursorClaim& claim) const {
  base::MutexLock lock(&mu_);
  const auto it = entries_.find({claim.stakeholder, claim.name});
  return it == entries_.end() ? std::nullopt : it->second.known.place;
}

void CursorStore::Core::Acked(CursorClaim* claim, const Cursor& place) {
  const Key key{claim->stakeholder, claim->name};
  base::MutexLock lock(&mu_);
  const absl::StatusOr<bool> standing = StandingLocked(*claim);
  if (!standing.ok() || !*standing) return;
  NamedCursor& known = entries_[key].known;
  if (known.place && SamePlace(*known.place, place)) return;
  known.place = place;
  known.acked_at = std::max(known.acked_at + absl::Microseconds(1), clock_->TimeNow());  // rises, whatever a clock does
  ++claim->changes;
  dirty_.insert(key);
}

void CursorStore::Core::Release(CursorClaim* claim) {
  base::MutexLock lock(&mu_);
  claim->released = true;
}

absl::StatusOr<std::shared_ptr<CursorClaim>> CursorStore::Core::Attach(const Opening& opening) {
  const Key key{opening.stakeholder, opening.name};
  auto claim = std::make_shared<CursorClaim>();
  CursorUpdate update;
  {
    base::MutexLock lock(&mu_);
    HUB_RETURN_IF_ERROR(FreshLocked());
    if (entries_.count(key) == 0) {
      size_t of_stakeholder = 0;
      for (auto it = entries_.lower_bound({key.stakeholder, ""}); it != entries_.end(); ++it) {
        if (it->first.stakeholder != key.stakeholder) break;
        ++of_stakeholder;
      }
      if (of_stakeholder >= options_.per_stakeholder_max || entries_.size() >= options_.cursors_max) {
        probe_.refused.Increment();
        return Refuse(RefusalCode::kQuotaExceeded, "open.cursor",
                      absl::StrCat("want at most ", options_.per_stakeholder_max, " names; one that nobody opens for ",
                                   absl::ToInt64Hours(options_.keep) / 24, " days is forgotten"));
      }
    }
    Entry& entry = entries_[key];
    claim->stakeholder = key.stakeholder;
    claim->name = key.name;
    claim->begun = clock_->Monotonic();
    entry.claims.push_back(claim);
    update.stakeholder = key.stakeholder;
    update.name = key.name;
    update.node = options_.node;
    update.client_id = opening.client_id;
    update.attached_at = clock_->TimeNow();
    if (opening.place) update.cursor = *opening.place;
    const absl::Time acked_at = entry.known.acked_at;
    update.acked_at = opening.restarts ? std::max(update.attached_at, acked_at + absl::Microseconds(1)) : acked_at;
    ++in_flight_;
  }
  log_->Append(Topic(), {key.ToText(), wire::EncodeRecord({}, update)},
               [core = shared_from_this(), claim](absl::StatusOr<eventlog::Offset> landed) {
                 core->OnAttached(claim.get(), landed);
               });
  return claim;
}

void CursorStore::Core::OnAttached(CursorClaim* claim, const absl::StatusOr<eventlog::Offset>& landed) {
  base::MutexLock lock(&mu_);
  --in_flight_;
  if (!landed.ok()) {
    probe_.errors.Increment();
    claim->failed = absl::UnavailableError("open.cursor: the attach is not known to be durable: try again");
    return;
  }
  probe_.attaches.Increment();
  claim->generation = *landed;
  dirty_.insert({claim->stakeholder, claim->name});  // it may have been read back already (N1)
}

std::vector<CursorStore::Core::Write> CursorStore::Core::TakeDueLocked(bool hurry) {
  std::vector<Write> due;
  const absl::Duration now = clock_->Monotonic();
  for (auto it = dirty_.begin(); it != dirty_.end();) {
    const auto found = entries_.find(*it);
    std::shared_ptr<CursorClaim> claim;
    if (found != entries_.end()) {
      for (const std::shared_ptr<CursorClaim>& candidate : found->second.claims) {
        const absl::StatusOr<bool> standing = StandingLocked(*candidate);
        if (standing.ok() && *standing && (candidate->has_news() || found->second.unsaid)) claim = candidate;
      }
    }
    if (claim == nullptr || !found->second.known.place) {
      it = dirty_.erase(it);
      continue;
    }
    if (!claim->in_flight && (hurry || now >= claim->write_at)) {
      const NamedCursor& known = found->second.known;
      claim->in_flight = true;
      claim->write_at = now + options_.ack_interval;
      claim->repair = found->second.unsaid = false;
      ++in_flight_;
      due.push_back({claim, claim->changes,
                     {it->stakeholder, it->name, *known.place, claim->generation, options_.node, known.attached_at,
                      known.acked_at, known.client_id}});
    }
    ++it;
  }
  return due;
}

void CursorStore::Core::Append(Write write) {
  eventlog::Record record{Key{write.update.stakeholder, write.update.name}.ToText(),
                          wire::EncodeRecord({}, write.update)};
  log_->Append(Topic(), std::move(record),
               [core = shared_from_this(), write = std::move(write)](const absl::StatusOr<eventlog::Offset>& landed) {
                 core->OnWritten(write, landed.status());
               });
}

void CursorStore::Core::OnWritten(const Write& write, const absl::Status& status) {
  base::MutexLock lock(&mu_);
  --in_flight_;
  write.claim->in_flight = false;
  if (status.ok()) {
    probe_.writes.Increment();
    write.claim->written = write.changes;
    return;
  }
  probe_.errors.Increment();
  write.claim->repair = true;  // once more
  dirty_.insert({write.update.stakeholder, write.update.name});
}

bool CursorStore::Core::idle() const {
  base::MutexLock lock(&mu_);
  return dirty_.empty() && in_flight_ == 0;
}

absl::Status CursorStore::Core::FreshLocked() const {
  if (closed_ || clock_->Monotonic() - at_end_ > options_.stale_after) {
    return absl::UnavailableError("named cursors can't be read at present: try again");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<NamedCursor>> CursorStore::Core::Find(const Key& key) const {
  base::MutexLock lock(&mu_);
  HUB_RETURN_IF_ERROR(FreshLocked());
  const auto it = entries_.find(key);
  if (it == entries_.end() || it->second.generation < 0) return std::nullopt;
  NamedCursor found = it->second.known;
  found.name = key.name;
  return found;
}

absl::StatusOr<std::vector<NamedCursor>> CursorStore::Core::Of(const std::string& stakeholder) const {
  std::vector<NamedCursor> found;
  base::MutexLock lock(&mu_);
  HUB_RETURN_IF_ERROR(FreshLocked());
  for (auto it = entries_.lower_bound({stakeholder, ""}); it != entries_.end(); ++it) {
    if (it->first.stakeholder != stakeholder) break;
    if (it->second.generation < 0) continue;
    found.push_back(it->second.known);
    found.back().name = it->first.name;
  }
  return found;
}

void CursorStore::Core::SweepLocked() {
  if (clock_->Monotonic() < sweep_at_) return;
  sweep_at_ = clock_->Monotonic() + kSweepInterval;
  const absl::Time bound = clock_->TimeNow() - options_.keep;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    SettleLocked(&entry);
    const bool held = std::any_of(entry.claims.begin(), entry.claims.end(),
                                  [](const std::shared_ptr<CursorClaim>& claim) { return !claim->released; });
    const bool old = entry.generation < 0 || std::max(entry.known.attached_at, entry.known.acked_at) < bound;
    it = !held && old && dirty_.count(it->first) == 0 ? entries_.erase(it) : std::next(it);
  }
  probe_.cursors.Set(static_cast<double>(entries_.size()));
}

void CursorStore::Core::StartAfresh() {
  base::MutexLock lock(&mu_);
  HUB_LOG(WARN, "cursors_start_afresh", {{"why", "the cursors topic was replaced"}});
  for (auto& [key, entry] : entries_) {
    for (const std::shared_ptr<CursorClaim>& claim : entry.claims) {
      claim->failed = absl::UnavailableError("open.cursor: the log was replaced: open again");
      claim->lost.store(true, std::memory_order_relaxed);
    }
  }
  entries_.clear();
  dirty_.clear();
}

void CursorStore::Core::Close() {
  base::MutexLock lock(&mu_);
  closed_ = true;
}

CursorStore::CursorStore(const CursorStoreOptions& options, const base::Clock* clock, eventlog::Log* log,
                         base::Metrics* metrics)
    : core_(std::make_shared<Core>(options, clock, log, metrics)) {}
CursorStore::~CursorStore() { core_->Close(); }

bool CursorStore::Step(bool hurry) { return core_->Step(hurry); }
void CursorStore::WaitForNews(absl::Duration timeout) { core_->WaitForNews(timeout); }
bool CursorStore::idle() const { return core_->idle(); }

absl::StatusOr<std::optional<NamedCursor>> CursorStore::Find(const std::string& stakeholder,
                                                             const std::string& name) const {
  return core_->Find({stakeholder, name});
}

absl::StatusOr<std::vector<NamedCursor>> CursorStore::Of(const std::string& stakeholder) const {
  return core_->Of(stakeholder);
}

absl::StatusOr<std::unique_ptr<CursorStore::Lease>> CursorStore::Attach(const Opening& opening) {
  HUB_ASSIGN_OR_RETURN(std::shared_ptr<CursorClaim> claim, core_->Attach(opening));
  return std::make_unique<Lease>(core_, std::move(claim));
}

CursorStore::Lease::~Lease() { core_->Release(claim_.get()); }
absl::StatusOr<bool> CursorStore::Lease::Poll() const { return core_->Poll(claim_.get()); }
bool CursorStore::Lease::lost() const { return claim_->lost.load(std::memory_order_relaxed); }
std::optional<Cursor> CursorStore::Lease::place() const { return core_->place(*claim_); }
void CursorStore::Lease::Acked(const Cursor& place) { core_->Acked(claim_.get(), place); }

}  // namespace hub::fanout
