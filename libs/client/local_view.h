// What the hub has told this stakeholder, as it is held here: rows on disk, the verdict index in memory, the token to go on from, and how old all
// of it is. A state machine over a database and a clock; it knows no gRPC and has no thread.
//
// A message of the hub becomes one commit, and what readers see of it comes after that commit. The token is committed after what it stands
// for, in the same write-ahead log: whatever a crash takes, it takes the newest, and the hub sends that again. Of two versions of an indicator the
// greater wins; a snapshot's end removes what it did not tell of.
// Age: the hub's clock when it last made progress, carried on by this machine's monotonic clock; after a restart, until the first progress, by its
// wall clock as it then differed from the hub's.
// Thread safety: OnX and Forget from one thread (the stream's), LoadIndex and its like from one other; the rest from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/client/first_verdicts.h"
#include "libs/client/local_rows.h"
#include "libs/model/identifier.h"
#include "libs/replica/verdict_index.h"
#include "libs/store/database.h"

namespace fraudhub::v1 {
class Event;
class Filter;
class LookupResult;
class Opened;
class Progress;
class ViewChanged;
}  // namespace fraudhub::v1

namespace hub::client {

struct Freshness {
  absl::Duration age = absl::InfiniteDuration();     // infinite: nothing is complete yet, or the clocks don't fit
  absl::Time complete_until = absl::InfinitePast();  // the hub's tick
  absl::Time hub_now = absl::InfinitePast();         // the hub's clock now, as well as it is known
  absl::Duration skew;                               // this machine's wall clock less the hub's
  int64_t records_behind = 0;
};

class LocalView {
 public:
  // Goes on with what is stored; a snapshot that was never finished, or another format, begins afresh. `database` has LocalTables() from
  // `first_table` on and outlives the view, as do the others. DataLoss: damaged.
  static absl::StatusOr<std::unique_ptr<LocalView>> Open(store::Database* database, store::TableId first_table,
                                                         const base::Clock* clock, base::Metrics* metrics);

  ~LocalView();

  // Called with the first error that says that the files are damaged; from any thread. Before anything else.
  void OnDamage(std::function<void()> damaged) { damaged_ = std::move(damaged); }

  // --- the stream ---
  std::string token() const;  // empty: none, take a snapshot
  absl::Status OnOpened(const fraudhub::v1::Opened& opened);
  absl::Status OnViewChanged(const fraudhub::v1::ViewChanged& changed);
  void OnEvent(const fraudhub::v1::Event& event);
  // What OnEvent heard since the last time. An error: nothing of it was kept, and it must come again.
  absl::Status OnBatch();
  absl::Status OnProgress(const fraudhub::v1::Progress& progress);
  void OnSnapshotBegins();
  void OnUnchanged(const std::string& indicator_id);
  absl::Status OnSnapshotEnds();
  // Another log: nothing that is held can be compared with what comes.
  absl::Status Forget();

  // --- the index ---
  bool IndexWantsLoad() const;
  // Reads every row, some at a time; lookups and the stream go on. Rows that are gone for long enough go for good. False: asked to stop, or it must be done again.
  absl::StatusOr<bool> LoadIndex(const std::function<bool()>& stop);
  size_t index_bytes() const;

  // --- lookups ---
  Freshness freshness() const;
  // For the lookups of one request. Null: all are taken; the disk knows, too. Must not outlive the view.
  std::unique_ptr<replica::VerdictIndex::Reader> NewReader() const { return index_.NewReader(); }
  // What memory tells of the identifier at `hub_now`; kAskStore: only the disk knows, always so without a reader.
  static replica::IndexVerdict Verdict(const model::Identifier& identifier, absl::Time hub_now,
                                       replica::VerdictIndex::Reader* reader);
  // The whole answer to such a verdict; UNKNOWN when the disk doesn't tell. Sets verdict, indicator, version and event id.
  void Lookup(const model::Identifier& identifier, absl::Time hub_now, const replica::IndexVerdict& verdict,
              fraudhub::v1::LookupResult* result) const;

  // --- before the first snapshot has ended: a compact set of the hub's (first_verdicts.h) ---
  // Nothing that is complete has come by the stream, or it is being replaced: a set would help.
  bool incomplete() const;
  // Of what a set may say: another number, and one that was asked for before is of no use.
  uint64_t view_number() const { return view_number_; }
  void UseFirstVerdicts(uint64_t view_number, std::shared_ptr<const FirstVerdicts> verdicts);
  void DropFirstVerdicts();
  std::shared_ptr<const FirstVerdicts> first_verdicts() const;  // null: none
  Freshness FreshnessOf(const FirstVerdicts& verdicts) const;
  // As Lookup, from the set; what the stream told of later wins. UNKNOWN for what is no Indian mobile number.
  void LookupFirst(const FirstVerdicts& verdicts, const model::Identifier& identifier, absl::Time hub_now,
                   fraudhub::v1::LookupResult* result) const;

  // Rows in view; -1: not counted yet.
  int64_t indicators() const { return counted_ ? indicators_.load() : -1; }

 private:
  LocalView(store::Database* database, store::TableId first_table, const base::Clock* clock, base::Metrics* metrics);
  absl::Status Load();
  absl::Status SetView(const fraudhub::v1::Filter& filter);
  absl::Status Noted(absl::Status status) const;
  absl::Status CommitLocked(store::Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status ForgetGoneLocked(const std::vector<std::string>& keys, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void IndexRow(const std::string& key, const Row* before, const Row* now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AnswerFromRow(const Row& row, absl::Time hub_now, fraudhub::v1::LookupResult* result) const;
  void AnswerLapsed(fraudhub::v1::LookupResult* result) const;

  store::Database* const database_;
  const store::TableId rows_, meta_;
  const base::Clock* const clock_;
  std::function<void()> damaged_;
  base::Counter applied_, stale_, left_, nameless_, swept_, snapshots_, failed_;

  // The stream's thread.
  std::vector<fraudhub::v1::Event> pending_;
  absl::flat_hash_set<std::string> unchanged_;
  std::atomic<bool> in_snapshot_{false};  // sequentially consistent; others read it
  bool sweep_due_ = false;                // it has ended, and what it did not tell of is still here

  // Whoever changes rows or the index; held over a commit, never for long.
  mutable base::Mutex mu_;
  uint32_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  mutable replica::VerdictIndex index_;  // written under mu_; readers need no lock
  std::atomic<int64_t> indicators_{0};   // sequentially consistent, as the next three
  std::atomic<bool> counted_{false};
  std::atomic<bool> sees_unflagged_{false};

  std::atomic<uint64_t> view_number_{0};  // sequentially consistent
  mutable base::Mutex fresh_mu_;
  std::shared_ptr<const FirstVerdicts> first_ ABSL_GUARDED_BY(fresh_mu_);
  std::string token_ ABSL_GUARDED_BY(fresh_mu_);
  absl::Time until_ ABSL_GUARDED_BY(fresh_mu_) = absl::InfinitePast();
  absl::Time hub_time_ ABSL_GUARDED_BY(fresh_mu_) =
      absl::InfinitePast();                             // infinitely past: no progress since the start
  absl::Duration received_ ABSL_GUARDED_BY(fresh_mu_);  // monotonic, when hub_time_ came
  absl::Duration skew_ ABSL_GUARDED_BY(fresh_mu_);
  int64_t behind_ ABSL_GUARDED_BY(fresh_mu_) = 0;
};

}  // namespace hub::client
