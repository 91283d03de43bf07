#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "tests/catch.h"

namespace hub::base {
namespace {

std::string Hex(const Digest& digest) {
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

TEST_CASE("HMAC-SHA-256 agrees with the test cases of RFC 4231", "[base][hash]") {
  CHECK(Hex(HmacKey("Jefe").Mac("what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(Hex(HmacKey(std::string(20, '\x0b')).Mac("Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(Hex(HmacKey(std::string(131, '\xaa')).Mac("Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("CRC-32C agrees with RFC 3720", "[base][hash]") {
  CHECK(Crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(Crc32c("123456789") == 0xe3069283u);
}

TEST_CASE("a manual clock moves only when told", "[base][clock]") {
  ManualClock clock(absl::FromUnixSeconds(1000));
  CHECK(clock.TimeNow() == absl::FromUnixSeconds(1000));
  clock.Advance(absl::Milliseconds(1500));
  CHECK(clock.TimeNow() == absl::FromUnixMillis(1001500));
  CHECK(clock.Monotonic() == absl::Milliseconds(1500));
}

TEST_CASE("a thread stops when asked and is joined", "[base][thread]") {
  Mutex mu;
  CondVar cv;
  bool ended = false;
  Thread thread("worker-with-a-long-name", [&](std::stop_token stop) {
    std::stop_callback wake(stop, [&] { cv.NotifyAll(); });
    MutexLock lock(&mu);
    while (!stop.stop_requested()) cv.WaitFor(&mu, absl::Milliseconds(50));
    ended = true;
  });
  thread.Stop();
  MutexLock lock(&mu);
  CHECK(ended);
}

TEST_CASE("a thread that gives way is the only one", "[base][thread]") {
  const auto priority = [] { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); };
  constexpr int kLowest = 19;  // where all of it may run already
  const int before = priority();
  int given = 0;
  Thread("gives-way", [&](const std::stop_token&) {
    GiveWay(before + 3);
    given = priority();
  }).Stop();
  CHECK(given == std::min(before + 3, kLowest));
  CHECK(priority() == before);
}

TEST_CASE("a thread that takes short turns keeps its priority", "[base][thread]") {
  const auto priority = [] { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); };
  int given = 0, kept = 0;
  bool taken = false;
  Thread("short-turns", [&](const std::stop_token&) {
    GiveWay(priority() + 1);
    given = priority();
    taken = TakeShortTurns();
    kept = priority();
  }).Stop();
  CHECK(kept == given);
  utsname kernel{};
  std::pair<int, int> version;
  REQUIRE(uname(&kernel) == 0);
  REQUIRE(std::sscanf(kernel.release, "%d.%d", &version.first, &version.second) == 2);
  if (version >= std::pair(6, 12)) CHECK(taken);
}

TEST_CASE("metrics with one name and one label set are one series", "[base][metrics]") {
  Metrics metrics;
  Counter a = metrics.AddCounter("fraudhub_test_total", "t", {{"k", "v"}});
  Counter b = metrics.AddCounter("fraudhub_test_total", "t", {{"k", "v"}});
  a.Increment();
  b.Increment(2);
  CHECK(a.Value() == 3);
  CHECK(absl::StrContains(metrics.Exposition(), "fraudhub_test_total{k=\"v\"} 3"));
  Counter none;
  none.Increment();
  CHECK(none.Value() == 0);
}

TEST_CASE("annotated statuses keep code and payload", "[base][status]") {
  absl::Status status = absl::NotFoundError("row 7");
  status.SetPayload("type", absl::Cord("x"));
  const absl::Status annotated = Annotate(status, "import");
  CHECK(annotated.code() == absl::StatusCode::kNotFound);
  CHECK(annotated.message() == "import: row 7");
  CHECK(annotated.GetPayload("type").has_value());
}

}  // namespace
}  // namespace hub::base
