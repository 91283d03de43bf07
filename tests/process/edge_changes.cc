// How long an edge goes on answering "flagged" after a flag has ended: corrected by an analyst, closed by the operator of a number that changed
// hands, expired. Flags of each kind are set, the edge is asked about all of them without a pause, and they end one after the other.
//
//   hub_edge_changes --hub host:port --pki DIR --edge host:port [--corrections 200] [--recycled 50] [--expiries 50] [--first 0]
//
// Milliseconds from the hub's word that it has taken a correction or a closure (it decides only after that), and from the moment at which a flag
// expires, to the first answer without the flag. `back`: answers with the flag after one without. Flags are the police's and last 90 days, as the
// sample rules have it; those that are to expire were observed almost so long ago.
// One JSON line; exit status 1: something did not come.
#include <grpcpp/grpcpp.h>  // tidy:third-party-ok reports are sent by hand, to know when the hub took each

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/percentile.h"
#include "bench/test_range.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/operations.grpc.pb.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"
#include "libs/client/connection.h"
#include "libs/client/lookup.h"
#include "libs/model/report_id.h"
#include "libs/rpc/proto_time.h"
#include "libs/rpc/status.h"

namespace {

namespace v1 = fraudhub::v1;

constexpr absl::Duration kPause = absl::Milliseconds(10);  // between two ends of flags
constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kLasts = absl::Hours(24 * 90);
constexpr absl::Duration kExpiresAfter = absl::Seconds(3);

const hub::base::RealClock kClock;

struct Flag {
  uint64_t index = 0;
  // Written by one thread each, read after both are joined.
  absl::Time ended = absl::InfiniteFuture();
  absl::Time seen = absl::InfiniteFuture();
  int back = 0;
};

absl::Status Taken(const v1::ReportVerdict& verdict) {
  if (verdict.verdict() == v1::VERDICT_ACCEPTED) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("not taken: ", verdict.field(), ": ", verdict.message()));
}

// Who may report or correct.
class Sender {
 public:
  Sender(const std::string& hub, const std::string& identity_dir)
      : channel_(hub::client::Connect({.server = hub, .identity_dir = identity_dir, .server_name = ""})) {}

  absl::Status Submit(std::vector<v1::Report> reports) {
    HUB_RETURN_IF_ERROR(channel_.status());
    v1::SubmitReportsRequest request;
    for (v1::Report& report : reports) *request.add_reports() = std::move(report);
    grpc::ClientContext context;
    v1::SubmitReportsResponse response;
    HUB_RETURN_IF_ERROR(
        hub::rpc::FromGrpc(v1::ReportService::NewStub(*channel_)->SubmitReports(&context, request, &response)));
    for (const v1::ReportVerdict& verdict : response.verdicts()) HUB_RETURN_IF_ERROR(Taken(verdict));
    return absl::OkStatus();
  }

  absl::Status Correct(const v1::CorrectRequest& request) {
    HUB_RETURN_IF_ERROR(channel_.status());
    grpc::ClientContext context;
    v1::CorrectResponse response;
    HUB_RETURN_IF_ERROR(
        hub::rpc::FromGrpc(v1::OperationsService::NewStub(*channel_)->Correct(&context, request, &response)));
    return Taken(response.verdict());
  }

 private:
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel_;
};

std::string FreshId() {
  return hub::model::ToText(hub::model::MakeTimeBasedId(kClock.TimeNow(), hub::base::RandomBytes(10)));
}

v1::Report About(uint64_t index, v1::InputKind kind, absl::Time observed) {
  v1::Report report;
  report.set_report_id(FreshId());
  report.set_kind(kind);
  report.mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  report.mutable_identifier()->set_value(hub::bench::TestNumber(index));
  hub::rpc::ToProto(observed, report.mutable_observed_at());
  return report;
}

// True for each number that the edge says is flagged.
absl::StatusOr<std::vector<bool>> Flagged(hub::client::Lookup* edge, const std::vector<Flag>& flags) {
  v1::LookupRequest request;
  request.set_purpose("TEST");
  for (const Flag& flag : flags) {
    request.add_identifiers()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    request.mutable_identifiers(request.identifiers_size() - 1)->set_value(hub::bench::TestNumber(flag.index));
  }
  HUB_ASSIGN_OR_RETURN(const v1::LookupResponse response, edge->Get(request, absl::Seconds(5)));
  std::vector<bool> flagged;
  for (const v1::LookupResult& result : response.results()) {
    if (result.verdict() == v1::LOOKUP_VERDICT_UNKNOWN) return absl::UnavailableError("the edge's data is too old");
    flagged.push_back(result.verdict() == v1::LOOKUP_VERDICT_INDICATOR);
  }
  return flagged;
}

// Asks until none is flagged any more, and a little longer: what was withdrawn must not come back.
absl::Status WatchEnds(hub::client::Lookup* edge, std::vector<Flag>* flags) {
  const absl::Duration until = kClock.Monotonic() + kPatience;
  absl::Duration all_ended = absl::InfiniteDuration();
  while (kClock.Monotonic() < all_ended + absl::Milliseconds(300)) {
    if (kClock.Monotonic() > until) return absl::DeadlineExceededError("flags that ended are still answered");
    HUB_ASSIGN_OR_RETURN(const std::vector<bool> flagged, Flagged(edge, *flags));
    const absl::Time now = kClock.TimeNow();
    bool ended = true;
    for (size_t i = 0; i < flags->size(); ++i) {
      Flag& flag = (*flags)[i];
      ended = ended && !flagged[i];
      if (!flagged[i]) flag.seen = std::min(flag.seen, now);
      if (flagged[i] && flag.seen != absl::InfiniteFuture()) ++flag.back;
    }
    if (ended) all_ended = std::min(all_ended, kClock.Monotonic());
  }
  return absl::OkStatus();
}

struct Kind {
  const char* name;
  int count;
  absl::Duration observed_before;  // the flag, before now
  // Ends a flag; null: it ends by itself, kLasts after it was observed.
  std::function<absl::Status(Flag*)> end;
};

absl::StatusOr<std::string> Measure(const Kind& kind, uint64_t first, Sender* police, hub::client::Lookup* edge) {
  std::vector<Flag> flags(static_cast<size_t>(kind.count));
  std::vector<v1::Report> reports;
  const absl::Time observed = kClock.TimeNow() - kind.observed_before;
  for (size_t i = 0; i < flags.size(); ++i) {
    flags[i].index = first + i;
    const absl::Time at = observed + kPause * static_cast<double>(i);
    if (kind.end == nullptr) flags[i].ended = at + kLasts;
    reports.push_back(About(flags[i].index, v1::INPUT_KIND_FINANCIAL_FRAUD, kind.end == nullptr ? at : observed));
  }
  HUB_RETURN_IF_ERROR(police->Submit(std::move(reports)));
  const absl::Duration until = kClock.Monotonic() + kPatience;
  while (true) {
    HUB_ASSIGN_OR_RETURN(const std::vector<bool> flagged, Flagged(edge, flags));
    if (std::find(flagged.begin(), flagged.end(), false) == flagged.end()) break;
    if (kClock.Monotonic() > until) return absl::DeadlineExceededError("flags did not come");
  }

  absl::Status ended;
  std::thread ending([&] {
    const absl::Duration began = kClock.Monotonic();
    for (size_t i = 0; kind.end != nullptr && ended.ok() && i < flags.size(); ++i) {
      const absl::Duration due = began + kPause * static_cast<double>(i) - kClock.Monotonic();
      std::this_thread::sleep_for(absl::ToChronoNanoseconds(due));  // tidy:sleep-ok paced load
      ended = kind.end(&flags[i]);
    }
  });
  const absl::Status watched = WatchEnds(edge, &flags);
  ending.join();
  HUB_RETURN_IF_ERROR(ended);
  HUB_RETURN_IF_ERROR(watched);
  std::vector<double> millis;
  int back = 0;
  for (const Flag& flag : flags) {
    millis.push_back(absl::ToDoubleMilliseconds(flag.seen - flag.ended));
    back += flag.back;
  }
  return absl::StrFormat(
      "\"%s\":{\"count\":%d,\"ms_min\":%.0f,\"ms_p50\":%.0f,\"ms_p99\":%.0f,\"ms_max\":%.0f,\"back\":%d}", kind.name,
      kind.count, hub::bench::Percentile(&millis, 0), hub::bench::Percentile(&millis, 0.5),
      hub::bench::Percentile(&millis, 0.99), hub::bench::Percentile(&millis, 1), back);
}

}  // namespace

int main(int argc, char** argv) {
  std::string hub_address, pki, edge_address;
  int corrections = 200, recycled = 50, expiries = 50;
  uint64_t first = 0;
  CLI::App app{"How long an edge answers with flags that have ended."};
  app.add_option("--hub", hub_address, "host:port")->required();
  app.add_option("--pki", pki, "folder of police-mh/main, dot-diu/analyst-1 and tsp-01/main")->required();
  app.add_option("--edge", edge_address, "host:port")->required();
  app.add_option("--corrections", corrections)->check(CLI::Range(1, 1000));
  app.add_option("--recycled", recycled)->check(CLI::Range(1, 1000));
  app.add_option("--expiries", expiries)->check(CLI::Range(1, 1000));
  app.add_option("--first", first, "of the numbers, as bench/test_range.h counts them; nothing may be known of them");
  CLI11_PARSE(app, argc, argv);
  Sender police(hub_address, pki + "/police-mh/main"), analyst(hub_address, pki + "/dot-diu/analyst-1"),
      operators(hub_address, pki + "/tsp-01/main");
  const auto edge = hub::client::Lookup::Create({.server = edge_address, .identity_dir = "", .server_name = ""});
  if (!edge.ok()) {
    std::cerr << "hub_edge_changes: " << edge.status().message() << "\n";
    return 1;
  }
  const auto corrected = [&](Flag* flag) {
    v1::CorrectRequest request;
    request.set_report_id(FreshId());
    request.mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    request.mutable_identifier()->set_value(hub::bench::TestNumber(flag->index));
    request.mutable_correction()->set_kind(v1::CORRECTION_KIND_CLEARED);
    request.mutable_correction()->set_note_code("WRONG_NUMBER");
    const absl::Status taken = analyst.Correct(request);
    flag->ended = kClock.TimeNow();
    return taken;
  };
  const auto closed = [&](Flag* flag) {
    v1::Report report = About(flag->index, v1::INPUT_KIND_TENURE_CLOSED, kClock.TimeNow());
    report.set_operator_id("tsp-01");
    const absl::Status taken = operators.Submit({std::move(report)});
    flag->ended = kClock.TimeNow();
    return taken;
  };
  std::string line;
  for (const Kind& kind : {Kind{"correction", corrections, absl::Minutes(1), corrected},
                           Kind{"recycled", recycled, absl::Minutes(1), closed},
                           Kind{"expiry", expiries, kLasts - kExpiresAfter, nullptr}}) {
    const auto figures = Measure(kind, first, &police, edge->get());
    if (!figures.ok()) {
      std::cerr << "hub_edge_changes: " << kind.name << ": " << figures.status().message() << "\n";
      return 1;
    }
    absl::StrAppend(&line, line.empty() ? "{" : ",", *figures);
    first += static_cast<uint64_t>(kind.count);
  }
  std::cout << line << "}\n";
  return 0;
}
