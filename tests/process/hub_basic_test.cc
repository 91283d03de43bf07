// hub-all as a process: from a report to a subscriber, a lookup and a correction; drain, restart, crash.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/operations.grpc.pb.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/client/lookup.h"
#include "libs/client/reporter.h"
#include "libs/client/subscriber.h"
#include "libs/model/report_id.h"
#include "libs/rpc/proto_time.h"
#include "libs/rpc/status.h"
#include "tests/catch.h"
#include "tests/process/hub_process.h"

namespace hub::process_test {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kNumber[] = "+915550000001";
constexpr char kOtherNumber[] = "+915550000002";

std::string IdOf(const std::string& name) { return model::ToText(model::MakeNameBasedId("hub_basic_test", name)); }

v1::RawIdentifier Mobile(const std::string& number) {
  v1::RawIdentifier identifier;
  identifier.set_type(v1::IDENTIFIER_TYPE_MOBILE);
  identifier.set_value(number);
  return identifier;
}

v1::Report Fraud(const std::string& number, const std::string& name) {
  v1::Report report;
  report.set_report_id(IdOf(name));
  report.set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
  *report.mutable_identifier() = Mobile(number);
  rpc::ToProto(base::RealClock().TimeNow(), report.mutable_observed_at());
  return report;
}

// A subscriber on a thread of its own, with all it heard.
class Watcher {
 public:
  Watcher(const client::ConnectionOptions& connection, const std::string& token) {
    options_.connection = connection;
    options_.token = token;
    options_.from_earliest = true;
    options_.client_id = "watcher";
    thread_ = base::Thread("watcher", [this](std::stop_token stop) { Run(stop); });
  }
  // Waits for an event about `number` that `is_it`.
  bool Sees(const std::string& number, const std::function<bool(const v1::Event&)>& is_it) {
    return Eventually([&] {
      base::MutexLock lock(&mu_);
      for (const v1::Event& event : events_) {
        if (event.indicator().identifier().canonical() == number && is_it(event)) return true;
      }
      return false;
    });
  }
  // Of the last progress: everything before it was seen. Waits for one after all events so far.
  std::string Token() {
    const int before = Count(&Watcher::progress_);
    CHECK(Eventually([&] { return Count(&Watcher::progress_) > before + 1; }));
    base::MutexLock lock(&mu_);
    return token_;
  }
  size_t events() {
    base::MutexLock lock(&mu_);
    return events_.size();
  }
  bool Disconnected() {
    return Eventually([&] { return Count(&Watcher::disconnects_) > 0; });
  }
  absl::Status Stop() {
    thread_.Stop();
    return result_;
  }

 private:
  int Count(int Watcher::*counter) {
    base::MutexLock lock(&mu_);
    return this->*counter;
  }
  void Run(const std::stop_token& stop) {
    client::SubscriberHandlers handlers;
    handlers.on_event = [this](const v1::Event& event) {
      base::MutexLock lock(&mu_);
      events_.push_back(event);
      return true;
    };
    handlers.on_progress = [this](const v1::Progress& progress) {
      base::MutexLock lock(&mu_);
      token_ = progress.token();
      ++progress_;
    };
    handlers.on_disconnected = [this](const absl::Status&, absl::Duration) {
      base::MutexLock lock(&mu_);
      ++disconnects_;
    };
    result_ = client::Subscriber::Run(options_, v1::Filter(), handlers, stop);
  }

  client::SubscriberOptions options_;
  base::Mutex mu_;
  std::vector<v1::Event> events_ ABSL_GUARDED_BY(mu_);
  std::string token_ ABSL_GUARDED_BY(mu_);
  int progress_ = 0;
  int disconnects_ = 0;
  absl::Status result_;
  base::Thread thread_;
};

void Submit(const client::ConnectionOptions& connection, const std::vector<v1::Report>& reports) {
  client::ReporterOptions options;
  options.connection = connection;
  base::Mutex mu;
  std::vector<v1::ReportVerdict> verdicts;
  const auto reporter = client::Reporter::Create(options, [&](uint64_t, const v1::ReportVerdict& verdict) {
    base::MutexLock lock(&mu);
    verdicts.push_back(verdict);
  });
  REQUIRE(reporter.ok());
  for (const v1::Report& report : reports) REQUIRE((*reporter)->Submit(0, report).ok());
  const absl::Status flushed = (*reporter)->Flush();
  INFO(flushed.ToString());
  REQUIRE(flushed.ok());
  base::MutexLock lock(&mu);
  REQUIRE(verdicts.size() == reports.size());
  for (const v1::ReportVerdict& verdict : verdicts) {
    INFO(verdict.ShortDebugString());
    CHECK(verdict.verdict() == v1::VERDICT_ACCEPTED);
  }
}

v1::ReportStatus StatusOf(const client::ConnectionOptions& connection, const std::string& name) {
  client::ReporterOptions options;
  options.connection = connection;
  const auto reporter = client::Reporter::Create(options, [](uint64_t, const v1::ReportVerdict&) {});
  REQUIRE(reporter.ok());
  const auto statuses = (*reporter)->Status({IdOf(name)});
  INFO(statuses.status().ToString());
  REQUIRE(statuses.ok());
  REQUIRE(statuses->size() == 1);
  return statuses->front();
}

v1::LookupResult LookUp(const client::ConnectionOptions& connection, const std::string& number) {
  const auto lookup = client::Lookup::Create(connection);
  REQUIRE(lookup.ok());
  v1::LookupRequest request;
  *request.add_identifiers() = Mobile(number);
  request.set_purpose("TEST");
  const absl::StatusOr<v1::LookupResponse> response = (*lookup)->Get(request, kPatience);
  INFO(response.status().ToString());
  REQUIRE(response.ok());
  REQUIRE(response->results_size() == 1);
  return response->results(0);
}

v1::Level LevelOf(const client::ConnectionOptions& connection, const std::string& number) {
  return LookUp(connection, number).indicator().level();
}

grpc::Status Correct(const client::ConnectionOptions& connection, const std::string& number,
                     v1::CorrectResponse* response) {
  const auto channel = client::Connect(connection);
  REQUIRE(channel.ok());
  v1::CorrectRequest request;
  request.set_report_id(IdOf("correction of " + number));
  *request.mutable_identifier() = Mobile(number);
  request.mutable_correction()->set_kind(v1::CORRECTION_KIND_CLEARED);
  grpc::ClientContext context;
  return v1::OperationsService::NewStub(*channel)->Correct(&context, request, response);
}

bool IsVeryHigh(const v1::Event& event) { return event.indicator().level() == v1::LEVEL_VERY_HIGH; }
bool IsCleared(const v1::Event& event) { return event.kind() == v1::EVENT_KIND_CLEARED; }

TEST_CASE("A report reaches a subscriber and a lookup, and so does its correction, until SIGTERM drains",
          "[process][hub]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  const bool serves = hub.Serves();
  INFO(hub.output());
  REQUIRE(serves);
  CHECK(Eventually([&] { return absl::StrContains(hub.Get("/readyz"), " 200 "); }));
  CHECK(absl::StrContains(hub.Get("/healthz"), " 200 "));
  CHECK(absl::StrContains(hub.output(), "ESCROW_THE_ROUTING_KEY_NOW"));

  const client::ConnectionOptions bank = files.Connection("bank-1/main", hub);
  Watcher watcher(bank, "");
  CHECK(LookUp(bank, kNumber).verdict() == v1::LOOKUP_VERDICT_NO_INDICATOR);
  const client::ConnectionOptions police = files.Connection("police-1/main", hub);
  Submit(police, {Fraud(kNumber, "first"), Fraud(kOtherNumber, "second")});
  CHECK(watcher.Sees(kNumber, IsVeryHigh));
  CHECK(watcher.Sees(kOtherNumber, IsVeryHigh));
  CHECK(Eventually([&] { return LevelOf(bank, kNumber) == v1::LEVEL_VERY_HIGH; }));

  CHECK(Eventually([&] { return StatusOf(police, "first").outcome() == v1::OUTCOME_MERGED; }));
  CHECK(StatusOf(police, "first").level_then() == v1::LEVEL_VERY_HIGH);
  CHECK(StatusOf(bank, "first").outcome() == v1::OUTCOME_UNSPECIFIED);  // another's

  v1::CorrectResponse corrected;
  CHECK(Correct(files.Connection("diu/analyst-1", hub), kNumber, &corrected).ok());
  CHECK(corrected.verdict().verdict() == v1::VERDICT_ACCEPTED);
  CHECK(watcher.Sees(kNumber, IsCleared));
  CHECK(Eventually([&] { return LevelOf(bank, kNumber) == v1::LEVEL_NONE; }));
  CHECK(Eventually([&] { return StatusOf(police, "first").corrected_since(); }));
  CHECK_FALSE(StatusOf(police, "second").corrected_since());
  CHECK(absl::StrContains(hub.Get("/metrics"), "fraudhub_ingest_reports_total{reason=\"\",verdict=\"accepted\"} 3"));
  const std::string status = hub.Get("/statusz");
  CHECK(absl::StrContains(status, "fan-out: 1 streams"));
  CHECK(absl::StrContains(status, "partition 1: running"));

  hub.Signal(SIGTERM);
  CHECK(hub.WaitForExit(absl::Seconds(10)) == 0);
  CHECK(watcher.Disconnected());
  CHECK(watcher.Stop().ok());
  CHECK(absl::StrContains(hub.output(), "hub_stopped"));
  CHECK_FALSE(absl::StrContains(hub.output(), kNumber));
}

TEST_CASE("A hub that was killed goes on where it was, and so does a subscriber with its token", "[process][hub]") {
  const HubFiles files;
  std::string token;
  {
    HubProcess hub(files.Arguments());
    REQUIRE(hub.Serves());
    Watcher watcher(files.Connection("bank-1/main", hub), "");
    Submit(files.Connection("police-1/main", hub), {Fraud(kNumber, "first")});
    CHECK(watcher.Sees(kNumber, IsVeryHigh));
    token = watcher.Token();
    hub.Signal(SIGKILL);
    CHECK(hub.WaitForExit() == 128 + SIGKILL);
    CHECK(watcher.Disconnected());
  }
  HubProcess hub(files.Arguments());
  const bool serves = hub.Serves();
  INFO(hub.output());
  REQUIRE(serves);
  const client::ConnectionOptions bank = files.Connection("bank-1/main", hub);
  Watcher watcher(bank, token);
  CHECK(Eventually([&] { return LevelOf(bank, kNumber) == v1::LEVEL_VERY_HIGH; }));
  Submit(files.Connection("police-1/main", hub), {Fraud(kNumber, "first"), Fraud(kOtherNumber, "second")});
  CHECK(watcher.Sees(kOtherNumber, IsVeryHigh));
  CHECK(watcher.events() == 1);  // the first was seen before, and its repeat changed nothing
}

// A bank's process that does nothing but ask has no thread of gRPC's that looks after a connection between two calls.
TEST_CASE("Who only looks up is answered again soon after the hub was away", "[process][hub]") {
  const HubFiles files;
  std::optional<HubProcess> hub(files.Arguments());
  REQUIRE(hub->Serves());
  const std::string address = absl::StrCat("listen.address=127.0.0.1:", hub->port());
  const auto lookup = client::Lookup::Create(files.Connection("bank-1/main", *hub));
  REQUIRE(lookup.ok());
  v1::LookupRequest request;
  auto* identifier = request.add_identifiers();
  identifier->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  identifier->set_value("+915550000001");
  const auto answered = [&] { return (*lookup)->Get(request, absl::Seconds(1)).ok(); };
  REQUIRE(Eventually(answered));
  hub->Signal(SIGKILL);
  REQUIRE(hub->WaitForExit().has_value());
  // Until its calls fail at once, as those of a bank's do for as long as the hub is away.
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(answered());
    (void)hub::Eventually([] { return false; }, absl::Milliseconds(20));
  }
  hub.emplace(files.Arguments({"--set", address}));
  REQUIRE(hub->Serves());
  CHECK(hub::Eventually(answered, absl::Seconds(5), absl::Milliseconds(100)));
}

TEST_CASE("Every report gets its verdict though the hub is restarted meanwhile", "[process][hub]") {
  constexpr int kReports = 20'000;
  const HubFiles files;
  auto hub = std::make_unique<HubProcess>(files.Arguments());
  REQUIRE(hub->Serves());
  const std::string same_port = absl::StrCat("listen.address=127.0.0.1:", hub->port());
  client::ReporterOptions options;
  options.connection = files.Connection("police-1/main", *hub);
  options.backoff_max = absl::Seconds(1);
  std::atomic<int> accepted{0}, others{0};
  const auto reporter = client::Reporter::Create(options, [&](uint64_t, const v1::ReportVerdict& verdict) {
    ++(verdict.verdict() == v1::VERDICT_ACCEPTED ? accepted : others);
  });
  REQUIRE(reporter.ok());
  absl::Status sent;
  base::Thread sender("sender", [&](std::stop_token) {
    for (int i = 0; i < kReports && sent.ok(); ++i) {
      const std::string number = absl::StrCat("+91555", 1'000'000 + i % 1000);
      sent = (*reporter)->Submit(static_cast<uint64_t>(i), Fraud(number, absl::StrCat("restart ", i)));
    }
    if (sent.ok()) sent = (*reporter)->Flush();
  });
  CHECK(Eventually([&] { return accepted > kReports / 20; }));
  hub->Signal(SIGTERM);
  CHECK(hub->WaitForExit(absl::Seconds(10)) == 0);
  hub = std::make_unique<HubProcess>(files.Arguments({"--set", same_port}));
  const bool serves = hub->Serves();
  INFO(hub->output());
  REQUIRE(serves);
  sender.Stop();
  INFO(sent.ToString());
  CHECK(sent.ok());
  CHECK(accepted == kReports);
  CHECK(others == 0);
}

TEST_CASE("A drain hands each stream its token and a time to come back", "[process][hub]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  const auto channel = client::Connect(files.Connection("bank-1/main", hub));
  REQUIRE(channel.ok());
  grpc::ClientContext context;
  const auto stream = v1::SubscriptionService::NewStub(*channel)->Subscribe(&context);
  v1::SubscribeRequest request;
  request.mutable_open()->set_start(v1::STREAM_START_NOW);
  REQUIRE(stream->Write(request));
  v1::SubscribeResponse response;
  REQUIRE(stream->Read(&response));
  CHECK(response.opened().stakeholder() == "bank-1");
  hub.Signal(SIGTERM);
  v1::Drain drain;
  while (stream->Read(&response)) {
    if (response.has_drain()) drain = response.drain();
  }
  CHECK_FALSE(drain.token().empty());
  CHECK(drain.has_reconnect_after());
  CHECK(stream->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(hub.WaitForExit(absl::Seconds(10)) == 0);
}

TEST_CASE("Health is answered to whoever has an identity", "[process][hub]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  const auto channel = client::Connect(files.Connection("bank-1/main", hub));
  REQUIRE(channel.ok());
  grpc::GenericStub stub(*channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice empty;
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::ByteBuffer(&empty, 1), &queue);
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  REQUIRE(queue.Next(&tag, &ok));
  INFO(status.error_message());
  REQUIRE(status.ok());
  grpc::Slice bytes;
  REQUIRE(answer.DumpToSingleSlice(&bytes).ok());
  // HealthCheckResponse{status: SERVING}
  CHECK(std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size()) == std::string("\x08\x01"));
}

TEST_CASE("What is asked wrongly gets a code, and nobody without the right an answer", "[process][hub]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  const auto analyst = client::Connect(files.Connection("diu/analyst-1", hub));
  REQUIRE(analyst.ok());
  grpc::ClientContext context;
  v1::ListReceiptsResponse receipts;
  CHECK(v1::OperationsService::NewStub(*analyst)->ListReceipts(&context, {}, &receipts).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);

  const auto bank = client::Connect(files.Connection("bank-1/main", hub));
  REQUIRE(bank.ok());
  const auto get_cursor = [&](const std::string& name) {
    grpc::ClientContext cursor_context;
    v1::GetCursorRequest request;
    request.set_cursor(name);
    v1::GetCursorResponse cursor;
    return v1::SubscriptionService::NewStub(*bank)->GetCursor(&cursor_context, request, &cursor).error_code();
  };
  CHECK(get_cursor("") == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(get_cursor("nobody-made-it") == grpc::StatusCode::NOT_FOUND);
  // A role without the right to the call is refused before anything else.
  grpc::ClientContext denied_context;
  v1::CorrectResponse corrected;
  CHECK(v1::OperationsService::NewStub(*bank)->Correct(&denied_context, {}, &corrected).error_code() ==
        grpc::StatusCode::PERMISSION_DENIED);

  // A message that can't be read: in a call, and in the middle of a stream, whose earlier batches keep their answers.
  v1::SubmitReportsRequest broken;
  *broken.add_reports() = Fraud(kNumber, "broken");
  broken.mutable_reports(0)->set_list_id("S\xE3o");
  grpc::ClientContext broken_context;
  v1::SubmitReportsResponse verdicts;
  const auto stub = v1::ReportService::NewStub(*bank);
  CHECK(stub->SubmitReports(&broken_context, broken, &verdicts).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext stream_context;
  const auto stream = stub->StreamReports(&stream_context);
  v1::StreamReportsRequest batch;
  batch.set_batch_id(1);
  *batch.add_reports() = Fraud(kNumber, "good");
  REQUIRE(stream->Write(batch));
  batch.set_batch_id(2);
  *batch.mutable_reports() = broken.reports();
  REQUIRE(stream->Write(batch));
  v1::StreamReportsResponse answer;
  REQUIRE(stream->Read(&answer));
  CHECK(answer.batch_id() == 1);
  CHECK(answer.accepted() == 1);
  CHECK_FALSE(stream->Read(&answer));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK_FALSE(absl::StrContains(hub.output(), "libprotobuf"));
}

}  // namespace
}  // namespace hub::process_test
