// An edge fetches its first verdicts from an invented hub, whose calls break.
#include "libs/client/verdict_fetcher.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/thread.h"
#include "libs/client/set_kit_test.h"
#include "libs/client/testing/fake_hub.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using Writer = grpc::ServerWriter<v1::GetVerdictSetResponse>;
using Script = std::function<grpc::Status(Writer*)>;

struct Fetching {
  // A script for each call, until a set has come. What the edge asked for, as "first_part/parts".
  std::vector<std::string> Play(std::vector<Script> scripts) {
    std::vector<std::string> asked;
    FakeHubHooks hooks;
    hooks.verdict_set = [&](const v1::GetVerdictSetRequest& request, Writer* writer) -> grpc::Status {
      asked.push_back(absl::StrCat(request.first_part(), "/", request.parts()));
      if (asked.size() > scripts.size()) return {grpc::StatusCode::UNAVAILABLE, "over"};
      return scripts[asked.size() - 1](writer);
    };
    FakeHub hub(hooks), other(hooks);  // at whichever of them it asks
    VerdictFetcher fetcher({.server = absl::StrCat(hub.address(), ",", other.address())}, absl::Seconds(60), &clock,
                           &metrics);
    std::stop_source over;
    base::Thread watcher("watcher", [&](std::stop_token) {
      Eventually([this] { return view->first_verdicts() != nullptr; });
      over.request_stop();
    });
    fetcher.Run(view.get(), over.get_token());
    return asked;
  }
  Fetching() {
    auto opened = LocalView::Open(&database, 0, &clock, &metrics);
    REQUIRE(opened.ok());
    view = *std::move(opened);
  }
  size_t verdicts() const {
    REQUIRE(view->first_verdicts() != nullptr);  // it came in time
    return view->first_verdicts()->set.size();
  }

  store::MemoryDatabase database{2};
  base::ManualClock clock{kStart};
  base::Metrics metrics;
  std::unique_ptr<LocalView> view;
};

grpc::Status Gone() { return {grpc::StatusCode::UNAVAILABLE, "gone"}; }

TEST_CASE("a call that breaks is gone on with after the last whole part", "[edge][fetcher]") {
  Fetching fetching;
  const auto asked = fetching.Play({[](Writer* writer) {
                                      writer->Write(Part(0, 2, {Verdict(1), Verdict(2)}));
                                      return Gone();
                                    },
                                    [](Writer* writer) {
                                      writer->Write(Part(1, 2, {Verdict(3)}));
                                      return grpc::Status::OK;
                                    }});
  CHECK(asked == std::vector<std::string>{"0/0", "1/2"});
  CHECK(fetching.verdicts() == 3);
}

TEST_CASE("whole parts are kept while others have their turn, and what cut a call short", "[edge][fetcher]") {
  for (const auto code : {grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::CANCELLED}) {
    Fetching fetching;
    const auto asked = fetching.Play({[&](Writer* writer) {
                                        writer->Write(Part(0, 2, {Verdict(1), Verdict(2)}));
                                        return grpc::Status(code, "others are served");
                                      },
                                      [](Writer* writer) {
                                        writer->Write(Part(1, 2, {Verdict(3)}));
                                        return grpc::Status::OK;
                                      }});
    CHECK(asked == std::vector<std::string>{"0/0", "1/2"});
    CHECK(fetching.verdicts() == 3);
  }
}

TEST_CASE("a set is not made of parts from before and after a change of policy", "[edge][fetcher]") {
  Fetching fetching;
  const auto asked =
      fetching.Play({[](Writer* writer) {
                       writer->Write(Part(0, 2, {Verdict(1), Verdict(2)}));
                       return grpc::Status(grpc::StatusCode::ABORTED, "the policy has changed: begin again");
                     },
                     [](Writer* writer) {
                       writer->Write(Part(0, 1, {Verdict(3)}));
                       return grpc::Status::OK;
                     }});
  CHECK(asked == std::vector<std::string>{"0/0", "0/0"});
  CHECK(fetching.verdicts() == 1);
}

TEST_CASE("a part that is damaged has the set begun again", "[edge][fetcher]") {
  Fetching fetching;
  const auto asked = fetching.Play({[](Writer* writer) {
                                      v1::GetVerdictSetResponse part = Part(0, 1, {Verdict(1)});
                                      part.mutable_digest()->set_sum(7);
                                      writer->Write(part);
                                      return grpc::Status::OK;
                                    },
                                    [](Writer* writer) {
                                      writer->Write(Part(0, 1, {Verdict(1)}));
                                      return grpc::Status::OK;
                                    }});
  CHECK(asked == std::vector<std::string>{"0/0", "0/0"});
  CHECK(fetching.verdicts() == 1);
}

}  // namespace
}  // namespace hub::client
