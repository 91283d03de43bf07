// Fetches compact sets of verdicts for a view whose snapshot has not ended, and renews them before they are too old to answer from.
//
// A hub that has no such method, or does not grant it, is asked again now and then; the edge then begins with its snapshot alone.
// Thread safety: Run from one thread.
#pragma once

#include <stop_token>

#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/client/connection.h"
#include "services/edge/edge_view.h"
#include "services/edge/first_verdicts.h"

namespace hub::edge {

class VerdictFetcher {
 public:
  // `hub`: of its LookupService. Clock and metrics outlive the fetcher.
  VerdictFetcher(client::ConnectionOptions hub, absl::Duration age_max, const base::Clock* clock,
                 base::Metrics* metrics);
  // Until asked to stop.
  void Run(EdgeView* view, const std::stop_token& stop);

 private:
  bool Wanted(const EdgeView& view) const;
  // One call. `*retry_after`: the hub's wish.
  absl::Status Fetch(client::Channels* channels, VerdictCollector* collector, const std::stop_token& stop,
                     absl::Duration* retry_after);
  void Pause(const std::stop_token& stop, absl::Duration pause);

  const client::ConnectionOptions hub_;
  const absl::Duration age_max_;
  const base::Clock* const clock_;
  base::Counter fetched_, broken_, bytes_;
  base::Mutex mu_;
  base::CondVar changed_;
};

}  // namespace hub::edge
