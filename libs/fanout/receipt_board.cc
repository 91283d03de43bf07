#include "libs/fanout/receipt_board.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/wire/wire.h"

namespace hub::fanout {
namespace {

using model::ReceiptUpdate;

constexpr int kInFlightMax = 64;
constexpr size_t kReceiptsPerRecord = 8000;                       // of some 60 bytes: below what a record may hold
constexpr absl::Duration kSettle = absl::Milliseconds(200);       // after all who are connected confirmed: streams may just be opening

size_t Index(int32_t partition) { return static_cast<size_t>(partition); }

struct Probe {
  explicit Probe(base::Metrics* metrics)
      : events(metrics->AddCounter("fraudhub_receipts_events_total", "Events whose receipts are kept")),
        unkept(metrics->AddCounter("fraudhub_receipts_unkept_total", "Events without receipts: too many at once")),
        told(metrics->AddCounter("fraudhub_receipts_total", "Receipts found", {{"what", "told"}})),
        confirmed(metrics->AddCounter("fraudhub_receipts_total", "Receipts found", {{"what", "confirmed"}})),
        records(metrics->AddCounter("fraudhub_receipts_records_total", "Records of receipts written")),
        errors(metrics->AddCounter("fraudhub_receipts_errors_total", "Records of receipts not written, tried again")),
        confirm_seconds(metrics->AddHistogram("fraudhub_receipts_confirm_seconds",
                                              "From an event's arrival at this node until a stakeholder confirmed it",
                                              base::LatencyBounds())) {}
  base::Counter events, unkept, told, confirmed, records, errors;
  base::Histogram confirm_seconds;
};

}  // namespace

// Guarded by the core's lock, but for what never changes.
struct ReceiptBoard::Entry {
  uint64_t number = 0;
  int32_t partition = 0;
  eventlog::Offset offset = 0;
  model::IndicatorKey key;
  uint64_t version = 0;
  absl::Time decided_at;
  model::Attributes now;
  std::optional<model::Attributes> previous;
  absl::Duration learned_at;

  std::vector<bool> told, confirmed;                        // by the stakeholder's number
  std::map<std::string, ReceiptUpdate::Receipt> unwritten;  // by stakeholder
  absl::Duration unwritten_since;
  int waiting = 0;  // readers that have not confirmed
  bool in_flight = false;
  bool forgotten = false;
};

class ReceiptBoard::Core : public std::enable_shared_from_this<ReceiptBoard::Core> {
 public:
  Core(const ReceiptBoardOptions& options, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics)
      : options_(options),
        clock_(clock),
        log_(log),
        probe_(metrics),
        tokens_(options.events_per_second),
        tokens_at_(clock->Monotonic()) {}

  void OnEvent(int32_t partition, eventlog::Offset offset, const model::Event& event);
  void Step(bool hurry);
  bool idle() const;

 private:
  friend class ReceiptBoard::Reader;
  struct Write {
    std::shared_ptr<Entry> entry;
    std::map<std::string, ReceiptUpdate::Receipt> receipts;
  };

  bool SpendTokenLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint32_t NumberLocked(const std::string& stakeholder) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddReceiptLocked(const std::shared_ptr<Entry>& entry, const std::string& stakeholder, bool confirmed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetOldestLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Append(const Write& write);
  void OnWritten(const Write& write, const absl::Status& status);

  const ReceiptBoardOptions options_;
  const base::Clock* const clock_;
  eventlog::Log* const log_;
  Probe probe_;
  std::atomic<uint64_t> learned_{0};  // events ever; release after the entry is there

  mutable base::Mutex mu_;
  std::deque<std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mu_);  // oldest first, by number
  std::map<std::pair<model::IndicatorKey, uint64_t>, std::shared_ptr<Entry>> known_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, std::shared_ptr<Entry>> dirty_ ABSL_GUARDED_BY(mu_);  // with something unwritten, by number
  std::map<std::string, uint32_t> stakeholders_ ABSL_GUARDED_BY(mu_);      // all that ever had a stream here
  double tokens_ ABSL_GUARDED_BY(mu_);
  absl::Duration tokens_at_ ABSL_GUARDED_BY(mu_);
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;
};

void ReceiptBoard::Core::OnEvent(int32_t partition, eventlog::Offset offset, const model::Event& event) {
  if (!event.urgent) return;
  base::MutexLock lock(&mu_);
  const std::pair<model::IndicatorKey, uint64_t> id(event.state.key, event.state.version);
  if (known_.count(id) > 0) return;
  if (!SpendTokenLocked()) {
    probe_.unkept.Increment();
    HUB_LOG_EVERY(60, WARN, "receipts_unkept", {{"effect", "some events have no receipts of this node"}});
    return;
  }
  auto entry = std::make_shared<Entry>();
  entry->number = learned_.load(std::memory_order_relaxed) + 1;
  entry->partition = partition;
  entry->offset = offset;
  entry->key = id.first;
  entry->version = id.second;
  entry->decided_at = event.decided_at;
  entry->now = event.state.attributes;
  entry->previous = event.previous;
  entry->learned_at = clock_->Monotonic();
  entries_.push_back(entry);
  known_.emplace(id, entry);
  ForgetOldestLocked();
  probe_.events.Increment();
  learned_.store(entry->number, std::memory_order_release);
}

bool ReceiptBoard::Core::SpendTokenLocked() {
  const absl::Duration now = clock_->Monotonic();
  tokens_ = std::min(options_.events_per_second,
                     tokens_ + absl::ToDoubleSeconds(now - tokens_at_) * options_.events_per_second);
  tokens_at_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

// What was found out about it is still written.
void ReceiptBoard::Core::ForgetOldestLocked() {
  while (entries_.size() > options_.events_max) {
    const std::shared_ptr<Entry> oldest = std::move(entries_.front());
    entries_.pop_front();
    known_.erase({oldest->key, oldest->version});
    oldest->forgotten = true;
  }
}

uint32_t ReceiptBoard::Core::NumberLocked(const std::string& stakeholder) {
  return stakeholders_.try_emplace(stakeholder, static_cast<uint32_t>(stakeholders_.size())).first->second;
}

void ReceiptBoard::Core::AddReceiptLocked(const std::shared_ptr<Entry>& entry, const std::string& stakeholder,
                                          bool confirmed) {
  const uint32_t number = NumberLocked(stakeholder);
  std::vector<bool>& seen = confirmed ? entry->confirmed : entry->told;
  if (seen.size() <= number) seen.resize(number + 1);
  if (seen[number]) return;
  seen[number] = true;
  if (entry->unwritten.empty()) entry->unwritten_since = clock_->Monotonic();
  ReceiptUpdate::Receipt& receipt = entry->unwritten[stakeholder];
  receipt.stakeholder = stakeholder;
  (confirmed ? receipt.confirmed_at : receipt.sent_at) = clock_->TimeNow();
  dirty_.emplace(entry->number, entry);
  (confirmed ? probe_.confirmed : probe_.told).Increment();
  if (confirmed) probe_.confirm_seconds.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - entry->learned_at));
}

void ReceiptBoard::Core::Step(bool hurry) {
  std::vector<Write> due;
  {
    base::MutexLock lock(&mu_);
    const absl::Duration now = clock_->Monotonic();
    for (auto it = dirty_.begin(); it != dirty_.end() && in_flight_ < kInFlightMax;) {
      const std::shared_ptr<Entry>& entry = it->second;
      const absl::Duration wait = entry->waiting == 0 ? kSettle : options_.gather;
      if (entry->in_flight || (!hurry && now - entry->unwritten_since < wait)) {
        ++it;
        continue;
      }
      Write write{entry, {}};
      while (!entry->unwritten.empty() && write.receipts.size() < kReceiptsPerRecord) {
        write.receipts.insert(entry->unwritten.extract(entry->unwritten.begin()));
      }
      entry->in_flight = true;
      entry->unwritten_since = now;
      ++in_flight_;
      it = entry->unwritten.empty() ? dirty_.erase(it) : std::next(it);
      due.push_back(std::move(write));
    }
  }
  for (const Write& write : due) Append(write);
}

void ReceiptBoard::Core::Append(const Write& write) {
  ReceiptUpdate update{options_.node,       write.entry->partition, write.entry->offset,
                       write.entry->key,    write.entry->version,   write.entry->decided_at, {}};
  for (const auto& [stakeholder, receipt] : write.receipts) update.receipts.push_back(receipt);
  log_->Append({eventlog::kReceiptsTopic, 0}, {"", wire::EncodeRecord({}, update)},
               [core = shared_from_this(), write](const absl::StatusOr<eventlog::Offset>& landed) {
                 core->OnWritten(write, landed.status());
               });
}

void ReceiptBoard::Core::OnWritten(const Write& write, const absl::Status& status) {
  base::MutexLock lock(&mu_);
  --in_flight_;
  write.entry->in_flight = false;
  if (status.ok()) {
    probe_.records.Increment();
    return;
  }
  probe_.errors.Increment();
  for (const auto& [stakeholder, receipt] : write.receipts) {
    ReceiptUpdate::Receipt& again = write.entry->unwritten.try_emplace(stakeholder, receipt).first->second;
    again.sent_at = std::min(again.sent_at, receipt.sent_at);
    again.confirmed_at = std::min(again.confirmed_at, receipt.confirmed_at);
  }
  write.entry->unwritten_since = clock_->Monotonic();
  dirty_.emplace(write.entry->number, write.entry);
}

bool ReceiptBoard::Core::idle() const {
  base::MutexLock lock(&mu_);
  return dirty_.empty() && in_flight_ == 0;
}

ReceiptBoard::Reader::Reader(std::shared_ptr<Core> core, std::string stakeholder, model::Filter view,
                             std::vector<eventlog::Offset> since)
    : core_(std::move(core)), stakeholder_(std::move(stakeholder)), view_(std::move(view)), since_(std::move(since)) {}

ReceiptBoard::Reader::~Reader() {
  base::MutexLock lock(&core_->mu_);
  for (const Waiting& waiting : waiting_) --waiting.entry->waiting;
}

bool ReceiptBoard::Reader::news() const { return seen_ != core_->learned_.load(std::memory_order_acquire); }
bool ReceiptBoard::Reader::curious() const { return !waiting_.empty() || news(); }

// What of an entry doesn't change may be read without the lock.
bool ReceiptBoard::Reader::Moves(const Waiting& waiting, ReachOf reach_of) {
  const Reach reach = reach_of(waiting.entry->partition);
  return reach.acked > waiting.entry->offset || (!waiting.told && reach.sent > waiting.entry->offset);
}

void ReceiptBoard::Reader::Note(ReachOf reach_of) {
  const auto moves = [&](const Waiting& waiting) { return Moves(waiting, reach_of); };
  if (!news() && std::none_of(waiting_.begin(), waiting_.end(), moves)) return;
  base::MutexLock lock(&core_->mu_);
  for (auto it = core_->entries_.rbegin(); it != core_->entries_.rend() && (*it)->number > seen_; ++it) {
    const std::shared_ptr<Entry>& entry = *it;
    const size_t p = Index(entry->partition);
    if (p >= since_.size() || entry->offset < since_[p]) continue;
    if (!view_.Matches(entry->now) && !(entry->previous && view_.Matches(*entry->previous))) continue;
    ++entry->waiting;
    waiting_.push_back({entry});
  }
  seen_ = core_->learned_.load(std::memory_order_relaxed);
  const auto settled = [&](Waiting& waiting) {
    Entry& entry = *waiting.entry;
    const Reach reach = reach_of(entry.partition);
    if (!waiting.told && reach.sent > entry.offset) {
      waiting.told = true;
      core_->AddReceiptLocked(waiting.entry, stakeholder_, /*confirmed=*/false);
    }
    if (reach.acked > entry.offset) core_->AddReceiptLocked(waiting.entry, stakeholder_, /*confirmed=*/true);
    if (reach.acked <= entry.offset && !entry.forgotten) return false;
    --entry.waiting;
    return true;
  };
  waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), settled), waiting_.end());
}

ReceiptBoard::ReceiptBoard(const ReceiptBoardOptions& options, const base::Clock* clock, eventlog::Log* log,
                           base::Metrics* metrics)
    : core_(std::make_shared<Core>(options, clock, log, metrics)) {}
ReceiptBoard::~ReceiptBoard() = default;

void ReceiptBoard::OnEvent(int32_t partition, eventlog::Offset offset, const model::Event& event) {
  core_->OnEvent(partition, offset, event);
}
std::unique_ptr<ReceiptBoard::Reader> ReceiptBoard::Add(std::string stakeholder, model::Filter view,
                                                        std::vector<eventlog::Offset> since) {
  return std::make_unique<Reader>(core_, std::move(stakeholder), std::move(view), std::move(since));
}
void ReceiptBoard::Step(bool hurry) { core_->Step(hurry); }
bool ReceiptBoard::idle() const { return core_->idle(); }

}  // namespace hub::fanout
