// A hub that runs in the test's process on a loopback port, in clear text, and does what the test tells it.
//
// Thread safety: set the hooks before the first call; they run on gRPC's threads, one call each. What it keeps may be read at any time.
#pragma once

#include <grpcpp/server.h>  // tidy:third-party-ok private to this library, included by .cc files only

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fraudhub/v1/lookup.grpc.pb.h"  // tidy:third-party-ok private to this library, included by .cc files only
#include "fraudhub/v1/operations.grpc.pb.h"  // tidy:third-party-ok private to this library, included by .cc files only
#include "fraudhub/v1/report.grpc.pb.h"  // tidy:third-party-ok private to this library, included by .cc files only
#include "fraudhub/v1/subscription.grpc.pb.h"  // tidy:third-party-ok private to this library, included by .cc files only
#include "libs/base/mutex.h"

namespace hub::client {

struct FakeHubHooks {
  using SubscribeStream = grpc::ServerReaderWriter<fraudhub::v1::SubscribeResponse, fraudhub::v1::SubscribeRequest>;
  using ReportStream = grpc::ServerReaderWriter<fraudhub::v1::StreamReportsResponse, fraudhub::v1::StreamReportsRequest>;
  template <class Request, class Response>
  using Method = std::function<absl::Status(const Request&, Response*)>;

  // The verdict on one report; unset: ACCEPTED. Also asked by the unary SubmitReports.
  std::function<fraudhub::v1::ReportVerdict(const fraudhub::v1::Report&)> on_report;
  // Called with the running number of the batch, from 1, before it is answered; an error ends the stream without an answer.
  std::function<absl::Status(int batch)> on_batch;
  // retry_after of answers that hold a RETRY, milliseconds.
  int retry_after_ms = 0;
  // Takes over the whole stream.
  std::function<grpc::Status(grpc::ServerContext*, SubscribeStream*)> subscribe;
  Method<fraudhub::v1::LookupRequest, fraudhub::v1::LookupResponse> lookup;
  Method<fraudhub::v1::ExplainRequest, fraudhub::v1::ExplainResponse> explain;
  Method<fraudhub::v1::ListEventsRequest, fraudhub::v1::ListEventsResponse> list_events;
  Method<fraudhub::v1::ListLinksRequest, fraudhub::v1::ListLinksResponse> list_links;
  std::function<grpc::Status(const fraudhub::v1::GetVerdictSetRequest&,
                             grpc::ServerWriter<fraudhub::v1::GetVerdictSetResponse>*)>
      verdict_set;
  Method<fraudhub::v1::CorrectRequest, fraudhub::v1::CorrectResponse> correct;
  Method<fraudhub::v1::CloseTenureRequest, fraudhub::v1::CloseTenureResponse> close_tenure;
  Method<fraudhub::v1::ApplyRulesRequest, fraudhub::v1::ApplyRulesResponse> apply_rules;
  Method<fraudhub::v1::ApplyPolicyRequest, fraudhub::v1::ApplyPolicyResponse> apply_policy;
  Method<fraudhub::v1::ListQuarantineRequest, fraudhub::v1::ListQuarantineResponse> list_quarantine;
  Method<fraudhub::v1::ListStreamsRequest, fraudhub::v1::ListStreamsResponse> list_streams;
  Method<fraudhub::v1::ListReceiptsRequest, fraudhub::v1::ListReceiptsResponse> list_receipts;
  Method<fraudhub::v1::ListStandingsRequest, fraudhub::v1::ListStandingsResponse> list_standings;
  Method<fraudhub::v1::ListSubscriptionsRequest, fraudhub::v1::ListSubscriptionsResponse> list_subscriptions;
  Method<fraudhub::v1::GetCursorRequest, fraudhub::v1::GetCursorResponse> get_cursor;
  Method<fraudhub::v1::GetStateDigestRequest, fraudhub::v1::GetStateDigestResponse> digest;
};

class FakeHub {
 public:
  explicit FakeHub(FakeHubHooks hooks);
  ~FakeHub();

  std::string address() const;  // 127.0.0.1:port
  // How often each report id came, and the last report of each.
  std::map<std::string, int> times_received() const;
  std::map<std::string, fraudhub::v1::Report> reports() const;

 private:
  class Reports;
  class Subscriptions;
  class Lookups;
  class Operations;

  fraudhub::v1::ReportVerdict Receive(const fraudhub::v1::Report& report);

  const FakeHubHooks hooks_;
  mutable base::Mutex mu_;
  std::map<std::string, int> times_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, fraudhub::v1::Report> reports_ ABSL_GUARDED_BY(mu_);
  int batches_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace hub::client
