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

constexpr absl::Duration kAskAfter = absl::Seconds(1);    // decided by then, when the hub isn't busy
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
    last_decided_ = clock_->Monotonic();
    while (undecided_ > 0 && failure_.ok()) {
      const absl::Duration left = last_decided_ + patience - clock_->Monotonic();
      if (left <= absl::ZeroDuration()) break;
      changed_.WaitFor(&mu_, left);
    }
    // Once more, taking what is known as it is: our clock may be wrong.
    if (undecided_ > 0 && failure_.ok() && !old_ones_too_) {
      old_ones_too_ = true;
      for (auto& [number, block] : blocks_) block.ask_at = absl::ZeroDuration();
      changed_.NotifyAll();
      const absl::Duration until = clock_->Monotonic() + kAskAfter;
      while (undecided_ > 0 && clock_->Monotonic() < until) changed_.WaitFor(&mu_, until - clock_->Monotonic());
    }
  }
  thread_.Stop();
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

bool StatusFollower::NextDue(uint64_t* number, std::vector<uint64_t>* rows, absl::Duration* pause) {
  const absl::Duration now = clock_->Monotonic();
  const auto first = std::min_element(blocks_.begin(), blocks_.end(),
                                      [](const auto& a, const auto& b) { return a.second.ask_at < b.second.ask_at; });
  if (first == blocks_.end()) return false;
  if (first->second.ask_at > now) {
    *pause = std::min(*pause, first->second.ask_at - now);
    return false;
  }
  *number = first->first;
  for (uint64_t i = 0; i < kBlockRows; ++i) {
    if (first->second.waiting.test(i)) rows->push_back(first->first * kBlockRows + i);
  }
  return true;
}

void StatusFollower::Note(uint64_t number, const std::vector<uint64_t>& rows,
                          const std::vector<v1::ReportStatus>& statuses) {
  Block& block = blocks_[number];
  for (size_t i = 0; i < rows.size(); ++i) {
    const v1::ReportStatus& status = statuses[i];
    if (status.outcome() == v1::OUTCOME_UNSPECIFIED) continue;
    if (!old_ones_too_ && status.has_decided_at() && ToTime(status.decided_at()) < started_ - kClockSlack) continue;
    block.waiting.reset(rows[i] % kBlockRows);
    --undecided_;
    ++outcomes_[NameOf(status)];
    last_decided_ = clock_->Monotonic();
  }
  block.ask_at = clock_->Monotonic() + kAskAfter;
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
