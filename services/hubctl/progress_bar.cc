#include "services/hubctl/progress_bar.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hub::hubctl {
namespace {
constexpr absl::Duration kInterval = absl::Milliseconds(200);
constexpr char kWipe[] = "\r\x1b[K";
}  // namespace

std::string WithCommas(uint64_t number) {
  std::string digits = absl::StrCat(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

std::string ProgressLine(const ProgressCounters& counters, uint64_t bytes_total, absl::Duration elapsed) {
  const uint64_t bytes = counters.bytes.load(std::memory_order_relaxed);
  const uint64_t settled = counters.settled.load(std::memory_order_relaxed);
  const uint64_t rejected = counters.rejected.load(std::memory_order_relaxed);
  const double share =
      bytes_total == 0 ? 1 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(bytes_total));
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 0.001);
  const uint64_t undecided = counters.undecided.load(std::memory_order_relaxed);
  std::string line = absl::StrCat(absl::StrFormat("%.1f %%  ", share * 100), WithCommas(settled), " rows");
  if (share >= 1 && undecided > 0 && settled == counters.rows.load(std::memory_order_relaxed)) {
    absl::StrAppend(&line, "  waiting for the outcome of ", WithCommas(undecided));
  } else {
    absl::StrAppend(&line, "  ", WithCommas(static_cast<uint64_t>(static_cast<double>(settled) / seconds)), "/s");
  }
  if (share > 0.001 && share < 1 && seconds > 1) {
    const auto left = static_cast<int64_t>(seconds / share - seconds + 0.5);
    absl::StrAppend(&line, absl::StrFormat("  %d:%02d left", left / 60, left % 60));
  }
  if (rejected > 0) absl::StrAppend(&line, "  ", WithCommas(rejected), " rejected");
  return line;
}

ProgressBar::ProgressBar(const ProgressCounters* counters, uint64_t bytes_total, const base::Clock* clock,
                         std::ostream* out)
    : counters_(counters), bytes_total_(bytes_total), clock_(clock), out_(out), started_(clock->Monotonic()) {
  if (out_ != nullptr) thread_ = base::Thread("hubctl-progress", [this](std::stop_token stop) { Run(stop); });
}

ProgressBar::~ProgressBar() {
  thread_.Stop();
  if (out_ != nullptr) *out_ << kWipe << std::flush;
}

void ProgressBar::Say(std::ostream* err, const std::string& line) {
  base::MutexLock lock(&mu_);
  if (out_ != nullptr) *out_ << kWipe << std::flush;
  *err << line << '\n' << std::flush;
}

void ProgressBar::Run(std::stop_token stop) {
  const std::stop_callback woken(stop, [this] {
    base::MutexLock lock(&mu_);
    changed_.NotifyAll();
  });
  base::MutexLock lock(&mu_);
  while (!stop.stop_requested()) {
    *out_ << kWipe << ProgressLine(*counters_, bytes_total_, clock_->Monotonic() - started_) << std::flush;
    changed_.WaitFor(&mu_, kInterval);
  }
}

}  // namespace hub::hubctl
