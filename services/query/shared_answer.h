// An answer that is much work to find, the same for all who may have it: found by one caller, shown to all for ten seconds and for twenty times
// what it took, so that finding it takes a twentieth of a core at the most, however many ask.
//
// Thread safety: any thread. Holds the newest answer alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace hub::query {

template <class Answer>
class SharedAnswer {
 public:
  struct Found {
    Answer answer;
    absl::Time at;
    uint64_t key = 0;
  };

  // `key`: an answer that was found under another is not shown. Null: none yet; another caller is finding it, or it can't be found.
  std::shared_ptr<const Found> Get(uint64_t key, const base::Clock& clock,
                                   const std::function<absl::Status(Answer*)>& find) {
    const absl::Duration begun = clock.Monotonic();
    {
      base::MutexLock lock(&mu_);
      const bool fits = found_ != nullptr && found_->key == key;
      if (finding_ || (fits && begun < again_at_)) return fits ? found_ : nullptr;
      finding_ = true;
    }
    auto found = std::make_shared<Found>();
    const absl::Status status = find(&found->answer);
    found->at = clock.TimeNow();
    found->key = key;
    const absl::Duration over = clock.Monotonic();
    base::MutexLock lock(&mu_);
    finding_ = false;
    again_at_ = over + std::max(kShownFor, kCost * (over - begun));
    if (status.ok()) found_ = std::move(found);
    return found_ != nullptr && found_->key == key ? found_ : nullptr;
  }

 private:
  static constexpr absl::Duration kShownFor = absl::Seconds(10);
  static constexpr int kCost = 20;  // times what finding took

  base::Mutex mu_;
  std::shared_ptr<const Found> found_ ABSL_GUARDED_BY(mu_);
  bool finding_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration again_at_ ABSL_GUARDED_BY(mu_);  // monotonic
};

}  // namespace hub::query
