// Lookups from a stakeholder's own replica, as fraudhub.v1.LookupService answers them.
//
// What a stakeholder was sent is what it may see, so nothing is redacted here, and nobody is asked who he is.
// Thread safety: any thread; an identifier that may be there costs a read of the disk or its cache.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/client/local_view.h"

namespace fraudhub::v1 {
class LookupRequest;
class LookupResponse;
class LookupResult;
class RawIdentifier;
enum LookupVerdict : int;
}  // namespace fraudhub::v1

namespace hub::client {

struct LocalLookupParts {
  std::function<std::shared_ptr<const LocalView>()> view;  // null: none just now
  const base::Clock* clock = nullptr;
  base::Metrics* metrics = nullptr;
  absl::Duration age_max = absl::Seconds(60);  // older data is answered UNKNOWN
  bool allow_test_range = false;
};

class LocalLookup {
 public:
  explicit LocalLookup(LocalLookupParts parts);
  absl::Status Lookup(const fraudhub::v1::LookupRequest& request, fraudhub::v1::LookupResponse* response);

 private:
  // How it ended with an identifier: how often, and the time from its text until it was certain whether it is flagged and how (out of
  // memory, as a rule), and until the answer with all its reasons was there.
  struct Ending {
    base::Counter count;
    base::Histogram verdict_seconds, answer_seconds;
  };
  Ending MakeEnding(const char* name) const;
  Ending& Of(fraudhub::v1::LookupVerdict verdict);
  // What a call is answered from; borrowed.
  struct Source {
    const LocalView* view = nullptr;
    const FirstVerdicts* first = nullptr;  // while the stream has not told everything
    replica::VerdictIndex::Reader* reader = nullptr;
    Freshness fresh;
  };
  // Returns when it was certain.
  absl::Duration Answer(const fraudhub::v1::RawIdentifier& asked, int place, const Source& source,
                        fraudhub::v1::LookupResult* result) const;

  const LocalLookupParts parts_;
  Ending found_, not_found_, unknown_, invalid_;
};

}  // namespace hub::client
