// Submits reports as fast as a hub takes them, or at a given rate: the load of P7 and P11. Numbers are drawn from the test range.
//
//   bench_p07_load --server host:port --identity DIR --reports N [--batch 100] [--in-flight 4] [--rate R] [--seed S] [--in-order]
// One JSON line on stdout: acknowledged, seconds, milliseconds per call.
#include <grpcpp/grpcpp.h>  // tidy:third-party-ok a load generator is a client of its own

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/percentile.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/client/connection.h"
#include "libs/model/report_id.h"

namespace {

namespace v1 = fraudhub::v1;
using SteadyClock = std::chrono::steady_clock;

struct Load {
  hub::client::ConnectionOptions connection;
  int64_t reports = 100'000;
  int batch = 100;
  int in_flight = 4;
  double rate = 0;  // reports per second; 0 = as fast as they are taken
  uint64_t seed = 1;
  bool in_order = false;  // the n-th report is about the n-th number
};

constexpr uint64_t kNumbers = 9'000'000;

v1::Report MakeReport(uint64_t number) {
  v1::Report report;
  const absl::Time now = hub::base::RealClock().TimeNow();
  report.set_report_id(hub::model::ToText(hub::model::MakeTimeBasedId(now, hub::base::RandomBytes(10))));
  report.set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
  report.mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  report.mutable_identifier()->set_value(absl::StrCat("+91555", 1'000'000 + number % kNumbers));
  report.mutable_observed_at()->set_seconds(absl::ToUnixSeconds(now));
  report.set_category(v1::FRAUD_CATEGORY_KYC_BANK);
  report.set_victim_state("MH");
  return report;
}

int Run(const Load& load) {
  std::atomic<int64_t> next = 0, acknowledged = 0, not_taken = 0;
  std::mutex mu;
  std::vector<double> millis;
  const auto start = SteadyClock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < load.in_flight; ++i) {
    threads.emplace_back([&, i] {
      auto channel = hub::client::Connect(load.connection);
      if (!channel.ok()) return;
      const auto stub = v1::ReportService::NewStub(*channel);
      std::mt19937_64 random(load.seed * 1000 + static_cast<uint64_t>(i));
      std::vector<double> mine;
      while (true) {
        const int64_t from = next.fetch_add(load.batch);
        if (from >= load.reports) break;
        v1::SubmitReportsRequest request;
        const auto count = std::min<int64_t>(load.batch, load.reports - from);
        for (int64_t k = 0; k < count; ++k) {
          *request.add_reports() = MakeReport(load.in_order ? static_cast<uint64_t>(from + k) : random());
        }
        if (load.rate > 0) {
          std::this_thread::sleep_until(  // tidy:sleep-ok paced load
              start + std::chrono::duration_cast<SteadyClock::duration>(
                          std::chrono::duration<double>(static_cast<double>(from) / load.rate)));
        }
        const auto sent = SteadyClock::now();
        grpc::ClientContext context;
        v1::SubmitReportsResponse response;
        const grpc::Status status = stub->SubmitReports(&context, request, &response);
        mine.push_back(std::chrono::duration<double, std::milli>(SteadyClock::now() - sent).count());
        int64_t taken = 0;
        for (const auto& verdict : response.verdicts()) taken += verdict.verdict() == v1::VERDICT_ACCEPTED ? 1 : 0;
        acknowledged += taken;
        not_taken += count - taken;
        if (!status.ok()) std::fprintf(stderr, "p07: %s\n", status.error_message().c_str());
      }
      const std::lock_guard lock(mu);
      millis.insert(millis.end(), mine.begin(), mine.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  std::printf(
      "{\"acknowledged\":%ld,\"not_taken\":%ld,\"seconds\":%.3f,\"per_second\":%.0f,\"call_ms_p50\":%.2f,\"call_ms_"
      "p99\":%.2f}\n",
      static_cast<long>(acknowledged), static_cast<long>(not_taken), seconds,
      static_cast<double>(acknowledged) / seconds, hub::bench::Percentile(&millis, 0.5),
      hub::bench::Percentile(&millis, 0.99));
  return not_taken == 0 && acknowledged == load.reports ? 0 : 1;
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
  app.add_option("--rate", load.rate, "per second; 0 = as fast as they are taken");
  app.add_option("--seed", load.seed, "of the numbers");
  app.add_flag("--in-order", load.in_order, "each report about another number, from the first of the range on");
  CLI11_PARSE(app, argc, argv);
  return Run(load);
}
