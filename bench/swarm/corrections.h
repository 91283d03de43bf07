// The newest corrections: who held the flag when the first stakeholder heard of it, who has heard since, and how long it took.
//
// At most kKept; older ones are forgotten, and who hears of one of those later counts in the totals only: thousands of late streams would
// else bring each of them back, one after the other. Not thread-safe.
#pragma once

#include <algorithm>
#include <deque>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "bench/swarm/latency.h"
#include "bench/swarm/view.h"

namespace hub::swarm {

class Corrections {
 public:
  static constexpr size_t kKept = 64;

  // One stakeholder that held `key` was told. `others_holding`: how many others hold it; asked for the first only.
  void Note(KeyId key, const EventHead& head, absl::Time now, absl::FunctionRef<int()> others_holding) {
    const absl::Duration took = absl::Microseconds(absl::ToUnixMicros(now) - head.received_micros);
    all_.Add(took);
    if (head.received_micros <= forgotten_micros_) return;
    auto it = std::find_if(seen_.begin(), seen_.end(),
                           [&](const Seen& seen) { return seen.key == key && seen.version == head.version; });
    if (it == seen_.end()) {
      if (seen_.size() >= kKept) {
        forgotten_micros_ = std::max(forgotten_micros_, seen_.front().received_micros);
        seen_.pop_front();
      }
      seen_.push_back({key, head.version, head.received_micros, head.kind, 1 + others_holding(), 0, {}});
      it = seen_.end() - 1;
    }
    ++it->confirmed;
    it->latency.Add(took);
  }

  // Members of a JSON object: all that were told since Clear, and the newest corrections, oldest first.
  std::string Report() const {
    std::string text = absl::StrFormat(
        "\"corrections_told\":%d,\"correction_p50_ms\":%.1f,\"correction_p999_ms\":%.1f,\"corrections\":[", all_.count(),
        absl::ToDoubleMilliseconds(all_.Quantile(0.5)), absl::ToDoubleMilliseconds(all_.Quantile(0.999)));
    for (const Seen& seen : seen_) {
      absl::StrAppend(
          &text, &seen == &seen_.front() ? "" : ",",
          absl::StrFormat("{\"kind\":%d,\"held_by\":%d,\"confirmed\":%d,\"p50_ms\":%.1f,\"max_ms\":%.1f}", seen.kind,
                          seen.held_before, seen.confirmed, absl::ToDoubleMilliseconds(seen.latency.Quantile(0.5)),
                          absl::ToDoubleMilliseconds(seen.latency.max())));
    }
    return text + "]";
  }
  void Clear() {
    seen_.clear();
    forgotten_micros_ = 0;
    all_.Clear();
  }

 private:
  struct Seen {
    KeyId key = 0;
    uint64_t version = 0;
    int64_t received_micros = 0;
    int kind = 0;
    int held_before = 0;  // stakeholders that held it flagged when the first copy came
    int confirmed = 0;    // of them, told since
    Latency latency;      // accepted by the hub -> at the stakeholder
  };
  std::deque<Seen> seen_;
  int64_t forgotten_micros_ = 0;  // as old as the youngest that was forgotten, or older: forgotten
  Latency all_;
};

}  // namespace hub::swarm
