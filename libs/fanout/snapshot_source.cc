#include "libs/fanout/snapshot_source.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/fanout/filter_class.h"
#include "libs/fanout/snapshot_convoy.h"
#include "libs/model/refusal.h"

namespace hub::fanout {
namespace {

constexpr uint64_t kPartsMax = 1 << 16;  // beyond 65 million states parts grow
constexpr uint32_t kAhead = 2;           // parts made before they are asked for
constexpr int64_t kRoomMin = 4 * kAhead;  // parts of a run, however large they are
constexpr int64_t kBlockOverhead = 256;  // bytes of a block's places in the map and the list, about

size_t Index(int32_t partition) { return static_cast<size_t>(partition); }

struct Probe {
  explicit Probe(base::Metrics* metrics)
      : runs(metrics->AddCounter("fraudhub_fanout_snapshot_runs_total",
                                 "Snapshots begun, shared by sessions of a class")),
        refused(metrics->AddCounter("fraudhub_fanout_snapshots_refused_total", "Snapshots refused for too many runs")),
        sessions(
            metrics->AddCounter("fraudhub_fanout_snapshots_total", "Sessions that began or went on with a snapshot")),
        first(Parts(metrics, "first")),
        again(Parts(metrics, "again")),
        shared(Parts(metrics, "shared")),
        errors(metrics->AddCounter("fraudhub_fanout_snapshot_errors_total", "Scans of the replica that failed")),
        states(metrics->AddCounter("fraudhub_fanout_snapshot_states_total", "States that snapshots looked at")),
        bytes(metrics->AddGauge("fraudhub_fanout_snapshot_bytes", "Memory of blocks of snapshots")) {}
  base::Counter runs, refused, sessions;
  base::Counter first, again, shared;
  base::Counter errors, states;
  base::Gauge bytes;

 private:
  static base::Counter Parts(base::Metrics* metrics, const char* how) {
    return metrics->AddCounter(
        "fraudhub_fanout_snapshot_parts_total",
        "Parts of snapshots, by how they were come by: scanned first, scanned again, from memory", {{"how", how}});
  }
};

// A state as the event that led to it, with the counters of now.
model::Event LastEvent(const replica::Answer& answer) {
  model::Event event;
  event.kind = answer.state.standing;
  event.state = answer.state;
  event.term = answer.stamp.term;
  event.reports_offset = answer.stamp.reports_offset;
  event.rules_version = answer.rules_version;
  return event;
}

}  // namespace

class SnapshotSource::Impl {
 public:
  using RunPtr = std::shared_ptr<const SnapshotRun>;
  using BlockPtr = std::shared_ptr<const SnapshotBlock>;

  Impl(const SnapshotOptions& options, const replica::Replica* replica, const Dispatcher* dispatcher,
       const base::Clock* clock, base::Metrics* metrics)
      : options_(options), replica_(replica), dispatcher_(dispatcher), clock_(clock), probe_(metrics) {}

  absl::StatusOr<RunPtr> Join(const std::shared_ptr<FilterClass>& filter_class,
                              const std::vector<PartitionPosition>* first, uint32_t parts);
  std::shared_ptr<SnapshotReader> Enter(const SnapshotRun& run, uint32_t part);
  BlockPtr Find(const RunPtr& run, uint32_t part, SnapshotReader* reader);
  bool Step();
  void WaitForWork(absl::Duration timeout) {
    base::MutexLock lock(&mu_);
    if (wanted_.empty()) asked_.WaitFor(&mu_, timeout);
  }

 private:
  using Key = std::pair<uint64_t, uint32_t>;  // run, part
  struct Entry {
    BlockPtr block;
    std::list<Key>::iterator place;  // in LineOf
    bool passed = false;             // by all who are waited for
  };
  struct Held {
    RunPtr run;
    std::vector<bool> made;  // by part: has been scanned before
    SnapshotConvoy convoy;
    uint32_t passed = 0;  // blocks before this part go first
  };
  struct Want {
    RunPtr run;
    uint32_t part;
  };

  std::optional<RunPtr> ShareLocked(const FilterClass& filter_class, const std::vector<PartitionPosition>* first,
                                    uint32_t parts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropIdleLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropBlocksLocked(uint64_t run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The source's own reference and no other: no session is in it.
  static bool Idle(const Held& held) { return held.run.use_count() == 1; }
  int BusyLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return static_cast<int>(std::count_if(runs_.begin(), runs_.end(), [](const auto& e) { return !Idle(e.second); }));
  }
  absl::StatusOr<std::vector<PartitionPosition>> Places() const;
  absl::StatusOr<uint32_t> CountParts() const;
  void WantLocked(const RunPtr& run, uint32_t part, Held* held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint32_t RoomLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LetPassedGoLocked(uint64_t run, Held* held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::list<Key>& LineOf(const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return entry.passed ? passed_ : used_;
  }
  absl::StatusOr<std::shared_ptr<SnapshotBlock>> Make(const SnapshotRun& run, uint32_t part);
  void KeepLocked(const Key& key, BlockPtr block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static int64_t Cost(const SnapshotBlock& block) { return static_cast<int64_t>(block.memory()) + kBlockOverhead; }

  const SnapshotOptions options_;
  const replica::Replica* const replica_;
  const Dispatcher* const dispatcher_;
  const base::Clock* const clock_;
  Probe probe_;
  base::Mutex mu_;
  base::CondVar asked_;
  uint64_t run_ids_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, Held> runs_ ABSL_GUARDED_BY(mu_);  // at most twice runs_max: idle ones go first
  std::map<Key, Entry> blocks_ ABSL_GUARDED_BY(mu_);
  // Which goes first: of those that all have passed the first, then least recently used.
  std::list<Key> passed_ ABSL_GUARDED_BY(mu_), used_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // Asked for and not made; no part twice, so at most `parts` of each run.
  std::deque<Want> wanted_ ABSL_GUARDED_BY(mu_);
  std::set<Key> waited_for_ ABSL_GUARDED_BY(mu_);  // wanted, or in the making
};

std::optional<SnapshotSource::Impl::RunPtr> SnapshotSource::Impl::ShareLocked(
    const FilterClass& filter_class, const std::vector<PartitionPosition>* first, uint32_t parts) {
  for (auto it = runs_.rbegin(); it != runs_.rend(); ++it) {  // the youngest first
    const RunPtr& run = it->second.run;
    if (run->filter_class->id() != filter_class.id()) continue;
    if (first == nullptr) {
      if (clock_->Monotonic() - run->began > options_.share_for) continue;
      return run;
    }
    bool past = run->parts == parts;
    for (size_t p = 0; past && p < first->size(); ++p) past = run->first[p].offset >= (*first)[p].offset;
    if (past) return run;
  }
  return std::nullopt;
}

absl::StatusOr<SnapshotSource::Impl::RunPtr> SnapshotSource::Impl::Join(
    const std::shared_ptr<FilterClass>& filter_class, const std::vector<PartitionPosition>* first, uint32_t parts) {
  {
    base::MutexLock lock(&mu_);
    DropIdleLocked();
    if (const std::optional<RunPtr> shared = ShareLocked(*filter_class, first, parts); shared.has_value()) {
      probe_.sessions.Increment();
      return *shared;
    }
    if (BusyLocked() >= options_.runs_max) {
      probe_.refused.Increment();
      return model::Refuse(model::RefusalCode::kOverloaded, "open.start",
                           "too many snapshots are being taken; try later");
    }
  }
  // Two of a class that come here at once make a run each; the second finds the first's below.
  HUB_ASSIGN_OR_RETURN(std::vector<PartitionPosition> places, Places());
  if (first != nullptr) {
    for (size_t p = 0; p < first->size(); ++p) {
      if (places[p].offset >= (*first)[p].offset) continue;
      return absl::UnavailableError("this node has not read as far as your snapshot; try again, or another node");
    }
  } else {
    HUB_ASSIGN_OR_RETURN(parts, CountParts());
  }
  base::MutexLock lock(&mu_);
  probe_.sessions.Increment();
  if (const std::optional<RunPtr> shared = ShareLocked(*filter_class, first, parts); shared.has_value()) return *shared;
  const uint64_t id = ++run_ids_;
  RunPtr run(new SnapshotRun{id, filter_class, std::move(places), parts, clock_->Monotonic()});
  runs_.emplace(id, Held{run, std::vector<bool>(parts), SnapshotConvoy(run->began)});
  probe_.runs.Increment();
  return run;
}

// The replica's places, with the time that the resume window is judged by.
absl::StatusOr<std::vector<PartitionPosition>> SnapshotSource::Impl::Places() const {
  HUB_ASSIGN_OR_RETURN(const std::vector<replica::EventsPlace> places, replica_->Places());
  HUB_CHECK(places.size() == Index(dispatcher_->partitions()));
  std::vector<PartitionPosition> positions;
  for (int32_t p = 0; p < dispatcher_->partitions(); ++p) {
    const replica::EventsPlace& at = places[Index(p)];
    const absl::Time now = clock_->TimeNow();
    // A hole at the place: compaction took what the replica has not read, and what it shows may be wrong until it has read on (R9).
    HUB_ASSIGN_OR_RETURN(const LogPlace look, dispatcher_->Look(p, at.offset));
    if (at.offset < look.range.first || look.next != at.offset || look.next_appended_at < now - options_.behind_max) {
      return absl::UnavailableError("this node's states are behind the log; try again later, or another node");
    }
    positions.push_back({at.offset, at.term, at.tick, std::min(look.next_appended_at, now)});
  }
  return positions;
}

absl::StatusOr<uint32_t> SnapshotSource::Impl::CountParts() const {
  HUB_ASSIGN_OR_RETURN(const uint64_t states, replica_->CountAbout());
  return static_cast<uint32_t>(std::bit_ceil(std::clamp<uint64_t>(states / options_.part_states, 1, kPartsMax)));
}

void SnapshotSource::Impl::DropIdleLocked() {
  for (auto it = runs_.begin(); it != runs_.end();) {
    const bool old = clock_->Monotonic() - it->second.run->began > options_.share_for;
    const bool crowded = runs_.size() > static_cast<size_t>(options_.runs_max);
    if (Idle(it->second) && (old || crowded)) {
      DropBlocksLocked(it->first);
      it = runs_.erase(it);
    } else {
      ++it;
    }
  }
}

void SnapshotSource::Impl::DropBlocksLocked(uint64_t run) {
  for (auto it = blocks_.lower_bound({run, 0}); it != blocks_.end() && it->first.first == run;) {
    bytes_ -= Cost(*it->second.block);
    LineOf(it->second).erase(it->second.place);
    it = blocks_.erase(it);
  }
  probe_.bytes.Set(static_cast<double>(bytes_));
}

std::shared_ptr<SnapshotReader> SnapshotSource::Impl::Enter(const SnapshotRun& run, uint32_t part) {
  base::MutexLock lock(&mu_);
  return runs_.at(run.id).convoy.Enter(part, clock_->Monotonic());
}

SnapshotSource::Impl::BlockPtr SnapshotSource::Impl::Find(const RunPtr& run, uint32_t part, SnapshotReader* reader) {
  HUB_CHECK(part < run->parts);
  base::MutexLock lock(&mu_);
  Held* const held = &runs_.at(run->id);
  reader->part = part;
  LetPassedGoLocked(run->id, held);
  BlockPtr block;
  if (const auto it = blocks_.find({run->id, part}); it != blocks_.end()) {
    used_.splice(used_.end(), LineOf(it->second), it->second.place);
    it->second.passed = false;
    probe_.shared.Increment();
    block = it->second.block;
  } else {
    WantLocked(run, part, held);
  }
  for (uint32_t ahead = part + 1; ahead <= part + kAhead && ahead < run->parts; ++ahead) {
    if (blocks_.count({run->id, ahead}) == 0) WantLocked(run, ahead, held);
  }
  return block;
}

// Parts that are kept of one run while there are as many as now.
uint32_t SnapshotSource::Impl::RoomLocked() const {
  if (blocks_.empty()) return kPartsMax;
  const int64_t blocks = options_.cache_bytes_max / (bytes_ / static_cast<int64_t>(blocks_.size()));
  return static_cast<uint32_t>(std::max(kRoomMin, blocks * 3 / 4 / std::max(BusyLocked(), 1)));
}

void SnapshotSource::Impl::LetPassedGoLocked(uint64_t run, Held* held) {
  const uint32_t last = held->convoy.last(clock_->Monotonic());
  if (last > held->run->parts) return;  // nobody moves: who had what is not known to matter no more
  for (auto it = blocks_.lower_bound({run, held->passed}); it != blocks_.end() && it->first < Key(run, last); ++it) {
    passed_.splice(passed_.end(), LineOf(it->second), it->second.place);
    it->second.passed = true;
  }
  held->passed = last;
}

void SnapshotSource::Impl::WantLocked(const RunPtr& run, uint32_t part, Held* held) {
  if (!held->made[part] && !held->convoy.MayGoOn(part, RoomLocked(), clock_->Monotonic())) return;
  if (!waited_for_.insert({run->id, part}).second) return;  // single flight
  wanted_.push_back({run, part});
  asked_.NotifyOne();
}

bool SnapshotSource::Impl::Step() {
  Want want;
  {
    base::MutexLock lock(&mu_);
    DropIdleLocked();
    if (wanted_.empty()) return false;
    want = std::move(wanted_.front());
    wanted_.pop_front();
  }
  const Key key{want.run->id, want.part};
  absl::StatusOr<std::shared_ptr<SnapshotBlock>> made = Make(*want.run, want.part);
  base::MutexLock lock(&mu_);
  waited_for_.erase(key);
  if (!made.ok()) {
    probe_.errors.Increment();
    HUB_LOG_EVERY(10, ERROR, "snapshot_scan_failed", {{"status", made.status().ToString()}});
    return true;
  }
  const auto held = runs_.find(key.first);
  if (held == runs_.end()) return true;
  (held->second.made[key.second] ? probe_.again : probe_.first).Increment();
  held->second.made[key.second] = true;
  KeepLocked(key, *std::move(made));
  return true;
}

absl::StatusOr<std::shared_ptr<SnapshotBlock>> SnapshotSource::Impl::Make(const SnapshotRun& run, uint32_t part) {
  auto block = std::make_shared<SnapshotBlock>();
  const FilterClass& filter_class = *run.filter_class;
  int states = 0;
  HUB_ASSIGN_OR_RETURN(std::vector<int64_t> heads,
                       replica_->VisitPart(part, run.parts, [&](const replica::Answer& answer) {
                         ++states;
                         if (!filter_class.Sees(answer.state.attributes)) return;
                         PendingEvent pending(0, LastEvent(answer));
                         block->Add(pending.Encoded(filter_class.audiences(), /*left_view=*/false));
                       }));
  probe_.states.Increment(states);
  block->Finish(std::move(heads));
  return block;
}

void SnapshotSource::Impl::KeepLocked(const Key& key, BlockPtr block) {
  bytes_ += Cost(*block);
  const auto [it, fresh] = blocks_.emplace(key, Entry{std::move(block), {}});
  HUB_CHECK(fresh);
  it->second.place = used_.insert(used_.end(), key);
  // The block just made stays: somebody waits for it.
  while (bytes_ > options_.cache_bytes_max && blocks_.size() > 1) {
    std::list<Key>& line = passed_.empty() ? used_ : passed_;
    const auto oldest = blocks_.find(line.front());
    line.pop_front();
    bytes_ -= Cost(*oldest->second.block);
    blocks_.erase(oldest);
  }
  probe_.bytes.Set(static_cast<double>(bytes_));
}

SnapshotSource::SnapshotSource(const SnapshotOptions& options, const replica::Replica* replica,
                               const Dispatcher* dispatcher, const base::Clock* clock, base::Metrics* metrics)
    : impl_(std::make_unique<Impl>(options, replica, dispatcher, clock, metrics)) {}
SnapshotSource::~SnapshotSource() = default;

absl::StatusOr<std::shared_ptr<const SnapshotRun>> SnapshotSource::Begin(
    const std::shared_ptr<FilterClass>& filter_class) {
  return impl_->Join(filter_class, nullptr, 0);
}
absl::StatusOr<std::shared_ptr<const SnapshotRun>> SnapshotSource::GoOn(
    const std::shared_ptr<FilterClass>& filter_class, const std::vector<PartitionPosition>& first, uint32_t parts) {
  return impl_->Join(filter_class, &first, parts);
}
std::shared_ptr<const SnapshotBlock> SnapshotSource::Find(const std::shared_ptr<const SnapshotRun>& run,
                                                          uint32_t part, SnapshotReader* reader) {
  return impl_->Find(run, part, reader);
}
std::shared_ptr<SnapshotReader> SnapshotSource::Enter(const SnapshotRun& run, uint32_t part) {
  return impl_->Enter(run, part);
}
bool SnapshotSource::Step() { return impl_->Step(); }
void SnapshotSource::WaitForWork(absl::Duration timeout) { impl_->WaitForWork(timeout); }

}  // namespace hub::fanout
