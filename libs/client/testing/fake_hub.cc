#include "libs/client/testing/fake_hub.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/rpc/status.h"

namespace hub::client {

namespace v1 = ::fraudhub::v1;

namespace {
template <class Request, class Response>
grpc::Status Call(const FakeHubHooks::Method<Request, Response>& hook, const Request* request, Response* response) {
  if (!hook) return {grpc::StatusCode::UNIMPLEMENTED, "not in this test"};
  return rpc::ToGrpc(hook(*request, response));
}
}  // namespace

class FakeHub::Reports final : public v1::ReportService::Service {
 public:
  explicit Reports(FakeHub* hub) : hub_(hub) {}

  grpc::Status SubmitReports(grpc::ServerContext*, const v1::SubmitReportsRequest* request,
                             v1::SubmitReportsResponse* response) override {
    for (const v1::Report& report : request->reports()) *response->add_verdicts() = hub_->Receive(report);
    return grpc::Status::OK;
  }

  grpc::Status StreamReports(grpc::ServerContext*, FakeHubHooks::ReportStream* stream) override {
    v1::StreamReportsRequest request;
    while (stream->Read(&request)) {
      int batch = 0;
      {
        base::MutexLock lock(&hub_->mu_);
        batch = ++hub_->batches_;
      }
      v1::StreamReportsResponse response;
      response.set_batch_id(request.batch_id());
      bool again = false;
      for (int i = 0; i < request.reports_size(); ++i) {
        const v1::ReportVerdict verdict = hub_->Receive(request.reports(i));
        if (verdict.verdict() == v1::VERDICT_ACCEPTED) {
          response.set_accepted(response.accepted() + 1);
          continue;
        }
        again = again || verdict.verdict() == v1::VERDICT_RETRY;
        v1::RefusedReport* refused = response.add_refused();
        refused->set_index(static_cast<uint32_t>(i));
        *refused->mutable_verdict() = verdict;
      }
      if (again) response.mutable_retry_after()->set_nanos(hub_->hooks_.retry_after_ms * 1'000'000);
      if (hub_->hooks_.on_batch) {
        if (const absl::Status status = hub_->hooks_.on_batch(batch); !status.ok()) return rpc::ToGrpc(status);
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetReportStatus(grpc::ServerContext*, const v1::GetReportStatusRequest* request,
                               v1::GetReportStatusResponse* response) override {
    base::MutexLock lock(&hub_->mu_);
    for (const std::string& id : request->report_ids()) {
      v1::ReportStatus* status = response->add_statuses();
      status->set_report_id(id);
      const auto found = hub_->times_.find(id);
      if (found == hub_->times_.end()) continue;
      status->set_outcome(v1::OUTCOME_MERGED);
      status->set_level_then(v1::LEVEL_MEDIUM);
      status->set_level_now(v1::LEVEL_HIGH);
    }
    return grpc::Status::OK;
  }

 private:
  FakeHub* const hub_;
};

class FakeHub::Subscriptions final : public v1::SubscriptionService::Service {
 public:
  explicit Subscriptions(FakeHub* hub) : hub_(hub) {}
  grpc::Status Subscribe(grpc::ServerContext* context, FakeHubHooks::SubscribeStream* stream) override {
    if (!hub_->hooks_.subscribe) return {grpc::StatusCode::UNIMPLEMENTED, "not in this test"};
    return hub_->hooks_.subscribe(context, stream);
  }
  grpc::Status GetCursor(grpc::ServerContext*, const v1::GetCursorRequest* request, v1::GetCursorResponse* response) override {
    return Call(hub_->hooks_.get_cursor, request, response);
  }
  grpc::Status ListSubscriptions(grpc::ServerContext*, const v1::ListSubscriptionsRequest* request,
                                 v1::ListSubscriptionsResponse* response) override {
    return Call(hub_->hooks_.list_subscriptions, request, response);
  }

 private:
  FakeHub* const hub_;
};

class FakeHub::Lookups final : public v1::LookupService::Service {
 public:
  explicit Lookups(const FakeHubHooks* hooks) : hooks_(hooks) {}
  grpc::Status Lookup(grpc::ServerContext*, const v1::LookupRequest* request, v1::LookupResponse* response) override {
    return Call(hooks_->lookup, request, response);
  }
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest* request, v1::ExplainResponse* response) override {
    return Call(hooks_->explain, request, response);
  }
  grpc::Status ListEvents(grpc::ServerContext*, const v1::ListEventsRequest* request, v1::ListEventsResponse* response) override {
    return Call(hooks_->list_events, request, response);
  }
  grpc::Status ListLinks(grpc::ServerContext*, const v1::ListLinksRequest* request, v1::ListLinksResponse* response) override {
    return Call(hooks_->list_links, request, response);
  }
  grpc::Status GetVerdictSet(grpc::ServerContext*, const v1::GetVerdictSetRequest* request,
                             grpc::ServerWriter<v1::GetVerdictSetResponse>* writer) override {
    if (hooks_->verdict_set) return hooks_->verdict_set(*request, writer);
    return {grpc::StatusCode::UNIMPLEMENTED, "a hub of before"};
  }

 private:
  const FakeHubHooks* const hooks_;
};

class FakeHub::Operations final : public v1::OperationsService::Service {
 public:
  explicit Operations(const FakeHubHooks* hooks) : hooks_(hooks) {}
  grpc::Status Correct(grpc::ServerContext*, const v1::CorrectRequest* request, v1::CorrectResponse* response) override {
    return Call(hooks_->correct, request, response);
  }
  grpc::Status CloseTenure(grpc::ServerContext*, const v1::CloseTenureRequest* request, v1::CloseTenureResponse* response) override {
    return Call(hooks_->close_tenure, request, response);
  }
  grpc::Status ApplyRules(grpc::ServerContext*, const v1::ApplyRulesRequest* request, v1::ApplyRulesResponse* response) override {
    return Call(hooks_->apply_rules, request, response);
  }
  grpc::Status ApplyPolicy(grpc::ServerContext*, const v1::ApplyPolicyRequest* request, v1::ApplyPolicyResponse* response) override {
    return Call(hooks_->apply_policy, request, response);
  }
  grpc::Status ListQuarantine(grpc::ServerContext*, const v1::ListQuarantineRequest* request,
                              v1::ListQuarantineResponse* response) override {
    return Call(hooks_->list_quarantine, request, response);
  }
  grpc::Status ListStreams(grpc::ServerContext*, const v1::ListStreamsRequest* request, v1::ListStreamsResponse* response) override {
    return Call(hooks_->list_streams, request, response);
  }
  grpc::Status ListStandings(grpc::ServerContext*, const v1::ListStandingsRequest* request,
                             v1::ListStandingsResponse* response) override {
    return Call(hooks_->list_standings, request, response);
  }
  grpc::Status ListReceipts(grpc::ServerContext*, const v1::ListReceiptsRequest* request,
                            v1::ListReceiptsResponse* response) override {
    return Call(hooks_->list_receipts, request, response);
  }
  grpc::Status GetStateDigest(grpc::ServerContext*, const v1::GetStateDigestRequest* request,
                              v1::GetStateDigestResponse* response) override {
    return Call(hooks_->digest, request, response);
  }

 private:
  const FakeHubHooks* const hooks_;
};

FakeHub::FakeHub(FakeHubHooks hooks) : hooks_(std::move(hooks)) {
  services_.push_back(std::make_unique<Reports>(this));
  services_.push_back(std::make_unique<Subscriptions>(this));
  services_.push_back(std::make_unique<Lookups>(&hooks_));
  services_.push_back(std::make_unique<Operations>(&hooks_));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  for (const auto& service : services_) builder.RegisterService(service.get());
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  server_ = builder.BuildAndStart();
  HUB_CHECK(server_ != nullptr && port_ != 0);
}

FakeHub::~FakeHub() { server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(100)); }  // tidy:clock-ok gRPC takes deadlines of the wall clock

std::string FakeHub::address() const { return absl::StrCat("127.0.0.1:", port_); }

std::map<std::string, int> FakeHub::times_received() const {
  base::MutexLock lock(&mu_);
  return times_;
}

std::map<std::string, v1::Report> FakeHub::reports() const {
  base::MutexLock lock(&mu_);
  return reports_;
}

v1::ReportVerdict FakeHub::Receive(const v1::Report& report) {
  v1::ReportVerdict verdict;
  if (hooks_.on_report) {
    verdict = hooks_.on_report(report);
  } else {
    verdict.set_verdict(v1::VERDICT_ACCEPTED);
  }
  verdict.set_report_id(report.report_id());
  base::MutexLock lock(&mu_);
  ++times_[report.report_id()];
  reports_[report.report_id()] = report;
  return verdict;
}

}  // namespace hub::client
