// Looks numbers of the test range up, as fast as they are answered or at a given rate: the load of P10 and of tests/process/soak.sh.
//
//   bench_lookup_load --server host:port[,host:port...] [--identity DIR] (--calls N | --seconds S) [--batch 100] [--in-flight 4] [--rate R]
//
// Numbers are drawn from the first --numbers of the range, which bench_p07_load --in-order reports about. With --questions, each call asks
// one of what an analyst asks about a number instead: what it is, why, its timeline, its links.
// Ends early on SIGTERM. One JSON line on stdout: identifiers by verdict, calls that failed, milliseconds per call from when it was sent and from when it was due.
#include <grpcpp/grpcpp.h>  // tidy:third-party-ok a load generator is a client of its own

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/percentile.h"
#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/client/connection.h"
#include "libs/client/lookup.h"
#include "libs/rpc/status.h"

namespace {

namespace v1 = fraudhub::v1;
using SteadyClock = std::chrono::steady_clock;

struct Load {
  hub::client::ConnectionOptions connection;
  int64_t calls = 0;   // 0: until the time is over
  double seconds = 0;  // 0: until the calls are made
  int batch = 100;
  int in_flight = 4;
  double rate = 0;  // identifiers per second; 0 = as fast as they are answered
  uint64_t numbers = 9'000'000;
  uint64_t seed = 1;
  double timeout_seconds = 1;
  bool questions = false;
};

struct Tally {
  std::array<int64_t, v1::LookupVerdict_ARRAYSIZE> by_verdict{};
  int64_t answered = 0, failed = 0;
  std::vector<double> from_sent, from_due;  // milliseconds

  void Add(const Tally& other) {
    for (size_t i = 0; i < by_verdict.size(); ++i) by_verdict[i] += other.by_verdict[i];
    answered += other.answered;
    failed += other.failed;
    from_sent.insert(from_sent.end(), other.from_sent.begin(), other.from_sent.end());
    from_due.insert(from_due.end(), other.from_due.begin(), other.from_due.end());
  }
};

size_t KnownVerdict(v1::LookupVerdict verdict) { return v1::LookupVerdict_IsValid(verdict) ? verdict : 0; }

// One caller with connections of its own; one thread's.
class Caller {
 public:
  Caller(const Load& load, uint64_t seed) : load_(load), random_(seed) {}

  absl::Status Connect() {
    auto lookup = hub::client::Lookup::Create(load_.connection);
    if (!lookup.ok()) return lookup.status();
    lookup_ = *std::move(lookup);
    auto channel = hub::client::Connect(load_.connection);
    if (!channel.ok()) return channel.status();
    stub_ = v1::LookupService::NewStub(*channel);
    return absl::OkStatus();
  }

  absl::Status Call(int64_t place, Tally* tally) {
    switch (load_.questions ? place % 4 : 0) {
      case 1: {
        v1::ExplainResponse response;
        return Ask(&v1::LookupService::Stub::Explain, v1::ExplainRequest(), &response);
      }
      case 2: {
        v1::ListEventsResponse response;
        return Ask(&v1::LookupService::Stub::ListEvents, v1::ListEventsRequest(), &response);
      }
      case 3: {
        v1::ListLinksResponse response;
        return Ask(&v1::LookupService::Stub::ListLinks, v1::ListLinksRequest(), &response);
      }
      default:
        return LookUp(tally);
    }
  }

 private:
  void Draw(v1::RawIdentifier* identifier) {
    identifier->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    identifier->set_value(absl::StrCat("+91555", 1'000'000 + random_() % load_.numbers));
  }

  absl::Status LookUp(Tally* tally) {
    v1::LookupRequest request;
    request.set_purpose("TEST");
    for (int i = 0; i < load_.batch; ++i) Draw(request.add_identifiers());
    const auto response = lookup_->Get(request, absl::Seconds(load_.timeout_seconds));
    if (!response.ok()) return response.status();
    for (const v1::LookupResult& result : response->results()) ++tally->by_verdict[KnownVerdict(result.verdict())];
    return absl::OkStatus();
  }

  template <class Request, class Response>
  absl::Status Ask(grpc::Status (v1::LookupService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   Request request, Response* response) {
    request.set_purpose("TEST");
    Draw(request.mutable_identifier());
    grpc::ClientContext context;
    const auto now = std::chrono::system_clock::now();  // tidy:clock-ok gRPC takes deadlines of the wall clock
    context.set_deadline(now + absl::ToChronoNanoseconds(absl::Seconds(load_.timeout_seconds)));
    return hub::rpc::FromGrpc((stub_.get()->*method)(&context, request, response));
  }

  const Load& load_;
  std::mt19937_64 random_;
  std::unique_ptr<hub::client::Lookup> lookup_;
  std::unique_ptr<v1::LookupService::Stub> stub_;
};

double MillisSince(SteadyClock::time_point then) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - then).count();
}

SteadyClock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

std::atomic<bool> stopped{false};  // relaxed: the callers see it soon enough
void Stop(int) { stopped.store(true, std::memory_order_relaxed); }

int Run(const Load& load) {
  std::atomic<int64_t> next = 0;
  std::mutex mu;
  Tally all;
  const auto start = SteadyClock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < load.in_flight; ++i) {
    threads.emplace_back([&, i] {
      Caller caller(load, load.seed * 1000 + static_cast<uint64_t>(i));
      Tally mine;
      const absl::Status connected = caller.Connect();
      if (!connected.ok()) {
        std::fprintf(stderr, "lookup_load: %s\n", std::string(connected.message()).c_str());
        mine.failed = 1;
      }
      while (connected.ok() && !stopped.load(std::memory_order_relaxed)) {
        const int64_t place = next.fetch_add(1);
        if (load.calls > 0 && place >= load.calls) break;
        auto due = SteadyClock::now();
        if (load.rate > 0) {
          due = start + Seconds(static_cast<double>(place) * load.batch / load.rate);
          std::this_thread::sleep_until(due);  // tidy:sleep-ok paced load
        }
        const auto sent = SteadyClock::now();
        if (load.seconds > 0 && sent - start >= Seconds(load.seconds)) break;
        const absl::Status status = caller.Call(place, &mine);
        mine.from_sent.push_back(MillisSince(sent));
        mine.from_due.push_back(MillisSince(due));
        ++(status.ok() ? mine.answered : mine.failed);
        if (!status.ok()) std::fprintf(stderr, "lookup_load: %s\n", std::string(status.message()).c_str());
      }
      const std::lock_guard lock(mu);
      all.Add(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = MillisSince(start) / 1000;
  const double worst = hub::bench::Percentile(&all.from_sent, 1);
  std::printf(
      "{\"calls\":%ld,\"failed\":%ld,\"seconds\":%.3f,\"per_second\":%.0f,\"indicator\":%ld,\"no_indicator\":%ld,"
      "\"unknown\":%ld,\"invalid\":%ld,\"call_ms_p50\":%.3f,\"call_ms_p99\":%.3f,\"call_ms_max\":%.3f,"
      "\"due_ms_p99\":%.3f}\n",
      static_cast<long>(all.answered), static_cast<long>(all.failed), seconds,
      static_cast<double>(all.answered * load.batch) / seconds,
      static_cast<long>(all.by_verdict[v1::LOOKUP_VERDICT_INDICATOR]),
      static_cast<long>(all.by_verdict[v1::LOOKUP_VERDICT_NO_INDICATOR]),
      static_cast<long>(all.by_verdict[v1::LOOKUP_VERDICT_UNKNOWN]),
      static_cast<long>(all.by_verdict[v1::LOOKUP_VERDICT_INVALID]), hub::bench::Percentile(&all.from_sent, 0.5),
      hub::bench::Percentile(&all.from_sent, 0.99), worst, hub::bench::Percentile(&all.from_due, 0.99));
  return all.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Load load;
  CLI::App app{"Looks numbers of the test range up."};
  app.add_option("--server", load.connection.server, "host:port or unix:/path, several with commas between")
      ->required();
  app.add_option("--identity", load.connection.identity_dir, "folder of cert.pem, key.pem, ca.pem; none = clear text");
  app.add_option("--calls", load.calls, "how many; 0 = until the time is over");
  app.add_option("--seconds", load.seconds, "how long; 0 = until the calls are made");
  app.add_option("--batch", load.batch, "identifiers per call")->check(CLI::Range(1, 1000));
  app.add_option("--in-flight", load.in_flight, "calls at a time, each on a connection of its own")
      ->check(CLI::Range(1, 256));
  app.add_option("--rate", load.rate, "identifiers per second; 0 = as fast as they are answered");
  app.add_option("--numbers", load.numbers, "drawn from the first so many of the range")
      ->check(CLI::Range(1, 9'000'000));
  app.add_option("--seed", load.seed, "of the numbers");
  app.add_option("--timeout", load.timeout_seconds, "of a call, seconds");
  app.add_flag("--questions", load.questions, "what an analyst asks, in turns; wants --batch 1");
  CLI11_PARSE(app, argc, argv);
  if (load.calls <= 0 && load.seconds <= 0) {
    std::fprintf(stderr, "lookup_load: want --calls or --seconds\n");
    return 2;
  }
  std::signal(SIGTERM, Stop);
  return Run(load);
}
