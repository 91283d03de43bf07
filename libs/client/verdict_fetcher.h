// Fetches compact sets of verdicts for a view whose snapshot has not ended, and renews them before they are too old to answer from.
//
// A hub that has no such method, or does not grant it, is asked again now and then; the replica then begins with its snapshot alone.
// Thread safety: Run from one thread.
#pragma once

#include <stop_token>

#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/client/connection.h"
#include "libs/client/first_verdicts.h"
#include "libs/client/local_view.h"

namespace hub::client {

class VerdictFetcher {
 public:
  // `hub`: of its LookupService. Clock and metrics outlive the fetcher.
  VerdictFetcher(ConnectionOptions hub, absl::Duration age_max, const base::Clock* clock, base::Metrics* metrics);
  // Until asked to stop.
  void Run(LocalView* view, const std::stop_token& stop);

 private:
  bool Wanted(const LocalView& view) const;
  // One call. `*retry_after`: the hub's wish.
  absl::Status Fetch(Channels* channels, VerdictCollector* collector, const std::stop_token& stop,
                     absl::Duration* retry_after);
  void Pause(const std::stop_token& stop, absl::Duration pause);

  const ConnectionOptions hub_;
  const absl::Duration age_max_;
  const base::Clock* const clock_;
  base::Counter fetched_, broken_, bytes_;
  base::Mutex mu_;
  base::CondVar changed_;
};

}  // namespace hub::client
