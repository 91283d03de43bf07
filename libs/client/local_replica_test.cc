// What a replica's metrics say while there is nothing to tell of.
#include "libs/client/local_replica.h"

#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

// Zero would be an age that an alarm takes for good.
TEST_CASE("before anything is known of it a replica's ages and its size are -1", "[client][local_replica]") {
  const store::TempDir folder;
  const base::RealClock clock;
  base::Metrics metrics;
  LocalReplica replica({.data_dir = folder.path(), .hub = {.server = "127.0.0.1:1"}, .query = {.server = "127.0.0.1:1"}},
                       &clock, &metrics);
  REQUIRE(replica.Open().ok());
  for (const char* name :
       {"fraudhub_edge_age_seconds", "fraudhub_edge_answers_age_seconds", "fraudhub_edge_indicators"}) {
    CHECK(metrics.AddGauge(name, "").Value() == -1);
  }
}

}  // namespace
}  // namespace hub::client
