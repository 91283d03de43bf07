// StreamReports over a real connection, with a log that answers when it is told to: how much of one stream waits at the hub.
#include "services/ingest/ingest_service.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <string>

#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/thread.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/model/report_id.h"
#include "libs/rpc/proto_time.h"
#include "libs/rpc/server.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::ingest {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kCaller[] = "fraudhub://dev.hub.example/bank-1/main";
constexpr char kPolicy[] = R"(
version: 1
trust_domain: "dev.hub.example"
stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" }
grants { role: ROLE_FINANCIAL_INSTITUTION rpcs: "ReportService.StreamReports" may_report: INPUT_KIND_FINANCIAL_FRAUD may_see {}
  reports_per_second: 100000 }
)";

// One client that sends without waiting for answers, and a hub whose log has not answered yet.
class World {
 public:
  World(int batches, int reports_each) : batches_(batches), reports_each_(reports_each) {
    REQUIRE(log_.EnsureTopics(eventlog::HubTopics(2)).ok());
    auto spec = wire::ParsePolicy(kPolicy);
    REQUIRE(spec.ok());
    policy_ = std::make_unique<access::PolicyHolder>(access::Policy::Build(*std::move(spec)).value());
    rpc::ServerOptions options;
    options.address = "127.0.0.1:0";
    options.insecure_for_benches = true;
    options.insecure_principal_uri = kCaller;
    options.metrics = &metrics_;
    gate_ = std::make_unique<rpc::Gate>(policy_.get(), &metrics_, options);
    service_ = IngestService::Create(gate_.get(), &intake_, nullptr, nullptr);
    auto server = rpc::Server::Start(options, {service_->service()});
    REQUIRE(server.ok());
    server_ = *std::move(server);
    stub_ = v1::ReportService::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()), grpc::InsecureChannelCredentials()));
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));  // tidy:clock-ok gRPC's deadline
    stream_ = stub_->StreamReports(&context_);
    sender_ = base::Thread("sender", [this](const std::stop_token&) { SendAll(); });
  }
  ~World() {
    context_.TryCancel();
    sender_.Stop();
    log_.SetFault(absl::UnavailableError("the test ends"));
    while (log_.Pump() > 0) {
    }
    server_->Drain([this] { service_->StopIntake(); }, absl::Seconds(1));
  }

  // So many reports are with the log, and it stays so.
  bool WaitsAt(int reports) {
    return Eventually([&] { return asked_ >= reports; }) &&
           !Eventually([&] { return asked_ > reports; }, absl::Milliseconds(200));
  }
  // The log answers all that comes; how many reports the client was told are accepted.
  int AcceptedInTheEnd() {
    base::Thread pump("pump", [this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (log_.Pump() == 0) log_.Wait({}, absl::Milliseconds(1));
      }
    });
    int accepted = 0;
    v1::StreamReportsResponse response;
    for (int i = 0; i < batches_ && stream_->Read(&response); ++i) accepted += static_cast<int>(response.accepted());
    return accepted;
  }

 private:
  void SendAll() {
    int next = 0;
    for (int b = 0; b < batches_; ++b) {
      v1::StreamReportsRequest request;
      request.set_batch_id(static_cast<uint64_t>(b));
      for (int i = 0; i < reports_each_; ++i) {
        v1::Report* report = request.add_reports();
        report->set_report_id(model::ToText(model::MakeNameBasedId("ingest_service_test", std::to_string(next++))));
        report->set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
        report->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
        report->mutable_identifier()->set_value("+91 555 000 0001");
        rpc::ToProto(clock_.TimeNow(), report->mutable_observed_at());
      }
      if (!stream_->Write(request)) return;
    }
  }

  const int batches_, reports_each_;
  base::RealClock clock_;
  base::Metrics metrics_;
  std::atomic<int> asked_{0};
  eventlog::MemoryLog log_{&clock_, {.manual_pump = true, .fate = [this](const auto&, const auto&) {
                                       ++asked_;
                                       return eventlog::AppendFate();
                                     }}};
  const model::Tokeniser tokeniser_{base::HmacKey(std::string(32, 'r')), base::HmacKey(std::string(32, 'l'))};
  access::Quota quota_{&clock_};
  ReportIntake intake_{{.partitions = 2, .allow_test_range = true}, &clock_, &metrics_, &log_, &tokeniser_, &quota_};
  std::unique_ptr<access::PolicyHolder> policy_;
  std::unique_ptr<rpc::Gate> gate_;
  std::unique_ptr<IngestService> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::ReportService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamReportsRequest, v1::StreamReportsResponse>> stream_;
  base::Thread sender_;
};

}  // namespace

TEST_CASE("of a stream's small batches so many wait for the log, and in the end all are accepted", "[ingest][threads]") {
  World world(/*batches=*/200, /*reports_each=*/1);
  CHECK(world.WaitsAt(64));
  CHECK(world.AcceptedInTheEnd() == 200);
}

TEST_CASE("of a stream's large batches as many wait as have eight thousand reports", "[ingest][threads]") {
  World world(/*batches=*/12, /*reports_each=*/900);
  CHECK(world.WaitsAt(9 * 900));
  CHECK(world.AcceptedInTheEnd() == 12 * 900);
}

}  // namespace hub::ingest
