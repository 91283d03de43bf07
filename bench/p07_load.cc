// Submits reports as fast as a hub takes them, or at a given rate: the load of P7 and P11. Numbers are drawn from the test range.
//
//   bench_p07_load --server host:port --identity DIR --reports N [--batch 100] [--in-flight 4] [--stream] [--rate R] [--seed S] [--in-order]
//                  [--first 0] [--numbers 9000000] [--addresses]
// With --stream the batches go over one stream, as the SDK sends them; else each is a call, on a connection per call in flight.
// One JSON line on stdout: acknowledged, seconds, milliseconds per call or batch.
#include <grpcpp/grpcpp.h>  // tidy:third-party-ok a load generator is a client of its own

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/percentile.h"
#include "bench/test_range.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/client/connection.h"
#include "libs/model/report_id.h"

namespace {

namespace v1 = fraudhub::v1;
using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::seconds kCallMax{30};

struct Load {
  hub::client::ConnectionOptions connection;
  int64_t reports = 100'000;
  int batch = 100;
  int in_flight = 4;
  bool stream = false;
  double rate = 0;  // reports per second; 0 = as fast as they are taken
  uint64_t seed = 1;
  bool in_order = false;  // the n-th report is about the n-th number
  uint64_t first = 0;     // of the numbers that reports are about
  uint64_t numbers = 9'000'000;
  bool addresses = false;  // UPI addresses in the numbers' place
};

v1::Report MakeReport(const Load& load, uint64_t draw) {
  const uint64_t index = load.first + draw % load.numbers;
  v1::Report report;
  const absl::Time now = hub::base::RealClock().TimeNow();
  report.set_report_id(hub::model::ToText(hub::model::MakeTimeBasedId(now, hub::base::RandomBytes(10))));
  report.set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
  v1::RawIdentifier* const identifier = report.mutable_identifier();
  identifier->set_type(load.addresses ? v1::IDENTIFIER_TYPE_UPI_ADDRESS : v1::IDENTIFIER_TYPE_MOBILE);
  identifier->set_value(load.addresses ? hub::bench::TestAddress(index) : hub::bench::TestNumber(index));
  report.mutable_observed_at()->set_seconds(absl::ToUnixSeconds(now));
  report.set_category(v1::FRAUD_CATEGORY_KYC_BANK);
  report.set_victim_state("MH");
  return report;
}

struct Tally {
  int64_t acknowledged = 0;
  int64_t not_taken = 0;
  std::vector<double> millis;  // per batch
};

// Fills `request` with the reports from number `from` on, and waits until they are due.
template <class Request>
int64_t Prepare(const Load& load, SteadyClock::time_point start, int64_t from, std::mt19937_64* random,
                Request* request) {
  const auto count = std::min<int64_t>(load.batch, load.reports - from);
  for (int64_t k = 0; k < count; ++k) {
    *request->add_reports() = MakeReport(load, load.in_order ? static_cast<uint64_t>(from + k) : (*random)());
  }
  if (load.rate > 0) {
    std::this_thread::sleep_until(  // tidy:sleep-ok paced load
        start + std::chrono::duration_cast<SteadyClock::duration>(
                    std::chrono::duration<double>(static_cast<double>(from) / load.rate)));
  }
  return count;
}
double MillisSince(SteadyClock::time_point then) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - then).count();
}

Tally SendCalls(const Load& load, SteadyClock::time_point start, int thread, std::atomic<int64_t>* next) {
  Tally tally;
  auto channel = hub::client::Connect(load.connection);
  if (!channel.ok()) return tally;
  const auto stub = v1::ReportService::NewStub(*channel);
  std::mt19937_64 random(load.seed * 1000 + static_cast<uint64_t>(thread));
  for (int64_t from = 0; (from = next->fetch_add(load.batch)) < load.reports;) {
    v1::SubmitReportsRequest request;
    const int64_t count = Prepare(load, start, from, &random, &request);
    const auto sent = SteadyClock::now();
    grpc::ClientContext context;
    // A hub that is away is waited for: calls that fail at once leave nobody to look after the connection (libs/decisions/0059).
    context.set_wait_for_ready(true);
    const auto now = std::chrono::system_clock::now();  // tidy:clock-ok gRPC takes deadlines of the wall clock
    context.set_deadline(now + kCallMax);
    v1::SubmitReportsResponse response;
    const grpc::Status status = stub->SubmitReports(&context, request, &response);
    tally.millis.push_back(MillisSince(sent));
    int64_t taken = 0;
    for (const auto& verdict : response.verdicts()) taken += verdict.verdict() == v1::VERDICT_ACCEPTED ? 1 : 0;
    tally.acknowledged += taken;
    tally.not_taken += count - taken;
    if (!status.ok()) std::fprintf(stderr, "p07: %s\n", status.error_message().c_str());
  }
  return tally;
}

// One stream with `in_flight` batches on their way: this thread writes, another reads the answers.
Tally SendStream(const Load& load, SteadyClock::time_point start) {
  Tally tally;
  auto channel = hub::client::Connect(load.connection);
  if (!channel.ok()) return tally;
  const auto stub = v1::ReportService::NewStub(*channel);
  std::mt19937_64 random(load.seed * 1000);
  grpc::ClientContext context;
  const auto stream = stub->StreamReports(&context);
  std::mutex mu;
  std::condition_variable answered;
  std::map<uint64_t, SteadyClock::time_point> on_the_way;
  bool broken = false;
  std::thread reader([&] {
    for (v1::StreamReportsResponse response; stream->Read(&response);) {
      const std::lock_guard lock(mu);
      tally.acknowledged += response.accepted();
      tally.not_taken += response.refused_size();
      tally.millis.push_back(MillisSince(on_the_way[response.batch_id()]));
      on_the_way.erase(response.batch_id());
      answered.notify_all();
    }
    const std::lock_guard lock(mu);
    broken = true;
    answered.notify_all();
  });
  for (int64_t from = 0; from < load.reports; from += load.batch) {
    v1::StreamReportsRequest request;
    request.set_batch_id(static_cast<uint64_t>(from));
    Prepare(load, start, from, &random, &request);
    {
      std::unique_lock lock(mu);
      answered.wait(lock, [&] { return broken || on_the_way.size() < static_cast<size_t>(load.in_flight); });
      if (broken) break;
      on_the_way[request.batch_id()] = SteadyClock::now();
    }
    if (!stream->Write(request)) break;
  }
  stream->WritesDone();
  reader.join();
  const grpc::Status status = stream->Finish();
  if (!status.ok()) std::fprintf(stderr, "p07: %s\n", status.error_message().c_str());
  return tally;
}

int Run(const Load& load) {
  const auto start = SteadyClock::now();
  Tally all;
  if (load.stream) {
    all = SendStream(load, start);
  } else {
    std::atomic<int64_t> next = 0;
    std::mutex mu;
    std::vector<std::thread> threads;
    for (int i = 0; i < load.in_flight; ++i) {
      threads.emplace_back([&, i] {
        const Tally mine = SendCalls(load, start, i, &next);
        const std::lock_guard lock(mu);
        all.acknowledged += mine.acknowledged;
        all.not_taken += mine.not_taken;
        all.millis.insert(all.millis.end(), mine.millis.begin(), mine.millis.end());
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const double seconds = MillisSince(start) / 1000;
  std::printf(
      "{\"acknowledged\":%ld,\"not_taken\":%ld,\"seconds\":%.3f,\"per_second\":%.0f,\"call_ms_p50\":%.2f,\"call_ms_"
      "p99\":%.2f}\n",
      static_cast<long>(all.acknowledged), static_cast<long>(all.not_taken), seconds,
      static_cast<double>(all.acknowledged) / seconds, hub::bench::Percentile(&all.millis, 0.5),
      hub::bench::Percentile(&all.millis, 0.99));
  return all.not_taken == 0 && all.acknowledged == load.reports ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Load load;
  CLI::App app{"Submits reports about numbers of the test range."};
  app.add_option("--server", load.connection.server, "host:port")->required();
  app.add_option("--identity", load.connection.identity_dir, "folder of cert.pem, key.pem, ca.pem")->required();
  app.add_option("--reports", load.reports, "how many");
  app.add_option("--batch", load.batch, "per call")->check(CLI::Range(1, 1000));
  app.add_option("--in-flight", load.in_flight, "calls at a time")->check(CLI::Range(1, 256));
  app.add_flag("--stream", load.stream, "over one stream");
  app.add_option("--rate", load.rate, "per second; 0 = as fast as they are taken");
  app.add_option("--seed", load.seed, "of the numbers");
  app.add_flag("--in-order", load.in_order, "each report about another number, from the first of the range on");
  app.add_option("--first", load.first, "of the numbers: reports are about those from here on");
  app.add_option("--numbers", load.numbers, "how many different ones")->check(CLI::PositiveNumber);
  app.add_flag("--addresses", load.addresses, "UPI addresses, numbered likewise");
  CLI11_PARSE(app, argc, argv);
  return Run(load);
}
