// Many simulated stakeholders in one thread: each holds one stream, applies what it gets by the version rule, acknowledges, and comes
// back with its token when the stream breaks. At the end each view is compared with what filter and rights say it must be.
//
// One extra stream, the auditor's (an analyst), sees everything: it is the reference. Not thread-safe: Run owns the thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/swarm/checker.h"

namespace hub::swarm {

struct SwarmOptions {
  std::string server =
      "127.0.0.1:7443";     // several with commas between: spread over them, and on to the next after a break
  std::string identities;   // folder of <stakeholder>/<principal>/{cert,key,ca}.pem; empty = clear text
  std::string policy_file;  // who there is and what each may see
  std::string auditor = "dot-diu/analyst-2";
  std::string auditor_server;  // as `server`, of the auditor alone: its line is good where theirs is bad; empty = `server`
  int stakeholders_max = 0;  // 0 = all that may subscribe
  int copies = 1;            // streams per stakeholder, each with a view of its own
  absl::Duration storm_away = absl::Seconds(10);  // of StartStorm
  // This process takes the stakeholders whose number modulo `slices` is from `slice` on, `slice_count` of them: parts of different size.
  int slice = 0;
  int slice_count = 1;
  int slices = 1;
  // So many of a hundred stakeholders, spread over all, use a named cursor instead of tokens; a later process goes on where this one was. What such a stream
  // held before isn't known then, so its view is not compared.
  int cursor_percent = 0;
  std::string cursor = "swarm";  // its name
  bool filters = true;  // give the stakeholders the mix of filters described in swarm.cc
  absl::Duration run_for = absl::InfiniteDuration();
  absl::Duration until_quiet = absl::InfiniteDuration();  // stop when no event came for so long, after the first one
  std::string status_file;                                // rewritten every half second: one JSON object
  uint64_t seed = 1;
  bool snapshots = false;  // begin with a snapshot rather than with all that the log holds
  bool come_later = false;  // the auditor comes alone, and all others with the first StartFigures: what it reads is read before
  bool from_now = false;   // only what happens from now on; what is held is then nobody's to judge
  int look_into = 1;       // of every so many streams one is looked into; events of the others are counted
  bool urgent = false;     // ask for copies ahead of the order
  // Judge every stream (checker.h) and not the views at the end only; `require`: invariants that must have been put to the test.
  bool check = false;
  CheckerOptions checker;
  std::vector<std::string> require;
};

class Swarm {
 public:
  static absl::StatusOr<std::unique_ptr<Swarm>> Create(const SwarmOptions& options);
  ~Swarm();

  // Until run_for, until_quiet or Stop. FailedPrecondition: some view is not what it must be, or the checker found a problem (the text says
  // which).
  absl::Status Run();
  // From a signal handler: finish.
  void Stop();
  // From a signal handler: latencies and corrections from now on only; views and counts go on.
  void StartFigures();
  // From a signal handler: breaks all streams at once; after a while all come back at once, with their tokens. The report tells when all were
  // where the log ended when they opened.
  void StartStorm();
  // What was seen, one JSON object: connected, deliveries, latencies, most opens in a second, corrections, views.
  std::string Report() const;

 private:
  class Impl;
  explicit Swarm(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hub::swarm
