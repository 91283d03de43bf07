// The public face as a program of others uses it, against a hub in the process. Nothing of absl here but what the invented hub needs.
#include <google/protobuf/util/time_util.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "fraudhub/log.h"
#include "fraudhub/lookup.h"
#include "fraudhub/reporter.h"
#include "fraudhub/subscriber.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/report.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/client/testing/fake_hub.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace fraudhub {
namespace {

using hub::client::FakeHub;
using hub::client::FakeHubHooks;

v1::Report AReport() {
  v1::Report report;
  report.set_report_id(NewReportId());
  report.set_kind(v1::INPUT_KIND_SUSPECTED_COMMUNICATION);
  report.mutable_identifier()->set_value("+915550000001");
  return report;
}

TEST_CASE("reports that were kept by one Reporter are sent by the next, and each has its verdict", "[client][face]") {
  hub::store::TempDir folder;
  const std::vector<v1::Report> reports = {AReport(), AReport()};
  {
    auto keeping = Reporter::Open(folder.path(), {.connection = {.server = "127.0.0.1:1"}, .sending = false}, nullptr);
    REQUIRE(keeping.ok());
    CHECK(keeping->Add(reports).ok());
    CHECK(keeping->Add(v1::Report()).code == Code::kInvalidArgument);
    CHECK(Reporter::Open(folder.path(), {.connection = {.server = "127.0.0.1:1"}}, nullptr).status().code ==
          Code::kFailedPrecondition);
  }
  FakeHubHooks hooks;
  hooks.on_report = [&](const v1::Report& report) {
    v1::ReportVerdict verdict;
    const bool first = report.report_id() == reports[0].report_id();
    verdict.set_verdict(first ? v1::VERDICT_ACCEPTED : v1::VERDICT_REJECTED);
    return verdict;
  };
  FakeHub hub(hooks);
  std::atomic<int> accepted{0}, rejected{0};
  auto sending = Reporter::Open(
      folder.path(), {.connection = {.server = hub.address()}},
      [&](const v1::ReportVerdict& verdict) { ++(verdict.verdict() == v1::VERDICT_ACCEPTED ? accepted : rejected); });
  REQUIRE(sending.ok());
  Reporter moved = *std::move(sending);
  CHECK(moved.Flush().ok());
  CHECK(moved.waiting() == 0);
  CHECK(accepted == 1);
  CHECK(rejected == 1);
  const auto statuses = moved.GetStatus({reports[0].report_id()});
  REQUIRE(statuses.ok());
  CHECK(statuses->at(0).outcome() == v1::OUTCOME_MERGED);
}

TEST_CASE("an outsider's program hears why its reporter pauses and why it ended", "[client][face]") {
  std::atomic<int> batches{0};
  FakeHubHooks hooks;
  hooks.on_batch = [&](int) {
    if (++batches == 1) return absl::UnavailableError("draining");
    return hub::model::Refuse(hub::model::RefusalCode::kNotEntitled, "", "not this stakeholder");
  };
  FakeHub hub(hooks);
  hub::store::TempDir folder;
  std::atomic<int> pauses{0};
  Code code = Code::kOk;
  ReporterOptions options{.connection = {.server = hub.address()}};
  options.backoff_base = options.backoff_max = std::chrono::milliseconds(1);
  options.on_pause = [&](const Status& why, std::chrono::milliseconds pause) {
    pauses += !why.ok() && pause <= std::chrono::milliseconds(1);
  };
  options.on_failed = [&](const Status& why) { code = why.code; };
  auto reporter = Reporter::Open(folder.path(), options, nullptr);
  REQUIRE(reporter.ok());
  CHECK(reporter->Add(AReport()).ok());
  const Status ended = reporter->Flush();
  CHECK(ended.reason == v1::ERROR_REASON_NOT_ENTITLED);
  CHECK(code == Code::kPermissionDenied);
  CHECK(pauses >= 1);
}

TEST_CASE("a program that follows hears events, and ends when asked or when no retry helps", "[client][face]") {
  std::atomic<int> opens{0};
  std::atomic<bool> asked_for_snapshot{false}, hinted{false};
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext*, FakeHubHooks::SubscribeStream* stream) {
    v1::SubscribeRequest request;
    stream->Read(&request);
    if (request.open().cursor() == "taken") {
      return hub::rpc::ToGrpc(hub::model::Refuse(hub::model::RefusalCode::kCursorTaken, "", "by another stream"));
    }
    if (++opens == 1) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "away");
    asked_for_snapshot = request.open().start() == v1::STREAM_START_SNAPSHOT;
    v1::SubscribeResponse response;
    response.mutable_opened()->set_stakeholder("bank");
    response.add_events()->mutable_indicator()->set_indicator_id("ind_1");
    stream->Write(response);
    while (stream->Read(&request)) {
    }
    return grpc::Status::OK;
  };
  FakeHub hub(hooks);
  SubscriberOptions options{.connection = {.server = hub.address()}, .start = StreamStart::kSnapshot};
  options.backoff_base = options.backoff_max = std::chrono::milliseconds(1);
  std::stop_source over;
  SubscriberHandlers handlers;
  std::string heard, us;
  handlers.on_opened = [&](const v1::Opened& opened) { us = opened.stakeholder(); };
  handlers.on_event = [&](const v1::Event& event) {
    heard = event.indicator().indicator_id();
    over.request_stop();
    return true;
  };
  handlers.on_disconnected = [&](const Status& why, std::chrono::milliseconds) {
    hinted = why.code == Code::kUnavailable && why.message == "away";
  };
  CHECK(Subscriber::Run(options, {}, handlers, over.get_token()).ok());
  CHECK(us == "bank");
  CHECK(heard == "ind_1");
  CHECK(asked_for_snapshot);
  CHECK(hinted);
  options.cursor = "taken";
  CHECK(Subscriber::Run(options, {}, handlers, {}).reason == v1::ERROR_REASON_CURSOR_TAKEN);
}

TEST_CASE("a lookup is answered, or says in plain words why not", "[client][face]") {
  FakeHubHooks hooks;
  std::atomic<bool> busy{false};
  hooks.lookup = [&](const v1::LookupRequest& request, v1::LookupResponse* response) {
    if (busy) return hub::model::Refuse(hub::model::RefusalCode::kQuotaExceeded, "", "too many a second");
    for (int i = 0; i < request.identifiers_size(); ++i) {
      response->add_results()->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
    }
    return absl::OkStatus();
  };
  FakeHub hub(hooks);
  auto lookup = Lookup::Create({.server = hub.address()});
  REQUIRE(lookup.ok());
  v1::LookupRequest request;
  request.add_identifiers()->set_value("+915550000001");
  const auto answer = lookup->Get(request, std::chrono::seconds(10));
  REQUIRE(answer.ok());
  CHECK(answer->results(0).verdict() == v1::LOOKUP_VERDICT_NO_INDICATOR);
  busy = true;
  CHECK(lookup->Get(request, std::chrono::seconds(10)).status().reason == v1::ERROR_REASON_QUOTA_EXCEEDED);
  CHECK(Lookup::Create({.server = "nowhere"}).status().code == Code::kInvalidArgument);
}

TEST_CASE("a replica in the process of others answers after its snapshot, and shows its age and counters",
          "[client][face]") {
  std::atomic<bool> may_tell{false};
  FakeHubHooks hooks;
  hooks.subscribe = [&](grpc::ServerContext*, FakeHubHooks::SubscribeStream* stream) -> grpc::Status {
    v1::SubscribeRequest request;
    stream->Read(&request);
    if (!may_tell) return {grpc::StatusCode::UNAVAILABLE, "away"};
    v1::SubscribeResponse response;
    response.mutable_opened()->set_stakeholder("bank");
    response.mutable_snapshot()->set_begins(true);
    response.mutable_snapshot()->set_ends(true);
    response.mutable_snapshot()->set_parts(1);
    response.mutable_snapshot()->set_parts_sent(1);
    v1::Indicator* const indicator = response.add_events()->mutable_indicator();
    indicator->set_indicator_id("ind_1");
    indicator->set_facet(v1::FACET_RISK);
    indicator->set_level(v1::LEVEL_HIGH);
    indicator->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    indicator->mutable_identifier()->set_canonical("+915550000001");
    response.mutable_progress()->set_token("t");
    const auto now = google::protobuf::util::TimeUtil::GetCurrentTime();
    *response.mutable_progress()->mutable_complete_until() = *response.mutable_progress()->mutable_hub_time() = now;
    stream->Write(response);
    while (stream->Read(&request)) {
    }
    return grpc::Status::OK;
  };
  FakeHub hub(hooks);
  hub::store::TempDir folder;
  auto lookup = Lookup::Open(folder.path(), {.hub = {.server = hub.address()}, .allow_test_range = true});
  REQUIRE(lookup.ok());
  v1::LookupRequest request;
  request.add_identifiers()->set_value("+915550000001");
  request.mutable_identifiers(0)->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  CHECK(lookup->Get(request)->results(0).verdict() == v1::LOOKUP_VERDICT_UNKNOWN);
  CHECK_FALSE(lookup->age().has_value());
  may_tell = true;
  CHECK(hub::Eventually([&] { return lookup->age().has_value(); }));
  CHECK(lookup->Get(request)->results(0).indicator().level() == v1::LEVEL_HIGH);
  CHECK(*lookup->age() < std::chrono::minutes(1));
  CHECK(lookup->Metrics().find("fraudhub_edge_lookups_total") != std::string::npos);
  CHECK(lookup->Get({}).status().reason == v1::ERROR_REASON_MISSING);
  CHECK(Lookup::Open(folder.path(), {.hub = {.server = "nowhere"}}).status().code == Code::kInvalidArgument);
}

}  // namespace
}  // namespace fraudhub
