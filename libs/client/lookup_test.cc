#include "libs/client/lookup.h"

#include <atomic>
#include <functional>
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

TEST_CASE("Lookup asks another address in time when the first is silent, and begins there the next time",
          "[client][lookup]") {
  std::atomic<int> calls{0}, waiting{0};
  std::atomic<bool> release{false};
  FakeHubHooks stuck;
  stuck.lookup = [&](const v1::LookupRequest&, v1::LookupResponse*) {
    ++waiting;
    release.wait(false);
    return absl::OkStatus();
  };
  FakeHub silent(stuck), there(Answering(&calls));
  for (int i = 0; i < 64 && waiting == 0; ++i) {  // which address comes first is drawn
    const auto lookup = Lookup::Create({.server = absl::StrCat(silent.address(), ",", there.address())});
    REQUIRE(lookup.ok());
    for (int n = 0; n < 3; ++n) CHECK((*lookup)->Get(OneNumber(), absl::Seconds(2)).ok());
  }
  CHECK(waiting == 1);
  const auto nobody_else = Lookup::Create({.server = silent.address()});
  REQUIRE(nobody_else.ok());
  CHECK(absl::IsDeadlineExceeded((*nobody_else)->Get(OneNumber(), absl::Milliseconds(100)).status()));
  release = true;
  release.notify_all();
}

TEST_CASE("Lookup prefers an address that knows to one whose data is too old", "[client][lookup]") {
  std::atomic<int> calls{0}, stale_calls{0};
  std::atomic<bool> recovered{false};
  const auto verdicts = [](std::atomic<int>* count, std::function<v1::LookupVerdict(int)> verdict) {
    FakeHubHooks hooks;
    hooks.lookup = [=](const v1::LookupRequest& request, v1::LookupResponse* response) {
      ++*count;
      for (int i = 0; i < request.identifiers_size(); ++i) response->add_results()->set_verdict(verdict(i));
      return absl::OkStatus();
    };
    return hooks;
  };
  const auto knows = [](int) { return v1::LOOKUP_VERDICT_NO_INDICATOR; };
  const auto knows_not = [&](int) { return recovered ? v1::LOOKUP_VERDICT_INDICATOR : v1::LOOKUP_VERDICT_UNKNOWN; };
  FakeHub stale(verdicts(&stale_calls, knows_not)), fresh(verdicts(&calls, knows));
  for (int i = 0; i < 8; ++i) {
    const auto lookup = Lookup::Create({.server = absl::StrCat(stale.address(), ",", fresh.address())});
    REQUIRE(lookup.ok());
    const int before = stale_calls;
    for (int n = 0; n < 5; ++n) {
      const auto answer = (*lookup)->Get(OneNumber(), absl::Seconds(10));
      REQUIRE(answer.ok());
      CHECK(answer->results(0).verdict() == v1::LOOKUP_VERDICT_NO_INDICATOR);
    }
    CHECK(stale_calls <= before + 1);
  }
  // Where nobody knows, that is the answer; the one that knows most gives it.
  std::atomic<int> other_calls{0};
  FakeHub half(
      verdicts(&other_calls, [](int i) { return i == 0 ? v1::LOOKUP_VERDICT_INDICATOR : v1::LOOKUP_VERDICT_UNKNOWN; }));
  const auto lookup = Lookup::Create({.server = absl::StrCat(stale.address(), ",", half.address(), ",127.0.0.1:1")});
  REQUIRE(lookup.ok());
  v1::LookupRequest two = OneNumber();
  two.add_identifiers()->set_value("+915550000002");
  for (int n = 0; n < 2; ++n) {
    const auto answer = (*lookup)->Get(two, absl::Seconds(10));
    REQUIRE(answer.ok());
    CHECK(answer->results(0).verdict() == v1::LOOKUP_VERDICT_INDICATOR);
    CHECK(answer->results(1).verdict() == v1::LOOKUP_VERDICT_UNKNOWN);
  }
  recovered = true;
  CHECK((*lookup)->Get(two, absl::Seconds(10))->results(1).verdict() == v1::LOOKUP_VERDICT_INDICATOR);
}

TEST_CASE("Lookup has an identifier that is not UTF-8 answered as INVALID, and the others as ever",
          "[client][lookup]") {
  FakeHubHooks hooks;
  hooks.lookup = [](const v1::LookupRequest& request, v1::LookupResponse* response) {
    for (const v1::RawIdentifier& identifier : request.identifiers()) {
      const bool plain = identifier.value().find_first_of("\x01") == std::string::npos;
      response->add_results()->set_verdict(plain ? v1::LOOKUP_VERDICT_NO_INDICATOR : v1::LOOKUP_VERDICT_INVALID);
    }
    return absl::OkStatus();
  };
  FakeHub hub(hooks);
  const auto lookup = Lookup::Create({.server = hub.address()});
  REQUIRE(lookup.ok());
  v1::LookupRequest request = OneNumber();
  request.add_identifiers()->set_value("caf\xE9@testpsp");
  const auto answer = (*lookup)->Get(request, absl::Seconds(10));
  INFO(answer.status().ToString());
  REQUIRE(answer.ok());
  CHECK(answer->results(0).verdict() == v1::LOOKUP_VERDICT_NO_INDICATOR);
  CHECK(answer->results(1).verdict() == v1::LOOKUP_VERDICT_INVALID);
  request.set_case_ref("\xFF");
  CHECK(absl::IsInvalidArgument((*lookup)->Get(request, absl::Seconds(10)).status()));
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

TEST_CASE("Lookup gives what one address knew though another refuses", "[client][lookup]") {
  std::atomic<int> half_calls{0}, refused{0};
  FakeHubHooks half;
  half.lookup = [&](const v1::LookupRequest&, v1::LookupResponse* response) {
    ++half_calls;
    response->add_results()->set_verdict(v1::LOOKUP_VERDICT_INDICATOR);
    response->add_results()->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
    return absl::OkStatus();
  };
  FakeHub knows(half), refuses(Answering(&refused, absl::ResourceExhaustedError("too many")));
  v1::LookupRequest two = OneNumber();
  two.add_identifiers()->set_value("+915550000002");
  for (int i = 0; i < 64 && (half_calls == 0 || refused == 0); ++i) {  // which address comes first is drawn
    const int before = half_calls;
    const auto lookup = Lookup::Create({.server = absl::StrCat(knows.address(), ",", refuses.address())});
    REQUIRE(lookup.ok());
    const auto answer = (*lookup)->Get(two, absl::Seconds(10));
    CHECK(answer.ok() == (half_calls > before));
  }
  CHECK(half_calls > 0);
}

}  // namespace
}  // namespace hub::client
