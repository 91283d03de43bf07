#include "libs/client/lookup.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/client/testing/fake_hub.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

FakeHubHooks Answering(std::atomic<int>* calls, absl::Status status = absl::OkStatus()) {
  FakeHubHooks hooks;
  hooks.lookup = [calls, status](const v1::LookupRequest& request, v1::LookupResponse* response) {
    ++*calls;
    for (int i = 0; i < request.identifiers_size(); ++i) response->add_results();
    return status;
  };
  return hooks;
}

v1::LookupRequest OneNumber() {
  v1::LookupRequest request;
  request.add_identifiers()->set_value("+915550000001");
  return request;
}

TEST_CASE("Lookup turns to the address that answers and stays there", "[client][lookup]") {
  std::atomic<int> calls{0}, refused{0};
  FakeHub away(Answering(&refused, absl::UnavailableError("draining"))), there(Answering(&calls));
  for (int i = 0; i < 8; ++i) {  // which address comes first is drawn
    const auto lookup = Lookup::Create({.server = absl::StrCat("127.0.0.1:1,", away.address(), ",", there.address())});
    REQUIRE(lookup.ok());
    const int before = refused;
    for (int n = 0; n < 5; ++n) REQUIRE((*lookup)->Get(OneNumber(), absl::Seconds(10)).ok());
    CHECK(refused <= before + 1);
  }
  CHECK(calls == 40);
}

TEST_CASE("Lookup by many threads at once fails for none of them while one address answers", "[client][lookup]") {
  std::atomic<int> calls{0}, refused{0}, failed{0};
  FakeHub away(Answering(&refused, absl::UnavailableError("draining"))), there(Answering(&calls));
  for (int i = 0; i < 8; ++i) {
    const auto lookup = Lookup::Create({.server = absl::StrCat(away.address(), ",", there.address())});
    REQUIRE(lookup.ok());
    std::vector<std::thread> threads;
    for (int n = 0; n < 8; ++n) {
      threads.emplace_back([&] {
        if (!(*lookup)->Get(OneNumber(), absl::Seconds(10)).ok()) ++failed;
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(failed == 0);
  CHECK(calls == 64);
}

TEST_CASE("Lookup asks elsewhere after an address that let the time run out", "[client][lookup]") {
  std::atomic<int> calls{0};
  std::atomic<bool> release{false};
  FakeHubHooks stuck;
  stuck.lookup = [&](const v1::LookupRequest&, v1::LookupResponse*) {
    release.wait(false);
    return absl::OkStatus();
  };
  FakeHub silent(stuck), there(Answering(&calls));
  int timed_out = 0;
  for (int i = 0; i < 64 && timed_out == 0; ++i) {  // which address comes first is drawn
    const auto lookup = Lookup::Create({.server = absl::StrCat(silent.address(), ",", there.address())});
    REQUIRE(lookup.ok());
    const absl::Status first = (*lookup)->Get(OneNumber(), absl::Milliseconds(300)).status();
    if (absl::IsDeadlineExceeded(first)) ++timed_out;
    CHECK((*lookup)->Get(OneNumber(), absl::Seconds(10)).ok());
  }
  release = true;
  release.notify_all();
  CHECK(timed_out == 1);
}

TEST_CASE("Lookup takes a refusal for an answer, and says when nobody can be reached", "[client][lookup]") {
  std::atomic<int> one{0}, two{0};
  FakeHub first(Answering(&one, absl::PermissionDeniedError("no"))),
      second(Answering(&two, absl::PermissionDeniedError("no")));
  const auto lookup = Lookup::Create({.server = absl::StrCat(first.address(), ",", second.address())});
  REQUIRE(lookup.ok());
  CHECK(absl::IsPermissionDenied((*lookup)->Get(OneNumber(), absl::Seconds(10)).status()));
  CHECK(one + two == 1);
  const auto nobody = Lookup::Create({.server = "127.0.0.1:1,127.0.0.1:2"});
  REQUIRE(nobody.ok());
  CHECK(absl::IsUnavailable((*nobody)->Get(OneNumber(), absl::Seconds(10)).status()));
}

}  // namespace
}  // namespace hub::client
