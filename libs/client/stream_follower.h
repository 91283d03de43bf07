// Follows the hub's stream for one view until asked to stop: connects, resumes, takes a snapshot when the token is lost, begins afresh on
// another log, and comes back however often it is refused.
//
// Thread safety: Run from one thread; link() from any.
#pragma once

#include <stop_token>
#include <string>

#include "libs/base/mutex.h"
#include "libs/client/local_view.h"
#include "libs/client/subscriber.h"

namespace hub::client {

class StreamFollower {
 public:
  // `client_id`: as in the hub's list of streams.
  StreamFollower(ConnectionOptions hub, std::string client_id);
  void Run(LocalView* view, std::stop_token stop);
  // In words, for /statusz: who we are to the hub, and whether it is there.
  std::string link() const;

 private:
  SubscriberHandlers Handlers(LocalView* view);
  void Pause(const std::stop_token& stop, absl::Duration pause);
  void SetLink(const std::string& link);

  const ConnectionOptions hub_;
  const std::string client_id_;
  bool opened_ = false;  // since the last refusal; Run's thread
  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::string link_ ABSL_GUARDED_BY(mu_) = "not connected yet";
  std::string us_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hub::client
