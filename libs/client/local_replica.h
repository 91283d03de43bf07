// A stakeholder's own replica of what the hub tells it, kept going: its files, the stream that feeds them, the index over them. hub-edge is this with a
// server in front of it; Lookup::Open is this in a program of others.
//
// Threads of its own: one opens, follows the stream, sets aside what is damaged and begins afresh; one fetches compact sets while a snapshot
// runs; one loads the index and shows metrics. Outages of any length: the data grows older, and lookups say UNKNOWN beyond `age_max`.
// Thread safety: Open, then Start, then Stop, from one thread; the rest from any.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/client/connection.h"
#include "libs/client/local_view.h"
#include "libs/client/stream_follower.h"
#include "libs/client/verdict_fetcher.h"

namespace hub::client {

struct LocalReplicaOptions {
  std::string data_dir;                        // one replica's at a time; it holds identifiers
  ConnectionOptions hub;                       // of its streams
  ConnectionOptions query;                     // of its LookupService
  std::string client_id;                       // as in the hub's list of streams
  absl::Duration age_max = absl::Seconds(60);  // lookups answer UNKNOWN from older data
};

class LocalReplica {
 public:
  // Clock and metrics outlive it.
  LocalReplica(LocalReplicaOptions options, const base::Clock* clock, base::Metrics* metrics);
  ~LocalReplica();

  // Not needed: opens the files now, so that what they hold is answered from when Start has returned. After an error Start tries again, and
  // again; DataLoss: it sets them aside. FailedPrecondition: another process has the folder open.
  absl::Status Open();
  void Start();
  void Stop();

  // What is held; null: not open just now. Give it back soon: what is damaged is not set aside before.
  std::shared_ptr<const LocalView> view() const;
  // Why lookups answer UNKNOWN, a line for a person; empty: they don't.
  std::string Unready() const;
  // Lines for a person: the hub, the age, how much there is.
  std::string Describe() const;

 private:
  struct Opened;

  std::shared_ptr<Opened> Shared() const;
  absl::StatusOr<std::shared_ptr<Opened>> OpenFiles();
  void Publish(std::shared_ptr<Opened> opened);
  void Keep(const std::stop_token& stop);
  void Follow(const std::shared_ptr<Opened>& opened, const std::stop_token& stop);
  void SetAside(const std::string& why);
  void AwaitLastShare(const std::shared_ptr<Opened>& opened);
  void KeepHouse(const std::stop_token& stop);
  void LoadIndex(Opened* opened, const std::stop_token& stop);
  void ShowMetrics(const LocalView& view);
  absl::Duration AnswersAge(const LocalView& view) const;
  void Pause(const std::stop_token& stop, absl::Duration pause);

  const LocalReplicaOptions options_;
  const base::Clock* const clock_;
  base::Metrics* const metrics_;
  base::Gauge age_, answers_age_, behind_, indicators_, index_bytes_, skew_, disk_free_;
  base::Counter damages_;
  StreamFollower follower_;
  VerdictFetcher fetcher_;
  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::shared_ptr<Opened> opened_ ABSL_GUARDED_BY(mu_);
  base::Thread keeper_, housekeeper_;
};

}  // namespace hub::client
