// What a watch shows of an event's links.
#include "libs/client/testing/fake_hub.h"
#include "services/hubctl/hubctl_kit_test.h"
#include "tests/catch.h"

namespace hub::hubctl {

namespace v1 = ::fraudhub::v1;

TEST_CASE("watch --links shows what hangs together, up to a number, and how many more", "[hubctl][watch]") {
  client::FakeHubHooks hooks;
  hooks.subscribe = [](grpc::ServerContext* context, client::FakeHubHooks::SubscribeStream* stream) {
    v1::SubscribeRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    v1::SubscribeResponse response;
    response.mutable_opened()->set_token("start");
    v1::Indicator* indicator = response.add_events()->mutable_indicator();
    indicator->set_indicator_id("ind_1");
    for (int i = 1; i <= 3; ++i) {
      v1::Link* link = indicator->add_links();
      link->set_relation(v1::RELATION_CALLED_WITH);
      link->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
      link->mutable_identifier()->set_canonical("+91555000000" + std::to_string(i));
    }
    stream->Write(response);
    while (!context->IsCancelled() && stream->Read(&request)) {
    }
    return grpc::Status::OK;
  };
  client::FakeHub hub(hooks);
  const Ran two = RunAt(hub.address(), {"--output", "csv", "watch", "--links", "2", "--limit", "1"});
  CHECK(two.code == kDone);
  CHECK(Has(two.out, ",\"CALLED_WITH MOBILE:+915550000001, CALLED_WITH MOBILE:+915550000002, +1\"\n"));
  const Ran none = RunAt(hub.address(), {"--output", "csv", "watch", "--limit", "1"});
  CHECK_FALSE(Has(none.out, "CALLED_WITH"));
  CHECK(RunAt(hub.address(), {"watch", "--links", "99"}).code == kUsage);
}

}  // namespace hub::hubctl
