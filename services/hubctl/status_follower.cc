#include "services/hubctl/status_follower.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/report.pb.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr absl::Duration kAskAfter = absl::Seconds(1);  // decided by then, when the hub isn't busy
constexpr absl::Duration kLookAgainFirst = absl::Milliseconds(20);  // when all is sent, somebody waits for the answers
constexpr absl::Duration kLookAgain = absl::Milliseconds(250);
constexpr absl::Duration kClockSlack = absl::Seconds(3);  // ours and the hub's differ; its ticks are a second apart

std::string NameOf(const v1::ReportStatus& status) {
  const std::string outcome = Word(v1::Outcome_descriptor(), status.outcome());
  if (status.outcome() != v1::OUTCOME_HELD) return outcome;
  return absl::StrCat(outcome, " ", Word(v1::HeldReason_descriptor(), status.held_reason()));
}

}  // namespace

StatusFollower::StatusFollower(Ask ask, IdOf id_of, const base::Clock* clock, absl::Time started)
    : ask_(std::move(ask)),
      id_of_(std::move(id_of)),
      clock_(clock),
      started_(started),
      look_again_(kLookAgain),
      thread_("hubctl-status", [this](std::stop_token stop) { Run(stop); }) {}

void StatusFollower::Accepted(uint64_t row) {
  base::MutexLock lock(&mu_);
  if (!failure_.ok()) return;
  Block& block = blocks_[row / kBlockRows];
  block.waiting.set(row % kBlockRows);
  block.ask_at = clock_->Monotonic() + kAskAfter;
  ++undecided_;
}

void StatusFollower::Finish(absl::Duration patience) {
  {
    base::MutexLock lock(&mu_);
    all_sent_ = true;
    look_again_ = kLookAgainFirst;
    hold_until_ = clock_->Monotonic() + look_again_;
    for (auto& [number, block] : blocks_) block.ask_at = std::min(block.ask_at, hold_until_);
    changed_.NotifyAll();
    WaitForDecisions(patience);
    // Once more, taking what is known as it is: our clock may be wrong.
    if (undecided_ > 0 && failure_.ok()) {
      old_ones_too_ = true;
      hold_until_ = absl::ZeroDuration();
      for (auto& [number, block] : blocks_) block.ask_at = absl::ZeroDuration();
      changed_.NotifyAll();
      WaitForDecisions(std::min(patience, kAskAfter));
    }
  }
  thread_.Stop();
}

void StatusFollower::WaitForDecisions(absl::Duration patience) {
  last_decided_ = clock_->Monotonic();
  while (undecided_ > 0 && failure_.ok()) {
    const absl::Duration left = last_decided_ + patience - clock_->Monotonic();
    if (left <= absl::ZeroDuration()) return;
    changed_.WaitFor(&mu_, left);
  }
}

void StatusFollower::Run(std::stop_token stop) {
  const std::stop_callback woken(stop, [this] {
    base::MutexLock lock(&mu_);
    changed_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    uint64_t number = 0;
    std::vector<uint64_t> rows;
    {
      base::MutexLock lock(&mu_);
      absl::Duration pause = kAskAfter;
      if (!NextDue(&number, &rows, &pause)) {
        changed_.WaitFor(&mu_, pause);
        continue;
      }
    }
    std::vector<std::string> ids;
    for (const uint64_t row : rows) ids.push_back(id_of_(row));
    const absl::StatusOr<std::vector<v1::ReportStatus>> statuses = ask_(ids);
    base::MutexLock lock(&mu_);
    if (statuses.ok() && statuses->size() == rows.size()) {
      Note(number, rows, *statuses);
    } else if (absl::IsPermissionDenied(statuses.status()) || absl::IsUnimplemented(statuses.status()) ||
               absl::IsUnauthenticated(statuses.status())) {
      failure_ = statuses.status();
      blocks_.clear();
      changed_.NotifyAll();
      return;
    } else {
      changed_.WaitFor(&mu_, kAskAfter);
    }
  }
}

// Reports are decided about in the order in which they were sent: the first rows that are due say whether later ones are worth asking.
bool StatusFollower::NextDue(uint64_t* number, std::vector<uint64_t>* rows, absl::Duration* pause) {
  const absl::Duration now = clock_->Monotonic();
  if (hold_until_ > now) {
    *pause = std::min(*pause, hold_until_ - now);
    return false;
  }
  for (const auto& [candidate, block] : blocks_) {
    if (block.ask_at > now) continue;
    *number = candidate;
    for (uint64_t i = 0; i < kBlockRows; ++i) {
      if (block.waiting.test(i)) rows->push_back(candidate * kBlockRows + i);
    }
    return true;
  }
  *pause = std::min(*pause, kLookAgain);
  return false;
}

void StatusFollower::Note(uint64_t number, const std::vector<uint64_t>& rows,
                          const std::vector<v1::ReportStatus>& statuses) {
  Block& block = blocks_[number];
  size_t decided = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const v1::ReportStatus& status = statuses[i];
    if (status.outcome() == v1::OUTCOME_UNSPECIFIED) continue;
    if (!old_ones_too_ && status.has_decided_at() && ToTime(status.decided_at()) < started_ - kClockSlack) continue;
    block.waiting.reset(rows[i] % kBlockRows);
    ++decided;
    ++outcomes_[NameOf(status)];
  }
  const absl::Duration now = clock_->Monotonic();
  undecided_ -= decided;
  if (decided > 0) last_decided_ = now;
  look_again_ = all_sent_ && decided > 0 ? kLookAgainFirst : std::min(look_again_ * 2, kLookAgain);
  // Once is enough when taking what is known; else the registry has come about this far.
  block.ask_at = old_ones_too_ ? absl::InfiniteDuration() : now + (all_sent_ ? look_again_ : kAskAfter);
  if (!old_ones_too_ && decided < rows.size() / 4) hold_until_ = now + look_again_;
  if (block.waiting.none()) blocks_.erase(number);
  changed_.NotifyAll();
}

std::map<std::string, uint64_t> StatusFollower::outcomes() const {
  base::MutexLock lock(&mu_);
  return outcomes_;
}

uint64_t StatusFollower::undecided() const {
  base::MutexLock lock(&mu_);
  return undecided_;
}

absl::Status StatusFollower::failure() const {
  base::MutexLock lock(&mu_);
  return failure_;
}

}  // namespace hub::hubctl
